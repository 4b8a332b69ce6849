"""Groups, rates and schedules against their formulas."""

import math

import pytest
import torch
from torch import nn

from monarch_core import LowRankLinear, MonarchLinear
from monarch_core.training.optimization import (
    make_optimizer,
    make_schedule,
    n_parameters,
    parameter_groups,
)

PEAKS = (1e-3, 1e-2)


def rates_over_time(fit_config, model, n_steps, steps_per_epoch, **values):
    config = fit_config(
        epochs=n_steps // steps_per_epoch,
        learning_rate=PEAKS[0],
        transform_learning_rate=PEAKS[1],
        **values,
    )
    optimizer = make_optimizer(model, config)
    schedule = make_schedule(optimizer, config, steps_per_epoch)
    found = []
    for _ in range(n_steps):
        found.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        schedule.step()
    return torch.tensor(found, dtype=torch.float64)


def test_parameters_of_transforms_form_the_second_group(tiny_model):
    model = tiny_model()
    outside, inside = parameter_groups(model)
    assert [id(p) for p in inside] == [id(model.transform.matrix)]
    assert {id(p) for p in outside} == {
        id(model.linear.weight),
        id(model.linear.bias),
        id(model.phase),
    }


def test_shared_frozen_and_nested_parameters_are_sorted_once(tiny_model):
    model = tiny_model()
    model.again = nn.ModuleList([model.transform, model.linear])
    model.transform.inner = nn.Linear(2, 2)
    model.linear.bias.requires_grad_(False)
    outside, inside = parameter_groups(model)
    assert len(inside) == 3
    assert len(outside) == 2


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "soap"])
def test_transforms_have_no_weight_decay(tiny_model, fit_config, optimizer):
    config = fit_config(optimizer=optimizer, weight_decay=0.1)
    groups = make_optimizer(tiny_model(), config).param_groups
    assert [group["weight_decay"] for group in groups] == [0.1, 0.0]
    model = tiny_model()
    optimizer = make_optimizer(model, config)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    before = [model.linear.weight.norm().item(), model.transform.matrix.norm().item()]
    optimizer.step()
    assert model.linear.weight.norm().item() < before[0]
    assert model.transform.matrix.norm().item() == before[1]


def expected(schedule, n_steps, steps_per_epoch):
    t = torch.arange(n_steps, dtype=torch.float64)
    if schedule == "cosine":
        return 0.5 * (1 + torch.cos(math.pi * t / n_steps))
    if schedule == "step":
        return 0.3 ** (t // (2 * steps_per_epoch))
    return torch.ones_like(t)


@pytest.mark.parametrize("schedule", ["cosine", "step", "constant"])
@pytest.mark.parametrize("steps_per_epoch", [1, 7])
def test_schedules_follow_their_formula(tiny_model, fit_config, schedule, steps_per_epoch):
    n_steps = 5 * steps_per_epoch
    rates = rates_over_time(
        fit_config,
        tiny_model(),
        n_steps,
        steps_per_epoch,
        schedule=schedule,
        step_epochs=2,
        step_factor=0.3,
    )
    factor = expected(schedule, n_steps, steps_per_epoch)
    torch.testing.assert_close(rates, factor[:, None] * torch.tensor(PEAKS, dtype=torch.float64))


def test_one_cycle_rises_to_the_peaks_and_falls_to_almost_nothing(tiny_model, fit_config):
    rates = rates_over_time(fit_config, tiny_model(), 100, 10, schedule="one_cycle")
    peaks = torch.tensor(PEAKS, dtype=torch.float64)
    torch.testing.assert_close(rates.max(0).values, peaks)
    assert rates.argmax(0).tolist() == [29, 29]
    torch.testing.assert_close(rates[0], peaks / 25)
    assert (rates[-1] < peaks * 1e-5).all()
    assert (rates.diff(dim=0)[:29] > 0).all()
    assert (rates.diff(dim=0)[29:] < 0).all()


def test_a_trapezoid_rises_holds_and_falls_to_zero(tiny_model, fit_config):
    rates = rates_over_time(fit_config, tiny_model(), 100, 10, schedule="trapezoid", decay=0.3)
    factor = rates / torch.tensor(PEAKS, dtype=torch.float64)
    rise, fall = torch.arange(1, 6) / 5, torch.arange(30, 0, -1) / 30
    expected = torch.cat([rise, torch.ones(65), fall]).double()
    torch.testing.assert_close(factor, expected[:, None].expand(-1, 2))


@pytest.mark.parametrize("schedule", ["one_cycle", "cosine", "trapezoid", "step", "constant"])
def test_a_run_of_one_step_has_a_schedule(tiny_model, fit_config, schedule):
    rates = rates_over_time(fit_config, tiny_model(), 1, 1, schedule=schedule)
    assert (rates > 0).all()


def test_parameters_are_counted_in_real_numbers():
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2, dtype=torch.complex64))
    model.append(nn.BatchNorm1d(5))
    model.append(model[0])
    assert n_parameters(model) == (6 + 2) + 2 * (4 + 2) + 10
    model[1].requires_grad_(False)
    assert n_parameters(model) == (6 + 2) + 10


