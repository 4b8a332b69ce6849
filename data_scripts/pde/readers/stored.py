"""Arrays in files of any format, read by parts, and what their axes are."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

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
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    load: Callable[[tuple[slice, ...]], np.ndarray]
    unit: str = ""
    labels: tuple[str, ...] = ()

    @property
    def n_bytes(self) -> int:
        """Size of all values."""
        return math.prod(self.shape) * self.dtype.itemsize

    def read(self) -> np.ndarray:
        """Return all values."""
        return self.load((WHOLE,) * len(self.shape))


def joined(parts: Sequence[Stored]) -> Stored:
    """Return arrays that differ in the length of their first axis, one after the other along it."""
    first = parts[0]
    if len(parts) == 1:
        return first
    starts = np.cumsum([0, *(part.shape[0] for part in parts)]).tolist()

    def load(index: tuple[slice, ...]) -> np.ndarray:
        wanted = range(starts[-1])[index[0]]
        pieces = []
        for part, start in zip(parts, starts, strict=False):
            inside = [i - start for i in wanted if start <= i < start + part.shape[0]]
            if inside:
                some = slice(inside[0], inside[-1] + 1, wanted.step)
                pieces.append(part.load((some, *index[1:])))
        if not pieces:
            return first.load((slice(0), *index[1:]))
        return np.concatenate(pieces)

    shape = (starts[-1], *first.shape[1:])
    dtype = np.result_type(*(part.dtype for part in parts))
    return Stored(first.name, shape, dtype, load, first.unit, first.labels)


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
            space: axes of space that the result shall have, of length 1 where the array lacks them.
        """
        values = self.stored.load(tuple(wanted.get(axis, WHOLE) for axis in self.axes))
        order = [axis for axis in AXES if axis in self.axes]
        values = values.transpose([self.axes.index(axis) for axis in order])
        missing = [i for i, axis in enumerate((*AXES[:3], *space)) if axis not in order]
        values = np.expand_dims(values, missing)
        return values if self.divisor == 1 else values / self.divisor
