"""Errors of a trained model: roll-outs, single steps, and other grids."""

import logging
import time
from dataclasses import dataclass

import torch
from torch import Tensor

from monarch_core import prepared
from monarch_core.runs.printable import printable
from pde.config.run import PdeConfig
from pde.dataset.samples import Splits, TrajectoryDataset
from pde.dataset.splits import load_test_split
from pde.metrics.errors import (
    band_errors,
    relative_h1,
    relative_l2,
    relative_l2_of_each,
    relative_l2_per_step,
)
from pde.models import RollOut

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Measured:
    """What a model does on the data of its run.

    Attributes:
        metrics: numbers by name; the first is the main one.
        prediction: roll-outs of the test split (trajectory, value, *grid), in its units.
        per_step: relative L2 error of every frame.
        on_grids: relative L2 error by points per axis, of the grids of `evaluation.grids`.
    """

    metrics: dict[str, float]
    prediction: Tensor
    per_step: Tensor
    on_grids: dict[int, float]


@torch.no_grad()
def measure(model: RollOut, splits: Splits, config: PdeConfig) -> Measured:
    """Measure a model, in evaluation mode, on every split."""
    model = prepared(model)
    batch_size, periodic = config.fit.batch_size, config.dataset.periodic
    prediction, seconds = predict(model, splits.test, batch_size)
    on_grids = errors_on_grids(model, config)
    ours, truth = (_by_channel(model, frames) for frames in (prediction, splits.test.future))
    per_step = relative_l2_per_step(ours, truth)
    bands = band_errors(*(_scalars(model, frames) for frames in (ours, truth)), periodic=periodic)
    h1 = relative_h1(ours, truth, periodic=periodic, n_channels=model.n_channels)
    metrics = {
        "relative_l2": relative_l2(ours, truth).item(),
        **_errors_of_each(model, ours, truth, config),
        **roll_out_errors(model, per_step, splits.test, batch_size),
        "relative_h1": h1.item(),
        **{f"error_{name}": error for name, error in bands.items()},
        **{f"relative_l2/{grid}": error for grid, error in on_grids.items()},
        "relative_l2_valid": error_on(model, splits.valid, batch_size),
        "relative_l2_train": error_on(model, splits.train, batch_size),
        "milliseconds_per_trajectory": 1e3 * seconds,
    }
    return Measured(metrics, prediction, per_step, on_grids)


@torch.no_grad()
def predict(model: RollOut, dataset: TrajectoryDataset, batch_size: int) -> tuple[Tensor, float]:
    """Return the roll-outs (trajectory, value, *grid) from the first frames, and seconds for each.

    The time is the median over the batches after the first, which warms up.
    """
    model = prepared(model)
    predictions, seconds = [], []
    for frames in dataset.past.split(batch_size):
        begin = time.perf_counter()
        predictions.append(model(frames.to(model.mean.device)).cpu())
        seconds.append((time.perf_counter() - begin) / len(frames))
    timed = seconds[1:] or seconds
    return torch.cat(predictions), sorted(timed)[len(timed) // 2]


@torch.no_grad()
def one_step_error(model: RollOut, dataset: TrajectoryDataset, batch_size: int) -> float:
    """Return the relative L2 error of single steps that start from the truth."""
    model, n, C = prepared(model), dataset.n_given, dataset.n_channels
    error = model.of_channels(relative_l2)
    errors = []
    for batch in torch.arange(len(dataset)).split(batch_size):
        frames = dataset.frames[batch[0] : batch[-1] + 1]
        for step in range(0, frames.shape[1] - n, C):
            window, target = frames[:, step : step + n], frames[:, step + n : step + n + C]
            if dataset.constants is not None:
                window = torch.cat((window, dataset.constants[batch]), dim=1)
            prediction = model(window.to(model.mean.device), n_steps=1).cpu()
            errors.append(error(prediction, target) * len(frames))
    n_steps = (dataset.frames.shape[1] - n) // C
    return torch.stack(errors).sum().item() / (len(dataset) * n_steps)


def roll_out_errors(
    model: RollOut, per_step: Tensor, dataset: TrajectoryDataset, batch_size: int
) -> dict[str, float]:
    """Return what distinguishes the steps of a roll-out; nothing where there is one step."""
    if len(per_step) == 1:
        return {}
    return {
        "relative_l2_last_step": per_step[-1].item(),
        "relative_l2_one_step": one_step_error(model, dataset, batch_size),
    }


def errors_on_grids(model: RollOut, config: PdeConfig) -> dict[int, float]:
    """Return the error on the grids of `evaluation.grids`, the same samples on each."""
    return {
        grid: error_on(model, load_test_split(config.dataset, grid), config.fit.batch_size)
        for grid in config.evaluation.grids
    }


def error_on(model: RollOut, dataset: TrajectoryDataset, batch_size: int) -> float:
    """Return the relative L2 error of the roll-outs of a split."""
    prediction, _ = predict(model, dataset, batch_size)
    return model.of_channels(relative_l2)(prediction, dataset.future).item()


def _by_channel(model: RollOut, frames: Tensor) -> Tensor:
    return frames if model.n_channels == 1 else model.by_channel(frames)


def _scalars(model: RollOut, frames: Tensor) -> Tensor:
    """Return frames of scaled channels as so many frames of one, whose spectra are averaged."""
    return frames if model.n_channels == 1 else frames.flatten(1, 2)


def _errors_of_each(
    model: RollOut, prediction: Tensor, truth: Tensor, config: PdeConfig
) -> dict[str, float]:
    """Return the error of each channel by its name; nothing where there is one.

    Nor of a channel that is zero in all samples, which has none.
    """
    if model.n_channels == 1:
        return {}
    errors = relative_l2_of_each(prediction, truth)
    found = {}
    for channel, (name, _) in enumerate(config.dataset.quantities):
        if truth[:, :, channel].any():
            found[f"relative_l2/{name}"] = errors[channel].item()
        else:
            log.warning("%s is zero in all test samples: it has no relative error", printable(name))
    return found
