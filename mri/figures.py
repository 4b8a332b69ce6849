"""What the report shows of reconstructions: images of one scan, and the scores of all of them."""

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import uniform_filter
from torch import nn

from monarch_core.runs.artifacts import Artifact, Comparison, Table
from monarch_core.training.portrait import portray_transforms
from mri.dataset.held_out import HeldOut
from mri.dataset.splits import Splits
from mri.learned import describe_transforms
from mri.metrics.measure import MODEL, ZERO_FILLED, Measured
from mri.metrics.presets import Preset
from mri.metrics.scores import METRICS, Score, Volume, mean_over_scans


def draw(
    measured: Measured, splits: Splits | HeldOut, model: nn.Module, start: nn.Module | None
) -> list[Artifact]:
    """Return images of the first test scan, tables of scores, and what the transforms do.

    Args:
        measured: of the model.
        splits: the data it was measured on.
        model: on the CPU.
        start: the same model before training; None where that is not known.
    """
    first = splits.test.scan_ids[0]
    unit = splits.test.info(first).units
    return [
        *(draw_reconstruction(v, MODEL, ZERO_FILLED, unit=unit) for v in measured.shown),
        *tabulate_scores(measured.scores, measured.preset),
        *describe_transforms(model, splits.test.mask_of(first)),
        *([] if start is None else portray_transforms(model, start)),
    ]


def draw_reconstruction(volume: Volume, method: str, beside: str, *, unit: str) -> Comparison:
    """Show the slice with the most signal, and the part of it with the most contrast enlarged.

    Args:
        volume: one scan as every method reconstructed it.
        method: the method to compare with the truth.
        beside: a second method to show.
        unit: of the magnitudes.
    """
    magnitudes = np.abs(volume.target)
    index = int(np.square(magnitudes).sum(axis=(1, 2)).argmax())
    truth = magnitudes[index]
    return Comparison(
        figure=f"reconstruction_{volume.echo}",
        title=f"{volume.scan}, {volume.echo}, slice {index + 1} of {len(magnitudes)}: magnitude",
        unit=unit,
        truth=truth,
        prediction=np.abs(volume.predictions[method][index]),
        extras={beside: np.abs(volume.predictions[beside][index])},
        style="gray",
        zoom=_busiest_window(truth),
    )


def tabulate_scores(scores: Sequence[Score], preset: Preset) -> list[Table]:
    """Return a table of means and standard errors over scans, and one with every scan."""
    facts = list(dict.fromkeys((s.method, s.masks, s.echo) for s in scores))
    facts += [(*key, "all") for key in dict.fromkeys((s.method, s.masks) for s in scores)]
    means: list[list[str | float]] = []
    for method, masks, echo in facts:
        chosen = [s for s in scores if (s.method, s.masks) == (method, masks)]
        chosen = [s for s in chosen if echo in (s.echo, "all")]
        row: list[str | float] = [method, masks, echo]
        for metric in METRICS:
            mean, error = mean_over_scans(chosen, metric)
            row += [mean, "" if error is None else error]
        means.append(row)
    columns = [text for metric in METRICS for text in (metric, f"{metric}, error over scans")]
    singles: list[list[str | float]] = [
        [s.scan, s.echo, s.method, s.masks, s.acceleration, *(s.values[m] for m in METRICS)]
        for s in scores
    ]
    return [
        Table(
            "means_over_scans",
            f"Means over test scans, with standard error ({preset})",
            ["method", "masks", "echo", *columns],
            means,
        ),
        Table(
            "scans",
            f"Every test scan ({preset})",
            ["scan", "echo", "method", "masks", "acceleration", *METRICS],
            singles,
        ),
    ]


def _busiest_window(image: np.ndarray) -> tuple[int, int, int, int]:
    """Return the quarter-size window with the largest variance, as rows and columns."""
    height, width = (max(1, n // 4) for n in image.shape)
    smooth = [uniform_filter(x, (height, width)) for x in (image**2, image)]
    variance = smooth[0] - smooth[1] ** 2
    row, column = np.unravel_index(variance.argmax(), image.shape)
    top = int(np.clip(row - height // 2, 0, image.shape[0] - height))
    left = int(np.clip(column - width // 2, 0, image.shape[1] - width))
    return top, top + height, left, left + width
