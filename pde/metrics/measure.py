"""Errors of a trained model: roll-outs, single steps, and other grids."""

import time
from dataclasses import dataclass

import torch
from torch import Tensor

from monarch_core import prepared
from pde.config.run import PdeConfig
from pde.dataset.splits import Splits, TrajectoryDataset, load_test_split
from pde.metrics.errors import band_errors, relative_h1, relative_l2, relative_l2_per_step
from pde.models import RollOut


@dataclass(frozen=True)
class Measured:
    """What a model does on the data of its run.

    Attributes:
        metrics: numbers by name; the first is the main one.
        prediction: roll-outs of the test split (trajectory, step, *grid), in its unit.
        on_grids: relative L2 error by points per axis, of the grids of `evaluation.grids`.
    """

    metrics: dict[str, float]
    prediction: Tensor
    on_grids: dict[int, float]


@torch.no_grad()
def measure(model: RollOut, splits: Splits, config: PdeConfig) -> Measured:
    """Measure a model, in evaluation mode, on every split."""
    model = prepared(model)
    batch_size, periodic = config.fit.batch_size, config.dataset.periodic
    truth = splits.test.future
    prediction, seconds = predict(model, splits.test, batch_size)
    on_grids = errors_on_grids(model, config)
    bands = band_errors(prediction, truth, periodic=periodic)
    metrics = {
        "relative_l2": relative_l2(prediction, truth).item(),
        **roll_out_errors(model, prediction, splits.test, batch_size),
        "relative_h1": relative_h1(prediction, truth, periodic=periodic).item(),
        **{f"error_{name}": error for name, error in bands.items()},
        **{f"relative_l2/{grid}": error for grid, error in on_grids.items()},
        "relative_l2_valid": error_on(model, splits.valid, batch_size),
        "relative_l2_train": error_on(model, splits.train, batch_size),
        "milliseconds_per_trajectory": 1e3 * seconds,
    }
    return Measured(metrics, prediction, on_grids)


@torch.no_grad()
def predict(model: RollOut, dataset: TrajectoryDataset, batch_size: int) -> tuple[Tensor, float]:
    """Return the roll-outs (trajectory, step, *grid) from the first frames, and seconds for each.

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
    model, n = prepared(model), dataset.n_input_frames
    errors = []
    for frames in dataset.frames.split(batch_size):
        for step in range(frames.shape[1] - n):
            window, target = frames[:, step : step + n], frames[:, step + n : step + n + 1]
            prediction = model(window.to(model.mean.device), n_steps=1).cpu()
            errors.append(relative_l2(prediction, target) * len(frames))
    return torch.stack(errors).sum().item() / (len(dataset) * (dataset.frames.shape[1] - n))


def roll_out_errors(
    model: RollOut, prediction: Tensor, dataset: TrajectoryDataset, batch_size: int
) -> dict[str, float]:
    """Return what distinguishes the steps of a roll-out; nothing where there is one step."""
    if prediction.shape[1] == 1:
        return {}
    last = relative_l2_per_step(prediction, dataset.future)[-1].item()
    return {
        "relative_l2_last_step": last,
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
    return relative_l2(prediction, dataset.future).item()
