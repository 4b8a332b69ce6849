"""The MRI methods below some folders: which runs are seeds of one, and what they scored."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from monarch_core.report.compare.groups import Group, group_runs
from monarch_core.report.compare.paired import (
    Method,
    check_items,
    refuse_doubles,
    refuse_mixtures,
)
from monarch_core.report.compare.settings import number_or_text
from monarch_core.report.read.collect import Run, collect_runs
from monarch_core.report.read.identity import FURTHER_METRICS, SWAPPED, UNKNOWN
from monarch_core.runs.typed import typed
from mri.config.run import MriConfig
from mri.metrics.losses import STRUCTURE_WEIGHT
from mri.metrics.scan_scores import read_scores


def mri_runs(paths: Sequence[Path]) -> list[Run]:
    """Return the runs below some folders that are none of another task.

    Settings that the version which made a run did not know have the defaults of today.

    Raises:
        ValueError: if there is no evaluated MRI run, or one does not say what it was.
    """
    of_today = dataclasses.asdict(MriConfig())
    defaults = {key: value for key, value in of_today.items() if key not in SWAPPED}
    found = collect_runs(paths, defaults)
    runs = [run for run in found if run.task == "mri" or run.status != "finished"]
    finished = [run for run in runs if run.status == "finished"]
    if not finished:
        raise ValueError(
            f"no evaluated MRI run in {', '.join(map(str, paths))}; make one with "
            "python mri/train.py, or evaluate one with python mri/evaluate.py run=FOLDER"
        )
    for run in finished:
        where = {**run.settings, **run.places}
        anew = f"evaluate it anew with python mri/evaluate.py {typed('run', run.name)}"
        if UNKNOWN in where or "dataset.root" not in where:
            raise ValueError(
                f"{run.name}: results.json does not say on which data it was made; {anew}"
            )
        is_word, _, word = number_or_text(where.get("dataset.acceleration", "1"))
        if is_word:
            raise ValueError(
                f"{run.name}: dataset.acceleration is {word!r}, which is no number; {anew}"
            )
    return [dataclasses.replace(run, settings=_without_further(run.settings)) for run in runs]


def _without_further(settings: Mapping[str, str]) -> dict[str, str]:
    """Return settings without what only asks for further metrics: the others stay the same."""
    return {key: value for key, value in settings.items() if key not in FURTHER_METRICS}


def read_methods(runs: Sequence[Run], *, by_contrast: bool = False) -> list[Method]:
    """Return every method of some runs, in the order of the tables.

    Args:
        runs: from `mri_runs`.
        by_contrast: each echo or contrast is data of its own.

    Raises:
        ValueError: two runs would share a row, or be compared, and differ in more than that allows;
            or the scores of a run are missing or damaged.
    """
    refuse_doubles(runs)
    groups = group_runs(runs)
    data = {group.data: _data(group) for group in reversed(groups)}
    named = [(data[group.data], _method(group), group) for group in groups]
    refuse_mixtures(named)
    methods = []
    for where, name, group in named:
        scores = tuple(read_scores(run) for run in group.runs)
        check_items(group.runs, scores, "scan")
        if not by_contrast:
            methods.append(Method(where, name, group, scores))
            continue
        for echo in dict.fromkeys(echo for _, echo in scores[0]):
            own = [{key: row for key, row in one.items() if key[1] == echo} for one in scores]
            methods.append(Method(f"{where}, {echo}", name, group, tuple(own)))
    return sorted(methods, key=lambda method: (method.data, method.name))


def _data(group: Group) -> str:
    settings = {**group.settings, **group.runs[0].places}
    words = [Path(settings["dataset.root"]).name]
    words.append(f"{float(settings['dataset.acceleration']):g}x")
    if settings["dataset.n_train_scans"] != "null":
        words.append(f"{settings['dataset.n_train_scans']} scans")
    return ", ".join(words)


def _method(group: Group) -> str:
    weighting = group.settings.get("model.weighting", "none")
    residual = "residual " if group.settings.get("model.residual") == "true" else ""
    name = group.model if weighting == "none" else f"{group.model} with {weighting}"
    loss = group.settings.get("loss", "l2")
    weight = float(group.settings.get("structure_weight", STRUCTURE_WEIGHT))
    by = "" if loss == "l2" else f" by {loss}"
    by += "" if weight == STRUCTURE_WEIGHT else f" {weight:g}"
    return f"{residual}{name}{by}, {group.transform}"
