"""A model that is changed between two epochs: as if nothing had happened, and resumable."""

import math

import pytest
import torch
from fit_runs import assert_same_weights, run_prepared
from torch import nn
from torch.nn.functional import mse_loss

from monarch_core.layers.linear import MonarchLinear
from monarch_core.layers.swap import densify
from monarch_core.runs.folder import RunFolder
from monarch_core.training.change import Change, Ramp
from monarch_core.training.checkpoint import load_checkpoint
from monarch_core.training.config import SCHEDULES, FitConfig
from monarch_core.training.fit import fit
from monarch_core.training.moments import carried_moments
from monarch_core.training.optimization import make_optimizer, make_schedule
from monarch_core.training.training_state import TrainingState

KILLED = """
from monarch_core.layers.linear import MonarchLinear
from monarch_core.layers.swap import densify
from monarch_core.training import fit as loop
from monarch_core.training.change import Change, no_moments
from monarch_core.training.moments import carried_moments

save = loop.save_checkpoint

def kill():
    os.kill(os.getpid(), signal.SIGKILL)

def train(name, every, moments, kill_at=None, kill_before_checkpoint=None):
    n_calls = 0

    def loss(prediction, target):
        nonlocal n_calls
        n_calls += 1
        if n_calls == kill_at:  # 3 training and 3 validation batches per epoch
            kill()
        return mse_loss(prediction, target)

    def checkpoint(path, state):
        if state["epoch"] == kill_before_checkpoint:
            kill()
        save(path, state)

    loop.save_checkpoint = checkpoint
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    model, data = TinyModel(dropout=0.3), TinyData(noise=0.1)
    model.linear = MonarchLinear(5, 3, 2)
    config = FitConfig(
        epochs=6, schedule="one_cycle", optimizer="adamw", checkpoint_every=every, **values
    )
    change = Change(3, densify, moments, warm_up=0.5)
    fit(model, loss, data, data, config, Path(sys.argv[2]) / name, change=change)

for every, moments in ((1, carried_moments), (2, no_moments)):
    train(f"whole{every}", every, moments)
    for name, when in {
        "before": {"kill_at": 14},
        "at": {"kill_at": 20},
        "weights": {"kill_before_checkpoint": 4},
        "after": {"kill_at": 32},
    }.items():
        victim = os.fork()
        if victim == 0:
            train(f"{name}{every}", every, moments, **when)
            os._exit(1)
        _, status = os.waitpid(victim, 0)
        assert os.WTERMSIG(status) == signal.SIGKILL, (name, status)
        train(f"{name}{every}", every, moments)
"""


def test_a_run_that_is_killed_anywhere_ends_with_the_same_weights(tmp_path):
    run_prepared(KILLED, tmp_path, tmp_path)
    for every in (1, 2):
        whole = load_checkpoint(tmp_path / f"whole{every}" / "checkpoint.pt")
        assert whole["model"]["linear.weight"].shape == (3, 5)
        best = torch.load(tmp_path / f"whole{every}" / "weights.pt", weights_only=True)
        for name in ("before", "at", "weights", "after"):
            folder = tmp_path / f"{name}{every}"
            killed = load_checkpoint(folder / "checkpoint.pt")
            assert_same_weights(killed["model"], whole["model"])
            for index, state in whole["optimizer"].items():
                assert_same_weights(killed["optimizer"][index], state)
            assert torch.equal(killed["random"]["torch"], whole["random"]["torch"])
            assert_same_weights(torch.load(folder / "weights.pt", weights_only=True), best)
            lines = [
                [(r["valid_error"], r["learning_rate"], r.get("changed")) for r in run.log.read()]
                for run in (RunFolder(folder), RunFolder(tmp_path / f"whole{every}"))
            ]
            assert lines[0] == lines[1]
            assert [line[2] for line in lines[0]] == [None] * 3 + [True] * 3


def make_state(model, config, steps_per_epoch=3):
    optimizer = make_optimizer(model, config)
    schedule = make_schedule(optimizer, config, steps_per_epoch)
    return TrainingState(model, optimizer, schedule, {}, config.epochs, steps_per_epoch)


