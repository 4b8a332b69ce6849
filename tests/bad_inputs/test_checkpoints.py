"""A run folder that somebody damaged, edited or made up is refused, and nothing in it is lost."""

import copy
import itertools
import json
import shutil
import zipfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from bad_inputs import BadInput, assert_refused, table
from tiny_problem import TinyData, TinyModel
from torch import nn
from torch.nn.functional import mse_loss

from monarch_core.experiment.config import FitConfig
from monarch_core.experiment.fit import fit
from monarch_core.experiment.run import seed_everything

N_EPOCHS = 3
STEPS = 3 * N_EPOCHS  # 11 samples in batches of 4
RECOVER = "restore it from a copy, or delete it and start the run again"
SEED = 5
OTHER_MODEL = nn.Sequential(nn.Linear(5, 3))
MARKS = {"train": "0" * 16, "valid": "1" * 16, "test": "2" * 16}


@dataclass
class Dataset:
    DATA_PLACES: ClassVar = ("path",)

    path: str = "here.npy"
    viscosity: float = 1e-3
    levels: list[int] = field(default_factory=lambda: [16, 32])


@dataclass
class Config:
    fit: FitConfig
    dataset: Dataset = field(default_factory=Dataset)
    augment: bool | None = None
    resume: str | None = None


@dataclass
class Run:
    """A run folder, and what the next attempt to go on with it starts from."""

    folder: Path
    optimizer: str
    model: nn.Module


def train(run, *, marks=MARKS, n_train=11, loss=mse_loss, fit_options=(), **changes):
    options = {"epochs": N_EPOCHS, "batch_size": 4, "learning_rate": 0.01, "accelerator": "cpu"}
    fit_config = FitConfig(**{**options, "optimizer": run.optimizer, **dict(fit_options)})
    config = replace(Config(fit_config), **changes)
    data = TinyData(n_train), TinyData(7, seed=1)
    known = {"whole_config": config, "fingerprints": marks}
    fit(run.model, loss, *data, config.fit, run.folder, **known)


def new_run(folder, optimizer):
    torch.manual_seed(3)
    return Run(folder, optimizer, TinyModel())


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


def again(**changes):
    """Return an act: go on with the run as it is, but for changed values."""
    return lambda run: train(run, **changes)


def edited(change, name="checkpoint.pt"):
    """Return an act: change what is in a file, and go on."""

    def act(run):
        path = run.folder / name
        saved = torch.load(path, weights_only=True)
        torch.save(change(saved) or saved, path)
        train(run)

    return act


def replaced(**values):
    return edited(lambda saved: {**saved, **values})


def without(key):
    return edited(lambda saved: {k: v for k, v in saved.items() if k != key})


def in_optimizer(change):
    """Return an act: change the state of the first parameter that is a matrix."""

    def apply(saved):
        state = next(s for s in saved["optimizer"].values() if "t" in s or s["exp_avg"].ndim == 2)
        change(state)

    return edited(apply)


def spoil(tensor, value=float("nan")):
    tensor.view(-1)[-1] = value


def first_moment(state):
    return state.get("exp_avg", state.get("M"))


def cut_log(run):
    path = run.folder / "log.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    train(run)


def rewrite_log(change):
    def act(run):
        path = run.folder / "log.jsonl"
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        change(lines)
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        train(run)

    return act


def break_off(run):
    """Go on from what a run left that was stopped by a loss of NaN in the middle of an epoch."""
    other = new_run(run.folder / "other", run.optimizer)
    calls = itertools.count()

    def nan_in_epoch_3(prediction, target):
        return mse_loss(prediction, target) * (float("nan") if next(calls) == 2 * 5 + 1 else 1)

    with pytest.raises(ValueError, match="the training loss is nan in epoch 3, step 2"):
        train(other, loss=nan_in_epoch_3)
    (other.folder / "aborted.pt").replace(run.folder / "checkpoint.pt")
    shutil.rmtree(other.folder)
    seed_everything(SEED)
    train(run)


def missing(name):
    def act(run):
        (run.folder / name).unlink()
        train(run)

    return act


def nested(depth=60):
    """Return a list of little memory whose text would fill the universe."""
    value = [1]
    for _ in range(depth):
        value = [value, value]
    return value


def bombed(member):
    def act(run):
        path = run.folder / "checkpoint.pt"
        with zipfile.ZipFile(path) as archive:
            contents = {item.filename: archive.read(item) for item in archive.infolist()}
        member(path, contents)
        train(run)

    return act


def inflate(path, contents):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
        with archive.open(f"{Path(next(iter(contents))).parts[0]}/data/99", "w") as file:
            for _ in range(40):
                file.write(bytes(2**22))


def claim(path, contents):
    """Let the directory of the archive say that a tensor has four billion bytes."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
        archive.infolist()[-2].file_size = 2**32 - 2


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
