"""What a trial says of the rate of the transforms, and that it leaves nothing behind."""

import itertools
import math

import pytest
import torch
from fit_runs import assert_same_weights, counted, final_weights
from tiny_problem import TinyTransform
from torch import nn
from torch.nn.functional import mse_loss
from torch.utils.data import Dataset

from monarch_core.runs.folder import RunFolder
from monarch_core.training.checkpoint import load_checkpoint, save_checkpoint
from monarch_core.training.fit import fit
from monarch_core.training.trial import SMALL, TRIAL_RATE, Way, full_rate, significant


def significance(gradient, n_steps, start=None, rate=0.01, optimizer=torch.optim.Adam):
    w = nn.Parameter(torch.zeros(7, dtype=torch.float64) if start is None else start.clone())
    steps = optimizer([w], lr=rate)
    way = Way(steps, [w])
    for _ in range(n_steps):
        w.grad = gradient(w.detach())
        steps.step()
    return way.significance()


def noise(_):
    return torch.randn(7, dtype=torch.float64)


def test_noise_has_a_significance_of_mean_zero_and_variance_one():
    torch.manual_seed(0)
    Z = torch.tensor([significance(noise, 40) for _ in range(150)])
    assert abs(Z.mean()) < 3 / math.sqrt(len(Z))
    assert Z.std() == pytest.approx(1, abs=0.2)
    assert not any(map(significant, Z.tolist()))


@pytest.mark.parametrize("n_steps", [3, 41])
def test_a_constant_gradient_counts_every_step_of_the_last_two_thirds(n_steps):
    constant = torch.arange(1.0, 8.0, dtype=torch.float64)
    found = significance(lambda _: constant, n_steps, optimizer=torch.optim.SGD)
    assert found == pytest.approx(math.sqrt(n_steps - n_steps // 3))


@pytest.mark.parametrize("factor", [1e-4, 1e5])
def test_the_scale_of_gradients_does_not_count(factor):
    def gradient(w):
        return torch.sin(torch.arange(7, dtype=torch.float64)) - w

    scaled = significance(lambda w: factor * gradient(w), 30)
    assert scaled == pytest.approx(significance(gradient, 30), rel=1e-3)


def test_the_first_third_does_not_count():
    calls = itertools.count(1)

    def early(w):
        return torch.ones_like(w) if next(calls) <= 7 else torch.zeros_like(w)

    assert significance(early, 21, optimizer=torch.optim.SGD) == 0


def test_a_noisy_bowl_is_left_alone_from_its_bottom_and_descended_from_its_side():
    torch.manual_seed(1)

    def bowl(w):
        return w + 0.3 * noise(w)

    bottom = torch.zeros(7, dtype=torch.float64)
    assert not significant(significance(bowl, 200, bottom))
    assert significant(significance(bowl, 200, bottom + 1.0))


def test_a_gradient_that_leads_back_counts_against_the_way():
    def opposed(w):
        return torch.where(w == 0, -1.0, 1.0) * torch.ones_like(w)

    assert significance(opposed, 2, optimizer=torch.optim.SGD) < 0


def test_a_complex_parameter_is_two_real_ones():
    torch.manual_seed(0)
    gradients = torch.randn(30, 7, 2, dtype=torch.float64)
    found = []
    for as_complex in (False, True):
        w = torch.zeros(7, 2, dtype=torch.float64)
        w = nn.Parameter(torch.view_as_complex(w) if as_complex else w)
        optimizer = torch.optim.SGD([w], lr=0.1)
        way = Way(optimizer, [w])
        for g in gradients:
            w.grad = torch.view_as_complex(g) if as_complex else g.clone()
            optimizer.step()
        found.append(way.significance())
    assert found[1] == pytest.approx(found[0])
    assert full_rate([torch.tensor([3 + 4j])], 1.0) == 15.0


def test_nothing_seen_is_nothing_gained():
    assert significance(torch.zeros_like, 5) == 0


@pytest.mark.parametrize("factor", [1.0, 1 / 4, 3.0])
def test_the_full_rate_is_relative_to_the_entries(factor):
    parameters = [factor * torch.tensor([3.0, -4.0]), factor * torch.tensor([[5.0]])]
    assert full_rate(parameters, 0.02) == pytest.approx(3 * 0.02 * factor * math.sqrt(50 / 3))


class OnlyTransform(nn.Module):
    def __init__(self):
        super().__init__()
        self.transform = TinyTransform(5)

    def forward(self, x, shift):
        return self.transform(x)[:, :3]


class Law(Dataset):
    """Pairs of y = (x A)[:3], with noise."""

    def __init__(self, A, n=64):
        generator = torch.Generator().manual_seed(2)
        self.x = torch.randn(n, 5, generator=generator)
        self.y = (self.x @ A)[:, :3] + 0.3 * torch.randn(n, 3, generator=generator)

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        return (self.x[index], torch.ones(3)), self.y[index]


@pytest.mark.parametrize("pays", [True, False])
def test_what_has_to_leave_its_start_gets_the_full_rate(tmp_path, fit_config, pays):
    data = Law(torch.eye(5).roll(1, 0) if pays else torch.eye(5))
    config = fit_config(epochs=10, transform_learning_rate=None, schedule="constant")
    fit(OnlyTransform(), mse_loss, data, data, config, tmp_path)
    full = 3 * 0.01 * math.sqrt(5 / 25)  # the identity has 5 ones
    (rate,) = {record["transform_learning_rate"] for record in RunFolder(tmp_path).log.read()}
    assert rate == pytest.approx(full if pays else SMALL * full)


def trained(model, data, config, folder):
    torch.manual_seed(5)
    fit(model, mse_loss, data, data, config, folder)
    return final_weights(folder)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "soap"])
