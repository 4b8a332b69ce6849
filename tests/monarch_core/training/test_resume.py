"""A run that is interrupted goes on as if it had not been, and loses nothing that was finished."""

import contextlib
import os
from dataclasses import dataclass, replace

import pytest
import torch
from fit_runs import assert_same_weights, counted, final_weights, run_prepared
from torch import nn
from torch.nn.functional import mse_loss

from monarch_core.runs.folder import RunFolder
from monarch_core.runs.schema import load_config, save_config
from monarch_core.training.checkpoint import load_checkpoint
from monarch_core.training.config import FitConfig
from monarch_core.training.fit import fit

KILLED = """
n_calls = 0

def killing_loss(prediction, target):
    global n_calls
    n_calls += 1
    if n_calls == 14:  # 3 training and 3 validation batches per epoch: the second step of epoch 3
        os.kill(os.getpid(), signal.SIGKILL)
    return mse_loss(prediction, target)

def train(name, loss):
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    model, data = TinyModel(dropout=0.3), TinyData(noise=0.1)
    config = FitConfig(epochs=5, schedule="one_cycle", **values)
    fit(model, loss, data, data, config, Path(sys.argv[2]) / name)

victim = os.fork()
if victim == 0:
    train("killed", killing_loss)
_, status = os.waitpid(victim, 0)
assert os.WTERMSIG(status) == signal.SIGKILL
log = Path(sys.argv[2]) / "killed" / "log.jsonl"
assert len(log.read_text().splitlines()) == 2
log.open("a").write('{"epoch": 3, "valid')  # as if killed while it wrote this line
(log.parent / ".checkpoint.pt.1.tmp").write_bytes(b"half a checkpoint")
train("whole", mse_loss)
train("killed", mse_loss)
"""


def test_a_killed_run_ends_with_the_weights_of_an_uninterrupted_one(tmp_path):
    # In a process of its own, also because the type checker of the tests draws from `random`.
    run_prepared(KILLED, tmp_path, tmp_path)
    killed, whole = (load_checkpoint(tmp_path / n / "checkpoint.pt") for n in ("killed", "whole"))
    assert_same_weights(killed["model"], whole["model"])
    assert torch.equal(killed["random"]["torch"], whole["random"]["torch"])
    best = [torch.load(tmp_path / n / "weights.pt", weights_only=True) for n in ("killed", "whole")]
    assert_same_weights(*best)
    for key in ("epoch", "train_loss", "valid_error", "learning_rate"):
        logs = [[r[key] for r in RunFolder(tmp_path / n).log.read()] for n in ("killed", "whole")]
        assert len(logs[0]) == 5
        assert logs[0] == logs[1]
    assert not list((tmp_path / "killed").glob(".*"))


@pytest.mark.parametrize("every", [2, 3])
def test_resume_repeats_the_epochs_after_the_last_checkpoint(
    tmp_path, tiny_model, tiny_data, fit_config, every
):
    config = fit_config(epochs=5, checkpoint_every=every)

    def interrupted(call, value):
        if call == 4 * 6 + 1:  # in epoch 5
            raise KeyboardInterrupt
        return value

    data = tiny_data()
    with pytest.raises(KeyboardInterrupt):
        fit(tiny_model(), counted(interrupted), data, data, config, tmp_path / "a")
    assert load_checkpoint(tmp_path / "a" / "checkpoint.pt")["epoch"] == 4 // every * every
    assert len(RunFolder(tmp_path / "a").log.read()) == 4
    fit(tiny_model(), mse_loss, data, data, config, tmp_path / "a")
    fit(tiny_model(), mse_loss, data, data, config, tmp_path / "b")
    assert_same_weights(final_weights(tmp_path / "a"), final_weights(tmp_path / "b"))
    assert [record["epoch"] for record in RunFolder(tmp_path / "a").log.read()] == [1, 2, 3, 4, 5]


def test_the_best_epoch_may_lie_before_the_interruption(
    tmp_path, tiny_model, tiny_data, fit_config
):
    def interrupted(call, value):
        if call == 2:  # in epoch 3, the only loss per epoch being a training step
            raise KeyboardInterrupt
        return value

    def worse_and_worse(call, value):
        return torch.tensor(call + 1.0)

    data, config = tiny_data(4), fit_config(epochs=4)
    metric = counted(worse_and_worse)
    with pytest.raises(KeyboardInterrupt):
        fit(tiny_model(), counted(interrupted), data, data, config, tmp_path, metric=metric)
    best = (tmp_path / "weights.pt").read_bytes()
    fit(tiny_model(), mse_loss, data, data, config, tmp_path, metric=metric)
    assert [record["valid_error"] for record in RunFolder(tmp_path).log.read()] == [1, 2, 3, 4]
    assert (tmp_path / "weights.pt").read_bytes() == best


