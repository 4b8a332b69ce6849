"""Find run folders and read what they hold, without trusting any of it.

A run that failed, that was killed, or whose files are damaged becomes a `Run` that says so; nothing
that one folder holds keeps the others out of the report.
"""

import math
import os
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from monarch_core.report.read.identity import (
    DATASET,
    SWAPPED,
    completed,
    defaults_in,
    identity_of,
)
from monarch_core.report.read.untrusted import as_float, finite, not_finite
from monarch_core.runs.declared import UNKNOWN, Declared, declared
from monarch_core.runs.folder import RunFolder
from monarch_core.runs.printable import printable
from monarch_core.runs.standing import standing_of

COSTS = ("n_parameters", "seconds_per_epoch", "train_seconds", "peak_memory_bytes")
LOGGED = ("train_loss", "valid_error")
_MOST_METRICS = 1000
_TRAINING = re.compile(r"\w+/train\.py")

Status = Literal["finished", "running", "failed", "unfinished", "unreadable"]


@dataclass(frozen=True)
class Run:
    """What one run folder holds; every text in it can be printed.

    Attributes:
        folder: the run folder.
        status: "finished" when `results.json` can be read, else why it cannot; "running" while a
            process works in the folder.
        reason: one line: the last line of `failure.txt`, what is wrong with the file, how far the
            run came; empty for a finished run.
        task: name of the task, such as `pde`.
        dataset: name of the dataset.
        model: name of the model.
        transform: name of the transform.
        declared: what the transform says of itself.
        seed: seed of the run, None if `results.json` has none.
        metrics: the metrics in the order of the file, NaN where they are not finite.
        costs: `n_parameters`, `seconds_per_epoch` (s), `train_seconds` (s) and
            `peak_memory_bytes` (bytes); None where unknown.
        settings: what the run is, as in `Identity`.
        transform_settings: the part of it below `transform`.
        defaults: of the options that it knew, flat as its settings.
        places: where its data lay and how they were made, where neither is part of the settings.
        device: what it ran on.
        versions: package versions.
        git_commit: commit of the code, empty if unknown.
        command: the command that started the run, empty if not recorded.
        log: epoch, training loss and validation error of each line of its log that can be read;
            NaN where they are not finite.
        notes: what was odd about the folder.
    """

    folder: Path
    status: Status
    reason: str = ""
    task: str = ""
    dataset: str = ""
    model: str = ""
    transform: str = ""
    declared: Declared = UNKNOWN
    seed: int | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    costs: Mapping[str, float | None] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    transform_settings: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)
    device: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    git_commit: str = ""
    command: str = ""
    log: tuple[Mapping[str, float], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The folder, as it can be printed."""
        return printable(str(self.folder))

    @property
    def identity(self) -> tuple[object, ...]:
        """What the run is, apart from its seed: equal for runs that are averaged."""
        settings = (tuple(sorted(s.items())) for s in (self.settings, self.transform_settings))
        names = (self.task, self.dataset, self.model, self.transform)
        return *names, self.declared.control, *settings


def collect_runs(
    paths: Sequence[Path | str], defaults: Mapping[str, Any] | None = None
) -> list[Run]:
    """Read every run in or below the given folders, in the order of their paths.

    An option that a run did not know has its default, if another one records it.

    A folder is a run if it holds `results.json`, `failure.txt` or `config.yaml`. Folders whose name
    starts with a dot are not entered, nor are links to folders.

    Args:
        paths: run folders, folders that contain run folders, or `results.json` files.
        defaults: a config of today, nested, where no run need record it.

    Raises:
        ValueError: a path does not exist, or there is no run in any of them.
    """
    found: dict[Path, Run] = {}
    links: list[Path] = []
    for path in map(Path, paths):
        if not path.exists():
            raise ValueError(f"{path} does not exist; give run folders or a folder that holds some")
        for run in _runs_below(path.parent if path.is_file() else path, links):
            found.setdefault(run.folder.resolve(), run)
    for link in links:
        if not any(folder.is_relative_to(link.resolve()) for folder in found):
            reason = f"a link to {link.resolve()}, not followed; give that folder itself"
            found[link.absolute()] = Run(link, "unreadable", printable(reason))
    if not found:
        raise ValueError(
            f"no run found in {', '.join(map(str, paths))}; a run folder holds results.json, "
            "failure.txt or config.yaml, and a training command makes one"
        )
    return with_defaults(list(found.values()), defaults or {})


def read_run(folder: Path) -> Run:
    """Read one run folder; whatever is wrong with it ends up in `status`, `reason` and `notes`."""
    files = RunFolder(folder)
    log, notes = _read_log(files)
    has_failed = os.path.lexists(files.failure)
    if os.path.lexists(files.results):
        try:
            run = _finished(folder, files.read_results())
        except (OSError, ValueError, RecursionError) as error:
            reason = printable(f"{files.results.name}: {error}")
            return Run(folder, "unreadable", reason, log=log, notes=notes)
        if has_failed:
            notes = (*notes, f"{files.failure.name} of another attempt is there as well")
        return replace(run, log=log, notes=(*run.notes, *notes))
    standing = standing_of(files)
    if standing.stage == "running":
        return Run(folder, "running", standing.words, log=log, notes=notes)
    if has_failed:
        return Run(folder, "failed", _why(files), log=log, notes=notes)
    return Run(folder, "unfinished", f"stopped after {standing.words}", log=log, notes=notes)


def with_defaults(runs: Sequence[Run], defaults: Mapping[str, Any]) -> list[Run]:
    """Return runs whose settings have the defaults of options that they did not know.

    Args:
        runs: of any tasks; the defaults of one count for those of its task, and where they are of
            a data set or a model, for those of the same.
        defaults: further ones, nested, for all.

    What two versions have different defaults for is not completed.
    """
    stated: dict[tuple[str, ...], dict[str, set[str]]] = {}
    for run in runs:
        for key, value in run.defaults.items():
            stated.setdefault(_choice_of(run, key), {}).setdefault(key, set()).add(value)
    known = {
        choice: {key: next(iter(values)) for key, values in keys.items() if len(values) == 1}
        for choice, keys in stated.items()
    }
    found = []
    for run in runs:
        own = defaults_in({"defaults": defaults})
        for choice in {_choice_of(run, key) for key in ("", DATASET, "model.")}:
            own |= known.get(choice, {})
        swapped = {key: value for key, value in own.items() if key.partition(".")[0] in SWAPPED}
        others = {key: value for key, value in own.items() if key not in swapped}
        found.append(
            replace(
                run,
                settings=completed(run.settings, others, run.places),
                transform_settings=completed(run.transform_settings, swapped),
            )
        )
    return [new if new.status == "finished" else old for old, new in zip(runs, found, strict=True)]


def _choice_of(run: Run, key: str) -> tuple[str, ...]:
    """Return whose option a key is: of all runs of a task, or of a data set or model of it."""
    if key.startswith(DATASET):
        return run.task, DATASET, run.dataset
    return (run.task, "model.", run.model) if key.startswith("model.") else (run.task,)


def _runs_below(root: Path, links: list[Path]) -> Iterable[Run]:
    """Yield the runs of a folder and add the links in it that lead to runs to a list."""
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                children = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            yield Run(folder, "unreadable", printable(f"cannot be entered: {error}"))
            continue
        if RunFolder(folder).is_run:
            yield read_run(folder)
        shown = [child for child in children if not child.name.startswith(".")]
        waiting += [Path(c) for c in reversed(shown) if c.is_dir(follow_symlinks=False)]
        links += [Path(c) for c in shown if c.is_symlink() and _leads_to_runs(Path(c))]


def _leads_to_runs(link: Path) -> bool:
    try:
        return link.is_dir() and any(RunFolder(x).is_run for x in (link, *link.iterdir()))
    except OSError:
        return False


def _finished(folder: Path, results: Any) -> Run:
    if not isinstance(results, dict) or not isinstance(results.get("metrics"), dict):
        raise ValueError("no metrics in it")
    identity = identity_of(results, str(folder))
    metrics, odd = _metrics(results["metrics"])
    if len(metrics) > _MOST_METRICS:
        raise ValueError(f"{len(metrics)} metrics, more than {_MOST_METRICS}")
    notes = [*identity.notes, *odd]
    seed, command = results.get("seed"), results.get("command")
    if isinstance(seed, bool) or not isinstance(seed, int):
        notes.append(
            f"seed {printable(str(seed))!r} is no whole number: the run counts as one more"
        )
        seed = None
    if command is not None and not _is_training(command):
        notes.append("its command is not one that a training script records and is not shown")
        command = ""
    versions = results.get("versions")
    return Run(
        folder=folder,
        status="finished",
        task=_name(results.get("task")),
        dataset=_name(results.get("dataset")),
        model=_name(results.get("model")),
        transform=_name(results.get("transform")),
        declared=declared(results),
        seed=seed,
        metrics=metrics,
        costs={key: finite(results.get(key)) for key in COSTS},
        settings=identity.settings,
        transform_settings=identity.transform_settings,
        defaults=defaults_in(results),
        places=identity.places,
        device=_text(results.get("device")),
        versions={
            printable(name): _text(version)
            for name, version in (versions if isinstance(versions, dict) else {}).items()
            if version is not None
        },
        git_commit=_text(results.get("git_commit")),
        command=command or "",
        notes=tuple(notes),
    )


def _read_log(files: RunFolder) -> tuple[tuple[dict[str, float], ...], tuple[str, ...]]:
    name, damaged = files.log.path.name, list[str]()
    try:
        epochs = files.log.read(damaged)
    except (OSError, ValueError) as error:
        return (), (printable(f"{name} cannot be read: {error}"),)
    kept = tuple(_numbers(epoch) for epoch in epochs)
    n_bad = sum(map(bool, damaged))
    notes = [f"{n_bad} lines of {name} cannot be read and are left out"] if n_bad else []
    n_diverged = sum(math.isnan(value) for line in kept for value in line.values())
    if n_diverged:
        notes.append(f"{n_diverged} values in {name} are not finite")
    return kept, tuple(notes)


def _numbers(epoch: Mapping[str, Any]) -> dict[str, float]:
    values = {key: as_float(epoch[key]) for key in LOGGED if key in epoch}
    if epoch["epoch"] == 0:  # before training there is no loss of it
        values.pop("train_loss", None)
    return {"epoch": epoch["epoch"], **values}


def _why(files: RunFolder) -> str:
    try:
        return printable(files.why_failed()) or "no reason given"
    except (OSError, ValueError) as error:
        return printable(f"{files.failure.name} cannot be read: {error}")


def _is_training(command: Any) -> bool:
    """Tell whether a command is one plain call of a training script, as runs record it.

    What shells would expand, chain or redirect is not: nobody is to be handed such a line to paste.
    """
    if not isinstance(command, str) or not command.isprintable():
        return False
    try:
        parts = shlex.split(command)
    except ValueError:
        return False
    is_plain = shlex.join(parts) == command
    return is_plain and parts[:1] == ["python"] and bool(_TRAINING.fullmatch("".join(parts[1:2])))


def _name(value: Any) -> str:
    return _text(value.get("name") if isinstance(value, dict) else value) or "unnamed"


def _text(value: Any) -> str:
    if value is None:
        return ""
    parts = (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]
    )
    return printable(", ".join(map(str, parts)))


def _metrics(tree: Mapping[str, Any], prefix: str = "") -> tuple[dict[str, float], list[str]]:
    """Return the numbers, NaN for those that are not finite, and notes on what is no number.

    Lists belong to curves, not to tables.
    """
    numbers: dict[str, float] = {}
    notes: list[str] = []
    for key, value in tree.items():
        name = f"{prefix}{printable(key)}"
        if isinstance(value, Mapping):
            below, odd = _metrics(value, f"{name}/")
            numbers |= below
            notes += odd
        elif (number := finite(value)) is not None:
            numbers[name] = number
        elif not_finite(value):
            numbers[name] = math.nan
        elif not isinstance(value, list):
            notes.append(f"metric {name} is {printable(str(value))!r}, which is no number")
    return numbers, notes
