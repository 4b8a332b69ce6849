"""The run whose weights another one starts from: where it is, whether it fits, what is noted."""

import dataclasses
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from monarch_core.runs.files import write_text
from monarch_core.runs.fingerprint import fingerprint_files
from monarch_core.runs.folder import RunFolder
from monarch_core.runs.overrides import key_of
from monarch_core.runs.processes import is_main_process
from monarch_core.runs.start import as_typed, asked_overrides
from monarch_core.training.transfer import Transfer


def run_of(path: Path) -> RunFolder | None:
    """Return the run that a path is the folder or the weights of; None where it is of no run.

    Raises:
        ValueError: the run has no weights yet.
    """
    folder = RunFolder(path.parent if path == RunFolder(path.parent).weights else path)
    if not folder.config.is_file():
        return None
    if not folder.weights.is_file():
        raise ValueError(
            f"{folder.weights} does not exist, so {folder.path} has not finished an epoch; train "
            "that run first"
        )
    return folder


def check_options(folder: RunFolder, here: Any, there: Any, free: Collection[str] = ()) -> None:
    """Raise ValueError unless two models have the same options, as far as their weights need it.

    Args:
        folder: of the run that has the weights.
        here: options of the model that takes them, a dataclass.
        there: those of the model that they are from.
        free: options that may be others.
    """
    mine, others = dataclasses.asdict(here), dataclasses.asdict(there)
    changed = [
        f"model.{key}={mine.get(key)} (there {value})"
        for key, value in others.items()
        if key not in free and mine.get(key) != value
    ]
    if changed:
        raise ValueError(
            f"weights={folder.path} was trained with another network: {', '.join(changed)}; give "
            "the options that it was trained with"
        )


def words_of_data(folder: RunFolder, schema: type) -> str:
    """Return the overrides that chose the data of a run; empty where none did, or none are known.

    Args:
        folder: of the run.
        schema: the dataclass of its config.
    """
    given = as_typed(schema, folder.started_with() or [])
    return " ".join(w for w in given if key_of(w).split(".")[0] in ("dataset", "experiment"))


def check_data_are_named(
    folder: RunFolder, same: str, default: str, *, place: str, is_default: bool
) -> None:
    """Raise ValueError where a command names no data, and would learn from others by chance.

    Args:
        folder: of the run that has the weights.
        same: what to type for the data that they learned from.
        default: what to type for those that a command without a word of them means.
        place: the option of the folder or file of data, as `dataset.path`.
        is_default: these two are the same data.
    """
    asked = asked_overrides()
    if asked is None or is_default or {"dataset", place, "experiment"} & {*map(key_of, asked)}:
        return
    raise ValueError(
        f"weights={folder.path} learned from {same}, and this command names no data; give "
        f"{same} for the same, {default} for the default ones, or others"
    )


def note_origin(run_dir: Path, path: Path, file: Path, transfer: Transfer, **more: str) -> None:
    """Note in a run folder where its weights are from; the first process alone writes.

    Args:
        run_dir: the run folder.
        path: what `weights` named.
        file: the weights themselves, whose fingerprint is noted.
        transfer: what was taken, and what was left.
        more: what else is to be known of it, by name.
    """
    if is_main_process():
        origin = {
            "weights": str(path.absolute()),
            "fingerprint": fingerprint_files([file]),
            **more,
            "taken": len(transfer.tensors),
            "left": transfer.left,
        }
        write_text(RunFolder(run_dir).origin, json.dumps(origin, indent=2) + "\n")