def test_a_finished_run_is_left_alone(tmp_path, tiny_model, tiny_data, fit_config):
    data = tiny_data()
    fit(tiny_model(), mse_loss, data, data, fit_config(), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    model = nn.Module.train(tiny_model())
    fit(model, mse_loss, data, data, fit_config(), tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert_same_weights(dict(model.state_dict()), final_weights(tmp_path))


def test_a_checkpoint_of_another_model_or_recipe_is_refused(
    tmp_path, tiny_model, tiny_data, fit_config
):
    data = tiny_data()
    fit(tiny_model(), mse_loss, data, data, fit_config(), tmp_path)
    other = tiny_model()
    other.linear = nn.Linear(5, 3, bias=False)
    with pytest.raises(ValueError, match=r"belongs to another model .*linear\.bias"):
        fit(other, mse_loss, data, data, fit_config(), tmp_path)
    changed = fit_config(epochs=4, schedule="cosine")
    message = r"fit\.epochs=4 \(the run was started with 3\), fit\.schedule='cosine'"
    with pytest.raises(ValueError, match=message):
        fit(tiny_model(), mse_loss, data, data, changed, tmp_path)
    with pytest.raises(ValueError, match=r"seed=1 .*, n_train=10 \(the run was started with 11\)"):
        fit(tiny_model(), mse_loss, tiny_data(10), data, fit_config(), tmp_path, seed=1)
    fit(tiny_model(), mse_loss, data, data, fit_config(num_workers=1), tmp_path)


def test_a_full_disk_keeps_what_was_finished(
    tmp_path, tiny_model, tiny_data, fit_config, monkeypatch
):
    def no_space(*_):
        raise OSError(28, "No space left on device")

    def full_in_epoch_2(call, value):
        if call == 6:
            monkeypatch.setattr(os, "fsync", no_space)
        return value

    data = tiny_data()
    with pytest.raises(OSError, match=r"could not write .*No space left"):
        fit(tiny_model(), counted(full_in_epoch_2), data, data, fit_config(), tmp_path / "a")
    monkeypatch.undo()
    assert load_checkpoint(tmp_path / "a" / "checkpoint.pt")["epoch"] == 1
    fit(tiny_model(), mse_loss, data, data, fit_config(), tmp_path / "a")
    fit(tiny_model(), mse_loss, data, data, fit_config(), tmp_path / "b")
    assert_same_weights(final_weights(tmp_path / "a"), final_weights(tmp_path / "b"))


@pytest.mark.parametrize("stopped", [None, 2])
@pytest.mark.parametrize("schedule", ["one_cycle", "step"])
def test_a_run_that_is_trained_on_is_the_one_with_a_restart(
    tmp_path, tiny_model, tiny_data, fit_config, schedule, stopped
):
    def interrupted(call, value):
        if stopped is not None and call == stopped * 6 + 1:
            raise KeyboardInterrupt
        return value

    data = tiny_data()
    begun = fit_config(epochs=3, schedule=schedule, optimizer="adamw")
    longer = fit_config(epochs=5, restarts=[3], schedule=schedule, optimizer="adamw")
    with contextlib.suppress(KeyboardInterrupt):
        fit(tiny_model(), counted(interrupted), data, data, begun, tmp_path / "a")
    fit(tiny_model(), mse_loss, data, data, longer, tmp_path / "a")
    fit(tiny_model(), mse_loss, data, data, longer, tmp_path / "b")
    assert_same_weights(final_weights(tmp_path / "a"), final_weights(tmp_path / "b"))
    logs = [RunFolder(tmp_path / name).log.read() for name in "ab"]
    for key in ("epoch", "train_loss", "valid_error", "learning_rate"):
        assert [record[key] for record in logs[0]] == [record[key] for record in logs[1]]
    for other in (replace(longer, restarts=[2]), replace(longer, epochs=6)):
        with pytest.raises(ValueError, match=r"cannot be continued with fit\.(epochs|restarts)="):
            fit(tiny_model(), mse_loss, data, data, other, tmp_path / "a")


@dataclass
class RunConfig:
    fit: FitConfig
    seed: int = 0


def test_a_run_that_cannot_be_trained_on_keeps_its_results(
    tmp_path, tiny_model, tiny_data, fit_config
):
    data, config = tiny_data(), RunConfig(fit_config(epochs=1))
    longer = RunConfig(fit_config(epochs=2, restarts=[1]))
    folder = RunFolder(tmp_path)

    def trained(config, mark):
        marks = {"whole_config": config, "fingerprints": {"train": mark}}
        fit(tiny_model(), mse_loss, data, data, config.fit, tmp_path, **marks)

    save_config(tmp_path, config)
    trained(config, "a")
    folder.results.write_text("{}")
    with pytest.raises(ValueError, match=r"cannot be continued with data fingerprint of train='b'"):
        trained(longer, "b")
    assert load_config(tmp_path, RunConfig) == config
    assert folder.results.exists()
    trained(longer, "a")
    assert load_config(tmp_path, RunConfig) == longer
    assert not folder.results.exists()


@pytest.mark.parametrize("words", ["# mine\nfit: {epochs: 50, note: hello}\n", "model: !my tag\n"])
def test_a_config_of_something_else_is_left_alone(
    tmp_path, tiny_model, tiny_data, fit_config, words
):
    data, config, folder = tiny_data(), fit_config(epochs=1), RunFolder(tmp_path)
    longer, frozen = fit_config(epochs=2, restarts=[1]), tiny_model().requires_grad_(False)
    folder.config.write_text(words)
    folder.results.write_text("{}")
    fit(frozen, mse_loss, data, data, config, tmp_path)
    fit(tiny_model(), mse_loss, data, data, config, tmp_path, whole_config=RunConfig(config))
    fit(tiny_model(), mse_loss, data, data, config, tmp_path / "b")
    (tmp_path / "b/config.yaml").write_text(words)
    fit(tiny_model(), mse_loss, data, data, longer, tmp_path / "b")
    assert folder.config.read_text() == (tmp_path / "b/config.yaml").read_text() == words
    assert folder.results.exists()