def test_a_trial_leaves_only_the_rate(tmp_path, tiny_model, tiny_data, fit_config, optimizer):
    """The run is that of the same rate given as a number, random numbers included."""
    values = {"epochs": 4, "optimizer": optimizer, "schedule": "one_cycle"}
    data = tiny_data()
    config = fit_config(**values, transform_learning_rate=None)
    chosen = trained(tiny_model(dropout=0.3), data, config, tmp_path / "trial")
    rate = load_checkpoint(tmp_path / "trial" / "checkpoint.pt")["recipe"][TRIAL_RATE]
    config = fit_config(**values, transform_learning_rate=rate)
    given = trained(tiny_model(dropout=0.3), data, config, tmp_path / "given")
    assert_same_weights(chosen, given)
    first = RunFolder(tmp_path / "trial").log.read()[0]
    assert first["transform_learning_rate"] == pytest.approx(rate / 25)  # of the one cycle


def interrupted(after):
    def change(call, value):
        if call == after:
            raise KeyboardInterrupt
        return value

    return counted(change)


# Three batches each of training and validation: the trial has 3 calls, an epoch 6.
@pytest.mark.parametrize("after", [1, 3 + 6 + 1, 3 + 2 * 6 + 4])
def test_a_run_that_is_interrupted_in_or_after_its_trial_goes_on_as_if_it_had_not_been(
    tmp_path, tiny_model, tiny_data, fit_config, after
):
    data, config = tiny_data(), fit_config(transform_learning_rate=None)
    with pytest.raises(KeyboardInterrupt):
        fit(tiny_model(), interrupted(after), data, data, config, tmp_path / "a")
    n_calls = []
    counting = counted(lambda call, value: n_calls.append(call) or value)
    fit(tiny_model(), counting, data, data, config, tmp_path / "a")
    fit(tiny_model(), mse_loss, data, data, config, tmp_path / "b")
    assert_same_weights(final_weights(tmp_path / "a"), final_weights(tmp_path / "b"))
    finished = max(0, after - 3) // 6
    assert len(n_calls) == 6 * (3 - finished) + (0 if finished else 3)  # no second trial


def test_a_model_without_transforms_has_no_trial(tmp_path, tiny_data, fit_config):
    class Linear(nn.Linear):
        def forward(self, x, shift):
            return super().forward(x)

    calls = []
    data, config = tiny_data(), fit_config(epochs=1, transform_learning_rate=None)
    loss = counted(lambda call, value: calls.append(call) or value)
    fit(Linear(5, 3), loss, data, data, config, tmp_path)
    assert len(calls) == 6


def test_transforms_of_zeros_have_no_rate(tmp_path, tiny_model, tiny_data, fit_config):
    model, data = tiny_model(), tiny_data()
    nn.init.zeros_(model.transform.matrix)
    config = fit_config(transform_learning_rate=None)
    with pytest.raises(ValueError, match=r"mean square 0\.0, .*; set fit\.transform_learning_rate"):
        fit(model, mse_loss, data, data, config, tmp_path)


def test_a_loss_that_is_not_finite_in_the_trial_says_so(
    tmp_path, tiny_model, tiny_data, fit_config
):
    data, config = tiny_data(), fit_config(transform_learning_rate=None)
    with pytest.raises(ValueError, match=r"training loss is nan in epoch 1, .* in the trial that"):
        fit(tiny_model(), counted(lambda _, v: v * torch.nan), data, data, config, tmp_path)
    assert not RunFolder(tmp_path).can_resume


def test_a_run_goes_on_with_the_kind_of_rate_that_it_was_started_with(
    tmp_path, tiny_model, tiny_data, fit_config
):
    data = tiny_data()
    by_trial, given = fit_config(transform_learning_rate=None), fit_config()
    fit(tiny_model(), mse_loss, data, data, given, tmp_path / "given")
    with pytest.raises(ValueError, match=r"rate=None \(the run was started with 0\.001\)"):
        fit(tiny_model(), mse_loss, data, data, by_trial, tmp_path / "given")
    fit(tiny_model(), mse_loss, data, data, by_trial, tmp_path / "trial")
    with pytest.raises(ValueError, match=r"rate=0\.001 \(the run was started with None\)"):
        fit(tiny_model(), mse_loss, data, data, given, tmp_path / "trial")


@pytest.mark.parametrize("value", [None, "1e-3", float("nan"), -1.0, 1])
def test_a_rate_that_no_trial_can_have_found_is_refused(
    tmp_path, tiny_model, tiny_data, fit_config, value
):
    data, config = tiny_data(), fit_config(transform_learning_rate=None)
    fit(tiny_model(), mse_loss, data, data, config, tmp_path)
    path = tmp_path / "checkpoint.pt"
    saved = load_checkpoint(path)
    saved["recipe"][TRIAL_RATE] = value
    save_checkpoint(path, saved)
    with pytest.raises(ValueError, match="it lacks the rate of the transforms by trial"):
        fit(tiny_model(), mse_loss, data, data, config, tmp_path)
