"""What files of anybody hold: evolving fields, constant ones, and where and when they are."""

import itertools
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from data_scripts.hdf5 import REALS, require_kind
from data_scripts.pde.readers.stored import AXES, SPACE, WHOLE, Placed
from data_scripts.pde.readers.trajectories import AGAIN, FEWER, Statement
from data_scripts.unusable import UnusableFileError, reading
from monarch_core.runs.machine import require_memory

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReadOptions:
    """What a user may say of a file; None takes what the file has, or a guess that is told.

    Attributes:
        key: name of the array of the evolving field or, of a steady problem, of the output; several
            with commas between them become channels, in this order.
        input_key: name of the array of static input fields; several with commas.
        parameters: names of numbers per trajectory that are inputs, too; [] for none.
        axes: name of every axis of the array of `key` in the order of the file, each one of
            trajectory, time, channel, x, y, z.
        spacing: distance between two points, per axis of space.
        periodic: whether each axis of space is.
        times: time of every frame.
    """

    key: str | None = None
    input_key: str | None = None
    parameters: Sequence[str] | None = None
    axes: Sequence[str] | None = None
    spacing: Sequence[float] | None = None
    periodic: Sequence[bool] | None = None
    times: Sequence[float] | None = None


@dataclass(frozen=True)
class Channel:
    """One component of a field, or one number per trajectory.

    Attributes:
        name: as the file has it, with an index or an axis where one array holds several.
        unit: as the file says it, "" where it does not.
    """

    name: str
    unit: str = ""


@dataclass(frozen=True)
class Fields:
    """Everything that a file or folder holds, read by slices when asked for.

    A model of an evolution maps frames, and the constants, to later frames. A steady problem has
    one time: its constants are the input, the only frame is the output.

    Attributes:
        path: file or folder.
        layout: in words.
        evolving: arrays of the evolving (or output) fields; their channels follow each other.
        constant: arrays of further inputs, static fields and numbers per trajectory.
        channels: of the evolving fields.
        constants: channels of the further inputs.
        times: of the frames; None where the file does not say.
        coordinates: of the points, per axis of space; None where neither file nor options say.
        periodic: per axis of space; None where neither file nor options say.
        splits: numbers of the trajectories of train, valid and test, as far as the file or folder
            has them; None if it has none.
        statement: what the file says of its equation.
        guesses: what was guessed, one line each, with the option that says otherwise.
    """

    path: Path
    layout: str
    evolving: tuple[Placed, ...]
    constant: tuple[Placed, ...] = ()
    channels: tuple[Channel, ...] = ()
    constants: tuple[Channel, ...] = ()
    times: np.ndarray | None = None
    coordinates: tuple[np.ndarray | None, ...] = ()
    periodic: tuple[bool | None, ...] = ()
    splits: dict[str, range] | None = None
    statement: Statement = field(default_factory=Statement)
    guesses: tuple[str, ...] = ()

    @property
    def axis_names(self) -> tuple[str, ...]:
        """The axes of space: x, y, z as far as there are."""
        return self.evolving[0].space

    @property
    def shape(self) -> tuple[int, ...]:
        """(n_trajectories, n_times, n_channels, *grid) of the evolving fields."""
        first = self.evolving[0]
        n_channels = sum(placed.length("channel") for placed in self.evolving)
        return (
            first.length("trajectory"),
            first.length("time"),
            n_channels,
            *(first.length(axis) for axis in first.space),
        )

    def read(
        self,
        trajectories: slice = WHOLE,
        times: slice = WHOLE,
        points: tuple[slice, ...] | None = None,
    ) -> Float32[np.ndarray, "trajectory time channel *grid"]:
        """Return part of the evolving fields; the steps of slices are positive.

        Raises:
            UnusableFileError: the file is damaged, or the part holds NaN, infinity or values beyond
                float32.
            ValueError: the part does not fit into memory.
        """
        return self._read(self.evolving, trajectories, times, points)

    def read_constants(
        self, trajectories: slice = WHOLE, points: tuple[slice, ...] | None = None
    ) -> Float32[np.ndarray, "trajectory constant *grid"]:
        """Return part of the further inputs, numbers per trajectory filling the grid; as `read`."""
        if not self.constant:
            n = len(range(self.shape[0])[trajectories])
            grid = [
                len(range(size)[part])
                for size, part in zip(self.shape[3:], points or itertools.repeat(WHOLE))
            ]
            return np.empty((n, 0, *grid), np.float32)
        return self._read(self.constant, trajectories, WHOLE, points)[:, 0]

    def _read(
        self,
        arrays: Sequence[Placed],
        trajectories: slice,
        times: slice,
        points: tuple[slice, ...] | None,
    ) -> Float32[np.ndarray, "trajectory time channel *grid"]:
        space = self.axis_names
        numbers = range(self.shape[0])[trajectories]
        frames = range(max(placed.length("time") for placed in arrays))[times]
        parts = (WHOLE,) * len(space) if points is None else points
        grid = [len(range(n)[part]) for n, part in zip(self.shape[3:], parts, strict=True)]
        n_channels = sum(placed.length("channel") for placed in arrays)
        shape = (len(numbers), len(frames), n_channels, *grid)
        n_values = int(np.prod(shape, dtype=object))
        require_memory({f"{len(numbers)} trajectories of {self.path}": 4.0 * n_values}, FEWER)
        values = np.empty(shape, np.float32)
        wanted = {"trajectory": trajectories, "time": times, **dict(zip(space, parts, strict=True))}
        start = 0
        for placed in arrays:
            channels = slice(start, start + placed.length("channel"))
            start = channels.stop
            with reading(self.path, AGAIN):
                loaded = placed.load(wanted, space)
                where = f"{self.path}: {placed.stored.name or 'the field'}"
                require_kind(where, loaded.dtype, REALS, _REAL)
                with np.errstate(over="ignore"):
                    values[:, :, channels] = loaded
            self._require_finite(placed, values[:, :, channels], loaded, numbers, frames)
        return values

    def _require_finite(
        self,
        placed: Placed,
        values: np.ndarray,
        loaded: np.ndarray,
        numbers: range,
        frames: range,
    ) -> None:
        """Raise UnusableFileError for NaN, infinity and values beyond float32, with their place."""
        finite = np.isfinite(values)
        if finite.all():
            return
        first = tuple(int(i) for i in np.argwhere(~finite)[0])
        beyond = np.isfinite(np.broadcast_to(loaded, values.shape)[first])
        trajectory, frame, channel, *point = first
        place = f"trajectory {numbers[trajectory]}, frame {frames[frame]}, channel {channel}"
        n_wrong = int((~finite).any(axis=tuple(range(1, finite.ndim))).sum())
        raise UnusableFileError(
            f"{self.path} holds {'values beyond float32' if beyond else 'NaN or infinity'} in "
            f"{placed.stored.name or 'the field'}, first in {place}, point {tuple(point)} of the "
            f"part that is read; {n_wrong} of {len(values)} trajectories are affected. Remove them "
            "or make the file again"
        )


_REAL = "store real numbers in physical units"
