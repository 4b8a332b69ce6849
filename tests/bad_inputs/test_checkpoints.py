"""A run folder that somebody damaged, edited or made up is refused, and nothing in it is lost."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from bad_inputs import BadInput, assert_refused, table
from damaged_runs import (
    MARKS,
    N_EPOCHS,
    SEED,
    Dataset,
    again,
    bombed,
    break_off,
    claim,
    cut_log,
    edited,
    first_moment,
    in_optimizer,
    inflate,
    missing,
    nested,
    new_run,
    replaced,
    rewrite_log,
    spoil,
    train,
    without,
)
from tiny_problem import TinyModel
from torch import nn

from monarch_core.training.start import seed_everything

STEPS = 3 * N_EPOCHS  # 11 samples in batches of 4
RECOVER = "restore it from a copy, or delete it and start the run again"
OTHER_MODEL = nn.Sequential(nn.Linear(5, 3))


@pytest.fixture(scope="module", params=["adam", "soap"])
def finished(request, tmp_path_factory):
    run = new_run(tmp_path_factory.mktemp(request.param), request.param)
    train(run)
    return run


@pytest.fixture
def run(finished, tmp_path):
    """Return a copy of a finished run with an untrained model."""
    for path in finished.folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return new_run(tmp_path, finished.optimizer)


@table(
    BadInput("an epoch beyond the end", replaced(epoch=99), ("epoch is 99", "1 to 3", RECOVER)),
    BadInput("an epoch of zero", replaced(epoch=0), ("epoch is 0", "1 to 3", RECOVER)),
    BadInput(
        "an epoch that was not reached", replaced(epoch=2), (f"counts {STEPS} steps where 6 lead",)
    ),
    BadInput("a word as epoch", replaced(epoch="two"), ("epoch is 'two'", RECOVER)),
    BadInput("truth as epoch", replaced(epoch=True), ("epoch is True", RECOVER)),
    BadInput("a bomb as epoch", replaced(epoch=nested()), ("epoch is [[", RECOVER)),
    BadInput("a tensor as epoch", replaced(epoch=torch.zeros(3)), ("epoch is tensor", RECOVER)),
    BadInput(
        "a best error of NaN", replaced(best_error=float("nan")), ("best_error is nan", RECOVER)
    ),
    BadInput("no best error", replaced(best_error=None), ("best_error is None", RECOVER)),
    BadInput(
        "another best error",
        replaced(best_error=1e-9),
        ("as the lowest validation error, but checkpoint.pt has 1e-09", "restore both files"),
    ),
    *(
        BadInput(f"no {key}", without(key), (f"{key} is missing", "checkpoint.pt", RECOVER))
        for key in ("model", "optimizer", "recipe", "epoch", "best_error", "random")
    ),
    BadInput("a field more", replaced(schedule={}), ("'schedule' is unknown", RECOVER)),
    BadInput(
        "the format of an earlier version",
        replaced(format=1),
        ("has checkpoint format 1, this version reads 2", "with the version that started it"),
    ),
    BadInput("no format", without("format"), ("checkpoint format None", "start a new run")),
    BadInput(
        "an emptied optimiser", replaced(optimizer={}), ("optimizer does not hold the state",)
    ),
    BadInput("a list as optimiser", replaced(optimizer=[1]), ("optimizer does not hold",)),
    BadInput(
        "an optimiser that never took a step",
        edited(lambda saved: {**saved, "optimizer": {i: {} for i in saved["optimizer"]}}),
        (f"optimizer counts 0 steps where {STEPS} lead to the end of epoch 3", RECOVER),
    ),
    BadInput(
        "NaN in a moment",
        in_optimizer(lambda state: spoil(first_moment(state))),
        ("optimizer[", "holds NaN or infinite values", RECOVER),
    ),
    BadInput(
        "a moment of another shape",
        in_optimizer(
            lambda state: state.update(
                {k: torch.zeros(2, 2) for k in ("exp_avg", "M") if k in state}
            )
        ),
        ("optimizer[", "is (2, 2) where (", RECOVER),
    ),
    BadInput(
        "a moment that is a word",
        in_optimizer(lambda state: state.update({k: "x" for k in ("exp_avg", "M") if k in state})),
        ("is a str where (", RECOVER),
    ),
    BadInput(
        "an entry less",
        in_optimizer(lambda state: state.pop("exp_avg_sq" if "exp_avg_sq" in state else "Q")),
        ("has other entries than", RECOVER),
    ),
    BadInput(
        "NaN in the weights",
        edited(lambda saved: spoil(saved["model"]["linear.weight"])),
        ("holds NaN or infinite weights (linear.weight)", "train again with a lower"),
    ),
    BadInput(
        "infinity in the weights",
        edited(lambda saved: spoil(saved["model"]["transform.matrix"], float("-inf"))),
        ("holds NaN or infinite weights (transform.matrix)",),
    ),
    BadInput(
        "a word among the weights",
        edited(lambda saved: saved["model"].update(scale="half")),
        ("scale is a str in the file and () in the model", "build the model from the config.yaml"),
    ),
    BadInput(
        "a tensor without numbers among the weights",
        edited(lambda saved: saved["model"].update(scale=torch.zeros((), device="meta"))),
        ("scale is a tensor without plain numbers in the file", "start a new run"),
    ),
    BadInput(
        "a sparse tensor among the weights",
        edited(lambda saved: saved["model"].update({"linear.bias": torch.zeros(3).to_sparse()})),
        ("linear.bias is a tensor without plain numbers in the file",),
    ),
    BadInput("a list as weights", replaced(model=[1]), ("holds no tensors by name",)),
    BadInput(
        "a random state of another size",
        edited(lambda saved: saved["random"].update(torch=torch.zeros(7, dtype=torch.uint8))),
        ("random['torch'] is no state of a generator (another size)", RECOVER),
    ),
    BadInput(
        "a random state without its numbers",
        edited(lambda saved: saved["random"].update(numpy=("MT19937", None, 3, 0, 0.0))),
        ("random['numpy'] is no state of a generator", RECOVER),
    ),
    BadInput(
        "a random state that points beyond its end",
        edited(
            lambda saved: saved["random"].update(
                numpy=(*saved["random"]["numpy"][:2], 10**6, 0, 0.0)
            )
        ),
        ("random['numpy'] is no state of a generator (numbers out of range)", RECOVER),
    ),
    BadInput(
        "a random state of another version",
        edited(lambda saved: saved["random"].update(python=(nested(), (), None))),
        ("random['python'] is no state of a generator", RECOVER),
    ),
    BadInput("no random states", replaced(random={}), ("random does not hold the states", RECOVER)),
    BadInput("a list as recipe", replaced(recipe=[1]), ("recipe is no table of values", RECOVER)),
    BadInput("an emptied recipe", replaced(recipe={}), ("fit.epochs, which it does not know",)),
    BadInput(
        "a bomb in the recipe",
        edited(lambda saved: saved["recipe"].update({"dataset.levels": nested()})),
        ("dataset.levels=[16, 32] (the run was started with [[[",),
    ),
    BadInput(
        "the state of a run that broke off",
        break_off,
        ("optimizer counts 7 steps where 6 lead to the end of epoch 2", RECOVER),
    ),
    BadInput(
        "other data",
        again(marks={**MARKS, "train": "f" * 16}),
        (
            f"data fingerprint of train='{'f' * 16}' (the run was started with '{'0' * 16}')",
            "resume with the data and the values that the run was started with",
        ),
    ),
    BadInput("data without a fingerprint", again(marks=None), ("data fingerprint of test=None",)),
    BadInput(
        "an edited config",
        again(augment=True, dataset=Dataset(viscosity=1e-4, levels=[16, 64])),
        (
            "augment=True (the run was started with None)",
            "dataset.viscosity=0.0001 (the run was started with 0.001)",
            "dataset.levels=[16, 64] (the run was started with [16, 32])",
            "or start a new run",
        ),
    ),
    BadInput(
        "an edited fit config",
        again(fit_options={"batch_size": 5}),
        ("fit.batch_size=5 (the run was started with 4)",),
    ),
    BadInput("fewer data", again(n_train=10), ("n_train=10 (the run was started with 11)",)),
    BadInput("a log without its end", cut_log, ("log.jsonl holds 2 epochs ([1, 2])", "finished 3")),
    BadInput("no log", missing("log.jsonl"), ("log.jsonl holds 0 epochs", "restore both files")),
    BadInput(
        "a log with an epoch twice",
        rewrite_log(lambda lines: lines.insert(1, lines[0])),
        ("log.jsonl holds 4 epochs ([1, 1, 2, 3])", "restore both files"),
    ),
    BadInput(
        "a log with another error",
        rewrite_log(lambda lines: lines[2].update(valid_error=1e-9)),
        ("log.jsonl has 1e-09 as the lowest validation error", "restore both files"),
    ),
    BadInput(
        "a log with a word for an error",
        rewrite_log(lambda lines: lines[1].update(valid_error="small")),
        ("valid_error='small' for epoch 2", "restore the file from a copy"),
    ),
    BadInput(
        "a log of bare numbers",
        lambda run: ((run.folder / "log.jsonl").write_text("1\n2\n3\n"), train(run)),
        ("log.jsonl, line 1, is '1' and not the record of an epoch", "delete that line"),
    ),
    BadInput("no best weights", missing("weights.pt"), ("weights.pt does not exist",)),
    BadInput(
        "NaN in the best weights",
        edited(lambda saved: spoil(saved["linear.bias"]), "weights.pt"),
        ("weights.pt holds NaN or infinite weights (linear.bias)",),
    ),
    BadInput(
        "another model",
        lambda run: train(replace(run, model=OTHER_MODEL)),
        ("belongs to another model", "missing in the file: 0.bias, 0.weight"),
    ),
    BadInput(
        "a member that inflates",
        bombed(inflate),
        ("OversizedError", "its members claim 1", "restore it from a copy"),
    ),
    BadInput(
        "a member that claims more than the file has",
        bombed(claim),
        ("OversizedError", "its members claim 42", "restore it from a copy"),
    ),
)
def test_what_cannot_be_continued_is_refused_and_nothing_is_changed(run, case):
    kept = {path.name: path.read_bytes() for path in run.folder.iterdir()}
    weights = copy.deepcopy(run.model.state_dict())
    seed_everything(SEED)
    drawn = draw()
    seed_everything(SEED)
    assert_refused(case, run)
    assert draw() == drawn
    torch.testing.assert_close(run.model.state_dict(), weights, rtol=0, atol=0)
    now = {path.name: path.read_bytes() for path in run.folder.iterdir()}
    assert now.keys() <= kept.keys()
    lost = [name for name, content in kept.items() if now.get(name) != content]
    assert len(lost) <= 1  # what the case itself damaged


def draw():
    return np.random.rand(), torch.rand(()).item()  # the type checker draws from `random`


def test_what_only_says_where_a_run_happens_may_change(run):
    elsewhere = {"num_workers": 0, "n_threads": 1, "checkpoint_every": 7, "devices": 1}
    train(run, dataset=Dataset(path="there.npy"), resume="runs/x", fit_options=elsewhere)
    with pytest.raises(AssertionError):
        torch.testing.assert_close(run.model.state_dict(), TinyModel().state_dict())
