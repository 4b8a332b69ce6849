"""Paired differences over scans: `python mri/compare.py RUNS... [--update FILE --marker NAME]`.

Every method is compared with the control on the same scans under the same masks. With m_i the mean
over seeds, then over the echoes of scan i, of a metric, and n scans,

    d_i = m_i - m_i(control),   d = 1/n sum_i d_i,   interval = d -+ t s / sqrt(n)

where s is the standard deviation of the d_i and t the 97.5 % quantile of Student's distribution
with n - 1 degrees of freedom. What runs are, and which are seeds of one method, is decided as in
`monarch-report`.
"""

import argparse
import dataclasses
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import t as student

from monarch_core.report.cli import update_between_markers
from monarch_core.report.compare.groups import (
    Group,
    beside_the_table,
    group_runs,
    number_or_text,
)
from monarch_core.report.read.collect import Run, collect_runs
from monarch_core.report.read.identity import (
    BOOKKEEPING,
    FINGERPRINT,
    FURTHER_METRICS,
    PLACES,
    UNKNOWN,
    UNSET,
    differing_keys,
    flatten,
    is_measured,
)
from monarch_core.report.render.text_table import Cell, TextTable
from monarch_core.report.wording import NOT_FINITE
from mri.config.run import MriConfig
from mri.metrics.scan_scores import METRICS, Scores, check_scans, read_scores

CONTROL = "sense, fft"
_HEADS = {
    "psnr": "complex PSNR, dB",
    "psnr_magnitude": "magnitude PSNR, dB",
    "ssim": "SSIM",
}
_OF_METHODS = ("model.", "transform.")  # settings that make one method another


@dataclass(frozen=True)
class Difference:
    """Mean paired difference to the control, with the half width of its 95 % interval.

    Attributes:
        mean: d, NaN where a value is not finite.
        half_width: of the interval; None for a single scan, or without a mean.
        n_scans: scans that both have.
    """

    mean: float
    half_width: float | None
    n_scans: int


@dataclass(frozen=True)
class Method:
    """One method on one kind of data.

    Attributes:
        data: name of the data.
        name: name of the method.
        group: its runs, one per seed.
        scores: of each of them.
    """

    data: str
    name: str
    group: Group
    scores: tuple[Scores, ...]


def difference(own: Sequence[float], control: Sequence[float]) -> Difference:
    """Return the mean of own - control, element by element, with its interval.

    Raises:
        ValueError: if the lengths differ or are zero.
    """
    if len(own) != len(control) or not len(own):
        raise ValueError(
            f"paired values are needed, got {len(own)} of the method and {len(control)} of the "
            "control; evaluate both on the same scans"
        )
    if not np.isfinite([*own, *control]).all():
        return Difference(math.nan, None, len(own))
    d = np.subtract(own, control)
    if len(d) == 1:
        return Difference(float(d[0]), None, 1)
    error = d.std(ddof=1) / np.sqrt(len(d))
    return Difference(float(d.mean()), float(student.ppf(0.975, len(d) - 1) * error), len(d))


def read_methods(runs: Sequence[Run], *, by_contrast: bool = False) -> list[Method]:
    """Return every method of some runs, in the order of the tables.

    Args:
        runs: from `mri_runs`.
        by_contrast: each echo or contrast is data of its own.

    Raises:
        ValueError: two runs would share a row, or be compared, and differ in more than that allows;
            or the scores of a run are missing or damaged.
    """
    _refuse_doubles(runs)
    groups = group_runs(runs)
    names: dict[object, str] = {}
    for group in groups:
        names.setdefault(group.data, _data(group))
    seen: dict[tuple[str, str], Group] = {}
    datasets: dict[str, Group] = {}
    methods = []
    for group in groups:
        data, name = names[group.data], _method(group)
        other = datasets.setdefault(data, group)
        if other.data != group.data:
            _refuse(other, group)
        if (data, name) in seen:
            _refuse(seen[data, name], group)
        seen[data, name] = group
        scores = tuple(read_scores(run) for run in group.runs)
        check_scans(group.runs, scores)
        if by_contrast:
            for echo in dict.fromkeys(echo for _, echo in scores[0]):
                own = [{key: row for key, row in one.items() if key[1] == echo} for one in scores]
                methods.append(Method(f"{data}, {echo}", name, group, tuple(own)))
        else:
            methods.append(Method(data, name, group, scores))
    return sorted(methods, key=lambda method: (method.data, method.name))


