"""The figure of all changes of a task against their controls, with the interval of each."""

import math
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from monarch_core.report.compare.control import compare, control_of
from monarch_core.report.compare.groups import Group, control_name
from monarch_core.report.read.untrusted import finite
from monarch_core.report.render.style import (
    NARROW,
    Drawing,
    clipped,
    new_figure,
    png_of,
    styled,
)
from monarch_core.report.statistics import Change, higher_is_better
from monarch_core.report.wording import metric_label, metric_unit

_ROW = 0.46  # height in inches of one group
_MOST_ROWS = 40
_LETTERS = 74  # of a label above its row
_SMALLEST_RATIO = 1e-3  # where the end of an interval of a ratio is drawn that is below zero
_RATIOS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_RATIOS_ABOVE = (1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0)


def forest_figure(
    groups: Sequence[Group], metric: str, colours: Mapping[str, str]
) -> Drawing | None:
    """Draw the change of every group against its control, with its 95 % interval.

    Ratios are drawn on a logarithmic axis, on which half and double are equally far from equal.

    Args:
        groups: the groups of one task, in the order of the rows.
        metric: the metric.
        colours: colour of every transform.

    Returns:
        None with fewer than two changes to show.
    """
    rows = [
        (group, found)
        for group in groups
        for control in [control_of(group, groups)]
        if control is not None and (found := compare(group, control.group, metric)) is not None
    ]
    shown = [(group, found) for group, found in rows if _has_place(found)][:_MOST_ROWS]
    if len(shown) < 2:
        return None
    against, name = control_name(groups), metric_label(metric)
    with styled():
        figure = new_figure(NARROW, 0.95 + _ROW * len(shown))
        axes = figure.subplots()
        for row, (group, found) in enumerate(shown):
            _row(axes, row, group, found, colours[group.transform])
        axes.axvline(1.0 if _is_ratio(shown[0][1]) else 0.0, color="#333333", lw=1.2, zorder=1)
        axes.set_ylim(len(shown) - 0.4, -0.75)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        if _is_ratio(shown[0][1]):
            _percent_axis(axes, [found for _, found in shown])
        unit = "%" if _is_ratio(shown[0][1]) else metric_unit(metric)
        axes.set_xlabel(
            clipped(f"change of {name} against {against}" + (f" ({unit})" * bool(unit)))
        )
        title = f"{name} against {against}, with 95 % intervals"
        caption = _caption(metric, [found for _, found in shown])
        if len(shown) < len(rows):
            caption += f" {len(rows) - len(shown)} of {len(rows)} are not drawn."
        return Drawing("changes", title, caption, png_of(figure))


def _row(axes: Axes, row: int, group: Group, found: Change, colour: str) -> None:
    data = f"{group.dataset}, {group.data_details}" if group.data_details else group.dataset
    label = clipped(f"{data}, {group.model}: {group.name}", _LETTERS)
    axes.text(
        0.0, row - 0.3, label, transform=axes.get_yaxis_transform(), fontsize=8.5, va="bottom",
        clip_on=False, bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0}, zorder=2,
    )  # fmt: skip
    is_one_seed = found.half_width is None
    axes.errorbar(
        [_place(found)], [row], xerr=_bars(found), color=colour, marker="o", markersize=7,
        markerfacecolor="white" if is_one_seed else colour, markeredgewidth=1.6, capsize=3,
        zorder=3,
    )  # fmt: skip


def _is_ratio(found: Change) -> bool:
    return found.kind == "relative"


def _place(found: Change) -> float:
    return found.value + _is_ratio(found)


def _has_place(found: Change) -> bool:
    """Tell whether a change can be drawn: a ratio must be positive, and all numbers finite."""
    ends = (_place(found), found.half_width or 0.0)
    is_sound = all(finite(end) is not None for end in ends)
    return is_sound and (_place(found) > 0 or not _is_ratio(found))


def _bars(found: Change) -> list[list[float]] | None:
    """Return how far the interval reaches to both sides."""
    if found.half_width is None:
        return None
    low = found.half_width
    if _is_ratio(found):
        low = min(low, _place(found) * (1 - _SMALLEST_RATIO))
    return [[low], [found.half_width]]


def _percent_axis(axes: Axes, found: Sequence[Change]) -> None:
    """Make the axis logarithmic, with ticks in percent of change."""
    ends = [_place(one) + side * (one.half_width or 0.0) for one in found for side in (-1, 1)]
    low = min(0.9, *(max(end, 0.02) for end in ends)) / 1.06
    high = max(1.1, *ends) * 1.06
    axes.set_xscale("log")
    axes.set_xlim(low, min(high, 1e3))
    inside = [ratio for ratio in (*_RATIOS, *_RATIOS_ABOVE) if low <= ratio <= high]
    ticks = _apart(inside, 0.09 * math.log(high / low))
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda ratio, _: _percent(ratio)))


def _apart(ratios: Sequence[float], least: float) -> list[float]:
    """Return those ratios whose labels do not touch, 1 among them."""
    kept = [1.0]
    for ratio in sorted(ratios, key=lambda r: abs(math.log(r))):
        if all(abs(math.log(ratio / other)) >= least for other in kept):
            kept.append(ratio)
    return sorted(kept)


def _percent(ratio: float) -> str:
    change = 100 * (ratio - 1)
    return "0" if abs(change) < 0.05 else f"{change:+.0f}"


def _caption(metric: str, found: Sequence[Change]) -> str:
    direction = higher_is_better(metric)
    better = {True: "Right of the line is better. ", False: "Left of the line is better. "}
    text = better[direction] if direction is not None else ""
    text += "Where a bar does not cross the line, the difference is more than the seeds explain."
    if any(one.half_width is None for one in found):
        text += " Hollow: one seed, no interval."
    return text