def test_the_model_computes_the_same_and_its_other_parameters_keep_their_moments(fit_config):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), MonarchLinear(8, 6, 2))
    config = fit_config(epochs=4)
    state = make_state(model, config)
    x = torch.randn(7, 5)
    for _ in range(6):
        model(x).square().mean().backward()
        state.optimizer.step()
        state.schedule.step()
    state.epoch = 2
    before, kept = model(x), state.optimizer.state[model[0].weight]
    changed = Change(2, densify, carried_moments).made(state, config)
    torch.testing.assert_close(model(x), before)
    assert type(model[2]) is nn.Linear
    assert changed.optimizer.state[model[0].weight] is kept
    assert changed.optimizer.state[model[2].weight]["step"] == 6
    assert changed.best_error == math.inf
    fresh = make_state(model, config)
    fresh.epoch = 2
    state = Change(2, densify).made(fresh, config)
    assert not state.optimizer.state


@pytest.mark.parametrize("name", SCHEDULES)
def test_rates_rise_to_the_schedule_again(name, fit_config):
    config = fit_config(epochs=5, schedule=name, step_epochs=2)
    rates = []
    for ramp in (None, (6, 4)):
        optimizer = make_optimizer(nn.Linear(3, 2), config)
        schedule = make_schedule(optimizer, config, steps_per_epoch=3)
        if ramp:
            schedule = Ramp(schedule, optimizer, *ramp)
        found = []
        for _ in range(15):
            found.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
        rates.append(torch.tensor(found, dtype=torch.float64))
    factors = torch.ones(15, dtype=torch.float64)
    factors[6:9] = torch.tensor([0.25, 0.5, 0.75])
    torch.testing.assert_close(rates[1], factors * rates[0])


def test_the_best_epoch_is_one_of_the_changed_model(tmp_path, tiny_model, tiny_data, fit_config):
    calls = iter(range(100))

    def worse_and_worse(prediction, target):
        return mse_loss(prediction, target) * 0 + next(calls)

    model = tiny_model()
    model.linear = MonarchLinear(5, 3, 2)
    data = tiny_data()
    config = fit_config(epochs=4)
    change = Change(2, densify)
    fit(model, mse_loss, data, data, config, tmp_path, metric=worse_and_worse, change=change)
    best = RunFolder(tmp_path).log.best()
    assert best["epoch"] == 3
    assert "linear.weight" in torch.load(tmp_path / "weights.pt", weights_only=True)


def test_weights_of_another_model_are_refused_before_and_after_the_change(
    tmp_path, tiny_model, tiny_data, fit_config
):
    data = tiny_data()
    for n_epochs in (1, 3):
        folder = tmp_path / str(n_epochs)
        model = tiny_model()
        model.linear = MonarchLinear(5, 3, 2)
        config = fit_config(epochs=4)
        stop = iter(range(6 * n_epochs))

        def loss(prediction, target, stop=stop):
            if next(stop, None) is None:
                raise KeyboardInterrupt
            return mse_loss(prediction, target)

        with pytest.raises(KeyboardInterrupt):
            fit(model, loss, data, data, config, folder, change=Change(2, densify))
        torch.save({"other": torch.ones(2)}, folder / "weights.pt")
        model = tiny_model()
        model.linear = MonarchLinear(5, 3, 2)
        with pytest.raises(ValueError, match="belongs to another model"):
            fit(model, mse_loss, data, data, config, folder, change=Change(2, densify))


def test_a_change_before_the_first_epoch_and_a_fraction_that_is_none_are_refused():
    with pytest.raises(ValueError, match="got epoch=0; train for more epochs"):
        Change(0, densify)
    with pytest.raises(ValueError, match=r"warm_up must be from 0 to 1, got 1\.5"):
        Change(1, densify, warm_up=1.5)


def test_a_config_of_one_epoch_has_a_ramp_of_no_steps():
    config = FitConfig(epochs=2, accelerator="cpu")
    optimizer = make_optimizer(nn.Linear(2, 2), FitConfig(transform_learning_rate=1e-3))
    assert not isinstance(Change(1, densify).schedule(optimizer, config, 5), Ramp)
