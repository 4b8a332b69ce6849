"""Does the diagnosis foresee what learning gains? `python -m benchmarks.prediction docs/results`.

Reads `diagnosis.csv` in the folder and the results beside it, and writes a table of both into the
file `--update`. With `--measure` it first diagnoses every problem anew, whose data are made where
they are missing, and writes that CSV.

    predicted   the largest gain of an axis that `pde.metrics.diagnosis` calls worth a run, else the
                largest gain
    measured    1 - error of the learned transform / error of the fixed Fourier transform, on the
                test split; of each kind the runs with the lowest validation error, whatever their
                depth, width, padding and rates
"""

import argparse
import csv
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from hydra import compose, initialize_config_dir
from scipy.stats import spearmanr

from monarch_core.report.compare.control import compare
from monarch_core.report.compare.groups import Group, group_runs
from monarch_core.report.documents import update_between_markers
from monarch_core.report.read.collect import collect_runs
from monarch_core.report.statistics import Change
from monarch_core.runs.schema import to_dataclass
from pde.config.run import CONFIGS, PdeConfig
from pde.dataset.splits import load_splits
from pde.metrics.diagnosis import diagnose_splits

FILE = "diagnosis.csv"
METRIC = "relative_l2"


@dataclass(frozen=True)
class Problem:
    """Data that runs were trained on.

    Attributes:
        name: for the table.
        options: that compose them, as on the command line.
        results: folder of the runs.
        settings: that tell their results from others of the same data set.
    """

    name: str
    options: tuple[str, ...]
    results: str
    settings: Mapping[str, str]


def _flow(viscosity: str, options: tuple[str, ...]) -> Problem:
    name = f"Navier-Stokes, periodic, viscosity {viscosity}"
    number = {"dataset.viscosity": str(float(viscosity))}
    return Problem(name, options, "operator_ladder", number)


def _line(viscosity: str) -> Problem:
    options = ("dataset=burgers", "model=fno_1d", f"dataset.viscosity={viscosity}")
    number = {"dataset.viscosity": viscosity}
    return Problem(f"Burgers, periodic, viscosity {viscosity}", options, "burgers", number)


PROBLEMS = (
    Problem("waves in layers", ("dataset=wave_layered", "model=fno_1d"), "wave_layered", {}),
    Problem("heat in layers", ("dataset=heat_layered", "model=fno_1d"), "heat_layered", {}),
    Problem("waves in a guide", ("dataset=waveguide",), "waveguide", {}),
    Problem(
        "Navier-Stokes, channel",
        ("dataset=navier_stokes_channel",),
        "navier_stokes_channel",
        {},
    ),
    Problem(
        "Burgers, walls, refined points",
        ("dataset=burgers_stretched", "model=fno_1d"),
        "burgers_stretched",
        {},
    ),
    Problem("Darcy, walls", ("dataset=darcy",), "boundaries_darcy", {}),
    Problem(
        "Burgers, ends at zero",
        ("dataset=burgers_dirichlet", "model=fno_1d", "dataset.viscosity=0.01"),
        "boundaries_burgers",
        {},
    ),
    *map(_line, ("0.1", "0.01", "0.001")),
    _flow("1e-3", ("dataset=navier_stokes",)),
    _flow("1e-4", ("dataset=navier_stokes_1e-4",)),
)


@dataclass(frozen=True)
class Row:
    """What was found along one axis of one problem; errors and gains are fractions."""

    problem: str
    axis: int
    along: float
    diagonal: float
    gain: float
    chance: float
    worth_a_run: bool
    seconds: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure if asked to, and write the table; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="of results, and of diagnosis.csv")
    parser.add_argument("--measure", action="store_true", help="diagnose every problem anew")
    parser.add_argument("--update", type=Path, default=Path("docs/when.md"))
    options = parser.parse_args(arguments)
    try:
        if options.measure:
            _write(options.folder / FILE, [row for p in PROBLEMS for row in measure(p)])
        text = table(_read(options.folder / FILE), options.folder)
        update_between_markers(options.update, "prediction", text)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write(f"{options.update}\n")
    return 0


