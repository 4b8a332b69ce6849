"""The numbers of a finished run, from its folder alone: `python pde/evaluate.py run=RUN_DIR`."""

import logging
import time
from pathlib import Path
from typing import Any

import hydra
import torch
from omegaconf import DictConfig
from torch import Tensor

from monarch_core.experiment.artifacts import save_artifacts
from monarch_core.experiment.checkpoint import load_weights
from monarch_core.experiment.devices import choose_accelerator
from monarch_core.experiment.portrait import portray_transforms
from monarch_core.experiment.results import n_parameters, write_results
from monarch_core.experiment.run import load_config, user_errors
from pde.config import PdeConfig
from pde.dataset import TrajectoryDataset, load_splits, load_test_split
from pde.figures import draw_error_over_grid, draw_predictions
from pde.metrics import band_errors, relative_h1, relative_l2, relative_l2_per_step
from pde.models import RollOut, build_model

log = logging.getLogger(__name__)


def evaluate(run_dir: Path) -> dict[str, Any]:
    """Measure the weights of a run on its test split; leave results.json and artifacts.npz.

    Raises:
        ValueError: the folder holds no finished run, or its weights do not fit its config.
    """
    config = load_config(run_dir, PdeConfig)
    splits = load_splits(config.dataset)
    model, start = (build_model(config, splits.grid) for _ in range(2))
    load_weights(run_dir / "weights.pt", model)
    model.to(choose_accelerator(config.fit.accelerator)).eval()
    batch_size, periodic = config.fit.batch_size, config.dataset.periodic
    truth = splits.test.future
    prediction, seconds = predict(model, splits.test, batch_size)
    on_grids = _errors_on_grids(model, config)
    metrics = {
        "relative_l2": relative_l2(prediction, truth).item(),
        **_roll_out_errors(model, prediction, splits.test, batch_size),
        "relative_h1": relative_h1(prediction, truth, periodic=periodic).item(),
        **{
            f"error_{name}": error
            for name, error in band_errors(prediction, truth, periodic=periodic).items()
        },
        **{f"relative_l2/{grid}": error for grid, error in on_grids.items()},
        "relative_l2_valid": _error_on(model, splits.valid, batch_size),
        "relative_l2_train": _error_on(model, splits.train, batch_size),
        "milliseconds_per_trajectory": 1e3 * seconds,
    }
    save_artifacts(
        run_dir,
        [
            *draw_predictions(config.dataset, splits, prediction, truth),
            *draw_error_over_grid(on_grids),
            *portray_transforms(model, start),
        ],
    )
    return write_results(
        run_dir,
        task="pde",
        dataset=config.dataset.name,
        model=config.model.name,
        transform=config.transform.name,
        seed=config.seed,
        split_sizes=splits.sizes,
        metrics=metrics,
        n_parameters=n_parameters(model),
        config=config,
    )


@torch.no_grad()
def predict(model: RollOut, dataset: TrajectoryDataset, batch_size: int) -> tuple[Tensor, float]:
    """Return the roll-outs (trajectory, step, *grid) from the first frames, and seconds for each.

    The time is the median over the batches after the first, which warms up.
    """
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
    n = dataset.n_input_frames
    errors = []
    for frames in dataset.frames.split(batch_size):
        for step in range(frames.shape[1] - n):
            window, target = frames[:, step : step + n], frames[:, step + n : step + n + 1]
            prediction = model(window.to(model.mean.device), n_steps=1).cpu()
            errors.append(relative_l2(prediction, target) * len(frames))
    return torch.stack(errors).sum().item() / (len(dataset) * (dataset.frames.shape[1] - n))


def _roll_out_errors(
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


def _errors_on_grids(model: RollOut, config: PdeConfig) -> dict[int, float]:
    """Return the error on the grids of `evaluation.grids`, the same samples on each."""
    return {
        grid: _error_on(model, load_test_split(config.dataset, grid), config.fit.batch_size)
        for grid in config.evaluation.grids
    }


def _error_on(model: RollOut, dataset: TrajectoryDataset, batch_size: int) -> float:
    prediction, _ = predict(model, dataset, batch_size)
    return relative_l2(prediction, dataset.future).item()


@hydra.main(version_base="1.3", config_path="../configs", config_name="evaluate")
@user_errors
def main(raw: DictConfig) -> None:
    """Evaluate one run again and print its numbers."""
    for name, value in evaluate(Path(raw.run))["metrics"].items():
        log.info("%s: %.4g", name, value)


if __name__ == "__main__":
    main()
