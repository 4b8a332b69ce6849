"""Where a run stands, as its folder tells while it is written: how far it is, and who works on it.

Everything here only looks; it takes no lock, so that it is never in the way of the run itself.
"""

import contextlib
import math
import os
import platform
import re
from dataclasses import dataclass
from typing import Any, Literal

from monarch_core.runs.folder import RunFolder
from monarch_core.runs.printable import printable
from monarch_core.runs.untrusted import read_text

Stage = Literal["waiting", "running", "stopped", "failed", "finished"]

_LATEST = 5  # epochs over which the time of one is averaged
_HOLDER = re.compile(r"process (\d{1,9}) on (.+)")


@dataclass(frozen=True)
class Standing:
    """Where one run stands.

    Attributes:
        stage: "waiting" before a config is written, "running" while a process works in the folder,
            "stopped" when none does and neither results nor a failure are there.
        n_done: finished epochs.
        n_epochs: epochs that the config asks for, None where it cannot be read.
        valid_error: validation error of the last finished epoch, in the unit of the loss; None
            before the first one, NaN where it was not finite.
        seconds_per_epoch: mean over the last epochs, validation included; None before the first.
        why: last line of the failure, empty without one.
    """

    stage: Stage
    n_done: int = 0
    n_epochs: int | None = None
    valid_error: float | None = None
    seconds_per_epoch: float | None = None
    why: str = ""

    @property
    def n_left(self) -> int | None:
        """Epochs that are left, None where it is not known how many there are."""
        return None if self.n_epochs is None else max(0, self.n_epochs - self.n_done)

    @property
    def words(self) -> str:
        """How far the run is, such as `epoch 12 of 30, validation error 0.0123`."""
        of = "" if self.n_epochs is None else f" of {self.n_epochs}"
        error = "" if self.valid_error is None else f", validation error {self.valid_error:.3g}"
        return f"epoch {self.n_done}{of}{error}"


def standing_of(folder: RunFolder) -> Standing:
    """Return where a run stands; what cannot be read is as if it were not there."""
    epochs: list[dict[str, Any]] = []
    with contextlib.suppress(OSError, ValueError):
        epochs = folder.log.read([])
    why = ""
    with contextlib.suppress(OSError, ValueError):
        why = printable(folder.why_failed())
    return Standing(
        stage=_stage(folder),
        n_done=len({epoch["epoch"] for epoch in epochs if epoch["epoch"] > 0}),
        n_epochs=_n_epochs(folder),
        valid_error=_valid_error(epochs[-1]) if epochs else None,
        seconds_per_epoch=_seconds_per_epoch(epochs[-_LATEST:]),
        why=why,
    )


def is_worked_in(folder: RunFolder) -> bool:
    """Tell whether a process seems to work in a folder, by what the file of its lock says.

    On this machine the process must be alive; of another one the file is believed.
    """
    try:
        holder = _HOLDER.fullmatch(read_text(folder.lock))
    except (OSError, ValueError):
        return False
    if holder is None:
        return False
    return holder[2] != platform.node() or _is_alive(int(holder[1]))


def _stage(folder: RunFolder) -> Stage:
    if os.path.lexists(folder.results):
        return "finished"
    if is_worked_in(folder):
        return "running"
    if os.path.lexists(folder.trouble):
        return "failed"
    return "stopped" if os.path.lexists(folder.config) else "waiting"


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is somebody else's
        return True
    return True


def _n_epochs(folder: RunFolder) -> int | None:
    try:
        fit = folder.read_config().get("fit")
    except (OSError, ValueError, AttributeError):
        return None
    n_epochs = fit.get("epochs") if isinstance(fit, dict) else None
    return n_epochs if type(n_epochs) is int else None


def _valid_error(epoch: dict[str, Any]) -> float | None:
    if "valid_error" not in epoch:
        return None
    value = epoch["valid_error"]
    return float(value) if _is_number(value) else math.nan


def _seconds_per_epoch(epochs: list[dict[str, Any]]) -> float | None:
    times = [
        epoch["seconds"] + (seconds if _is_number(seconds := epoch.get("valid_seconds")) else 0.0)
        for epoch in epochs
        if _is_number(epoch.get("seconds"))
    ]
    return math.fsum(times) / len(times) if times else None


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and abs(value) < 1e150