def measure(problem: Problem) -> list[Row]:
    """Diagnose a problem, every axis of it; the time is that of all axes, without the data's."""
    with initialize_config_dir(str(CONFIGS / "pde"), version_base="1.3"):
        raw = compose("diagnose", overrides=list(problem.options))
    splits = load_splits(to_dataclass(raw, PdeConfig).dataset)
    begin = time.perf_counter()
    found = diagnose_splits(splits)
    seconds = time.perf_counter() - begin
    return [
        Row(problem.name, d.axis, d.along, d.diagonal, d.gain, d.chance, d.is_worth_a_run, seconds)
        for d in found
    ]


def table(rows: Sequence[Row], folder: Path) -> str:
    """Return the table of predicted and measured gains as Markdown, largest prediction first.

    Raises:
        ValueError: a problem has no results.
    """
    problems = {p.name: p for p in PROBLEMS}
    lines, predictions, gains, right = [], [], [], 0
    for name, axes in _by_problem(rows).items():
        change = measured_change(problems[name], folder)
        best = max(axes, key=lambda row: (row.worth_a_run, row.gain))
        is_ahead = change.verdict == "ahead"
        right += best.worth_a_run == is_ahead
        predictions.append(max(best.gain, 0.0))
        gains.append(-change.value)
        spread = "" if change.standard_error is None else f" ± {100 * change.standard_error:.1f}"
        advice = f"learn, axis {best.axis}" if best.worth_a_run else "keep the FFT"
        lines.append(
            f"| {name} | {100 * best.gain:.1f} % | {100 * best.chance:.1f} % | {advice} | "
            f"{-100 * change.value:.1f} %{spread} | {'yes' if is_ahead else 'no'} |"
        )
    order = sorted(range(len(lines)), key=lambda i: -predictions[i])
    rank = float(spearmanr(predictions, gains).statistic)
    seconds = max(row.seconds for row in rows)
    return "\n".join(
        [
            "| problem | predicted gain | chance | advice | measured gain | ahead |",
            "| --- | ---: | ---: | --- | ---: | --- |",
            *(lines[i] for i in order),
            "",
            f"The advice is right on {right} of {len(lines)} problems; the rank correlation of "
            f"predicted and measured gains is {rank:.2f}. No diagnosis took more than "
            f"{seconds:.1f} s.",
        ]
    )


def measured_change(problem: Problem, folder: Path) -> Change:
    """Return how the learned transform compares with the fixed Fourier transform.

    Raises:
        ValueError: there are no runs of one of the two.
    """
    wanted = problem.settings.items()
    groups = [
        group
        for group in group_runs(collect_runs([folder / problem.results]))
        if all(group.settings.get(key) == value for key, value in wanted)
    ]
    learned = [g for g in groups if g.declared.learns in ("both", "forward", "inverse")]
    fixed = [group for group in groups if is_fixed_fourier(group)]
    if not learned or not fixed:
        raise ValueError(
            f"{folder / problem.results} has no runs of {problem.name} with a learned and with a "
            "fixed Fourier transform; train them, or leave the problem out"
        )
    change = compare(min(learned, key=_validation), min(fixed, key=_validation), METRIC)
    assert change is not None  # every finished run has its errors
    return change


def is_fixed_fourier(group: Group) -> bool:
    """Tell whether a transform is the Fourier transform and stays it."""
    return group.declared.learns == "none" and group.declared.basis in ("", "fourier")


def _validation(group: Group) -> float:
    mean = group.metric(f"{METRIC}_valid").mean
    return float("inf") if mean is None else mean


def _by_problem(rows: Sequence[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.problem, []).append(row)
    return found


def _write(path: Path, rows: Sequence[Row]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [f.name for f in fields(Row)], lineterminator="\n")
        writer.writeheader()
        for row in rows:
            numbers = {k: f"{v:.4g}" if isinstance(v, float) else v for k, v in asdict(row).items()}
            writer.writerow(numbers)


def _read(path: Path) -> list[Row]:
    with path.open(newline="") as file:
        return [
            Row(
                problem=line["problem"],
                axis=int(line["axis"]),
                worth_a_run=line["worth_a_run"] == "True",
                **{k: float(line[k]) for k in ("along", "diagonal", "gain", "chance", "seconds")},
            )
            for line in csv.DictReader(file)
        ]


if __name__ == "__main__":
    sys.exit(main())
