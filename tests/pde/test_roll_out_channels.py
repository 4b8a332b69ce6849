"""Laws of a roll-out with channels and constants, and of what is measured of it."""

import math

import pytest
import torch
from neuralop.layers.spectral_convolution import SpectralConv
from pde_configs import config_of
from torch import nn

from pde.config.own import OwnConfig
from pde.dataset.samples import Splits, TrajectoryDataset
from pde.metrics.diagnosis import diagnose_splits
from pde.metrics.errors import (
    relative_h1,
    relative_l2,
    relative_l2_of_each,
    relative_l2_per_step,
    roll_out_loss,
)
from pde.metrics.measure import measure, one_step_error
from pde.models import RollOut, build_model

C, K, N_IN, N_OUT = 3, 2, 2, 4
GRID = (5, 7)


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Step(nn.Module):
    """The mean of two frames plus each constant, channel by channel: order matters."""

    def forward(self, x):
        frames, constants = x[:, : N_IN * C].unflatten(1, (N_IN, C)), x[:, N_IN * C :]
        return frames.mean(1) + 0.1 * frames[:, -1].roll(1, -1) + constants.sum(1, keepdim=True)


def model(normalization="field", **options):
    rolled = RollOut(Step(), N_OUT, normalization, n_channels=C, n_constants=K, **options)
    return rolled.double()


def samples(n=4, seed=0):
    size = torch.tensor([1.0, 30.0, 0.01], dtype=torch.float64).reshape(C, 1, 1)
    frames = (size * (random(n, N_IN + N_OUT, C, *GRID, seed=seed) + 2)).flatten(1, 2)
    constants = random(n, K, 1, 1, seed=seed + 1).expand(n, K, *GRID).clone()
    return TrajectoryDataset(frames, N_IN, n_channels=C, constants=constants)


def test_constants_are_given_to_every_step():
    data = samples()
    frames = [*data.past[:, : N_IN * C].unflatten(1, (N_IN, C)).unbind(1)]
    for _ in range(N_OUT):
        last = torch.cat((*frames[-2:], data.constants), dim=1)
        frames.append(Step()(last))
    expected = torch.cat(frames[N_IN:], dim=1)
    torch.testing.assert_close(model("none")(data.past), expected)


@pytest.mark.parametrize("checkpoint_steps", [False, True])
def test_forced_steps_start_from_the_truth_with_the_same_constants(checkpoint_steps):
    data = samples()
    forced = model("none", checkpoint_steps=checkpoint_steps)(data.past, data.future)
    for step in range(N_OUT):
        window = data.frames[:, step * C : (step + N_IN) * C]
        alone = Step()(torch.cat((window, data.constants), dim=1))
        torch.testing.assert_close(forced[:, step * C : (step + 1) * C], alone)


def test_every_channel_and_constant_has_a_scale_of_its_own():
    data, scaled = samples(), model()
    scaled.normalize_to(data)
    frames = data.frames.unflatten(1, (-1, C))
    torch.testing.assert_close(scaled.output_mean, frames.mean((0, 1, 3, 4)), rtol=1e-6, atol=0)
    deviation = frames.movedim(2, 0).flatten(1).std(dim=1, correction=0)
    torch.testing.assert_close(scaled.std[:C], deviation, rtol=1e-6, atol=0)
    constants = data.constants.movedim(1, 0).flatten(1)
    torch.testing.assert_close(scaled.mean[C:], constants.mean(1), rtol=1e-6, atol=1e-9)
    unit = (data.past - scaled.as_input(torch.zeros_like(data.past))) / scaled._spread(
        scaled.std, data.past
    )
    torch.testing.assert_close(scaled.as_input(unit), data.past)


def test_a_constant_of_one_value_is_no_error_but_a_channel_is():
    data = samples()
    data.constants[:, 0] = 0.001
    scaled = model()
    scaled.normalize_to(data)
    assert scaled.std[C].item() == 1
    data.frames[:, 1::C] = 4
    with pytest.raises(ValueError, match="have the same value 4"):
        scaled.normalize_to(data)


def test_units_change_neither_loss_nor_errors():
    """The loss of all channels and the error of each are those in any other units."""
    data, prediction = samples(), samples(seed=5).future
    unit = torch.tensor([1e3, 1e-2, 7.0], dtype=torch.float64)
    found = []
    for factor in (torch.ones(C, dtype=torch.float64), unit):
        each = factor.repeat(N_IN + N_OUT).reshape(-1, 1, 1)
        other = TrajectoryDataset(each * data.frames, N_IN, n_channels=C, constants=data.constants)
        scaled = model()
        scaled.normalize_to(other)
        ours = each[N_IN * C :] * prediction
        channels = scaled.by_channel(ours), scaled.by_channel(other.future)
        loss = scaled.of_channels(roll_out_loss)(ours, other.future)
        h1 = relative_h1(*channels, periodic=[True, False], n_channels=C)
        found.append([loss, h1, *relative_l2_of_each(*channels)])
    torch.testing.assert_close(*map(torch.stack, found), rtol=1e-6, atol=0)