def mri_runs(paths: Sequence[Path]) -> list[Run]:
    """Return the runs below some folders that are none of another task.

    Settings that the version which made a run did not know have their defaults. What only asks for
    further metrics is left out, since the scores compared here are the same with and without.

    Raises:
        ValueError: if there is no evaluated MRI run, or one does not say what it was.
    """
    runs = [run for run in collect_runs(paths) if run.task == "mri" or run.status != "finished"]
    if not any(run.status == "finished" for run in runs):
        raise ValueError(
            f"no evaluated MRI run in {', '.join(map(str, paths))}; make one with "
            "python mri/train.py, or evaluate one with python mri/evaluate.py run=FOLDER"
        )
    left_out = {*BOOKKEEPING, "transform"}
    defaults = flatten(
        {
            key: value
            for key, value in dataclasses.asdict(MriConfig()).items()
            if key not in left_out
        }
    )
    complete = []
    for run in runs:
        where = {**run.settings, **run.places}
        if run.status == "finished" and (UNKNOWN in where or "dataset.root" not in where):
            raise ValueError(
                f"{run.name}: results.json does not say on which data it was made; evaluate it "
                f"anew with python mri/evaluate.py run={run.name}"
            )
        acceleration = number_or_text(where.get("dataset.acceleration", "1"))
        if acceleration[0]:
            raise ValueError(
                f"{run.name}: dataset.acceleration is {acceleration[2]!r}, which is no number; "
                f"evaluate it anew with python mri/evaluate.py run={run.name}"
            )
        settings = {
            key: value
            for key, value in {**defaults, **run.settings}.items()
            if key not in FURTHER_METRICS and (key in run.settings or key not in PLACES)
        }
        complete.append(dataclasses.replace(run, settings=settings))
    return complete


def table(methods: Sequence[Method], control: str = CONTROL, only: str | None = None) -> TextTable:
    """Return the differences, one row for each method but the control.

    Args:
        methods: from `read_methods`.
        control: method that others are compared with, on the same data.
        only: leave out all methods but this one.

    Raises:
        ValueError: the control is missing for some data, was not measured on the same scans, or
            there is nothing to compare with it.
    """
    controls = {method.data: method for method in methods if method.name == control}
    shown = [m for m in methods if m.name != control and only in (None, m.name)]
    if not shown:
        known = ", ".join(sorted({repr(method.name) for method in methods}))
        raise ValueError(
            f"there is no {only or 'other method'!r} to compare with {control!r}; the runs have "
            f"{known}"
        )
    rows = []
    for method in shown:
        if method.data not in controls:
            known = ", ".join(repr(m.name) for m in methods if m.data == method.data)
            raise ValueError(
                f"no run of {control!r} on {method.data!r} to compare with; it has {known}; add "
                "one, or choose another with --control"
            )
        rival = controls[method.data]
        check_scans(
            (method.group.runs[0], rival.group.runs[0]), (method.scores[0], rival.scores[0])
        )
        found = {m: difference(_by_scan(method, m), _by_scan(rival, m)) for m in METRICS}
        cells = [_text(found[metric], 4 if metric == "ssim" else 2) for metric in METRICS]
        counts = [str(found[METRICS[0]].n_scans), str(len(method.group.runs))]
        rows.append([Cell(text) for text in (method.data, method.name, *cells, *counts)])
    numeric = [*(_HEADS[metric] for metric in METRICS), "scans", "seeds"]
    return TextTable(
        key="differences",
        title="Differences",
        columns=["data", "method", *numeric],
        rows=rows,
        caption=f"Differences to {control}, paired over scans, with 95 % intervals; seeds are "
        "averaged.",
        numeric=frozenset(numeric),
    )


