"""Coordinates and times of a file of any names, and the steps between them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from data_scripts.pde.readers.axes import COORDINATES, coordinates_of, stored_times
from data_scripts.pde.readers.own.roles import Roles, plain, step_axis
from data_scripts.pde.readers.stored import Placed, Stored
from data_scripts.unusable import UnusableFileError

SAY_TIMES = "correct them in the file, or say dataset.times=[...] or dataset.time_step="


@dataclass(frozen=True)
class Line:
    """The coordinates along one axis, or the times of the frames."""

    name: str
    values: np.ndarray

    @property
    def lengths(self) -> tuple[int, ...]:
        """Numbers of points or frames that it may belong to; PDEBench has one time more."""
        n = self.values.size
        return (n, n - 1) if plain(self.name) == "tcoordinate" else (n,)


@dataclass(frozen=True)
class Lines:
    """What a file says of where and when its fields are.

    Attributes:
        points: coordinates by axis of space.
        times: of the frames, None where the file does not say.
        steps: lengths of steps by axis of space, and of the time as "time".
        unread: why an array of coordinates or times is left away, by its name.
    """

    points: Mapping[str, Line]
    times: Line | None
    steps: Mapping[str, float]
    unread: Mapping[str, str] = field(default_factory=dict)

    @property
    def lengths(self) -> dict[str, tuple[int, ...]]:
        """The lengths that axes may have, for those of which there is something."""
        found = {axis: line.lengths for axis, line in self.points.items()}
        return found if self.times is None else {**found, "time": self.times.lengths}


def find_lines(path: Path, roles: Roles, attributes: Mapping[str, float]) -> Lines:
    """Return the coordinates and times among the arrays and attributes of a file.

    Raises:
        UnusableFileError: they are too large, or damaged.
    """
    unread: dict[str, str] = {}
    points = {}
    for axis, stored in roles.coordinates.items():
        line = _line_of(read_small(path, stored))
        if line is None:
            unread[stored.name] = "is no grid of lines; dataset.spacing=[...]"
        else:
            points[axis] = Line(stored.name, line)
    times = None
    if roles.times is not None:
        values = common_times(read_small(path, roles.times))
        if values is None:
            unread[roles.times.name] = "differs between trajectories; dataset.times=[...]"
        else:
            times = Line(roles.times.name, values)
    steps: dict[str, float] = {}
    for name, step in attributes.items():
        if (of := step_axis(name)) is not None:
            steps[of] = step
    for axis, stored in roles.steps.items():
        values = read_small(path, stored)
        if np.allclose(values, values.flat[0], rtol=1e-5):
            steps[axis] = float(values.flat[0])
    return Lines(points, times, steps, unread)


def read_small(path: Path, stored: Stored) -> np.ndarray:
    """Return the values of a small array in double.

    Raises:
        UnusableFileError: it is too large for coordinates, or damaged.
    """
    if stored.n_bytes > COORDINATES:
        raise UnusableFileError(
            f"{path}: {stored.name} has shape {stored.shape}, too large for coordinates"
        )
    return np.asarray(stored.read(), dtype=np.float64)


def _line_of(values: np.ndarray) -> np.ndarray | None:
    """Return the coordinates along an axis from those of all points, None if others matter, too."""
    if max(values.shape, default=1) == values.size:
        return values.reshape(-1)
    for axis in range(values.ndim):
        lines = np.moveaxis(values, axis, 0).reshape(values.shape[axis], -1)
        if len(lines) > 1 and (lines == lines[:, :1]).all():
            return lines[:, 0]
    return None


def common_times(values: np.ndarray) -> np.ndarray | None:
    """Return the times of the frames from those of every trajectory, None if their steps differ."""
    if max(values.shape, default=1) == values.size:
        return values.reshape(-1)
    since_first = values - values[:, :1]
    alike = np.allclose(since_first, since_first[0], rtol=1e-5, atol=1e-6 * np.ptp(since_first[0]))
    return values[0] if alike else None


def times_of(path: Path, lines: Lines, n_times: int, *, is_sure: bool) -> np.ndarray | None:
    """Return the times of frames, None where the file does not say.

    Args:
        path: of the file.
        lines: what it says.
        n_times: number of frames.
        is_sure: whether the axis of time is the user's word.

    Raises:
        UnusableFileError: the times do not grow or, if it is sure, there are others than frames.
    """
    line = lines.times
    if line is not None and (is_sure or n_times in line.lengths):
        one_more = len(line.lengths) > 1
        return stored_times(path, line.values, n_times, one_more=one_more, remedy=SAY_TIMES)
    if "time" in lines.steps:
        return stored_times(path, lines.steps["time"] * np.arange(n_times), n_times)
    return None


def points_of(
    path: Path, lines: Lines, placed: Placed, *, is_sure: bool
) -> tuple[np.ndarray | None, ...]:
    """Return the coordinates along every axis of space, None where the file does not say.

    Raises:
        UnusableFileError: the order of the axes is sure, and there are others than points.
    """
    found: list[np.ndarray | None] = []
    for axis in placed.space:
        n, line = placed.length(axis), lines.points.get(axis)
        if line is not None and (is_sure or n in line.lengths):
            found.append(coordinates_of(path, line.name, line.values, n, axis))
        elif axis in lines.steps:
            found.append(lines.steps[axis] * np.arange(n))
        else:
            found.append(None)
    return tuple(found)


def unfit(lines: Lines, placed: Placed) -> dict[str, str]:
    """Return by name why coordinates and times fit no axis."""
    found = dict(lines.points)
    if lines.times is not None:
        found["time"] = lines.times
    return {
        line.name: f"has {line.values.size} values, where the {axis} of the field has "
        f"{placed.length(axis)} entries"
        for axis, line in found.items()
        if placed.length(axis) not in line.lengths
    }
