"""Long trajectories cut along time into windows, each a trajectory of its own.

Window c of trajectory i has the frames first + c w, ..., first + (c + 1) w - 1, so that no frame is
in two. All first windows come first, then all second ones: split by position, no trajectory is
learned from at a time later than one that it is tested at.
"""

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from data_scripts.pde.readers.axes import evenly_spaced
from data_scripts.pde.readers.fields import Fields
from data_scripts.pde.readers.stored import Placed, Stored
from data_scripts.unusable import UnusableFileError

# Trajectory and first frame of every window.
Windows = Sequence[tuple[int, int]]
# How many windows a long trajectory is said to be cut into, and the longest of them.
_ENOUGH, _LONGEST = 10, 24


def likely_window(n_trajectories: int, n_times: int) -> int | None:
    """Return frames of a window that make some ten of few trajectories, None if they are short."""
    window = min(n_times * n_trajectories // _ENOUGH, _LONGEST)
    return window if window >= 2 and n_times // window >= 2 else None


def cut(fields: Fields, n_frames: int, first: int) -> Fields:
    """Return the windows of all trajectories, within each split that the file has.

    Args:
        fields: of a file.
        n_frames: of a window, w.
        first: frame at which the first one begins.

    Raises:
        UnusableFileError: a trajectory has not as many frames, or their times are not even, so that
            windows would differ.
    """
    n, n_times = fields.shape[:2]
    if not 2 <= n_frames <= n_times - first:
        raise UnusableFileError(
            f"{fields.path} has {n_times} frames, so that dataset.window must be at least 2 and at "
            f"most {n_times - first} from dataset.first_frame={first} on, got {n_frames}"
        )
    if fields.times is not None and not evenly_spaced(fields.times[first:]):
        raise UnusableFileError(
            f"{fields.path}: dataset.window={n_frames} needs frames that are even in time, so that "
            "all windows are alike; leave out the first ones by dataset.first_frame, or say "
            "dataset.time_step"
        )
    starts = range(first, n_times - n_frames + 1, n_frames)
    parts = fields.splits or {"": range(n)}
    windows: list[tuple[int, int]] = []
    splits: dict[str, range] = {}
    for split, part in parts.items():
        begin = len(windows)
        windows += [(i, start) for start, i in itertools.product(starts, part)]
        splits[split] = range(begin, len(windows))
    of = [i for i, _ in windows]
    return replace(
        fields,
        evolving=tuple(_cut(placed, windows, n_frames) for placed in fields.evolving),
        constant=tuple(_cut(placed, windows, None) for placed in fields.constant),
        numbers={name: values[of] for name, values in fields.numbers.items()},
        times=None if fields.times is None else fields.times[first : first + n_frames],
        splits=splits if fields.splits else None,
        windows=tuple(windows),
        n_stored_times=n_times,
        guesses=(*fields.guesses, *_left_over(range(starts[-1] + n_frames, n_times))),
    )


def _left_over(frames: range) -> list[str]:
    if not frames:
        return []
    return [f"frames {frames[0]} to {frames[-1]} fill no window and are left out; dataset.window="]


def _cut(placed: Placed, windows: Windows, n_frames: int | None) -> Placed:
    """Return the windows of an array, whose first axis they become; of all frames for None."""
    stored, axes = placed.stored, placed.axes
    at = {axis: axes.index(axis) if axis in axes else None for axis in ("trajectory", "time")}
    if at["trajectory"] is None and at["time"] is None:
        return placed
    rest = tuple(axis for axis in axes if axis != "trajectory")
    shape = dict(zip(axes, stored.shape, strict=True))
    if n_frames is not None and "time" in axes:
        shape["time"] = n_frames

    def load(index: tuple[slice, ...]) -> np.ndarray:
        wanted = dict(zip(("trajectory", *rest), index, strict=True))
        pieces = [one(i, start, wanted) for i, start in windows[wanted["trajectory"]]]
        return np.stack(pieces) if pieces else one(*windows[0], wanted)[None][:0]

    def one(i: int, start: int, wanted: dict[str, slice]) -> np.ndarray:
        inner = dict(wanted)
        inner["trajectory"] = slice(i, i + 1) if shape.get("trajectory", 1) > 1 else slice(0, 1)
        if n_frames is not None and "time" in axes:
            frames = range(start, start + n_frames)[wanted["time"]]
            inner["time"] = slice(frames.start, frames.stop, frames.step)
        values = stored.load(tuple(inner[axis] for axis in axes))
        return values if at["trajectory"] is None else values.squeeze(at["trajectory"])

    whole = Stored(
        stored.name,
        (len(windows), *(shape[axis] for axis in rest)),
        stored.dtype,
        load,
        stored.unit,
    )
    return replace(placed, stored=whole, axes=("trajectory", *rest))
