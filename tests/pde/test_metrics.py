import math

import pytest
import torch
from neuralop.losses import H1Loss, LpLoss
from programs import run_program

from pde.metrics.errors import (
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


@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("grid", [(23,), (12, 9)])
def test_metrics_agree_with_neuralop_in_any_dimension_and_boundary(grid, periodic):
    torch.manual_seed(1)
    prediction, target = torch.randn(2, 4, 1, *grid)
    sides = {"periodic_in_x": periodic, "periodic_in_y": periodic}
    h1 = H1Loss(d=len(grid), reduction="mean", measure=1.0, **sides)
    found = relative_h1(prediction, target, periodic=periodic)
    torch.testing.assert_close(found, h1.rel(prediction, target), rtol=1e-6, atol=0)
    l2 = LpLoss(d=len(grid), p=2, reduction="mean").rel(prediction, target)
    torch.testing.assert_close(relative_l2(prediction, target), l2, rtol=1e-6, atol=0)


def test_without_periodicity_no_jump_between_the_ends_is_counted():
    x = (torch.arange(64, dtype=torch.float64) + 0.5) / 64
    ramp = (1 + x)[None, None]
    # e = 0.1 x, so that ||e||_1 = 0.1 sqrt(1/3 + 1) and ||1 + x||_1 = sqrt(7/3 + 1).
    error = relative_h1(ramp + 0.1 * x, ramp, periodic=False)
    assert error.item() == pytest.approx(0.1 * math.sqrt((4 / 3) / (10 / 3)), rel=1e-3)
    assert relative_h1(ramp + 0.1 * x, ramp, periodic=True) > 1.5 * error


@pytest.mark.parametrize("grid", [(10,), (10, 7)])
@pytest.mark.parametrize("periodic", [True, False])
def test_parseval_in_any_dimension_and_boundary(grid, periodic):
    field = torch.randn(3, 2, *grid, dtype=torch.float64)
    mean_square = field.square().flatten(1).mean(1)
    spectrum = energy_spectrum(field, periodic=periodic)
    torch.testing.assert_close(spectrum.sum(-1), mean_square)


def test_a_cosine_that_is_not_periodic_falls_on_its_own_wavenumber():
    x = (torch.arange(40, dtype=torch.float64) + 0.5) / 40
    field = torch.cos(math.pi * 14 * x)[None, None]  # seven cycles per box
    spectrum = energy_spectrum(field, periodic=False)[0]
    assert spectrum.argmax() == 7
    assert spectrum[7].item() == pytest.approx(0.5)
    errors = band_errors(1.2 * field, field, periodic=False)
    assert errors == pytest.approx({"low": 0.0, "mid": 0.2, "high": 0.0}, abs=1e-12)


def test_each_axis_has_a_boundary_of_its_own():
    x, z = torch.arange(16) / 16, (torch.arange(24) + 0.5) / 24
    wave = torch.cos(2 * math.pi * 3 * x)[:, None] * torch.cos(math.pi * 8 * z)  # |k| = 5
    spectrum = energy_spectrum(wave.double()[None, None], periodic=[True, False])[0]
    assert spectrum[5].item() == pytest.approx(0.25)
    assert spectrum.sum().item() == pytest.approx(0.25)
    with pytest.raises(ValueError, match="periodic must be one for all axes"):
        energy_spectrum(wave[None, None], periodic=[True])


def test_every_shell_of_a_field_that_is_not_periodic_holds_two_wavenumbers():
    x = (torch.arange(16, dtype=torch.float64) + 0.5) / 16
    waves = torch.stack([torch.cos(math.pi * j * x) for j in range(1, 9)])  # k = 1/2, 1, .. 4
    shells = energy_spectrum(waves[:, None], periodic=False).argmax(1)
    assert shells.tolist() == [1, 1, 2, 2, 3, 3, 4, 4]


def every_metric(prediction, target, periodic):
    return [
        relative_l2(prediction, target),
        *relative_l2_per_step(prediction, target),
        roll_out_loss(prediction, target),
        relative_h1(prediction, target, periodic=periodic),
        torch.tensor(list(band_errors(prediction, target, periodic=periodic).values())).sum(),
    ]


@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("bad", ["prediction", "target", "zero target"])
def test_what_is_not_a_number_is_never_a_good_one(fields, bad, periodic):
    prediction, target = fields
    if bad == "zero target":
        target[1] = 0.0
    else:
        (prediction if bad == "prediction" else target)[1, :, 3, 3] = math.nan
    assert not any(torch.isfinite(error) for error in every_metric(prediction, target, periodic))


@pytest.mark.parametrize("scale", [1e-12, 1e-6, 1e9])
def test_no_metric_knows_the_unit_of_the_field(fields, scale):
    for of_scaled, error in zip(
        every_metric(*(scale * field for field in fields), periodic=True),
        every_metric(*fields, periodic=True),
        strict=True,
    ):
        torch.testing.assert_close(of_scaled, error, rtol=1e-5, atol=0)


BROADCAST = """
import sys, torch
from pde.metrics import errors

for metric in sys.argv[1:]:
    try:
        getattr(errors, metric)(torch.ones(2, 1, 4, 4), torch.ones(2, 3, 4, 4))
    except ValueError as error:
        print(metric, error)
"""


def test_shapes_that_merely_broadcast_are_refused(tmp_path):
    (tmp_path / "broadcast.py").write_text(BROADCAST)  # without the shape checks of the tests
    metrics = ["relative_l2", "roll_out_loss", "relative_h1", "band_errors"]
    done = run_program(tmp_path / "broadcast.py", *metrics, imports=("pde.metrics.errors",))
    said = [line for line in done.stdout.splitlines() if "(2, 1, 4, 4) and (2, 3, 4, 4)" in line]
    assert [line.split()[0] for line in said] == metrics
