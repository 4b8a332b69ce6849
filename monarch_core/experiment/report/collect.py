"""Find run folders and read what they hold, without trusting any of it.

A run that failed, that was killed, or whose files are damaged becomes a `Run` that says so; nothing
that one folder holds keeps the others out of the report.
"""

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

RESULTS_FILE = "results.json"
FAILURE_FILE = "failure.txt"
CONFIG_FILE = "config.yaml"
LOG_FILE = "log.jsonl"

Status = Literal["finished", "failed", "unfinished", "unreadable"]

# Keys at the top of a config that say how a run was started, not what was computed.
BOOKKEEPING = frozenset({"seed", "resume", "run", "run_dir"})
# Keys anywhere that say where and with how many hands; what that costs is told by the device.
WORKPLACE = frozenset(
    {
        "accelerator",
        "cache_dir",
        "data_dir",
        "mask_cache",
        "n_threads",
        "n_workers",
        "num_workers",
        "root",
    }
)


@dataclass(frozen=True)
class Run:
    """What one run folder holds.

    Attributes:
        folder: the run folder.
        status: "finished" when `results.json` can be read, else why it cannot.
        reason: one line: the last line of `failure.txt`, what is wrong with the file, how far the
            run came; empty for a finished run.
        task: name of the task, such as `pde`.
        dataset: name of the dataset.
        model: name of the model.
        transform: name of the transform.
        seed: seed of the run, None if `results.json` has none.
        metrics: finite numbers as they are, everything else as None, in the order of the file.
        costs: `n_parameters`, `seconds_per_epoch` (s), `train_seconds` (s) and
            `peak_memory_bytes` (bytes); None where unknown.
        settings: the config as {dotted key: value}, without the transform and what does not change
            the result (`BOOKKEEPING`, `WORKPLACE`).
        transform_settings: the part of the config below `transform`, likewise.
        device: what it ran on.
        versions: package versions.
        git_commit: commit of the code, empty if unknown.
        command: the command that started the run, empty if not recorded.
        log: the lines of `log.jsonl` that can be read, one per epoch.
        notes: what was odd about the folder.
    """

    folder: Path
    status: Status
    reason: str = ""
    task: str = ""
    dataset: str = ""
    model: str = ""
    transform: str = ""
    seed: int | None = None
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    costs: Mapping[str, float | None] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    transform_settings: Mapping[str, str] = field(default_factory=dict)
    device: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    git_commit: str = ""
    command: str = ""
    log: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[str, ...] = ()


COSTS = ("n_parameters", "seconds_per_epoch", "train_seconds", "peak_memory_bytes")


def collect_runs(paths: Sequence[Path | str]) -> list[Run]:
    """Read every run in or below the given folders, in the order of their paths.

    A folder is a run if it holds `results.json`, `failure.txt` or `config.yaml`. Folders whose name
    starts with a dot are not entered.

    Args:
        paths: run folders, folders that contain run folders, or `results.json` files.

    Raises:
        ValueError: a path does not exist, or there is no run in any of them.
    """
    folders: dict[Path, Path] = {}
    for path in map(Path, paths):
        if not path.exists():
            raise ValueError(f"{path} does not exist; give run folders or a folder that holds some")
        for folder in _run_folders(path.parent if path.is_file() else path):
            folders.setdefault(folder.resolve(), folder)
    if not folders:
        raise ValueError(
            f"no run found in {', '.join(map(str, paths))}; a run folder holds {RESULTS_FILE}, "
            f"{FAILURE_FILE} or {CONFIG_FILE}, and a training command makes one"
        )
    return [read_run(folder) for folder in folders.values()]


def read_run(folder: Path) -> Run:
    """Read one run folder; whatever is wrong with it ends up in `status`, `reason` and `notes`."""
    log, notes = _read_log(folder / LOG_FILE)
    failure = folder / FAILURE_FILE
    if (folder / RESULTS_FILE).exists():
        try:
            results = json.loads((folder / RESULTS_FILE).read_text(encoding="utf-8"))
            run = _finished(folder, results)
        except (OSError, ValueError) as error:
            return Run(folder, "unreadable", f"{RESULTS_FILE}: {error}", log=log)
        if failure.exists():
            notes = (*notes, f"{FAILURE_FILE} of another attempt is there as well")
        return replace(run, log=log, notes=notes)
    if failure.exists():
        return Run(folder, "failed", _last_line(failure), log=log, notes=notes)
    n_epochs = len({line.get("epoch") for line in log})
    return Run(folder, "unfinished", f"{n_epochs} epochs in {LOG_FILE}", log=log, notes=notes)


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Turn a nested config into {dotted key: value as text}, without the keys of `WORKPLACE`.

    Lists stay in one piece.
    """
    flat: dict[str, str] = {}
    for key, value in tree.items():
        if key in WORKPLACE:
            continue
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value if isinstance(value, str) else json.dumps(value)
    return flat


def _run_folders(root: Path) -> Iterable[Path]:
    for name, children, files in os.walk(root):
        children[:] = sorted(child for child in children if not child.startswith("."))
        if {RESULTS_FILE, FAILURE_FILE, CONFIG_FILE} & set(files):
            yield Path(name)


def _finished(folder: Path, results: Any) -> Run:
    if not isinstance(results, dict) or not isinstance(results.get("metrics"), dict):
        raise ValueError("no metrics in it")
    config = _dict(results.get("config"))
    rest = {k: v for k, v in config.items() if k not in BOOKKEEPING and k != "transform"}
    rest["split_sizes"] = _dict(results.get("split_sizes"))
    seed = results.get("seed")
    return Run(
        folder=folder,
        status="finished",
        task=_name(results.get("task")),
        dataset=_name(results.get("dataset")),
        model=_name(results.get("model")),
        transform=_name(results.get("transform")),
        seed=seed if isinstance(seed, int) else None,
        metrics=_numbers(results["metrics"]),
        costs={key: _number(results.get(key)) for key in COSTS},
        settings=flatten(rest),
        transform_settings=flatten(_dict(config.get("transform")), "transform."),
        device=_text(results.get("device")),
        versions={k: str(v) for k, v in _dict(results.get("versions")).items() if v is not None},
        git_commit=_text(results.get("git_commit")),
        command=_text(results.get("command")),
    )


def _read_log(path: Path) -> tuple[tuple[dict[str, Any], ...], tuple[str, ...]]:
    if not path.exists():
        return (), ()
    lines: list[dict[str, Any]] = []
    n_bad = 0
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            line = None
        if isinstance(line, dict):
            lines.append(line)
        elif text.strip():
            n_bad += 1
    notes = (f"{n_bad} lines of {LOG_FILE} cannot be read and are left out",) if n_bad else ()
    return tuple(lines), notes


def _last_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "no reason given")


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _name(value: Any) -> str:
    return _text(value.get("name")) if isinstance(value, dict) else _text(value)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, dict):
        return ", ".join(map(str, value.values()))
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return value


def _numbers(tree: Mapping[str, Any], prefix: str = "") -> dict[str, float | None]:
    numbers: dict[str, float | None] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            numbers.update(_numbers(value, f"{prefix}{key}/"))
        elif not isinstance(value, list):  # lists belong to curves, not to tables
            numbers[f"{prefix}{key}"] = _number(value)
    return numbers
