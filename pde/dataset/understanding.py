"""What a file of your own holds, beside what is said of it, as a complete config."""

import dataclasses
import math
from functools import cached_property
from pathlib import Path

import numpy as np

from data_scripts.pde.readers import evenly_spaced, open_fields
from data_scripts.pde.readers.windows import likely_window
from monarch_core.runs.printable import listed
from monarch_core.runs.typed import typed
from pde.config.own import OwnConfig
from pde.dataset.guesses import ends_of, likely_frames, likely_sizes, places_of_splits
from pde.dataset.own import held_splits, slices_of

# Fields that are looked at to tell whether an axis is periodic.
_N_LOOKED_AT, _N_FRAMES_LOOKED_AT, _MOST_BYTES = 16, 3, 1 << 27


class Understanding:
    """A file beside what is said of it: every value of a complete config, and why.

    Args:
        config: what is said.

    Attributes:
        problems: what is wrong with what is said, given the file.
        notes: what was guessed, each with the option that says otherwise.

    Raises:
        ValueError: there is no such file, or it is not clear what it holds.
    """

    def __init__(self, config: OwnConfig) -> None:
        if config.path is None:
            raise ValueError("dataset.path has no value; give a file or folder of your own")
        self.said = config
        self.fields = open_fields(Path(config.path), config.read_options)
        self.problems: list[str] = []
        self.notes: list[str] = [*self.fields.guesses]

    @cached_property
    def config(self) -> OwnConfig:
        """The complete config.

        Raises:
            ValueError: what is said does not fit the file; names all that does not.
        """
        said, fields = self.said, self.fields
        n_in, n_out = self._frames
        channels = self._channels
        if fields.shape[1] > 1 and (self._some == self._some[:, :1]).all():
            self.notes.append("nothing changes from frame to frame; is time another axis? axes=")
        units = {channel.name: channel.unit for channel in fields.channels}
        constants = self._chosen("constants", [constant.name for constant in fields.constants])
        periodic, whole = self._ends()
        grid = said.grid * len(whole) if len(said.grid) == 1 else said.grid
        sizes = self._sizes
        found = dataclasses.replace(
            said,
            channels=channels,
            units=[units.get(name, "") for name in channels],
            constants=constants,
            periodic=periodic,
            grid=grid if len(grid) == len(whole) else whole,
            uneven=self._uneven(),
            n_input_frames=n_in,
            n_output_frames=n_out,
            n_train=sizes["train"],
            n_valid=sizes["valid"],
            n_test=sizes["test"],
        )
        self._check(found)
        if self.problems:
            raise ValueError(f"{fields.path}: {'; '.join(self.problems)}")
        return found

    @property
    def _first(self) -> int:
        """The first used frame, of a window if there is one."""
        return 0 if self.said.window else self.said.first_frame

    @cached_property
    def _frames(self) -> tuple[int, int]:
        said, n_times = self.said, self.fields.shape[1]
        if n_times == 1:
            return 0, 1
        asked = (self._first, said.stride, said.n_input_frames, said.n_output_frames)
        n_in, n_out = likely_frames(n_times, *asked)
        if not said.n_input_frames:
            self.notes.append(f"frames given: {n_in}; dataset.n_input_frames=")
        if not said.n_output_frames:
            self.notes.append(f"frames predicted: {n_out}; dataset.n_output_frames=")
        return n_in, n_out

    @cached_property
    def _channels(self) -> list[str]:
        return self._chosen("channels", [channel.name for channel in self.fields.channels])

    def _chosen(self, key: str, names: list[str]) -> list[str]:
        said: list[str] = getattr(self.said, key)
        unknown = [name for name in said if name not in names]
        if unknown:
            every = f"; all are {typed(f'dataset.{key}', names)}" if names else ""
            self.problems.append(
                f"dataset.{key} must be among {listed(names) or 'nothing'}, got "
                f"{listed(unknown)}{every}"
            )
            return names
        chosen = said or names
        if len({*chosen}) < len(chosen):
            other = ", or say dataset.parameters=[]" if key == "constants" else ""
            self.problems.append(
                f"dataset.{key} must differ in their names, got {listed(chosen)}; name each once"
                f"{other}"
            )
        return chosen

    def _ends(self) -> tuple[list[bool], list[int]]:
        """Return whether each axis is periodic, and all its points, a repeated one left out."""
        fields, n_points = self.fields, self.fields.shape[3:]
        periodic, grid = [], []
        for axis, (name, n) in enumerate(zip(fields.axis_names, n_points, strict=True)):
            stated = fields.periodic[axis]
            ends = ends_of(self._by_channel(axis)) if stated is not False else "open"
            is_periodic = ends != "open" if stated is None else stated
            periodic.append(is_periodic)
            grid.append(n - 1 if is_periodic and ends == "repeated" else n)
            words = {
                "periodic": "periodic, since the values run on across its ends",
                "repeated": "periodic, since its last point repeats the first, and is left out",
                "open": "not periodic, since the values do not run on across its ends",
            }
            asked = self.said.grid[axis] if len(self.said.grid) == len(n_points) else n
            if is_periodic and ends != "repeated" and n % asked and (n - 1) % asked == 0:
                self.problems.append(
                    f"dataset.grid={self.said.grid} would leave out the last point of {name}, "
                    f"which does not repeat the first, of a periodic axis of {n} points; set grid "
                    f"to a divisor of {n}"
                )
            if stated is None or ends == "repeated":
                self.notes.append(f"{name} is {words[ends]}; dataset.periodic=, grid=")
        return periodic, grid

    @cached_property
    def _some(self) -> np.ndarray:
        """A few of the fields that are learned from."""
        every = range(self._first, self.fields.shape[1], self.said.stride)
        frames = every[: sum(self._frames)] or range(1)
        step = max(1, len(frames) // _N_FRAMES_LOOKED_AT) * frames.step
        n_bytes = 4 * _N_FRAMES_LOOKED_AT * math.prod(self.fields.shape[2:])
        n = min(max(1, _MOST_BYTES // n_bytes), _N_LOOKED_AT, self._sizes["train"])
        part = slice(frames.start, frames.stop, step)
        return self.fields.read(slice(n), part, names=self._channels)

    def _by_channel(self, axis: int) -> np.ndarray:
        """Return some fields with the channels first and an axis of space last."""
        return np.moveaxis(self._some, (2, 3 + axis), (0, -1))

    def _uneven(self) -> dict[str, list[float]]:
        uneven = {}
        fields = self.fields
        for name, points in zip(fields.axis_names, fields.coordinates, strict=True):
            if points is not None and not evenly_spaced(points):
                uneven[name] = ((points - points[0]) / (points[-1] - points[0])).tolist()
        return uneven

    @cached_property
    def _sizes(self) -> dict[str, int]:
        said, n = self.said, self.fields.shape[0]
        sizes = likely_sizes(n, said.fractions, said.split_sizes, held_splits(self.fields))
        try:
            places_of_splits(n, sizes, held_splits(self.fields))
        except ValueError as error:
            self.problems.append(f"{error}{self._by_windows(n)}")
        return sizes

    def _by_windows(self, n: int) -> str:
        """Return how a file of few long trajectories can be split all the same, "" if it cannot."""
        n_times = self.fields.shape[1]
        window = likely_window(n, n_times)
        if self.said.window or window is None:
            return ""
        return (
            f", or cut {'the trajectory' if n == 1 else 'each trajectory'} of {n_times} frames "
            f"along time: dataset.window={window} makes {n * (n_times // window)} of {window} "
            "frames each, of which the first are for training and the last for testing"
        )

    def _check(self, found: OwnConfig) -> None:
        """Note what of a config does not fit the file."""
        fields = self.fields
        n_times, n_axes = fields.shape[1], len(fields.shape[3:])
        if fields.shape[1] == 1 and (self.said.n_input_frames or self.said.n_output_frames > 1):
            self.problems.append(
                "there is one frame, the output of a steady problem, so that n_input_frames and "
                "n_output_frames must be left out"
            )
        elif found.frames.stop > n_times:
            self.problems.append(
                f"there are {n_times} frames{' in a window' if found.window else ''}, but "
                f"first_frame={found.frames.start}, {found.n_input_frames} + "
                f"{found.n_output_frames} frames and stride={found.stride} ask for frame "
                f"{found.frames.stop - 1} (they count from 0); lower n_input_frames, "
                "n_output_frames or stride"
            )
        elif fields.times is not None and not evenly_spaced(fields.times[found.frames]):
            self.problems.append(
                "the frames used must be evenly spaced in time, since one network makes every "
                f"step, got times {', '.join(f'{t:g}' for t in fields.times[found.frames][:6])}; "
                "choose others by dataset.first_frame and stride, or say dataset.times"
            )
        if len(self.said.grid) not in (0, 1, n_axes):
            self.problems.append(
                f"there are {n_axes} axes of space ({', '.join(fields.axis_names)}), got "
                f"dataset.grid={self.said.grid}"
            )
        if not self.problems:
            try:
                slices_of(fields, found, found.points)
            except ValueError as error:
                self.problems.append(str(error))
