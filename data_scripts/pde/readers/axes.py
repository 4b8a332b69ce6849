"""Fields in an HDF5 file, and the coordinates and times of their axes."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np

from data_scripts import hdf5
from data_scripts.pde.readers.statement import CORRECT
from data_scripts.pde.wall_points import STRONGEST, chebyshev, stretched
from data_scripts.unusable import UnusableFileError

# Bytes up to which an array of coordinates is read.
COORDINATES = 1 << 26
# By how much steps of one length may differ.
_EVEN = 1e-3
# By how much coordinates of order 1 may differ from a formula.
_SINGLE = 1e-6


def field(group: h5py.Group, name: str, *, integers: bool = False) -> h5py.Dataset:
    """Return an array that holds a field, not read yet.

    Args:
        group: file, or group in it.
        name: of the array.
        integers: whether it may hold integers and truth values, too.

    Raises:
        UnusableFileError: there is no such array, its numbers are not real, it was not written in
            full or cannot be read here, or they lie in another file.
    """
    found = _array(group, name, hdf5.REALS if integers else hdf5.FLOATS)
    if found.ndim == 0:
        raise UnusableFileError(
            f"{group.file.filename}: {name} is a single value where an array is expected"
        )
    return found


def _array(group: h5py.Group, name: str, kinds: str) -> h5py.Dataset:
    # a field may be piecewise constant, and is read only where the memory holds it
    return hdf5.array(group, name, CORRECT, kinds=kinds, most_compression=math.inf)


def numbers(group: h5py.Group, name: str) -> np.ndarray | None:
    """Return the values of a small array, or a single one, in double; None if there is none.

    Raises:
        UnusableFileError: as `field`, or it is too large for coordinates.
    """
    if hdf5.find(group, name) is None:
        return None
    stored = _array(group, name, hdf5.REALS)
    if stored.nbytes > COORDINATES:
        raise UnusableFileError(
            f"{group.file.filename}: {name} has shape {stored.shape}, too large for coordinates"
        )
    return np.asarray(stored[()], dtype=np.float64)


def coordinates_of(path: Path, name: str, values: np.ndarray, n: int, axis: str) -> np.ndarray:
    """Return the coordinates of n points along an axis.

    Raises:
        UnusableFileError: there are more or fewer coordinates than points.
    """
    if values.shape != (n,):
        raise UnusableFileError(
            f"{path}: {name} has shape {values.shape}, but there are {n} points along {axis}; "
            "correct the coordinate or the order of the axes"
        )
    return values


def stored_times(
    path: Path,
    stored: np.ndarray,
    n_times: int,
    *,
    one_more: bool = False,
    remedy: str = "correct them in the file",
) -> np.ndarray:
    """Return the stored times of frames.

    Args:
        path: file they are from, for messages.
        stored: what the file holds.
        n_times: number of frames.
        one_more: whether the end of the last interval may follow, as PDEBench has it.
        remedy: what to do about times that do not grow.

    Raises:
        UnusableFileError: there are more or fewer times than frames, or they do not grow.
    """
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
            f"{f' after {times[first - 1]:g}' if first else ''}; {remedy}"
        )
    return times[:n_times]


def evenly_spaced(values: np.ndarray) -> bool:
    """Return whether the values grow, or fall, by one step length."""
    steps = np.diff(values)
    if len(steps) == 0:
        return True
    mean = steps.mean()
    is_even = np.abs(steps - mean) <= _EVEN * abs(mean)
    return bool(np.isfinite(values).all() and mean != 0 and is_even.all())


def is_monotonic(values: np.ndarray) -> bool:
    """Return whether the values grow from each to the next, or fall."""
    steps = np.diff(values)
    return bool(np.isfinite(values).all() and ((steps > 0).all() or (steps < 0).all()))


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


def off_stretched(points: Mapping[str, np.ndarray], stretching: float | None) -> tuple[str, ...]:
    """Return a doubt for every axis that is not refined towards the walls of (0, 1) as is said.

    Args:
        points: coordinates by axis.
        stretching: b of `wall_points`; None where the file does not say.
    """
    if stretching is None or not 0 < stretching <= STRONGEST:
        said = "no" if stretching is None else f"{stretching:g}"
        return (f"its attribute stretching must be above 0 and at most {STRONGEST:g}, got {said}",)
    doubts = []
    for axis, values in points.items():
        wanted = stretched(np.linspace(0, 1, len(values)), stretching)
        if not _is_at(values, wanted):
            doubts.append(
                f"its {axis} from {values[0]:g} to {values[-1]:g} is not refined towards both ends "
                f"of (0, 1) by its stretching {stretching:g}"
            )
    return tuple(doubts)


def unit_axes(
    points: Mapping[str, np.ndarray], n_axes: int, refined: Sequence[str] = ()
) -> tuple[tuple[str, ...], bool]:
    """Return doubts about coordinates, and whether they say that every axis is of length 1.

    Args:
        points: coordinates by axis, as far as there are.
        n_axes: number of axes.
        refined: axes whose points are those of Chebyshev, walls included.
    """
    doubts = off_unit({axis: values for axis, values in points.items() if axis not in refined})
    for axis in refined:
        if axis not in points:
            doubts += (f"it has no {axis}, whose points are not even",)
        elif not _is_at(points[axis], chebyshev(np.linspace(0, 1, len(points[axis])))):
            doubts += (f"its {axis} is not (1 - cos pi s) / 2 for even s from wall to wall",)
    return doubts, len(points) == n_axes and not doubts


def _is_at(points: np.ndarray, wanted: np.ndarray) -> bool:
    return np.allclose(points, wanted, rtol=0, atol=_SINGLE)
