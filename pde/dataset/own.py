"""The splits of data of your own, as a complete config says them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from data_scripts.pde.readers import Fields, UnusableFileError, open_fields
from data_scripts.pde.readers.statement import FEWER
from monarch_core.runs.machine import require_memory
from monarch_core.runs.printable import listed, printable
from monarch_core.runs.typed import typed
from pde.config.own import OwnConfig
from pde.dataset.checks import require_distinct, require_sound, require_variety
from pde.dataset.guesses import places_of_splits
from pde.dataset.samples import Splits, TrajectoryDataset
from pde.dataset.thinning import thin, thin_own


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
            thinned = thin if n % config.grid[axis] == 0 else thin_own  # all points are a period
            slices.append(thinned(n, points[axis], periodic=config.periodic[axis]))
        except ValueError as error:
            wanted = " x ".join(map(str, points))
            raise ValueError(f"a grid of {wanted} points, along {name}: {error}") from error
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
        held = [channel.name for channel in names]
        missing = {*getattr(config, key)} - {*held}
        if missing:
            raise UnusableFileError(
                f"{config.path} no longer holds {listed(sorted(missing))}, which dataset.{key} "
                f"names, but {listed(held) or 'none'}; bring the file back or, if it is the same "
                "with other names for them, start a new run"
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
    frames = torch.from_numpy(fields.read(trajectories, config.frames, slices, config.channels))
    used = range(fields.shape[1])[config.frames]

    def place(trajectory: int, frame: int) -> str:
        return fields.place(part[trajectory], used[frame])

    require_sound(fields.path, frames, config.n_input_frames, place=place)
    constants = None
    if config.constants:
        inputs = fields.read_constants(trajectories, slices, config.constants)
        constants = torch.from_numpy(inputs)
    return TrajectoryDataset(
        frames.flatten(1, 2),
        config.n_input_frames,
        n_channels=len(config.channels),
        constants=constants,
    )


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
            others = [other for other in config.channels if other != name]
            raise UnusableFileError(
                f"{error}, or leave it out: {typed('dataset.channels', others)}"
            ) from error
