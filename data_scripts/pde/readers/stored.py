"""Arrays in files of any format, read by parts, and what their axes are."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from data_scripts.hdf5 import REALS
from data_scripts.unusable import UnusableFileError
from monarch_core.runs.printable import printable

SPACE = ("x", "y", "z")
# The order in which values are returned, whatever the order in a file.
AXES = ("trajectory", "time", "channel", *SPACE)
WHOLE = slice(None)


@dataclass(frozen=True)
class Stored:
    """An array in a file, read when asked for.

    Attributes:
        name: in its file, "" where it has none.
        shape: number of entries of every axis, in the order of the file.
        dtype: of the values in the file.
        load: takes one slice per axis and returns that part, in any real type; steps are positive.
        unit: as the file says it, "" where it does not.
        labels: names that the file has for the axes, () where it has none.
        defect: why it cannot be used, as a whole error; "" where it can.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    load: Callable[[tuple[slice, ...]], np.ndarray]
    unit: str = ""
    labels: tuple[str, ...] = ()
    defect: str = ""

    @property
    def described(self) -> str:
        """Name, shape and type, for messages."""
        return printable(f"{self.name or 'an array'} {self.shape} {self.dtype}".strip())

    @property
    def is_real(self) -> bool:
        """Whether it holds real numbers that can be read."""
        return not self.defect and self.dtype.kind in REALS

    @property
    def n_bytes(self) -> int:
        """Size of all values."""
        return math.prod(self.shape) * self.dtype.itemsize

    def read(self) -> np.ndarray:
        """Return all values."""
        return self.load((WHOLE,) * len(self.shape))


def defective(name: str, shape: tuple[int, ...], dtype: np.dtype, defect: str) -> Stored:
    """Return an array that is listed, but raises its defect as an error when it is used."""

    def load(index: tuple[slice, ...]) -> np.ndarray:
        raise UnusableFileError(defect)

    return Stored(name, shape, dtype, load, defect=defect)


@dataclass(frozen=True)
class Contents:
    """The arrays of a file.

    Attributes:
        layout: of the file, in words.
        arrays: by name.
        attributes: numbers that the file states beside its arrays, by name.
        by_matlab: whether axes are in the order of somebody who works with MATLAB.
        notes: what is to be known of reading it, one line each.
        apart: why arrays that look like trajectories are not taken as such, one clause each.
    """

    layout: str
    arrays: Mapping[str, Stored]
    attributes: Mapping[str, float] = field(default_factory=dict)
    by_matlab: bool = False
    notes: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()


def joined(parts: Sequence[Stored], axis: int = 0) -> Stored:
    """Return arrays that differ in the length of one axis, one after the other along it."""
    first = parts[0]
    if len(parts) == 1:
        return first
    starts = np.cumsum([0, *(part.shape[axis] for part in parts)]).tolist()

    def load(index: tuple[slice, ...]) -> np.ndarray:
        wanted = range(starts[-1])[index[axis]]
        pieces: list[np.ndarray] = []
        for part, start in zip(parts, starts, strict=False):
            inside = [i - start for i in wanted if start <= i < start + part.shape[axis]]
            if inside or not (wanted or pieces):
                some = slice(inside[0], inside[-1] + 1, wanted.step) if inside else slice(0)
                pieces.append(part.load((*index[:axis], some, *index[axis + 1 :])))
        return np.concatenate(pieces, axis)

    shape = (*first.shape[:axis], starts[-1], *first.shape[axis + 1 :])
    dtype = np.result_type(*(part.dtype for part in parts))
    return Stored(first.name, shape, dtype, load, first.unit, first.labels)


def repeated(stored: Stored, n: int) -> Stored:
    """Return an array n times, along a new first axis."""

    def load(index: tuple[slice, ...]) -> np.ndarray:
        values = stored.load(index[1:])
        return np.broadcast_to(values, (len(range(n)[index[0]]), *values.shape))

    return Stored(stored.name, (n, *stored.shape), stored.dtype, load, stored.unit)


def merged(stored: Stored) -> Stored:
    """Return an array with its last two axes as one, which is read as a whole."""
    *shape, n, m = stored.shape

    def load(index: tuple[slice, ...]) -> np.ndarray:
        values = stored.load((*index[:-1], WHOLE, WHOLE))
        return values.reshape(*values.shape[:-2], n * m)[..., index[-1]]

    return Stored(stored.name, (*shape, n * m), stored.dtype, load, stored.unit)


def in_memory(name: str, values: np.ndarray) -> Stored:
    """Return an array that has been read."""
    return Stored(name, values.shape, values.dtype, lambda index: values[index])


def stacked(name: str, parts: Sequence[Stored]) -> Stored:
    """Return arrays of one shape as one array with a new first axis."""
    first = parts[0]

    def load(index: tuple[slice, ...]) -> np.ndarray:
        pieces = [part.load(index[1:])[None] for part in parts[index[0]]]
        return np.concatenate(pieces) if pieces else first.load(index[1:])[None][:0]

    return Stored(name, (len(parts), *first.shape), first.dtype, load, first.unit)


@dataclass(frozen=True)
class Placed:
    """An array whose axes are known.

    Attributes:
        stored: the array.
        axes: a name of AXES for every axis of it; those that are missing have length 1.
        divisor: by which the values are divided, to be in the units that are wanted.
    """

    stored: Stored
    axes: tuple[str, ...]
    divisor: float = 1.0

    def length(self, axis: str) -> int:
        """Return the number of entries along an axis, 1 where the array does not have it."""
        return dict(zip(self.axes, self.stored.shape, strict=True)).get(axis, 1)

    @property
    def space(self) -> tuple[str, ...]:
        """The axes of space that it has."""
        return tuple(axis for axis in SPACE if axis in self.axes)

    def load(self, wanted: Mapping[str, slice], space: Sequence[str]) -> np.ndarray:
        """Return a part as it is stored, with axes (trajectory, time, channel, *space).

        Args:
            wanted: slices by axis; the whole of an axis that is not named.
            space: axes of space that the result shall have.

        An axis of one entry, or of none in the file, stays one of one entry whatever is wanted.
        """
        index = tuple(
            wanted.get(axis, WHOLE) if n > 1 else WHOLE
            for axis, n in zip(self.axes, self.stored.shape, strict=True)
        )
        values = self.stored.load(index)
        order = [axis for axis in AXES if axis in self.axes]
        values = values.transpose([self.axes.index(axis) for axis in order])
        missing = [i for i, axis in enumerate((*AXES[:3], *space)) if axis not in order]
        values = np.expand_dims(values, missing)
        return values if self.divisor == 1 else values / self.divisor