def rate_groups(layers, config):
    groups = make_optimizer(nn.Sequential(*layers), config).param_groups
    return {group["name"]: (group["lr"], group["weight_decay"]) for group in groups}


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "soap"])
def test_factors_have_the_rates_that_their_blocks_ask_for(fit_config, optimizer):
    layers = [nn.Linear(64, 96), MonarchLinear(96, 48, 4), LowRankLinear(48, 48, 6)]
    values = {"optimizer": optimizer, "learning_rate": 1e-3, "weight_decay": 0.1}
    groups = rate_groups(layers, fit_config(**values))
    assert list(groups) == ["model", "transform"]
    groups = rate_groups(layers, fit_config(**values, block_rates=True))
    # L 96 / 12 / 2, R 96 / 24 / 2, U 48 / 6 / 2, V 48 / 48 / 2
    expected = {"model x 4": 4, "model x 2": 2, "model x 0.5": 0.5}
    assert list(groups) == ["model", "transform", *expected]
    assert groups["model"] == (1e-3, 0.1)
    for name, factor in expected.items():
        rate, decay = groups[name]
        assert rate == pytest.approx(1e-3 * factor)
        assert decay == pytest.approx(0.1 if optimizer == "adam" else 0.1 / factor)


def test_factors_are_in_one_group_each(tiny_model, fit_config):
    model = tiny_model()
    frozen = MonarchLinear(12, 8)
    frozen.L.requires_grad_(False)
    model.add_module("layers", nn.ModuleList([MonarchLinear(8, 8), frozen]))
    model.add_module("again", model.layers[0])
    model.transform.inner = MonarchLinear(4, 4, 2)  # what a transform holds has its rate
    groups = make_optimizer(model, fit_config(block_rates=True)).param_groups
    names = {id(p): name for name, p in model.named_parameters()}
    found = {group["name"]: {names[id(p)] for p in group["params"]} for group in groups}
    assert found["transform"] == {
        f"transform.{n}" for n in ("matrix", *(f"inner.{k}" for k in ("L", "R", "bias")))
    }
    assert found["model x 2"] == {"layers.0.L", "layers.0.R", "layers.1.R"}
    assert "layers.0.bias" in found["model"]
    assert sum(len(group["params"]) for group in groups) == sum(
        p.requires_grad for p in model.parameters()
    )


def change_by_a_step(layer, config, x, direction):
    """The root mean square of the change of a layer's outputs in the first step of Adam."""
    optimizer = make_optimizer(layer, config)
    before = layer(x)
    (before * direction).sum().backward()
    optimizer.step()
    with torch.no_grad():
        return (layer(x) - before).square().mean().sqrt().item()


@pytest.mark.parametrize("start", ["linear", "blocks"])
def test_a_step_changes_a_monarch_layer_as_it_does_a_dense_one(fit_config, start):
    """Whatever the width and the number of blocks; with one rate for all 16 blocks lag behind."""
    torch.manual_seed(0)
    spread = {}
    for block_rates in (True, False):
        config = fit_config(learning_rate=1e-5, weight_decay=0.0, block_rates=block_rates)
        ratios = []
        for width in (128, 512):
            x, direction = torch.randn(8, width), torch.randn(8, width)
            dense = change_by_a_step(nn.Linear(width, width), config, x, direction)
            for n_blocks in (4, 16):
                layer = MonarchLinear(width, width, n_blocks, start=start)
                ratios.append(change_by_a_step(layer, config, x, direction) / dense)
        spread[block_rates] = (min(ratios), max(ratios))
    low, high = spread[True]
    assert low > 0.7
    assert high < 1.6
    assert spread[False][0] < 0.25


@pytest.mark.parametrize("schedule", ["one_cycle", "cosine", "trapezoid", "step", "constant"])
def test_a_restart_is_the_schedule_of_the_epochs_that_are_left(fit_config, tiny_model, schedule):
    def rates(n_epochs, **values):
        values |= {"schedule": schedule, "step_epochs": 2}
        return rates_over_time(fit_config, tiny_model(), 3 * n_epochs, 3, **values)

    both = rates(9, restarts=[2, 4])
    if schedule in ("step", "constant"):
        assert torch.equal(both, rates(9))
    else:
        assert torch.equal(both, torch.cat((rates(2), rates(2), rates(5))))


@pytest.mark.parametrize("restarts", [[3], [0], [2, 2], [2, 1]])
def test_restarts_that_are_none_are_refused(fit_config, restarts):
    with pytest.raises(ValueError, match=r"restarts must be epochs in ascending order, .*=3"):
        fit_config(epochs=3, restarts=restarts)
