"""Errors of a trained model: roll-outs, single steps, and other grids."""

import time

import torch
from torch import Tensor

from monarch_core import prepared
from pde.config.run import PdeConfig
from pde.dataset.splits import TrajectoryDataset, load_test_split
from pde.metrics import relative_l2, relative_l2_per_step
from pde.models import RollOut


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
