"""The table of the README: `python -m benchmarks.headline docs/results`.

For each problem two networks that differ in the transform alone and its rates, FFT and Monarch,
each with the rates that its trials chose; of several such pairs the one with the lowest validation
error of its FFT. Beside them the best of all FFT networks of that model, of any depth, width or
padding, chosen in its favour: by the test split. A Monarch that stays the DFT counts as an FFT
where no other was trained alike, as it is the same function.

Writes the table between the markers `headline` of the file `--update`, what it says in four lines
between `answers`, with the encoding of a scanner and the time of a network, and the figure.
"""

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.document import update_document
from benchmarks.prediction import METRIC, PROBLEMS, Problem, is_fixed_fourier
from monarch_core.report.compare.control import compare, validation_error
from monarch_core.report.compare.groups import Group, group_runs
from monarch_core.report.compare.paired import pairs
from monarch_core.report.documents import update_between_markers
from monarch_core.report.read.collect import collect_runs
from monarch_core.report.render.short import RATES
from monarch_core.report.render.style import new_figure, styled
from monarch_core.report.statistics import paired_difference
from monarch_core.report.wording import BRIEF, difference, mean_and_error, with_half_width
from mri.metrics.methods import mri_runs, read_methods

SHOWN = {
    "waves in layers": "waves in a layered medium, 1-D",
    "heat in layers": "heat in a layered medium, 1-D",
    "waves in a guide": "waves in a stratified guide, 2-D",
    "Navier-Stokes, channel": "Navier-Stokes between walls, 2-D",
    "Burgers, periodic, viscosity 0.1": "Burgers, periodic, 1-D",
    "Navier-Stokes, periodic, viscosity 1e-3": "Navier-Stokes, periodic, 2-D",
}


