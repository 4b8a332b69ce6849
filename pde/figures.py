"""What the report draws of the predictions of one run."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from monarch_core.runs.artifacts import Artifact, Comparison, Curve
from monarch_core.training.modes_portrait import portray_in_modes
from monarch_core.training.portrait import portray_transforms
from pde.config.dataset import DatasetConfig
from pde.dataset.splits import Splits
from pde.metrics.errors import energy_spectrum, relative_l2_per_step
from pde.metrics.measure import Measured


def draw(
    measured: Measured, splits: Splits, config: DatasetConfig, model: nn.Module, start: nn.Module
) -> list[Artifact]:
    """Return what is predicted, the error over grids, and what the transforms became.

    Args:
        measured: of the model.
        splits: the data it was measured on.
        config: of the data set.
        model: the trained model.
        start: the same model before training.
    """
    return [
        *draw_predictions(config, splits, measured.prediction, splits.test.future),
        *draw_error_over_grid(measured.on_grids),
        *portray_transforms(model, start),
        *_draw_modes(splits.grid, config, model, start),
    ]


def draw_predictions(
    config: DatasetConfig,
    splits: Splits,
    prediction: Float[Tensor, "batch steps *grid"],
    truth: Float[Tensor, "batch steps *grid"],
) -> list[Artifact]:
    """Return the error over time, the spectrum, and the last frame of the first test sample.

    Args:
        config: of the data set.
        splits: the data, of which times and inputs are used.
        prediction: of the test split.
        truth: of the test split.
    """
    figures: list[Artifact] = []
    if truth.shape[1] > 1:
        figures.append(_error_over_time(prediction, truth, splits))
    spectrum = _spectrum(prediction, config)
    figures += [spectrum, replace(_spectrum(truth, config), line="truth", shared=True)]
    title = f"{config.quantity[0].capitalize()}{_when(config, splits)}, first test sample"
    if config.n_axes == 1:
        return [*figures, *_lines(config, title, splits, prediction, truth)]
    comparison = Comparison(
        figure="last_frame",
        title=title,
        unit=config.quantity[1],
        truth=truth[0, -1].numpy(),
        prediction=prediction[0, -1].numpy(),
    )
    return [*figures, comparison]


def _draw_modes(
    grid: tuple[int, ...], config: DatasetConfig, model: nn.Module, start: nn.Module
) -> list[Artifact]:
    """Return the learned rows beside the normal modes of every axis that has known ones."""
    figures: list[Artifact] = []
    for axis, n in enumerate(grid):
        modes_of = config.normal_modes(axis)
        if modes_of is not None:
            figures += portray_in_modes(model, start, axis, modes_of(n))
    return figures


def draw_error_over_grid(errors: Mapping[int, float]) -> list[Artifact]:
    """Return the curve of the error against the points per axis; nothing for a single grid."""
    if len(errors) < 2:
        return []
    grids = sorted(errors)
    return [
        Curve(
            figure="error_over_grid",
            title="Error on grids that the model was not trained on",
            x_label="points per axis",
            y_label="relative L2 error",
            x=torch.tensor(grids, dtype=torch.float64).numpy(),
            y=torch.tensor([errors[grid] for grid in grids], dtype=torch.float64).numpy(),
            x_scale="log",
            y_scale="log",
        )
    ]


def _error_over_time(prediction: Tensor, truth: Tensor, splits: Splits) -> Curve:
    times = torch.tensor(splits.times[-truth.shape[1] :], dtype=torch.float64)
    return Curve(
        figure="error_over_time",
        title="Error over the roll-out",
        x_label="time",
        y_label="relative L2 error of the frame",
        x=times.numpy(),
        y=relative_l2_per_step(prediction, truth).numpy(),
    )


def _spectrum(field: Tensor, config: DatasetConfig) -> Curve:
    spectrum = energy_spectrum(field, periodic=config.periodic).mean(0)[1:]
    name = config.quantity[0]
    box = "box" if config.is_even else "box of the computational coordinate"
    over = "the roll-out and the test split" if field.shape[1] > 1 else "the test split"
    return Curve(
        figure="spectrum",
        title=f"Spectrum of the {name}, mean over {over}",
        x_label=f"wavenumber |k|, cycles per {box}",
        y_label=f"mean square {name}",
        x=torch.arange(1.0, len(spectrum) + 1).numpy(),
        y=spectrum.numpy(),
        x_scale="log",
        y_scale="log",
    )


def _lines(
    config: DatasetConfig, title: str, splits: Splits, prediction: Tensor, truth: Tensor
) -> list[Curve]:
    """Return prediction and truth of the first test sample over x, and apart its newest input."""
    n = truth.shape[-1]
    first_point = 0.0 if config.periodic[0] else 0.5
    x, coordinates = (np.arange(n) + first_point) / n, config.coordinates(0)
    predicted = Curve(
        figure="last_frame",
        title=title,
        x_label="x, lengths of the domain",
        y_label=", ".join(filter(None, config.quantity)),
        x=x if coordinates is None else coordinates(n),
        y=prediction[0, -1].numpy(),
    )
    (past,), _ = splits.test[0]
    return [
        predicted,
        replace(predicted, y=truth[0, -1].numpy(), line="truth", shared=True),
        replace(
            predicted,
            figure="first_input",
            title="Input of the first test sample",
            y=past[-1].numpy(),
            line="input",
            shared=True,
        ),
    ]


def _when(config: DatasetConfig, splits: Splits) -> str:
    return f" at t = {splits.times[-1]:g}" if config.evolves else ""
