"""A run of the tiny problem, and what somebody may do to its folder before it goes on."""

import itertools
import json
import shutil
import zipfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from tiny_problem import TinyData, TinyModel
from torch import nn
from torch.nn.functional import mse_loss

from monarch_core.training.config import FitConfig
from monarch_core.training.fit import fit
from monarch_core.training.start import seed_everything

N_EPOCHS = 3
SEED = 5
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
    options = {"epochs": N_EPOCHS, "batch_size": 4, "accelerator": "cpu"}
    options |= {"learning_rate": 0.01, "transform_learning_rate": 1e-3}
    fit_config = FitConfig(**{**options, "optimizer": run.optimizer, **dict(fit_options)})
    config = replace(Config(fit_config), **changes)
    data = TinyData(n_train), TinyData(7, seed=1)
    known = {"whole_config": config, "fingerprints": marks}
    fit(run.model, loss, *data, config.fit, run.folder, **known)


def new_run(folder, optimizer):
    torch.manual_seed(3)
    return Run(folder, optimizer, TinyModel())


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