MEDIUM = tuple(SHOWN)[:4]
PERIODIC = tuple(SHOWN)[4:]
# The FFT, the Monarch that differs from it in the transform alone, and the best FFT.
Swap = tuple[Group, Group, Group]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the table; return the exit status."""
    figure = "docs/figures/headline.png"
    return update_document(__doc__ or "", "of results", "README.md", figure, _write, arguments)


def _write(options: argparse.Namespace) -> None:
    swaps = {p.name: swap(p, options.folder) for p in PROBLEMS if p.name in SHOWN}
    update_between_markers(options.update, "headline", table(swaps))
    update_between_markers(options.update, "answers", answers(swaps, options.folder))
    draw(swaps, options.figure)


def table(swaps: Mapping[str, Swap]) -> str:
    """Return the table as Markdown."""
    lines = [
        "| problem | FFT | Monarch instead | change | best FFT of any size |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name, (fft, monarch, best) in swaps.items():
        change = difference(compare(monarch, fft, METRIC), METRIC, brief=True)
        errors = [mean_and_error(group.metric(METRIC), BRIEF) for group in (fft, monarch, best)]
        lines.append(f"| {' | '.join([SHOWN[name], *errors[:2], change, errors[2]])} |")
    seeds = sorted({len(group.runs) for groups in swaps.values() for group in groups})
    n_seeds = " or ".join(map(str, seeds))
    return "\n".join(
        [*lines, "", f"Relative L2 on the test split, mean ± standard error over {n_seeds} seeds."]
    )


def answers(swaps: Mapping[str, Swap], folder: Path) -> str:
    """Return in four lines where it helps, and by how much."""
    gains = {name: -100 * _change(groups) for name, groups in swaps.items()}
    medium, periodic = ([gains[name] for name in names] for names in (MEDIUM, PERIODIC))
    scanner = _gain_of_calibration(folder / "mri_calibrated")
    low, high = _times_faster(folder / "speed/network.json")
    lines = [
        "**A fixed medium or walls**, the same in every sample: yes. The swap alone takes "
        f"{min(medium):.0f} to {max(medium):.0f} % of the error ([when to learn](docs/when.md)).",
        "**Periodic and homogeneous**: no. The DFT is the right basis, and with a learned one the "
        f"error was {-max(periodic):.0f} to {-min(periodic):.0f} % higher, no more than the seeds "
        "explain ([every table](docs/pde.md)).",
        "**An MRI scanner whose encoding is not quite a DFT**: yes. One scan of a known object "
        f"calibrates it, and CG-SENSE gains {scanner} dB, simulated; no, where every scan has "
        "errors of its own ([MRI](docs/mri.md#learning-an-encoding)).",
        f"**Speed**: a training step of a whole network is {low:.1f} to {high:.1f} times faster "
        "than neuralop's with the FFT, one CPU thread, batches of 20 ([speed](docs/speed.md)).",
    ]
    return "\n".join(f"- {line}" for line in lines)


def draw(swaps: Mapping[str, Swap], path: Path) -> None:
    """Draw the errors of every problem as shares of that of its FFT."""
    with styled():
        figure = new_figure(7.2, 3.2)
        axes = figure.subplots()
        for row, (fft, monarch, best) in enumerate(reversed(list(swaps.values()))):
            unit = fft.metric(METRIC).mean or math.nan
            for group, marker, colour, label in (
                (best, "x", "0.4", "best FFT of any size"),
                (fft, "o", "C0", "FFT"),
                (monarch, "o", "C1", "Monarch instead"),
            ):
                error = group.metric(METRIC)
                axes.errorbar(
                    (error.mean or math.nan) / unit,
                    row,
                    xerr=(error.standard_error or 0.0) / unit,
                    fmt=marker,
                    color=colour,
                    capsize=3,
                    label=label if row == 0 else None,
                )
        axes.set(xlabel="relative L2 error on the test split / that of the FFT", xlim=(0, 1.2))
        axes.set_yticks(range(len(swaps)), [SHOWN[name] for name in reversed(list(swaps))])
        axes.legend(loc="center left", bbox_to_anchor=(0.02, 0.28))
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=150)


def swap(problem: Problem, folder: Path) -> Swap:
    """Return the FFT and the Monarch that differ in the transform alone, and the best FFT of all.

    Raises:
        ValueError: there are no such two.
    """
    groups = [
        group
        for group in group_runs(collect_runs([folder / problem.results]))
        if all(group.settings.get(key) == value for key, value in problem.settings.items())
    ]
    fixed = sorted(filter(is_fixed_fourier, groups), key=validation_error)
    for fft in fixed:
        alike = [g for g in groups if g.transform == "monarch" and _rest(g) == _rest(fft)]
        if alike:
            rivals = [group for group in fixed if group.model == fft.model]
            return fft, min(alike, key=validation_error), min(rivals, key=_test_error)
    raise ValueError(f"{folder / problem.results} has no monarch trained as an fft; train one")


def _change(groups: Swap) -> float:
    found = compare(groups[1], groups[0], METRIC)
    assert found is not None  # every finished run has its errors
    return found.value


def _gain_of_calibration(folder: Path) -> str:
    """Return the gain of CG-SENSE in dB, with its interval, where lines are displaced."""
    methods = read_methods(mri_runs([folder]))
    learned, control = next(
        pair
        for pair in pairs(methods, "cg_sense, fft", "cg_sense, monarch_rank4")
        if "trajectory" in pair[0].data
    )
    gain = paired_difference(learned.by_item("psnr"), control.by_item("psnr"))
    return with_half_width(gain, 1).removeprefix("+")


def _times_faster(file: Path) -> tuple[float, float]:
    """Return the least and the largest ratio of neuralop's time to ours, in training."""
    rows = json.loads(file.read_text())["rows"]
    ratios = [
        row["ratio"]
        for row in rows
        if (row["contender"], row["pass"], row["batch"]) == ("ours, learned", "training", 20)
    ]
    return min(ratios), max(ratios)


def _test_error(group: Group) -> float:
    mean = group.metric(METRIC).mean
    return float("inf") if mean is None else mean


def _rest(group: Group) -> tuple[object, ...]:
    settings = {key: value for key, value in group.settings.items() if key not in RATES}
    return group.model, group.data, tuple(sorted(settings.items()))


if __name__ == "__main__":
    sys.exit(main())
