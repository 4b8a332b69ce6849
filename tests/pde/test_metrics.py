import math

import pytest
import torch
from neuralop.losses import H1Loss, LpLoss

from pde.metrics import (
    band_errors,
    energy_spectrum,
    relative_h1,
    relative_l2,
    relative_l2_per_step,
    roll_out_loss,
)


@pytest.fixture
def fields():
    torch.manual_seed(0)
    return torch.randn(3, 5, 12, 9), torch.randn(3, 5, 12, 9)


def wave(k_x, k_y, n=48, amplitude=1.0):
    x = torch.arange(n, dtype=torch.float64) / n
    return amplitude * torch.cos(2 * math.pi * (k_x * x[:, None] + k_y * x))[None, None]


def test_relative_l2_is_that_of_neuralop(fields):
    expected = LpLoss(d=3, p=2, reduction="mean").rel(*fields)
    torch.testing.assert_close(relative_l2(*fields), expected, rtol=1e-6, atol=0)


def test_relative_h1_is_that_of_neuralop(fields):
    frames = [field.flatten(0, 1)[:, None] for field in fields]
    expected = H1Loss(d=2, reduction="mean", measure=1.0).rel(*frames)
    torch.testing.assert_close(relative_h1(*fields), expected, rtol=1e-6, atol=0)


def test_the_loss_is_the_sum_over_steps_and_the_mean_over_samples(fields):
    prediction, target = fields
    by_hand = sum(
        (prediction[b, t] - target[b, t]).norm() / target[b, t].norm()
        for b in range(3)
        for t in range(5)
    )
    torch.testing.assert_close(roll_out_loss(prediction, target), by_hand / 3)


def test_scaling_a_field_gives_the_error_of_the_scale(fields):
    _, target = fields
    torch.testing.assert_close(relative_l2(1.25 * target, target), torch.tensor(0.25))
    torch.testing.assert_close(relative_l2_per_step(1.25 * target, target), torch.full((5,), 0.25))
    torch.testing.assert_close(relative_h1(1.25 * target, target), torch.tensor(0.25))


def test_errors_fall_into_the_band_of_their_wavenumber():
    truth = wave(1, 0)
    for k, band in [((2, 2), "low"), ((5, 3), "mid"), ((0, 15), "high")]:
        errors = band_errors(truth + wave(*k, amplitude=0.3), truth)
        for name, error in errors.items():
            assert error == pytest.approx(0.3 if name == band else 0.0, abs=1e-12)


def test_bands_add_up_to_the_whole_error(fields):
    prediction, target = (field[:1].double() for field in fields)
    total = sum(error**2 for error in band_errors(prediction, target).values())
    assert math.sqrt(total) == pytest.approx(relative_l2(prediction, target).item())


def test_the_spectrum_of_a_wave_and_parseval(fields):
    spectrum = energy_spectrum(wave(3, 4, amplitude=2.0))
    assert spectrum[0].argmax() == 5
    torch.testing.assert_close(spectrum[0, 5].item(), 2.0)
    field = fields[0]
    mean_square = field.square().mean(dim=(1, 2, 3))
    torch.testing.assert_close(energy_spectrum(field).sum(-1), mean_square)
