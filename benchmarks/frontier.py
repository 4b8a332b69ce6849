"""Error against training time: `python -m benchmarks.frontier docs/results/equal_time`.

Runs of one problem that differ in network, transform and number of epochs are points of a
frontier. Other work on a machine slows runs down, so an epoch counts as long as it took in the
quickest run of that network and transform, and the trial of a rate counts with its epochs:

    seconds = (epochs + epochs of the trial)  x  min over its runs of seconds_per_epoch

Between its points, seed by seed, the control has the error of the straight line in the logarithms
of both. Writes a table between the markers `frontier` of the file `--update`, and the figure
`--figure`.
"""

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.ticker import LogLocator, NullLocator

from benchmarks.document import update_document
from monarch_core.report.compare.groups import Group, group_runs
from monarch_core.report.documents import update_between_markers
from monarch_core.report.read.collect import collect_runs
from monarch_core.report.render.style import new_figure, styled
from monarch_core.report.statistics import Change, change
from monarch_core.report.wording import difference, mean_and_error, seconds
from monarch_core.training.trial import TRIAL

METRIC = "relative_l2"
RATE = "fit.transform_learning_rate"


@dataclass(frozen=True)
class Point:
    """The runs of one network, transform and number of epochs.

    Attributes:
        contender: network and transform.
        epochs: of training.
        seconds: of training on an undisturbed core.
        group: the runs, one per seed.
    """

    contender: str
    epochs: int
    seconds: float
    group: Group


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the table and the figure; return the exit status."""
    figure = "docs/figures/equal_time.png"
    return update_document(__doc__ or "", "of the runs", "docs/when.md", figure, _write, arguments)


def _write(options: argparse.Namespace) -> None:
    points = frontier(group_runs(collect_runs([options.folder])))
    update_between_markers(options.update, "frontier", table(points))
    draw(points, options.figure)


def frontier(groups: Sequence[Group]) -> list[Point]:
    """Return the points, those of the control first, by contender and time.

    Raises:
        ValueError: no run belongs to a control, or a run has no times.
    """
    if not any(group.declared.control for group in groups):
        raise ValueError(
            "none of the runs has the transform fft, with which the others are compared; train one"
        )
    points = [
        Point(_contender(group), _epochs(group), _n_passes(group) * _quickest(group, groups), group)
        for group in groups
    ]
    order = {point.contender: i for i, point in reversed(list(enumerate(points)))}
    return sorted(points, key=lambda point: (order[point.contender], point.seconds))


def against_control(point: Point, points: Sequence[Point]) -> Change | None:
    """Compare with the control at the same time; None where that is outside of its points."""
    controls = [p for p in points if p.group.declared.control]
    shorter = [p for p in controls if p.seconds <= point.seconds]
    longer = [p for p in controls if p.seconds > point.seconds]
    if point in controls or not shorter or not longer:
        return None
    own, early, late = map(_errors, (point, shorter[-1], longer[0]))
    seeds = sorted(own.keys() & early.keys() & late.keys())
    times = np.log([shorter[-1].seconds, longer[0].seconds])
    control = [
        float(np.exp(np.interp(np.log(point.seconds), times, np.log([early[s], late[s]]))))
        for s in seeds
    ]
    return change([own[s] for s in seeds], control, metric=METRIC, same_seeds=True)


def table(points: Sequence[Point]) -> str:
    """Return the points as a Markdown table."""
    lines = [
        "| network, transform | epochs | training time | relative l2 | seeds | "
        "against the control at that time |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for point in points:
        found = against_control(point, points)
        error = mean_and_error(point.group.metric(METRIC))
        lines.append(
            f"| {point.contender} | {point.epochs} | {seconds(point.seconds)} | {error} | "
            f"{len(point.group.runs)} | {difference(found, METRIC) if found else ''} |"
        )
    devices = sorted({point.group.devices for point in points})
    return "\n".join([*lines, "", f"Device: {', '.join(devices)}."])


def draw(points: Sequence[Point], path: Path) -> None:
    """Draw error against time, a line for each contender."""
    with styled():
        figure = new_figure(6.4, 4.0)
        axes = figure.subplots()
        for contender in dict.fromkeys(point.contender for point in points):
            own = [point for point in points if point.contender == contender]
            errors = [point.group.metric(METRIC) for point in own]
            axes.errorbar(
                [point.seconds for point in own],
                [error.mean or math.nan for error in errors],
                yerr=[error.standard_error or 0.0 for error in errors],
                marker="o",
                capsize=3,
                label=contender,
            )
        axes.set(
            xscale="log",
            yscale="log",
            xlabel="training time (s), one core",
            ylabel="relative L2 error, test split",
        )
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter("{x:g}")
            axis.set_minor_locator(NullLocator())
        axes.legend()
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=150)


def _contender(group: Group) -> str:
    return f"{group.model}, {group.transform}"


def _epochs(group: Group) -> int:
    return int(group.settings["fit.epochs"])


def _n_passes(group: Group) -> int:
    """Return the epochs of training, those of a trial of the transforms' rate among them."""
    n = _epochs(group)
    has_trial = group.declared.learns != "none" and group.settings.get(RATE, "null") == "null"
    return n + math.ceil(TRIAL * n) if has_trial else n


def _errors(point: Point) -> dict[int, float]:
    """Return the error of each seed."""
    runs = point.group.runs
    return {run.seed: run.metrics[METRIC] for run in runs if run.seed is not None}


def _quickest(group: Group, groups: Sequence[Group]) -> float:
    """Return the least time of an epoch among all runs of the same network and transform."""
    times = [
        run.costs.get("seconds_per_epoch")
        for other in groups
        if _contender(other) == _contender(group)
        for run in other.runs
    ]
    known = [time for time in times if time is not None]
    if not known:
        raise ValueError(f"no run of {_contender(group)} says how long an epoch took; train one")
    return min(known)


if __name__ == "__main__":
    sys.exit(main())
