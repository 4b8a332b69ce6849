"""The log of a run: one line of JSON for every finished epoch."""

import json
import math
import os
import reprlib
from pathlib import Path
from typing import Any

from monarch_core.runs.files import write_failure, write_text
from monarch_core.runs.untrusted import parse_json, read_text

Epoch = dict[str, Any]


class EpochLog:
    """The epochs that a run has finished.

    Attributes:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, epoch: Epoch) -> None:
        """Add one line; numbers that are not finite become null, since JSON has none.

        Raises:
            OSError: the disk is full or the folder cannot be written.
        """
        finite = {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in epoch.items()
        }
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(finite) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OSError(write_failure(self.path, error)) from error

    def read(self, damaged: list[str] | None = None) -> list[Epoch]:
        """Return the epochs in order; none when there is no log.

        Args:
            damaged: receives the lines that hold no epoch, which are then left out. Without it
                such a line is an error, unless it is the last one and a kill cut it short.

        Raises:
            OSError: it cannot be read.
            ValueError: it is no plain file of text, or damaged.
        """
        if not os.path.lexists(self.path):
            return []
        epochs = []
        lines = read_text(self.path).splitlines(keepends=True)
        for number, line in enumerate(lines, start=1):
            epoch = _as_epoch(line)
            if epoch is not None:
                epochs.append(epoch)
            elif damaged is not None:
                damaged.append(line.strip())
            elif number < len(lines) or line.endswith("\n"):
                raise ValueError(
                    f"{self.path}, line {number}, is {line.strip()[:40]!r} and not the record of "
                    "an epoch; restore the file from a copy, or delete that line."
                )
        return epochs

    def column(self, epochs: list[Epoch], key: str) -> list[Any]:
        """Return one value of every epoch.

        Raises:
            ValueError: an epoch has none, or no finite number.
        """
        for epoch in epochs:
            value = epoch.get(key)
            is_number = isinstance(value, int | float) and math.isfinite(value)
            if not is_number or isinstance(value, bool):
                raise ValueError(
                    f"{self.path} has {key}={value!r} for epoch {epoch['epoch']}, where a number "
                    "belongs; restore the file from a copy."
                )
        return [epoch[key] for epoch in epochs]

    def check(self, last_epoch: int, best_error: float) -> None:
        """Check that the log tells of every epoch that a checkpoint has finished.

        Args:
            last_epoch: finished epochs.
            best_error: the lowest validation error of those of the model as it is after them.

        Raises:
            ValueError: epochs are missing, twice there or out of order, or have another lowest
                error.
        """
        epochs = [epoch for epoch in self.read() if epoch["epoch"] <= last_epoch]
        numbers = [epoch["epoch"] for epoch in epochs]
        remedy = "restore both files from copies, or delete checkpoint.pt and start the run again."
        if numbers != list(range(1, last_epoch + 1)):
            raise ValueError(
                f"{self.path} holds {len(numbers)} epochs ({reprlib.repr(numbers)}), but "
                f"checkpoint.pt has finished {last_epoch}; {remedy}"
            )
        lowest = min(self.column(_of_last_model(epochs), "valid_error"))
        if lowest != best_error:
            raise ValueError(
                f"{self.path} has {lowest} as the lowest validation error, but checkpoint.pt has "
                f"{best_error}; {remedy}"
            )

    def best(self) -> Epoch | None:
        """Return the epoch with the lowest validation error; None if none has a finite one.

        Where the model was changed on the way, it is one of the epochs after that.
        """
        epochs = _of_last_model(self.read())
        finite = [epoch for epoch in epochs if epoch["valid_error"] is not None]
        return min(finite, key=lambda epoch: epoch["valid_error"], default=None)

    def truncate(self, last_epoch: int) -> None:
        """Drop the epochs after `last_epoch`, which a resumed run computes again."""
        kept = [epoch for epoch in self.read() if epoch["epoch"] <= last_epoch]
        write_text(self.path, "".join(json.dumps(epoch) + "\n" for epoch in kept))


def _of_last_model(epochs: list[Epoch]) -> list[Epoch]:
    """Return the epochs since the model was changed; all of them if it was not."""
    changed = [epoch for epoch in epochs if epoch.get("changed") is True]
    return changed or epochs


def _as_epoch(line: str) -> Epoch | None:
    try:
        record = parse_json(line)
    except ValueError:
        return None
    is_epoch = isinstance(record, dict) and type(record.get("epoch")) is int
    return record if is_epoch else None
