"""Paired differences over scans: `python mri/compare.py RUNS... [--update FILE --marker NAME]`.

Every method is compared with the control on the same scans under the same masks. With m_i the mean
over seeds of a metric on scan i and n scans,

    d_i = m_i - m_i(control),   d = 1/n sum_i d_i,   interval = d -+ t s / sqrt(n)

where s is the standard deviation of the d_i and t the 97.5 % quantile of Student's distribution
with n - 1 degrees of freedom.
"""

import argparse
import csv
import json
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t as student

from monarch_core.experiment.report.cli import update_between_markers
from mri.measure import SCANS_FILE

CONTROL = "sense, fft"
_HEADS = {
    "psnr": "complex PSNR, dB",
    "psnr_magnitude": "magnitude PSNR, dB",
    "ssim": "SSIM",
}
METRICS = tuple(_HEADS)
# what is measured, and so must be equal where two methods are compared
_SAMPLING = (
    "mask",
    "mask_regime",
    "mask_seed",
    "calibration",
    "center_fraction",
    "echoes",
    "target",
)

# (data, method, metric) -> scan and echo -> one value per seed
Values = dict[tuple[str, str], dict[tuple[str, str], dict[str, list[float]]]]


@dataclass(frozen=True)
class Difference:
    """Mean paired difference to the control, with the half width of its 95 % interval.

    Attributes:
        mean: d.
        half_width: of the interval; None for a single scan.
        n_scans: scans that both have.
    """

    mean: float
    half_width: float | None
    n_scans: int


def difference(own: Sequence[float], control: Sequence[float]) -> Difference:
    """Return the mean of own - control, element by element, with its interval.

    Raises:
        ValueError: if the lengths differ or are zero.
    """
    d = np.subtract(own, control) if len(own) == len(control) else np.empty(0)
    if len(d) == 0:
        raise ValueError(
            f"paired values are needed, got {len(own)} of the method and {len(control)} of the "
            "control; evaluate both on the same scans"
        )
    if len(d) == 1:
        return Difference(float(d[0]), None, 1)
    error = d.std(ddof=1) / np.sqrt(len(d))
    return Difference(float(d.mean()), float(student.ppf(0.975, len(d) - 1) * error), len(d))


def read_runs(paths: Sequence[Path], *, by_contrast: bool = False) -> Values:
    """Return the values of every run below the folders, by data and method, scan and metric.

    Args:
        paths: run folders, or folders that hold them.
        by_contrast: each echo or contrast is data of its own.

    Raises:
        ValueError: if there is no evaluated run, or two runs that would share a row or be
            compared differ in more than that allows.
    """
    values: Values = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    found: dict[Path, dict[str, Any]] = {}
    for results in sorted({r for folder in paths for r in folder.rglob("results.json")}):
        run = json.loads(results.read_text(encoding="utf-8"))
        if run["task"] != "mri":
            continue
        for folder, other in found.items():
            _check_comparable(results.parent, run, folder, other)
        found[results.parent] = run
        data, method = _data(run["config"]["dataset"]), _method(run)
        for row in _rows(results.parent / SCANS_FILE):
            if (row["method"], row["masks"]) == ("model", "seen"):
                key = (f"{data}, {row['echo']}" if by_contrast else data, method)
                scores = values[key][row["scan"], row["echo"]]
                for metric in METRICS:
                    scores[metric].append(float(row[metric]))
    if not values:
        raise ValueError(f"no evaluated MRI run in {', '.join(map(str, paths))}")
    return values


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        raise ValueError(
            f"{path} is missing; make it with python mri/evaluate.py run={path.parent}"
        )
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _check_comparable(
    folder: Path, run: Mapping[str, Any], other_folder: Path, other: Mapping[str, Any]
) -> None:
    """Refuse runs that would share a row or a comparison and differ in what it is not about."""
    ours, theirs = run["config"], other["config"]
    if _data(ours["dataset"]) != _data(theirs["dataset"]):
        return
    differing = [f"dataset.{key}" for key in _SAMPLING if _differ(ours, theirs, "dataset", key)]
    if _method(run) == _method(other):
        differing += [
            f"{group}.{key}"
            for group in ("model", "fit", "dataset")
            for key in ours.get(group, {})
            if f"{group}.{key}" not in differing and _differ(ours, theirs, group, key)
        ]
        if run["seed"] == other["seed"] and not differing:
            raise ValueError(f"{folder} and {other_folder} are the same run twice; leave one out")
    if differing:
        raise ValueError(
            f"{folder} and {other_folder} differ in {', '.join(differing)}; compare them apart"
        )


