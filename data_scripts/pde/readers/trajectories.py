"""Trajectories in a file, whatever its layout."""

import contextlib
import logging
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import scipy.io
from jaxtyping import Float

from monarch_core.runs.printable import paragraph
from monarch_core.training.machine import require_memory

log = logging.getLogger(__name__)

LAYOUTS = (
    "The Well (t0_fields), PDEBench (tensor, or 0000/data) and MATLAB (u, a and u, or coeff and "
    "sol, classic or v7.3) layouts are known"
)
# What the libraries raise when a file is damaged.
READ_ERRORS = (
    OSError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    EOFError,
    RuntimeError,
    struct.error,
    zlib.error,
    scipy.io.matlab.MatReadError,
    scipy.io.matlab.MatReadWarning,
)
# What to do where there is too little memory.
FEWER = "lower n_train, n_valid, n_test, the grid or the number of frames"
# By how much steps of one length may differ.
_EVEN = 1e-3


class UnusableFileError(ValueError):
    """A file is damaged, or is not what it has to be; the message names file and remedy."""


@dataclass(frozen=True)
class Statement:
    """What a file says of its fields: by layout, attributes, coordinates and name.

    Attributes:
        problem: the data set whose equation, domain and boundary the fields obey, None where
            nothing tells.
        viscosity: of the equation in the units of that data set, None where nothing tells.
        by_name: whether the viscosity is only in the name of the file.
        doubts: what speaks against that problem, or would have to be said, one clause each.
        unit_square: whether coordinates say that every axis is of length 1.
    """

    problem: str | None = None
    viscosity: float | None = None
    by_name: bool = False
    doubts: tuple[str, ...] = ()
    unit_square: bool = False


