"""`log.jsonl`: one line of JSON for every finished epoch."""

import json
import math
import os
import reprlib
from pathlib import Path
from typing import Any

from monarch_core.runs.files import write_failure, write_text

LOG_FILE = "log.jsonl"


def append_epoch(run_dir: Path, record: dict[str, Any]) -> None:
    """Add one line; numbers that are not finite become null, since JSON has none.

    Raises:
        OSError: the disk is full or the folder cannot be written.
    """
    path = run_dir / LOG_FILE
    finite = {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in record.items()
    }
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(finite) + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise OSError(write_failure(path, error)) from error


def read_log(run_dir: Path) -> list[dict[str, Any]]:
    """Return the epochs in order; none when there is no log.

    A last line that a kill cut short is left out.

    Raises:
        ValueError: it is no file, or another line is damaged, or holds no epoch.
    """
    path = run_dir / LOG_FILE
    if not path.exists():
        return []
    if not path.is_file():  # a device or a pipe has no end
        raise ValueError(f"{path} is no file; restore it from a copy, or delete it.")
    records = []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            if number == len(lines) and not line.endswith("\n"):
                break
            raise ValueError(
                f"{path}, line {number}, is not JSON ({error}); restore the file from a copy, or "
                "delete that line."
            ) from error
        if not isinstance(record, dict) or type(record.get("epoch")) is not int:
            raise ValueError(
                f"{path}, line {number}, is {line.strip()[:40]!r} and not the record of an epoch; "
                "restore the file from a copy, or delete that line."
            )
        records.append(record)
    return records


def column(run_dir: Path, epochs: list[dict[str, Any]], key: str) -> list[Any]:
    """Return one value of every epoch.

    Raises:
        ValueError: an epoch has none, or no finite number.
    """
    for epoch in epochs:
        value = epoch.get(key)
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not math.isfinite(value)
        ):
            raise ValueError(
                f"{run_dir / LOG_FILE} has {key}={value!r} for epoch {epoch['epoch']}, where a "
                "number belongs; restore the file from a copy."
            )
    return [epoch[key] for epoch in epochs]


def check_log(run_dir: Path, last_epoch: int, best_error: float) -> None:
    """Check that the log tells of every epoch that a checkpoint has finished.

    Args:
        run_dir: the run folder.
        last_epoch: finished epochs.
        best_error: the lowest validation error of them.

    Raises:
        ValueError: epochs are missing, twice there or out of order, or have another lowest error.
    """
    epochs = [record for record in read_log(run_dir) if record["epoch"] <= last_epoch]
    numbers = [record["epoch"] for record in epochs]
    remedy = "restore both files from copies, or delete checkpoint.pt and start the run again."
    if numbers != list(range(1, last_epoch + 1)):
        raise ValueError(
            f"{run_dir / LOG_FILE} holds {len(numbers)} epochs ({reprlib.repr(numbers)}), but "
            f"checkpoint.pt has finished {last_epoch}; {remedy}"
        )
    lowest = min(column(run_dir, epochs, "valid_error"))
    if lowest != best_error:
        raise ValueError(
            f"{run_dir / LOG_FILE} has {lowest} as the lowest validation error, but checkpoint.pt "
            f"has {best_error}; {remedy}"
        )


def best_epoch(epochs: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the epoch with the lowest validation error; None if none has a finite one."""
    finite = [epoch for epoch in epochs if epoch["valid_error"] is not None]
    return min(finite, key=lambda epoch: epoch["valid_error"], default=None)


def truncate_log(run_dir: Path, last_epoch: int) -> None:
    """Drop the epochs after `last_epoch`, which a resumed run computes again."""
    kept = [record for record in read_log(run_dir) if record["epoch"] <= last_epoch]
    text = "".join(json.dumps(record) + "\n" for record in kept)
    write_text(run_dir / LOG_FILE, text)
