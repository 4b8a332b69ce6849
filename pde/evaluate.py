"""The numbers of a finished run, from its folder alone: `python pde/evaluate.py run=RUN_DIR`."""

import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import hydra
import torch
from omegaconf import DictConfig
from torch import Tensor

from monarch_core.experiment.artifacts import Artifact, Comparison, Curve, save_artifacts
from monarch_core.experiment.checkpoint import load_weights
from monarch_core.experiment.devices import choose_accelerator
from monarch_core.experiment.portrait import portray_transforms
from monarch_core.experiment.results import n_parameters, write_results
from monarch_core.experiment.run import load_config, user_errors
from pde.config import PdeConfig
from pde.dataset import Splits, TrajectoryDataset, load_splits
from pde.metrics import (
    band_errors,
    energy_spectrum,
    relative_h1,
    relative_l2,
    relative_l2_per_step,
)
from pde.model import RollOut, build_model

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
    batch_size = config.fit.batch_size
    truth = splits.test.frames[:, config.dataset.n_input_frames :]
    prediction, seconds = predict(model, splits.test, batch_size)
    metrics = {
        "relative_l2": relative_l2(prediction, truth).item(),
        "relative_l2_last_step": relative_l2_per_step(prediction, truth)[-1].item(),
        "relative_l2_one_step": one_step_error(model, splits.test, batch_size),
        "relative_h1": relative_h1(prediction, truth).item(),
        **{f"error_{name}": error for name, error in band_errors(prediction, truth).items()},
        "relative_l2_valid": _error_on(model, splits.valid, batch_size),
        "relative_l2_train": _error_on(model, splits.train, batch_size),
        "milliseconds_per_trajectory": 1e3 * seconds,
    }
    save_artifacts(
        run_dir, [*_figures(prediction, truth, splits), *portray_transforms(model, start)]
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
    """Return the roll-outs (trajectory, step, x, y) from the first frames, and seconds for each.

    The time is the median over the batches after the first, which warms up.
    """
    past = dataset.frames[:, : dataset.n_input_frames].split(batch_size)
    predictions, seconds = [], []
    for frames in past:
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


def _error_on(model: RollOut, dataset: TrajectoryDataset, batch_size: int) -> float:
    prediction, _ = predict(model, dataset, batch_size)
    return relative_l2(prediction, dataset.frames[:, dataset.n_input_frames :]).item()


def _figures(prediction: Tensor, truth: Tensor, splits: Splits) -> list[Artifact]:
    n_steps = truth.shape[1]
    times = torch.tensor(splits.times[-n_steps:], dtype=torch.float64)
    return [
        Curve(
            figure="error_over_time",
            title="Error over the roll-out",
            x_label="time",
            y_label="relative L2 error of the frame",
            x=times.numpy(),
            y=relative_l2_per_step(prediction, truth).numpy(),
        ),
        _spectrum(prediction),
        replace(_spectrum(truth), line="truth", shared=True),
        Comparison(
            figure="last_frame",
            title=f"Vorticity at t = {times[-1]:g}, first test trajectory",
            unit="1/time",
            truth=truth[0, -1].numpy(),
            prediction=prediction[0, -1].numpy(),
        ),
    ]


def _spectrum(field: Tensor) -> Curve:
    spectrum = energy_spectrum(field).mean(0)[1:]
    return Curve(
        figure="spectrum",
        title="Spectrum of the vorticity, mean over the roll-out and the test split",
        x_label="wavenumber |k|, cycles per box",
        y_label="mean square vorticity",
        x=torch.arange(1.0, len(spectrum) + 1).numpy(),
        y=spectrum.numpy(),
        x_scale="log",
        y_scale="log",
    )


@hydra.main(version_base="1.3", config_path="../configs", config_name="evaluate")
@user_errors
def main(raw: DictConfig) -> None:
    """Evaluate one run again and print its numbers."""
    for name, value in evaluate(Path(raw.run))["metrics"].items():
        log.info("%s: %.4g", name, value)


if __name__ == "__main__":
    main()
