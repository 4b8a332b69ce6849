"""Data of your own: what a file holds, as a complete config, and its splits."""

import dataclasses
import math
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from data_scripts.pde.readers import Fields, UnusableFileError, evenly_spaced, open_fields
from data_scripts.pde.readers.statement import FEWER
from monarch_core.runs.machine import require_memory
from monarch_core.runs.printable import listed, printable
from pde.config.own import OwnConfig
from pde.dataset.checks import require_distinct, require_sound, require_variety
from pde.dataset.guesses import ends_of, likely_frames, likely_sizes, places_of_splits
from pde.dataset.samples import Splits, TrajectoryDataset
from pde.dataset.thinning import thin_own

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
        n_in, n_out = self._frames(fields.shape[1])
        channels = self._chosen("channels", [channel.name for channel in fields.channels])
        units = {channel.name: channel.unit for channel in fields.channels}
        constants = self._chosen("constants", [constant.name for constant in fields.constants])
        periodic, whole = self._ends()
        sizes = self._sizes()
        found = dataclasses.replace(
            said,
            channels=channels,
            units=[units.get(name, "") for name in channels],
            constants=constants,
            periodic=periodic,
            grid=said.grid if len(said.grid) == len(whole) else whole,
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

    def _frames(self, n_times: int) -> tuple[int, int]:
        said = self.said
        if n_times == 1:
            return 0, 1
        asked = (said.first_frame, said.stride, said.n_input_frames, said.n_output_frames)
        n_in, n_out = likely_frames(n_times, *asked)
        if not said.n_input_frames:
            self.notes.append(f"{n_in} input frames; dataset.n_input_frames=")
        if not said.n_output_frames:
            self.notes.append(f"{n_out} output frames; dataset.n_output_frames=")
        return n_in, n_out

    def _chosen(self, key: str, names: list[str]) -> list[str]:
        said: list[str] = getattr(self.said, key)
        unknown = [name for name in said if name not in names]
        if unknown:
            self.problems.append(
                f"dataset.{key} must be among {listed(names) or 'nothing'}, got {listed(unknown)}"
            )
            return names
        return said or names

    def _ends(self) -> tuple[list[bool], list[int]]:
        """Return whether each axis is periodic, and all its points, a repeated one left out."""
        fields, n_points = self.fields, self.fields.shape[3:]
        periodic, grid = [], []
        for axis, (name, n) in enumerate(zip(fields.axis_names, n_points, strict=True)):
            stated = fields.periodic[axis]
            ends = ends_of(np.moveaxis(self._some, 3 + axis, -1)) if stated is not False else "open"
            is_periodic = ends != "open" if stated is None else stated
            periodic.append(is_periodic)
            grid.append(n - 1 if is_periodic and ends == "repeated" else n)
            words = {
                "periodic": "periodic, since the values run on across its ends",
                "repeated": "periodic, since its last point repeats the first, and is left out",
                "open": "not periodic, since the values do not run on across its ends",
            }
            if stated is None or ends == "repeated":
                self.notes.append(f"{name} is {words[ends]}; dataset.periodic=, grid=")
        return periodic, grid

    @cached_property
    def _some(self) -> np.ndarray:
        """A few of the fields."""
        n_times = self.fields.shape[1]
        step = max(1, n_times // _N_FRAMES_LOOKED_AT)
        n_bytes = 4 * _N_FRAMES_LOOKED_AT * math.prod(self.fields.shape[2:])
        n = min(max(1, _MOST_BYTES // n_bytes), _N_LOOKED_AT)
        return self.fields.read(slice(n), slice(0, n_times, step))

    def _uneven(self) -> dict[str, list[float]]:
        uneven = {}
        fields = self.fields
        for name, points in zip(fields.axis_names, fields.coordinates, strict=True):
            if points is not None and not evenly_spaced(points):
                uneven[name] = ((points - points[0]) / (points[-1] - points[0])).tolist()
        return uneven

    def _sizes(self) -> dict[str, int]:
        said, n = self.said, self.fields.shape[0]
        sizes = likely_sizes(n, said.fractions, said.split_sizes, held_splits(self.fields))
        try:
            places_of_splits(n, sizes, held_splits(self.fields))
        except ValueError as error:
            self.problems.append(str(error))
        return sizes

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
                f"there are {n_times} frames, but first_frame={found.first_frame}, "
                f"{found.n_input_frames} + {found.n_output_frames} frames and stride="
                f"{found.stride} ask for frame {found.frames.stop - 1} (they count from 0); lower "
                "n_input_frames, n_output_frames or stride"
            )
        elif fields.times is not None and not evenly_spaced(fields.times[found.frames]):
            self.problems.append(
                "the frames used must be evenly spaced in time, since one network makes every "
                f"step, got times {', '.join(f'{t:g}' for t in fields.times[found.frames][:6])}; "
                "choose others by dataset.first_frame and stride, or say dataset.times"
            )
        if len(self.said.grid) not in (0, n_axes):
            self.problems.append(
                f"there are {n_axes} axes of space ({', '.join(fields.axis_names)}), got "
                f"dataset.grid={self.said.grid}"
            )
        if not self.problems:
            try:
                slices_of(fields, found, found.points)
            except ValueError as error:
                self.problems.append(str(error))


def held_splits(fields: Fields) -> dict[str, range]:
    """Return the splits that a file has, {} unless one is for training."""
    held = fields.splits or {}
    return held if "train" in held else {}


def slices_of(fields: Fields, config: OwnConfig, points: Sequence[int]) -> tuple[slice, ...]:
    """Return, for every axis, which points of a file make up a grid.

    Raises:
        ValueError: the grid cannot be had from the points of the file.
    """
    slices = []
    for axis, (name, n) in enumerate(zip(fields.axis_names, fields.shape[3:], strict=True)):
        try:
            slices.append(thin_own(n, points[axis], periodic=config.periodic[axis]))
        except ValueError as error:
            raise ValueError(f"dataset.grid along {name}: {error}") from error
    return tuple(slices)


def load_own_splits(config: OwnConfig) -> Splits:
    """Read the splits of data of your own.

    Raises:
        ValueError: the file does not hold what the config says, a field is zero or constant, one
            trajectory is in two splits, or what is used of it does not fit into memory.
    """
    fields = _reopened(config)
    places = places_of_splits(fields.shape[0], config.split_sizes, held_splits(fields))
    n_channels = len(config.channels)
    n_values = config.in_channels + config.n_output_frames * n_channels
    require_memory(
        {
            f"{sum(map(len, places.values()))} trajectories of {n_values} fields on "
            f"{' x '.join(map(str, config.points))} points": 4.0
            * sum(map(len, places.values()))
            * n_values
            * float(np.prod(config.points, dtype=object))
        },
        f"{FEWER}, as in dataset.grid=[...], n_output_frames or stride",
    )
    loaded = {split: _load(fields, config, part, config.points) for split, part in places.items()}
    _require_variety(config, loaded["train"])
    require_distinct(
        config,
        {split: (_per_trajectory(loaded[split]), places[split], fields.path) for split in loaded},
    )
    times = _times(fields, config)
    return Splits(
        loaded["train"],
        loaded["valid"],
        loaded["test"],
        grid=config.points,
        sizes={split: len(part) for split, part in places.items()},
        times=times,
        description=f"{config.path}, {' x '.join(map(str, config.points))} points: "
        f"{config.describe_frames(times)}",
    )


def load_own_split(config: OwnConfig, split: str, points: tuple[int, ...]) -> TrajectoryDataset:
    """Read one split on a grid that the points of the file can be thinned out to.

    Raises:
        ValueError: they cannot, or as `load_own_splits`.
    """
    fields = _reopened(config)
    places = places_of_splits(fields.shape[0], config.split_sizes, held_splits(fields))
    return _load(fields, config, places[split], points)


def check_own_grids(config: OwnConfig, grids: Sequence[int]) -> None:
    """Raise ValueError unless the points of the file can be thinned out to each grid."""
    fields = _reopened(config)
    for grid in grids:
        slices_of(fields, config, config.points_of(grid))


def _reopened(config: OwnConfig) -> Fields:
    """Return the file of a complete config, which still holds what it held."""
    if not config.is_understood or config.path is None:
        raise ValueError(
            "the config does not say what the file holds; start from dataset.path=FILE, or from "
            "the config.yaml of a run"
        )
    fields = open_fields(Path(config.path), config.read_options)
    for key, names in (("channels", fields.channels), ("constants", fields.constants)):
        missing = {*getattr(config, key)} - {channel.name for channel in names}
        if missing:
            raise UnusableFileError(
                f"{config.path} no longer holds {listed(sorted(missing))}, which dataset.{key} "
                "names; bring the file back"
            )
    if len(fields.shape[3:]) != config.n_axes or config.frames.stop > fields.shape[1]:
        raise UnusableFileError(
            f"{config.path} has fields of shape {fields.shape[3:]} in {fields.shape[1]} frames, "
            f"where the run used {config.frames.stop} frames of {config.n_axes} axes; bring the "
            "file back"
        )
    return fields


def _load(
    fields: Fields, config: OwnConfig, part: range, points: tuple[int, ...]
) -> TrajectoryDataset:
    slices = slices_of(fields, config, points)
    trajectories = slice(part.start, part.stop)
    values = fields.read(trajectories, config.frames, slices)
    chosen = _chosen(values, 2, [channel.name for channel in fields.channels], config.channels)
    frames = torch.from_numpy(chosen)
    used = range(fields.shape[1])[config.frames]

    def place(trajectory: int, frame: int) -> str:
        return f"trajectory {part[trajectory]}, frame {used[frame]}"

    require_sound(fields.path, frames, config.n_input_frames, place=place)
    constants = None
    if config.constants:
        names = [constant.name for constant in fields.constants]
        inputs = fields.read_constants(trajectories, slices)
        constants = torch.from_numpy(_chosen(inputs, 1, names, config.constants))
    return TrajectoryDataset(
        frames.flatten(1, 2),
        config.n_input_frames,
        n_channels=len(config.channels),
        constants=constants,
    )


def _chosen(values: np.ndarray, axis: int, names: list[str], wanted: list[str]) -> np.ndarray:
    """Return the entries of some names along an axis, in their order."""
    if names == wanted:
        return np.ascontiguousarray(values)
    return np.take(values, [names.index(name) for name in wanted], axis)


def _times(fields: Fields, config: OwnConfig) -> tuple[float, ...]:
    """Return the times of the used frames; without any in the file, frames count from 0."""
    times = np.arange(fields.shape[1]) if fields.times is None else fields.times
    return tuple(float(t) for t in times[config.frames])


def _per_trajectory(data: TrajectoryDataset) -> list[torch.Tensor]:
    """Return all values of each trajectory."""
    if data.constants is None:
        return [*data.frames]
    return [torch.cat(both) for both in zip(data.frames, data.constants, strict=True)]


def _require_variety(config: OwnConfig, train: TrajectoryDataset) -> None:
    """Raise UnusableFileError where a channel to learn from is one constant."""
    frames = train.frames.unflatten(1, (-1, train.n_channels))
    for channel, name in enumerate(config.channels):
        try:
            require_variety(f"{config.path}, {printable(name)}", frames[:, :, channel], 0)
        except UnusableFileError as error:
            if len(config.channels) == 1:
                raise
            others = ",".join(other for other in config.channels if other != name)
            raise UnusableFileError(
                f"{error}, or leave it out: dataset.channels=[{others}]"
            ) from error
