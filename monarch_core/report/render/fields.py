"""Figures made of images: true and predicted fields, their errors, and pictures."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from monarch_core.report.compare.groups import Group
from monarch_core.report.render.style import (
    Drawing,
    clipped,
    looks,
    new_figure,
    png_of,
    styled,
    wrapped,
)
from monarch_core.report.wording import common_title, number
from monarch_core.runs.artifacts import Comparison, Picture

_PANEL = 2.05  # height of one panel in inches
_MOST_ACROSS = 5  # panels of different groups side by side
_INSET = 0.44  # width and height of an inset as parts of the panel
_BAR_LABEL = 28  # letters along a colour bar
_MARK = "#FFC20A"


@dataclass(frozen=True)
class _Scales:
    """Colour maps and limits of fields and errors, shared by all panels of a figure."""

    field: dict[str, object]
    error: dict[str, object]
    capped: bool


def comparison_figure(
    groups: Sequence[Group], comparisons: Sequence[Comparison], colours: Mapping[str, str]
) -> tuple[Drawing, list[str]]:
    """Draw the truth, then every prediction above its error.

    The relative error written under a panel is ||prediction - truth|| / ||truth|| over the points
    shown, with the Euclidean norm.

    Args:
        groups: the groups to draw.
        comparisons: the comparison of the first seed of each group, all with the same key.
        colours: colour of every transform.

    Returns:
        the figure, and notes on predictions that were left out or have another truth.
    """
    first = comparisons[0]
    pairs = list(zip(looks(groups, colours), comparisons, strict=True))
    kept = [(look, item) for look, item in pairs if item.truth.shape == first.truth.shape]
    notes = [
        f"{first.title}: the truth of {look.label} {why}"
        for look, item in pairs
        for why in [_oddity(item, first)]
        if why
    ]
    scales = _scales([item for _, item in kept])
    leading = [("truth", first.truth), *first.extras.items()]
    n_across = _balanced(len(kept))
    n_bands = math.ceil(len(kept) / n_across)
    n_leading = math.ceil(len(leading) / (2 * n_bands))
    width = _panel_width(first.truth)
    with styled():
        size = ((n_leading + n_across) * width + 0.9, n_bands * 2 * (_PANEL + 0.22) + 0.45)
        figure = new_figure(*size)
        grid = figure.subplots(2 * n_bands, n_leading + n_across, squeeze=False)
        for axes in grid.flat:
            axes.set_axis_off()
        for axes, (name, image) in zip(grid[:, :n_leading].T.flat, leading, strict=False):
            _panel(axes, image, scales.field, name, zoom=first.zoom)
        for index, (look, item) in enumerate(kept):
            band, column = divmod(index, n_across)
            above, below = grid[2 * band : 2 * band + 2, n_leading + column]
            field = _panel(above, item.prediction, scales.field, look.label, look.colour, item.zoom)
            error = _panel(below, item.prediction - item.truth, scales.error)
            below.set_axis_on()
            below.set_xlabel(f"relative L2 {number(relative_l2(item), 3)}")
        for band in range(n_bands):
            _colour_bar(figure, field, grid[2 * band].tolist(), first.unit)
            label = f"error ({first.unit})" if first.unit else "error"
            _colour_bar(figure, error, grid[2 * band + 1].tolist(), label)
        figure.suptitle(wrapped(first.title, 90), fontsize=11)
        caption = "First seed of each group. One colour scale for all fields, one for all errors"
        caption += " (prediction - truth)"
        caption += "; the scale of the errors ends at that of the fields." if scales.capped else "."
        wide = n_leading + n_across > 2
        return Drawing(first.figure, first.title, caption, png_of(figure), wide), notes


def picture_figure(
    groups: Sequence[Group], pictures: Sequence[Picture], colours: Mapping[str, str]
) -> Drawing:
    """Draw one picture per group on one colour scale.

    Where titles differ between groups, what a title says beyond the others stands above its panel.

    Args:
        groups: the groups to draw.
        pictures: the picture of the first seed of each group, all with the same key.
        colours: colour of every transform.
    """
    first = pictures[0]
    title, beyond = common_title([picture.title for picture in pictures])
    values = np.concatenate([picture.image[np.isfinite(picture.image)] for picture in pictures])
    scale = _signed(values) if values.size and values.min() < 0 else _sequential(values)
    n_columns = _balanced(len(pictures))
    n_rows = math.ceil(len(pictures) / n_columns)
    width = _panel_width(first.image)
    with styled():
        size = (n_columns * (width + 0.35) + 1.0, n_rows * (_PANEL + 0.65) + 0.4)
        figure = new_figure(*size)
        grid = figure.subplots(n_rows, n_columns, squeeze=False)
        for axes in grid.flat:
            axes.set_axis_off()
        faces = looks(groups, colours)
        for axes, look, picture, more in zip(grid.flat, faces, pictures, beyond, strict=False):
            label = f"{look.label} {more}".strip()
            image = _panel(axes, picture.image, scale, label, look.colour)
            axes.set_axis_on()
            axes.set(xlabel=clipped(picture.x_label), ylabel=clipped(picture.y_label))
        _colour_bar(figure, image, grid.ravel().tolist(), first.unit)
        figure.suptitle(wrapped(title, int(12 * size[0])), fontsize=11)
        caption = "First seed of each group, one colour scale."
        wide = n_columns > 2
        return Drawing(first.figure, title or first.title, caption, png_of(figure), wide)


def relative_l2(item: Comparison) -> float | None:
    """Return ||prediction - truth|| / ||truth||, None where it is no number."""
    norm = float(np.linalg.norm(item.truth))
    error = float(np.linalg.norm(item.prediction - item.truth))
    return error / norm if norm > 0 and math.isfinite(error) else None


def _balanced(n_panels: int) -> int:
    """Return how many panels go side by side so that the rows are as equal as they can be."""
    return math.ceil(n_panels / math.ceil(n_panels / _MOST_ACROSS))


def _panel_width(image: Float[np.ndarray, "height width"]) -> float:
    height, width = image.shape
    return _PANEL * min(max(width / height, 0.5), 2.5)


def _title_length(image: Float[np.ndarray, "height width"]) -> int:
    """Return how many letters fit above a panel."""
    return int(13 * _panel_width(image))


def _oddity(item: Comparison, first: Comparison) -> str:
    if item.truth.shape != first.truth.shape:
        return "has another shape; it is left out"
    if not np.allclose(item.truth, first.truth, rtol=1e-4, atol=1e-6 * np.abs(first.truth).max()):
        return "is another one; its error is against its own truth"
    return ""


def _scales(items: Sequence[Comparison]) -> _Scales:
    truth = items[0].truth
    finite = truth[np.isfinite(truth)]
    errors = [item.prediction - item.truth for item in items]
    largest = max((_quantile(np.abs(error), 0.995) for error in errors), default=0.0)
    if items[0].style == "gray":
        top = _quantile(finite, 0.998)
        field: dict[str, object] = {
            "cmap": "gray",
            "vmin": min(0.0, float(finite.min(initial=0.0))),
            "vmax": top or 1.0,
        }
        limit = top or 1.0
    else:
        field = _signed(finite)
        limit = float(np.abs(finite).max(initial=0.0)) or 1.0
    bound = min(largest, limit) or limit
    return _Scales(field, {"cmap": "PuOr_r", "vmin": -bound, "vmax": bound}, largest > limit)


def _signed(values: Float[np.ndarray, "..."]) -> dict[str, object]:
    bound = float(np.abs(values).max(initial=0.0)) or 1.0
    return {"cmap": "RdBu_r", "vmin": -bound, "vmax": bound}


def _sequential(values: Float[np.ndarray, "..."]) -> dict[str, object]:
    return {"cmap": "viridis", "vmin": 0.0, "vmax": float(values.max(initial=0.0)) or 1.0}


def _quantile(values: Float[np.ndarray, "..."], part: float) -> float:
    finite = values[np.isfinite(values)]
    return float(np.quantile(finite, part)) if finite.size else 0.0


def _panel(
    axes: Axes,
    image: Float[np.ndarray, "height width"],
    scale: Mapping[str, object],
    title: str = "",
    colour: str = "black",
    zoom: tuple[int, int, int, int] | None = None,
) -> AxesImage:
    drawn = axes.imshow(image, interpolation="nearest", **scale)  # type: ignore[arg-type]
    axes.set_facecolor("#D9D9D9")
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    axes.set_title(wrapped(clipped(title), _title_length(image)), color=colour, fontsize=9.5)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if zoom is not None:
        _inset(axes, image, scale, zoom)
    return drawn


def _inset(
    axes: Axes,
    image: Float[np.ndarray, "height width"],
    scale: Mapping[str, object],
    zoom: tuple[int, int, int, int],
) -> None:
    """Magnify a window in the corner that is farthest from it."""
    top, bottom, left, right = zoom
    height, width = image.shape
    place = (
        0.0 if left + right > width else 1 - _INSET,
        0.0 if top + bottom < height else 1 - _INSET,
    )
    inset = axes.inset_axes((*place, _INSET, _INSET), xticks=[], yticks=[])
    inset.imshow(image[top:bottom, left:right], interpolation="nearest", **scale)  # type: ignore[arg-type]
    inset.grid(visible=False)
    for spine in inset.spines.values():
        spine.set(visible=True, color=_MARK, linewidth=1.2)
    corner = (left - 0.5, top - 0.5)
    window = Rectangle(corner, right - left, bottom - top, fill=False, edgecolor=_MARK)
    axes.add_patch(window)


def _colour_bar(figure: Figure, image: AxesImage, axes: list[Axes], label: str) -> None:
    bar = figure.colorbar(image, ax=axes, fraction=0.04, pad=0.01, shrink=0.9)
    bar.set_label(wrapped(clipped(label), _BAR_LABEL), fontsize=8.5)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8)
