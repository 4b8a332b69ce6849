"""`results.json`: what a run found, what it cost, and how to get it again."""

import dataclasses
import importlib.metadata
import json
import logging
import math
import platform
import shlex
import statistics
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from omegaconf import MISSING

from monarch_core.runs.files import write_text
from monarch_core.runs.folder import RunFolder
from monarch_core.runs.processes import is_main_process

log = logging.getLogger(__name__)

PACKAGES = ("torch", "neuraloperator", "transformers", "hydra-core", "monarch-science")


def write_results(
    run_dir: Path,
    *,
    task: str,
    dataset: str,
    model: str,
    transform: str,
    seed: int,
    split_sizes: Mapping[str, int],
    metrics: Mapping[str, Any],
    n_parameters: int,
    config: Any,
    fingerprints: Mapping[str, str] | None = None,
    transform_declares: Mapping[str, Any] | None = None,
    data_identity: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write `results.json` atomically and return what is in it.

    Times come from the log of the run. `train_seconds` is the sum over all epochs of training and
    validation; `seconds_per_epoch` is the median over the epochs after the first (the warm-up) of
    the training part alone, read after synchronising the device. `peak_memory_bytes` is
    the peak of the first process: allocated on a GPU, resident on a CPU. `device` is the one it was
    trained on. All four are null when the run has no log. `defaults` are the values of the options
    where nothing is said, for comparisons with runs that did not know them. `started_from` is where
    a run began that took the weights of another one, else null. Numbers that are not finite are
    written as null, since JSON has none; a metric of null therefore means NaN or infinity.

    Args:
        run_dir: the run folder.
        task: the application: its scripts are `TASK/train.py` and `TASK/evaluate.py`.
        dataset: its name.
        model: its name.
        transform: its name.
        seed: of the run.
        split_sizes: samples in each split, by name.
        metrics: numbers, or lists of numbers, by name.
        n_parameters: real numbers that the model learns.
        config: of the run.
        fingerprints: of the data of each split, by name: what they hold, wherever they lie.
        transform_declares: what the transform says of itself: its basis before learning, whether
            it is the control, and what of it learns.
        data_identity: what the data are, as the recipe that made them says.

    Raises:
        OSError: the file cannot be written.
        ValueError: a value cannot be written as JSON.
    """
    folder = RunFolder(run_dir)
    results = {
        "task": task,
        "dataset": dataset,
        "model": model,
        "transform": transform,
        "transform_declares": _plain(transform_declares, "transform_declares"),
        "seed": seed,
        "started_from": folder.read_origin(),
        "split_sizes": dict(split_sizes),
        "data_fingerprints": dict(fingerprints or {}),
        "data_identity": _plain(data_identity, "data_identity"),
        "metrics": _plain(metrics, "metrics"),
        "n_parameters": n_parameters,
        **_cost(folder),
        "versions": versions(),
        "git_commit": git_commit(),
        "command": _command(folder, task),
        "config": _plain(config, "config"),
        "defaults": _plain(_defaults_of(config), "defaults"),
    }
    trained, wanted = results.get("n_epochs"), results["config"].get("fit", {}).get("epochs")
    if trained and wanted and trained < wanted:
        log.warning("%s was trained for %d of its %d epochs only", run_dir, trained, wanted)
    if is_main_process():
        write_text(folder.results, json.dumps(results, indent=2, allow_nan=False) + "\n")
    return results


def report_metrics(run_dir: Path, metrics: Mapping[str, float], required: Iterable[str]) -> None:
    """Log every metric, so that the numbers are there whatever happens to the files after it.

    Args:
        run_dir: the run folder, for the message.
        metrics: numbers by name.
        required: names of those that a result must have.

    Raises:
        ValueError: a required metric is NaN or infinite.
    """
    for name, value in metrics.items():
        log.info("%s: %.4g", name, value)
    undefined = [f"{name}={metrics[name]}" for name in required if not math.isfinite(metrics[name])]
    if undefined:
        raise ValueError(
            f"the test split of {run_dir} gives {', '.join(undefined)}, which is no result: either "
            "the model predicts NaN or infinity (train it again with a lower fit.learning_rate) or "
            "a test sample is zero, where relative errors are undefined (leave it out)"
        )


def versions() -> dict[str, str | None]:
    """Return the versions of Python, the libraries that matter and this project; null if absent."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = None
    return found


def git_commit(source: Path = Path(__file__)) -> str | None:
    """Return the commit a source file belongs to, "-dirty" added when the tree has changes.

    None stands for a file that git does not track, such as an installed copy: its folder may lie
    inside somebody else's repository.
    """
    if _git(source.parent, "ls-files", "--error-unmatch", source.name) is None:
        return None
    commit = _git(source.parent, "rev-parse", "HEAD")
    changes = _git(source.parent, "status", "--porcelain", "--untracked-files=no")
    return f"{commit}-dirty" if commit and changes else commit


def _git(folder: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _command(folder: RunFolder, task: str) -> str | None:
    """Return the command that makes the run again; None when hydra did not start it."""
    given = folder.started_with()
    script = f"{task}/{folder.started_by() or 'train'}.py"
    return None if given is None else shlex.join(["python", script, *given])


def _cost(folder: RunFolder) -> dict[str, Any]:
    log_of_run = folder.log
    epochs = log_of_run.read()
    if not epochs:
        return dict.fromkeys(("train_seconds", "seconds_per_epoch", "peak_memory_bytes", "device"))
    seconds, valid_seconds, memory = (
        log_of_run.column(epochs, key) for key in ("seconds", "valid_seconds", "peak_memory_bytes")
    )
    best = log_of_run.best() or epochs[0]
    return {
        "train_seconds": math.fsum(seconds) + math.fsum(valid_seconds),
        "seconds_per_epoch": statistics.median(seconds[1:] or seconds),
        "peak_memory_bytes": max(memory),
        "device": epochs[-1].get("device"),
        "n_epochs": epochs[-1]["epoch"],
        "best_epoch": best["epoch"],
    }


def _defaults_of(config: Any) -> dict[str, Any]:
    """Return the defaults of the fields of a dataclass and of those in it, by their names."""
    found: dict[str, Any] = {}
    for item in dataclasses.fields(config) if dataclasses.is_dataclass(config) else ():
        value = getattr(config, item.name)
        if dataclasses.is_dataclass(value):
            found[item.name] = _defaults_of(value)
        elif item.default is not dataclasses.MISSING and item.default != MISSING:
            found[item.name] = item.default
        elif item.default_factory is not dataclasses.MISSING:
            found[item.name] = item.default_factory()
    return found


def _plain(value: Any, name: str) -> Any:
    """Return nested dicts, lists, numbers and strings."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(entry, f"{name}.{key}") for key, entry in value.items()}
    if hasattr(value, "tolist"):  # numbers and arrays of numpy and torch
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [_plain(entry, name) for entry in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, Path):
        return str(value)
    raise ValueError(
        f"{name} is a {type(value).__name__}, which results.json cannot hold; give a number, a "
        "string, or lists and dicts of them"
    )
