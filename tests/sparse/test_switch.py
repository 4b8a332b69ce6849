"""Runs that go on dense: what they leave, and a kill on either side of the switch."""

import pytest
import torch
from fit_runs import assert_same_weights, final_weights, run_prepared
from sparse_runs import model_of, smoke, splits_of, train

from monarch_core.runs.folder import RunFolder
from monarch_core.training.checkpoint import load_checkpoint, load_weights
from sparse.evaluate import evaluate
from sparse.models.start import check_start

SWITCHED = ("fit.epochs=4", "switch_at=0.5")
KEY = "host.transformer.h.0.mlp.c_fc.weight"
KILLED = """
from sparse_runs import smoke, train
from sparse.metrics.losses import cross_entropy

config = smoke("fit.epochs=4", "switch_at=0.5", "switch.warm_up=0.5", "model.dropout=0.2")

def run(name, kill_at=None):
    calls = 0

    def loss(logits, target):
        nonlocal calls
        calls += 1
        if calls == kill_at:  # 2 training batches and 1 of validation in an epoch
            os.kill(os.getpid(), signal.SIGKILL)
        return cross_entropy(logits, target)

    train(Path(sys.argv[2]) / name, config, loss)

run("whole")
for name, kill_at in {"before": 5, "after": 11}.items():
    victim = os.fork()
    if victim == 0:
        run(name, kill_at)
        os._exit(1)
    _, status = os.waitpid(victim, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL, (name, status)
    run(name)
"""


@pytest.fixture(scope="module")
def switched(tmp_path_factory):
    """A finished run that went on dense."""
    folder = tmp_path_factory.mktemp("runs") / "switched"
    train(folder, smoke(*SWITCHED))
    return folder


def dense_of(folder):
    config = smoke("weight=dense", *SWITCHED[:1])
    splits = splits_of(config)
    model = model_of(config, splits.shape)
    load_weights(folder / "weights.pt", model)
    return model.eval(), splits


def test_the_weights_are_those_of_the_dense_network_and_measured_so(switched):
    first = evaluate(switched)
    assert evaluate(switched)["metrics"] == first["metrics"]
    model, splits = dense_of(switched)
    assert first["n_parameters"] == sum(p.numel() for p in model.parameters())
    tokens, target = (torch.stack(x) for x in zip(*items(splits.test), strict=True))
    with torch.no_grad():
        losses = torch.nn.functional.cross_entropy(model(tokens).flatten(0, 1), target.flatten())
    assert first["metrics"]["loss"] == pytest.approx(losses.item(), rel=1e-5)
    assert [line.get("changed") for line in RunFolder(switched).log.read()] == [None] * 2 + [
        True
    ] * 2


def items(samples):
    return [(samples[i][0][0], samples[i][1]) for i in range(len(samples))]


def test_another_run_may_start_from_it(switched):
    config = smoke(f"start_from={switched}", "weight.n_blocks=1")
    check_start(config)
    model, splits = dense_of(switched)
    tokens = splits.test[0][0][0][None]
    projected = model_of(config, splits.shape).eval()
    torch.testing.assert_close(projected(tokens), model(tokens), rtol=1e-4, atol=1e-5)


def test_a_run_that_is_killed_anywhere_ends_with_the_same_weights(tmp_path):
    run_prepared(KILLED, tmp_path, tmp_path)
    whole = load_checkpoint(tmp_path / "whole" / "checkpoint.pt")
    assert KEY in whole["model"]
    for name in ("before", "after"):
        killed = load_checkpoint(tmp_path / name / "checkpoint.pt")
        assert_same_weights(killed["model"], whole["model"])
        for index, state in whole["optimizer"].items():
            assert_same_weights(killed["optimizer"][index], state)
        assert torch.equal(killed["random"]["torch"], whole["random"]["torch"])


def test_moments_and_a_warm_up_are_as_they_are_asked_for(switched, tmp_path):
    carried = final_weights(switched)
    for words in (["switch.moments=fresh"], ["switch.warm_up=1"]):
        folder = tmp_path / words[0]
        train(folder, smoke(*SWITCHED, *words))
        assert not torch.equal(final_weights(folder)[KEY], carried[KEY])