def _differ(ours: Mapping[str, Any], theirs: Mapping[str, Any], group: str, key: str) -> bool:
    """Return whether a value differs; one that an earlier version did not know does not."""
    here, there = ours.get(group, {}), theirs.get(group, {})
    return key in here and key in there and bool(here[key] != there[key])


def table(values: Values, control: str = CONTROL, only: str | None = None) -> str:
    """Return the differences as Markdown, one row for each method but the control.

    Args:
        values: from `read_runs`.
        control: method that others are compared with, on the same data.
        only: leave out all methods but this one.

    Raises:
        ValueError: if the control is missing for some data.
    """
    lines = [
        "| data | method | " + " | ".join(_HEADS[m] for m in METRICS) + " | scans | seeds |",
        "| --- | --- |" + " ---: |" * (len(METRICS) + 2),
    ]
    for (data, method), scans in sorted(values.items(), key=lambda item: item[0]):
        if method == control or only not in (None, method):
            continue
        if (data, control) not in values:
            known = sorted({m for d, m in values if d == data})
            raise ValueError(f"no run of {control!r} on {data!r} to compare with; it has {known}")
        rivals = values[data, control]
        common = [scan for scan in scans if scan in rivals]
        cells = []
        for metric in METRICS:
            own, theirs = (
                [float(np.mean(side[scan][metric])) for scan in common] for side in (scans, rivals)
            )
            cells.append(_text(difference(own, theirs), 4 if metric == "ssim" else 2))
        n_seeds = max(len(entry[METRICS[0]]) for entry in scans.values())
        lines.append(f"| {data} | {method} | {' | '.join(cells)} | {len(common)} | {n_seeds} |")
    note = f"Differences to {control}, paired over scans, with 95 % intervals; seeds are averaged."
    return "\n".join([*lines, "", note]) + "\n"


def _data(dataset: Mapping[str, Any]) -> str:
    words = [Path(dataset["root"]).name, f"{dataset['acceleration']:g}x"]
    if dataset["n_train_scans"] is not None:
        words.append(f"{dataset['n_train_scans']} scans")
    return ", ".join(words)


def _method(run: Mapping[str, Any]) -> str:
    model = run["config"]["model"]
    name = run["model"]
    if model["weighting"] != "none":
        name += f" with {model['weighting']}"
    if model.get("residual"):
        name = f"residual {name}"
    return f"{name}, {run['transform']}"


def _text(found: Difference, digits: int) -> str:
    if found.half_width is None:
        return f"{found.mean:+.{digits}f}"
    return f"{found.mean:+.{digits}f} ± {found.half_width:.{digits}f}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table, or write it into a file; return the exit status."""
    parser = argparse.ArgumentParser(description="Paired differences over scans, with intervals.")
    parser.add_argument("runs", nargs="+", type=Path, help="folders that hold evaluated runs")
    parser.add_argument("--control", default=CONTROL, help="model and transform (%(default)r)")
    parser.add_argument("--only", metavar="METHOD", help="leave out all other methods")
    parser.add_argument("--by-contrast", action="store_true", help="one row per contrast")
    parser.add_argument("--update", type=Path, metavar="FILE", help="write into this file")
    parser.add_argument("--marker", metavar="NAME", help="between <!-- NAME --> and <!-- /NAME -->")
    options = parser.parse_args(arguments)
    try:
        values = read_runs(options.runs, by_contrast=options.by_contrast)
        text = table(values, options.control, options.only)
        if options.update is None:
            sys.stdout.write(text)
        else:
            update_between_markers(options.update, options.marker or "", text)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"{parser.prog}: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
