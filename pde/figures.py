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
from pde.dataset.samples import Splits
from pde.metrics.errors import energy_spectrum
from pde.metrics.measure import Measured

MOST_DRAWN = 6  # channels


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
        *draw_errors_over_time(measured.per_step, splits.times),
        *draw_predictions(config, splits, measured.prediction, splits.test.future),
        *draw_error_over_grid(measured.on_grids),
        *portray_transforms(model, start),
        *_draw_modes(splits.grid, config, model, start),
    ]


def draw_predictions(
    config: DatasetConfig,
    splits: Splits,
    prediction: Float[Tensor, "batch values *grid"],
    truth: Float[Tensor, "batch values *grid"],
) -> list[Artifact]:
    """Return the spectrum of each channel, and its last frame of the first test sample.

    Args:
        config: of the data set.
        splits: the data, of which times and inputs are used.
        prediction: of the test split.
        truth: of the test split.
    """
    n = len(config.quantities)
    figures: list[Artifact] = []
    for channel in range(min(n, MOST_DRAWN)):
        of_channel = [
            replace(
                figure,
                figure=f"{figure.figure}_{config.quantities[channel][0]}"
                if n > 1
                else figure.figure,
            )
            for figure in _of_channel(
                config, splits, channel, prediction[:, channel::n], truth[:, channel::n]
            )
        ]
        figures += of_channel
    return figures


def _of_channel(
    config: DatasetConfig, splits: Splits, channel: int, prediction: Tensor, truth: Tensor
) -> list[Curve | Comparison]:
    """Return the figures of one channel, whose frames are given."""
    name, unit = config.quantities[channel]
    spectrum = _spectrum(prediction, config, name)
    spectra = [spectrum, replace(_spectrum(truth, config, name), line="truth", shared=True)]
    title = f"{_capitalized(name)}{_when(config, splits)}, first test sample"
    if config.n_axes == 1:
        return [*spectra, *_lines(config, title, splits, channel, prediction, truth)]
    last = [frames[0, -1] for frames in (truth, prediction)]
    if config.n_axes == 3:
        title = f"{title}, in the middle of z"
        last = [frame[..., frame.shape[-1] // 2] for frame in last]
    comparison = Comparison(
        figure="last_frame",
        title=title,
        unit=unit,
        truth=last[0].numpy(),
        prediction=last[1].numpy(),
    )
    return [*spectra, comparison]


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


def draw_errors_over_time(
    errors: Float[Tensor, " steps"], times: tuple[float, ...]
) -> list[Artifact]:
    """Return the curve of the error against the times of the last frames; nothing for one step."""
    if len(errors) < 2:
        return []
    return [
        Curve(
            figure="error_over_time",
            title="Error over the roll-out",
            x_label="time",
            y_label="relative L2 error of the frame",
            x=np.asarray(times[-len(errors) :]),
            y=errors.numpy(),
        )
    ]


def _spectrum(field: Tensor, config: DatasetConfig, name: str) -> Curve:
    spectrum = energy_spectrum(field, periodic=config.periodic).mean(0)[1:]
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
    config: DatasetConfig,
    title: str,
    splits: Splits,
    channel: int,
    prediction: Tensor,
    truth: Tensor,
) -> list[Curve | Comparison]:
    """Return prediction and truth of the first test sample over x, and apart its newest input."""
    n = truth.shape[-1]
    first_point = 0.0 if config.periodic[0] else 0.5
    x, coordinates = (np.arange(n) + first_point) / n, config.coordinates(0)
    predicted = Curve(
        figure="last_frame",
        title=title,
        x_label="x, lengths of the domain",
        y_label=", ".join(filter(None, config.quantities[channel])),
        x=x if coordinates is None else coordinates(n),
        y=prediction[0, -1].numpy(),
    )
    test = splits.test
    given = test.past[0, test.n_given - test.n_channels + channel if config.evolves else 0]
    return [
        predicted,
        replace(predicted, y=truth[0, -1].numpy(), line="truth", shared=True),
        replace(
            predicted,
            figure="first_input",
            title="Input of the first test sample",
            y=given.numpy(),
            line="input",
            shared=True,
        ),
    ]


def _capitalized(name: str) -> str:
    """Return a name with a capital first letter; symbols such as Vx or nu stay as they are."""
    return name if len(name) < 4 else f"{name[:1].upper()}{name[1:]}"


def _when(config: DatasetConfig, splits: Splits) -> str:
    return f" at t = {splits.times[-1]:g}" if config.evolves else ""