def beside(methods: Sequence[Method], control: str = CONTROL) -> list[str]:
    """Return how the training of each method differs from that of the control."""
    controls = {method.data: method.group for method in methods if method.name == control}
    notes = {}
    for method in methods:
        rival = controls.get(method.data)
        if rival is None or method.name == control:
            continue
        ours, theirs = (
            {
                k: v
                for k, v in g.settings.items()
                if not (is_measured(k) or k.startswith(_OF_METHODS))
            }
            | {"number of seeds": str(len(g.runs))}
            for g in (method.group, rival)
        )
        keys = differing_keys([ours, theirs])
        if keys:
            notes[method.group.data, method.name] = (
                f"{method.data}: {method.name} and {control} differ in {_pairs(ours, theirs, keys)}"
            )
    return list(notes.values())


def _refuse_doubles(runs: Sequence[Run]) -> None:
    seen: dict[object, Run] = {}
    for run in runs:
        if run.status == "finished" and run.seed is not None:
            other = seen.setdefault((run.identity, run.seed), run)
            if other is not run:
                raise ValueError(
                    f"{other.name} and {run.name} are the same run twice; leave one out"
                )


def _refuse(*groups: Group) -> None:
    """Refuse two groups, naming the differences in data and measurement, or else all others."""
    one, other = sorted(groups, key=lambda group: group.runs[0].name)
    here, there = ({**g.settings, **g.transform_settings} for g in (one, other))
    keys = differing_keys([here, there])
    keys = [key for key in keys if is_measured(key)] or keys
    remedy = "compare them apart"
    if any(key in PLACES or key.startswith(FINGERPRINT) for key in keys):
        remedy += ", or evaluate both again if the data are the same, which records what they hold"
    raise ValueError(
        f"{one.runs[0].name} and {other.runs[0].name} differ in "
        f"{_pairs(here, there, keys) or f'their dataset {one.dataset} / {other.dataset}'}; "
        f"{remedy}"
    )


def _pairs(here: Mapping[str, str], there: Mapping[str, str], keys: Sequence[str]) -> str:
    return ", ".join(f"{key} {here.get(key, UNSET)} / {there.get(key, UNSET)}" for key in keys)


def _by_scan(method: Method, metric: str) -> list[float]:
    """Return a metric of each scan, in the order of their names: mean over seeds, then echoes."""
    scans: dict[str, list[float]] = {}
    for key in sorted(method.scores[0]):
        scans.setdefault(key[0], []).append(
            float(np.mean([scores[key][metric] for scores in method.scores]))
        )
    return [float(np.mean(values)) for values in scans.values()]


def _data(group: Group) -> str:
    settings = {**group.settings, **group.runs[0].places}
    words = [Path(settings["dataset.root"]).name]
    words.append(f"{float(settings['dataset.acceleration']):g}x")
    if settings["dataset.n_train_scans"] != "null":
        words.append(f"{settings['dataset.n_train_scans']} scans")
    return ", ".join(words)


def _method(group: Group) -> str:
    name = group.model
    if group.settings["model.weighting"] != "none":
        name += f" with {group.settings['model.weighting']}"
    if group.settings["model.residual"] == "true":
        name = f"residual {name}"
    return f"{name}, {group.transform}"


def _text(found: Difference, digits: int) -> str:
    if math.isnan(found.mean):
        return NOT_FINITE
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
        _run(options)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"{parser.prog}: {' '.join(str(error).split())}\n")
        return 2
    return 0


def _run(options: argparse.Namespace) -> None:
    if (options.update is None) != (options.marker is None):
        raise ValueError("--update FILE and --marker NAME go together; give both or neither")
    runs = mri_runs(options.runs)
    methods = read_methods(runs, by_contrast=options.by_contrast)
    text = table(methods, options.control, options.only).markdown()
    for note in [*beside_the_table(runs), *beside(methods, options.control)]:
        sys.stderr.write(f"{note}\n")
    if options.update is None:
        sys.stdout.write(text)
    else:
        update_between_markers(options.update, options.marker, text)


if __name__ == "__main__":
    sys.exit(main())