def test_the_order_of_channels_changes_nothing():
    order = torch.tensor([2, 0, 1])
    data = samples()
    frames = data.frames.unflatten(1, (-1, C))[:, :, order].flatten(1, 2)
    other = TrajectoryDataset(frames, N_IN, n_channels=C, constants=data.constants)
    errors, predictions = [], []
    for split in (data, other):
        scaled = model()
        scaled.normalize_to(split)
        predictions.append(scaled(split.past).unflatten(1, (-1, C)))
        error = scaled.of_channels(relative_l2)(predictions[-1].flatten(1, 2), split.future)
        errors.append(torch.stack([error, torch.tensor(one_step_error(scaled, split, 3))]))
    torch.testing.assert_close(predictions[1], predictions[0][:, :, order])
    torch.testing.assert_close(*errors)


def test_errors_of_equal_channels_are_that_of_one():
    a, b = random(3, 2, 8, 6, seed=1), random(3, 2, 8, 6, seed=2)
    both = [field.unsqueeze(2).expand(-1, -1, 2, -1, -1) for field in (a, b)]
    one = relative_h1(a, b, periodic=[True, False])
    torch.testing.assert_close(relative_h1(*both, periodic=[True, False], n_channels=2), one)
    torch.testing.assert_close(relative_l2_of_each(*both), relative_l2(a, b).expand(2))
    torch.testing.assert_close(relative_l2_per_step(*both), relative_l2_per_step(a, b))


def test_a_channel_that_is_zero_in_some_samples_is_measured_in_the_others():
    a, b = random(3, 2, 2, 8, seed=1), random(3, 2, 2, 8, seed=2)
    b[0, :, 1] = 0
    expected = torch.stack(
        [relative_l2(a[:, :, 0], b[:, :, 0]), relative_l2(a[1:, :, 1], b[1:, :, 1])]
    )
    torch.testing.assert_close(relative_l2_of_each(a, b), expected)


def test_a_translation_over_many_frames_is_learned_exactly():
    """A spectral layer is fitted to single steps by a few gradients, and rolled out over forty."""
    n, n_steps = 12, 40
    k = torch.arange(1, 4)[:, None, None]
    t, x = torch.arange(n_steps + 1)[:, None], torch.arange(n) / n
    phase, size = random(8, 3, 1, 1), random(8, 3, 1, 1, seed=1)
    frames = (size * torch.cos(2 * torch.pi * k * (x - 0.013 * t) + 6 * phase)).sum(1).float()
    train, test = TrajectoryDataset(frames[:6, :2], 1), TrajectoryDataset(frames[6:], 1)
    torch.manual_seed(0)
    rolled = RollOut(SpectralConv(1, 1, (8,)), n_steps)
    rolled.normalize_to(train)
    optimizer = torch.optim.LBFGS(rolled.parameters(), line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = (rolled(train.past, train.future) - train.future).square().mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    assert relative_l2(rolled(test.past), test.future) < 1e-4


def test_a_diagnosis_names_the_channel():
    frames = random(30, 2 * C, 16).float()
    data = TrajectoryDataset(frames, 1, n_channels=C)
    splits = Splits(data, data, data, (16,), {}, (), "")
    found = diagnose_splits(splits, ["u", "v", "p"])
    assert [d.channel for d in found] == ["u", "v", "p"]
    assert str(found[1]).startswith("v, axis 0: ")
    steady = TrajectoryDataset(frames[:, C:], 0, n_channels=C, constants=frames[:, :1])
    again = diagnose_splits(Splits(steady, steady, steady, (16,), {}, (), ""), ["u", "v", "p"])
    assert again[0].along == pytest.approx(found[0].along)


def test_a_channel_that_is_zero_in_all_test_samples_has_no_error_and_costs_no_result(caplog):
    config = config_of("model=fno_fast_1d", "model.n_modes=3", "transform=fft")
    own = {"key": "u", "channels": ["u", "v"], "periodic": [True], "grid": [8]}
    config.dataset = OwnConfig(**own, n_input_frames=1, n_output_frames=2)
    frames = random(3, 6, 8).float()
    some, none = (TrajectoryDataset(f, 1, n_channels=2) for f in (frames, frames.clone()))
    none.frames[:, 1::2] = 0
    splits = Splits(some, some, none, (8,), {}, (0.0, 1.0, 2.0), "")
    built = build_model(config, (8,)).eval()
    built.normalize_to(some)
    metrics = measure(built, splits, config).metrics
    assert all(math.isfinite(value) for value in metrics.values())
    assert {key for key in metrics if "l2/" in key} == {"relative_l2/u"}
    assert "v is zero in all test samples" in caplog.text