@dataclass(frozen=True)
class Trajectories:
    """Trajectories in a file, read when asked for.

    Attributes:
        path: file or folder.
        layout: name of the layout, for messages.
        shape: (n_trajectories, n_times, *grid).
        times: time of every frame; 1, 2, ... where the file does not say. What Darcy flow holds
            instead, coefficient and solution, is numbered 0 and 1.
        load: returns the trajectories and times of two slices, in any real type.
        states: what the file says of its fields.
    """

    path: Path
    layout: str
    shape: tuple[int, ...]
    times: Float[np.ndarray, " time"]
    load: Callable[[slice, slice], np.ndarray]
    states: Statement = field(default_factory=Statement)

    def __post_init__(self) -> None:
        """Raise UnusableFileError where there is nothing to read."""
        if 0 in self.shape:
            raise UnusableFileError(
                f"{self.path} is empty: its field has shape {self.shape} (trajectory, time, "
                "space); make the file again"
            )

    @property
    def viscosity(self) -> float | None:
        """That of the equation, None where the file does not say."""
        return self.states.viscosity

    def read(
        self, trajectories: slice = slice(None), frames: slice = slice(None)
    ) -> Float[np.ndarray, "trajectory time *grid"]:
        """Return part of the data in float32.

        Raises:
            ValueError: the file is damaged, what was asked for does not fit into memory, or it
                holds complex numbers, text, NaN, infinity or values beyond float32.
        """
        numbers, times = range(self.shape[0])[trajectories], range(self.shape[1])[frames]
        n_values = len(numbers) * len(times) * int(np.prod(self.shape[2:], dtype=object))
        require_memory({f"{len(numbers)} trajectories of {self.path}": 4.0 * n_values}, FEWER)
        with reading(self.path), np.errstate(over="ignore"):
            loaded = self.load(trajectories, frames)
            require_real(self.path, "the field", loaded.dtype)
            if loaded.dtype.kind == "f" and loaded.dtype.itemsize < 4:
                log.warning("%s holds half precision: 3 digits, of the errors too", self.path)
            values = np.ascontiguousarray(loaded, dtype=np.float32)
        finite = np.isfinite(values).all(axis=tuple(range(2, values.ndim)))
        if not finite.all():
            bad = np.argwhere(~finite)
            trajectory, frame = bad[0]
            beyond = np.isfinite(loaded[trajectory, frame]).all()
            raise UnusableFileError(
                f"{self.path} holds {'values beyond float32' if beyond else 'NaN or infinity'}, "
                f"first in {self.place(numbers[trajectory], times[frame])}; "
                f"{len(np.unique(bad[:, 0]))} of {len(values)} trajectories are affected. Remove "
                "them or make the file again"
            )
        return values

    def place(self, trajectory: int, frame: int) -> str:
        """Return the words for a frame, both counted from 0."""
        return f"trajectory {trajectory}, frame {frame} (time {self.times[frame]:g})"


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what the libraries raise for a bad file into one error that names it."""
    try:
        yield
    except UnusableFileError:
        raise
    except MemoryError as error:
        raise UnusableFileError(
            f"{path} claims more than fits into memory ({paragraph(error)}); read "
            "fewer samples, or download or make it again"
        ) from error
    except READ_ERRORS as error:
        raise damaged(path, error) from error


def damaged(path: Path, error: Exception) -> UnusableFileError:
    """Return the error to raise for a file that cannot be read."""
    return UnusableFileError(
        f"{path} is truncated or damaged ({paragraph(error)}); download or make it again"
    )


def require_real(path: Path, name: str, dtype: np.dtype, *, integers: bool = True) -> None:
    """Raise UnusableFileError unless a type is of real numbers."""
    if dtype.kind == "c":
        raise UnusableFileError(
            f"{path}: {name} is complex ({dtype}), and all fields here are real; store its real "
            "part if the imaginary one is zero"
        )
    if dtype.kind not in ("fiub" if integers else "f"):
        raise UnusableFileError(
            f"{path}: {name} has type {dtype}, which is no field of real numbers; store float32 in "
            "physical units"
        )


def stored_times(
    path: Path, stored: np.ndarray | None, n_times: int, *, one_more: bool = False
) -> np.ndarray:
    """Return the stored times, or 1, 2, ... if there are none.

    Args:
        path: file they are from, for messages.
        stored: what the file holds.
        n_times: number of frames.
        one_more: whether the end of the last interval may follow, as PDEBench has it.

    Raises:
        UnusableFileError: there are more or fewer times than frames, or they do not grow.
    """
    if stored is None:
        return np.arange(1.0, n_times + 1)
    times = np.asarray(stored, dtype=np.float64).reshape(-1)
    if len(times) != n_times and not (one_more and len(times) == n_times + 1):
        raise UnusableFileError(
            f"{path} has {n_times} frames but {len(times)} times; correct the times or the order "
            "of the axes, or leave the times away if frames are one time unit apart"
        )
    wrong = ~np.isfinite(times) | (np.diff(times, prepend=-np.inf) <= 0)
    if wrong.any():
        first = int(np.argmax(wrong))
        raise UnusableFileError(
            f"{path}: times must be finite and grow, got {times[first]:g} for frame {first}"
            f"{f' after {times[first - 1]:g}' if first else ''}; correct them in the file"
        )
    return times[:n_times]


def evenly_spaced(values: np.ndarray) -> bool:
    """Return whether the values grow by one step length."""
    steps = np.diff(values)
    return len(steps) == 0 or bool(
        np.isfinite(values).all() and (np.abs(steps - steps.mean()) <= _EVEN * steps.mean()).all()
    )


def spans(points: np.ndarray, length: float) -> bool:
    """Return whether n even points cover an axis of a length, with no, one or both of its ends."""
    if len(points) < 2 or not evenly_spaced(points):
        return False
    width = points[-1] - points[0]
    widest = width * len(points) / (len(points) - 1)
    return bool(width * (1 - _EVEN) <= length <= widest * (1 + _EVEN))


def off_unit(points: Mapping[str, np.ndarray]) -> tuple[str, ...]:
    """Return a doubt for every axis whose coordinates are not those of an interval of length 1."""
    return tuple(
        f"its {axis} runs from {values[0]:g} to {values[-1]:g}, not evenly over a length of 1"
        for axis, values in points.items()
        if not spans(values, 1)
    )
