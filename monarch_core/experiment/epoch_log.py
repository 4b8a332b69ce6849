"""`log.jsonl`: one line of JSON for every finished epoch."""

import json
import math
import os
from pathlib import Path
from typing import Any

from monarch_core.experiment.checkpoint import write_failure, write_text

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
        ValueError: another line is damaged.
    """
    path = run_dir / LOG_FILE
    if not path.exists():
        return []
    records = []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError as error:
            if number == len(lines) and not line.endswith("\n"):
                break
            raise ValueError(
                f"{path}, line {number}, is not JSON ({error}); restore the file from a copy, or "
                "delete that line."
            ) from error
    return records


def best_epoch(epochs: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the epoch with the lowest validation error; None if none has a finite one."""
    finite = [epoch for epoch in epochs if epoch["valid_error"] is not None]
    return min(finite, key=lambda epoch: epoch["valid_error"], default=None)


def truncate_log(run_dir: Path, last_epoch: int) -> None:
    """Drop the epochs after `last_epoch`, which a resumed run computes again."""
    kept = [record for record in read_log(run_dir) if record["epoch"] <= last_epoch]
    text = "".join(json.dumps(record) + "\n" for record in kept)
    write_text(run_dir / LOG_FILE, text)
