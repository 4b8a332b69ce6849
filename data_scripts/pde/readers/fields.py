"""What files of anybody hold: evolving fields, constant ones, and where and when they are."""

import functools
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from data_scripts.hdf5 import REALS, require_kind
from data_scripts.pde.readers.statement import AGAIN, CORRECT, FEWER, Statement
from data_scripts.pde.readers.stored import AXES, SPACE, WHOLE, Placed
from data_scripts.unusable import UnusableFileError, reading
from monarch_core.runs.machine import require_memory
from monarch_core.runs.printable import printable

log = logging.getLogger(__name__)

# The relative distance of two numbers in float32, and how few in the range of a field are too few.
_SINGLE, _FEW_STEPS, _TINY = float(np.finfo(np.float32).eps), 1e4, 1e-300


@functools.cache
def _warn(message: str) -> None:
    """Log a warning, the same one once."""
    log.warning("%s", message)


@dataclass(frozen=True)
class ReadOptions:
    """What a user may say of a file; None takes what the file has, or a guess that is told.

    Attributes:
        key: name of the array of the evolving field or, of a steady problem, of the output; several
            with commas between them become channels, in this order.
        input_key: name of the array of static input fields; several with commas.
        times_key: name of the array of the times of the frames.
        point_keys: names of the arrays of coordinates, by axis of space.
        parameters: names of numbers per trajectory that are inputs, too; [] for none.
        axes: name of every axis of the array of `key` in the order of the file, each one of
            trajectory, time, channel, x, y, z.
        spacing: distance between two points, per axis of space.
        periodic: whether each axis of space is.
        times: time of every frame.
        time_step: between two frames, where `times` does not say them; the first is then at 0.
        window: frames of the pieces that every trajectory is cut into, 0 for no cut.
        first_frame: with a window, the frame at which the first piece begins.
    """

    key: str | None = None
    input_key: str | None = None
    times_key: str | None = None
    point_keys: Mapping[str, str] = field(default_factory=dict)
    parameters: Sequence[str] | None = None
    axes: Sequence[str] | None = None
    spacing: Sequence[float] | None = None
    periodic: Sequence[bool] | None = None
    times: Sequence[float] | None = None
    time_step: float | None = None
    window: int = 0
    first_frame: int = 0

    @property
    def says_times(self) -> bool:
        """Whether the times of the frames are said, whatever the file has."""
        return self.times is not None or self.time_step is not None


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
        numbers: one per trajectory, by name, used as inputs or not.
        parameters: names of the numbers that are of the equation.
        splits: numbers of the trajectories of train, valid and test, as far as the file or folder
            has them; None if it has none.
        statement: what the file says of its equation.
        guesses: what was guessed, one line each, with the option that says otherwise.
        unused: what is not used, by the name of the array: its shape, and the option that would use
            it or the reason why none can.
        windows: trajectory and first frame in the file of every trajectory here, if those of the
            file were cut; () if not.
        n_stored_times: frames of the file, if its trajectories were cut; 0 if not.
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
    numbers: Mapping[str, np.ndarray] = field(default_factory=dict)
    parameters: tuple[str, ...] = ()
    splits: dict[str, range] | None = None
    statement: Statement = field(default_factory=Statement)
    guesses: tuple[str, ...] = ()
    unused: Mapping[str, str] = field(default_factory=dict)
    windows: tuple[tuple[int, int], ...] = ()
    n_stored_times: int = 0

    def __post_init__(self) -> None:
        """Raise UnusableFileError where there is nothing to read."""
        if 0 in self.shape:
            n, n_times, _, *grid = self.shape
            raise UnusableFileError(
                f"{self.path} is empty: its field has shape {(n, n_times, *grid)} (trajectory, "
                "time, space); make the file again"
            )

    @property
    def axis_names(self) -> tuple[str, ...]:
        """The axes of space: x, y, z as far as there are."""
        return tuple(axis for axis in SPACE if any(axis in p.axes for p in self.evolving))

    @property
    def shape(self) -> tuple[int, ...]:
        """(n_trajectories, n_times, n_channels, *grid) of the evolving fields."""
        n, n_times, *grid = (
            max(placed.length(axis) for placed in self.evolving)
            for axis in ("trajectory", "time", *self.axis_names)
        )
        return (n, n_times, len(self.channels), *grid)

    @property
    def known_coordinates(self) -> dict[str, np.ndarray]:
        """The coordinates by axis of space, as far as they are known."""
        pairs = zip(self.axis_names, self.coordinates, strict=True)
        return {axis: points for axis, points in pairs if points is not None}

    def read(
        self,
        trajectories: slice = WHOLE,
        times: slice = WHOLE,
        points: tuple[slice, ...] | None = None,
        names: Sequence[str] | None = None,
    ) -> Float32[np.ndarray, "trajectory time channel *grid"]:
        """Return part of the evolving fields; the steps of slices are positive.

        Args:
            trajectories: which ones.
            times: which frames.
            points: which of every axis of space; None for all.
            names: of the channels, in the order of the result; None for all.

        Raises:
            UnusableFileError: the file is damaged, or the part holds complex numbers, NaN, infinity
                or values beyond float32.
            ValueError: the part does not fit into memory.
        """
        return self._read(self.evolving, self.channels, trajectories, times, points, names)

    def read_constants(
        self,
        trajectories: slice = WHOLE,
        points: tuple[slice, ...] | None = None,
        names: Sequence[str] | None = None,
    ) -> Float32[np.ndarray, "trajectory constant *grid"]:
        """Return part of the further inputs, numbers per trajectory filling the grid; as `read`."""
        frame = slice(1)
        return self._read(self.constant, self.constants, trajectories, frame, points, names)[:, 0]

    def _read(
        self,
        arrays: Sequence[Placed],
        channels: Sequence[Channel],
        trajectories: slice,
        times: slice,
        points: tuple[slice, ...] | None,
        names: Sequence[str] | None,
    ) -> Float32[np.ndarray, "trajectory time channel *grid"]:
        space = self.axis_names
        parts = dict(zip(space, points or (WHOLE,) * len(space), strict=True))
        wanted = {"trajectory": trajectories, "time": times, **parts}
        n, n_times, _, *grid = self.shape
        sizes = zip(wanted, (n, n_times, *grid), strict=True)
        ranges = {axis: range(size)[wanted[axis]] for axis, size in sizes}
        n, n_times, *grid = map(len, ranges.values())
        known = [channel.name for channel in channels]
        chosen = range(len(known)) if names is None else [known.index(name) for name in names]
        shape = (n, n_times, len(chosen), *grid)
        require_memory({f"{n} trajectories of {self.path}": 4.0 * math.prod(shape)}, FEWER)
        values = np.empty(shape, np.float32)
        start = 0
        for placed in arrays:
            begin, start = start, start + placed.length("channel")
            inside = [(to, i - begin) for to, i in enumerate(chosen) if begin <= i < start]
            if not inside:
                continue
            first = min(i for _, i in inside)
            some = slice(first, max(i for _, i in inside) + 1)
            loaded = self._load(placed, {**wanted, "channel": some})
            for to, i in inside:
                one, stored = values[:, :, to], loaded[:, :, i - first]
                name = known[begin + i]
                self._warn_of_rounding(stored, name)
                with np.errstate(over="ignore"):
                    one[...] = stored
                if not np.isfinite(one).all():
                    raise self._not_finite(one, stored, ranges, name)
        return values

    def _load(self, placed: Placed, wanted: Mapping[str, slice]) -> np.ndarray:
        """Return part of an array as it is stored, if it holds real numbers."""
        with reading(self.path, AGAIN):
            loaded = placed.load(wanted, self.axis_names)
            name = placed.stored.name or "the field"
            require_kind(f"{self.path}: {name}", loaded.dtype, REALS, CORRECT)
        if loaded.dtype.kind == "f" and loaded.dtype.itemsize < 4:
            _warn(f"{self.path} holds half precision: 3 digits, of the errors too")
        return loaded

    def _warn_of_rounding(self, stored: np.ndarray, name: str) -> None:
        """Warn where float32 tells few of the values of a channel apart."""
        if np.can_cast(stored.dtype, np.float32) or not stored.size:
            return
        low, high = float(stored.min()), float(stored.max())
        n_steps = (high - low) / (_SINGLE * max(abs(low), abs(high), _TINY))
        if 0 < n_steps < _FEW_STEPS:  # NaN is named where it is found
            _warn(
                f"{self.path}, {printable(name)}: values differ by fewer than {_FEW_STEPS:g} steps "
                "of float32, in which they are read; subtract what is common to all of them"
            )

    def _not_finite(
        self,
        values: np.ndarray,
        loaded: np.ndarray,
        ranges: Mapping[str, range],
        name: str,
    ) -> UnusableFileError:
        """Return an error that names the first place of NaN, infinity or too large values."""
        wrong = ~np.isfinite(values)
        first = tuple(np.argwhere(wrong)[0])
        beyond = np.isfinite(np.broadcast_to(loaded, values.shape)[first])
        trajectory, frame = (ranges[axis][i] for axis, i in zip(AXES, first[:2], strict=False))
        place = self.place(trajectory, frame)
        if len(self.channels) + len(self.constants) > 1:
            place += f", {printable(name)}"
        n_wrong = int(wrong.reshape(len(wrong), -1).any(axis=1).sum())
        return UnusableFileError(
            f"{self.path} holds {'values beyond float32' if beyond else 'NaN or infinity'}, first "
            f"in {place}; {n_wrong} of {len(values)} trajectories are affected. Remove them or "
            "make the file again"
        )

    def place(self, trajectory: int, frame: int) -> str:
        """Return the words for a frame, both counted from 0."""
        if self.shape[1] == 1:
            return f"trajectory {trajectory}"
        time = "" if self.times is None else f" (time {self.times[frame]:g})"
        if self.windows:
            of, start = self.windows[trajectory]
            return f"window {trajectory}, frame {start + frame} of trajectory {of}"
        return f"trajectory {trajectory}, frame {frame}{time}"
