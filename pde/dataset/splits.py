"""Load the training, validation and test samples of a data set, making them if need be."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.data import Dataset

from data_scripts.pde.conventions import OWN
from data_scripts.pde.readers import (
    Trajectories,
    UnusableFileError,
    is_well_folder,
    open_trajectories,
)
from data_scripts.pde.readers.statement import FEWER
from data_scripts.recipe import ensure
from monarch_core.runs.fingerprint import fingerprint_arrays
from monarch_core.runs.machine import require_memory
from monarch_core.training.batches import mix_seed
from pde.config.dataset import DatasetConfig
from pde.dataset.checks import (
    common_times,
    require_axes,
    require_distinct,
    require_problem,
    require_sound,
    require_steps,
    require_variety,
)
from pde.dataset.thinning import thin

# Tells the random numbers of symmetries from others of the same seed.
_SYMMETRY = 1


class TrajectoryDataset(Dataset[tuple[tuple[Tensor, ...], Tensor]]):
    """Pairs of past and future, one per trajectory, in physical units.

    Item i is ((past,), future) with past = frames[i, :n_input_frames], the rest being the future;
    both are float32 with axes (time, *grid).

    Args:
        frames: all used frames of all trajectories.
        n_input_frames: how many of them are the past.
        symmetry: maps the frames of an item to those of another solution, at random; the draw
            follows from seed, epoch and item. None leaves them as they are.
        n_forced_epochs: in so many first epochs item i is ((past, future), future), which makes a
            `RollOut` start every step from the truth.
        seed: of the symmetries.
    """

    def __init__(
        self,
        frames: Float[Tensor, "trajectory time *grid"],
        n_input_frames: int,
        symmetry: Callable[[Tensor, torch.Generator], Tensor] | None = None,
        n_forced_epochs: int = 0,
        seed: int = 0,
    ) -> None:
        self.frames = frames
        self.n_input_frames = n_input_frames
        self.symmetry = symmetry
        self.n_forced_epochs = n_forced_epochs
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the symmetries of an epoch, counted from 0, and whether it is forced."""
        self.epoch = epoch

    @property
    def past(self) -> Float[Tensor, "trajectory n_input_frames *grid"]:
        """The inputs of all trajectories."""
        return self.frames[:, : self.n_input_frames]

    @property
    def future(self) -> Float[Tensor, "trajectory n_output_frames *grid"]:
        """The outputs of all trajectories."""
        return self.frames[:, self.n_input_frames :]

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, i: int) -> tuple[tuple[Tensor, ...], Tensor]:
        frames = self.frames[i]
        if self.symmetry is not None:
            seed = mix_seed(self.seed, self.epoch, i, _SYMMETRY)
            frames = self.symmetry(frames, torch.Generator().manual_seed(seed))
        past, future = frames.tensor_split([self.n_input_frames])
        forced = self.epoch < self.n_forced_epochs
        return ((past, future) if forced else (past,)), future


@dataclass(frozen=True)
class Splits:
    """Disjoint sets of trajectories.

    Attributes:
        train: to learn from.
        valid: to choose by.
        test: to report on.
        grid: points per axis.
        sizes: trajectories in each split.
        times: time of every used frame, inputs first, in units of the equation.
        description: one sentence for people.
        identity: what the numbers depend on: the recipe of generated data, None for your own.
    """

    train: TrajectoryDataset
    valid: TrajectoryDataset
    test: TrajectoryDataset
    grid: tuple[int, ...]
    sizes: dict[str, int]
    times: tuple[float, ...]
    description: str
    identity: dict[str, Any] | None = None

    @functools.cached_property
    def fingerprints(self) -> dict[str, str]:
        """The identity of each split by the content of its frames, wherever they lie."""
        return {
            split: fingerprint_arrays([dataset.frames])
            for split, dataset in (
                ("train", self.train),
                ("valid", self.valid),
                ("test", self.test),
            )
        }


def load_splits(config: DatasetConfig) -> Splits:
    """Read the three splits; without a `path`, generate the data first if they are missing.

    A folder in The Well's layout keeps its own splits. From any other file the first `n_train`
    trajectories are for training, the `n_valid` after them for validation and the last `n_test`
    for testing, which are also the published test trajectories.

    Raises:
        ValueError: a file is missing, damaged, of unknown layout or of another problem, holds NaN,
            fields of zero or the same trajectory in two splits, has too few trajectories or
            frames, another grid, viscosity or times, or the data could not be generated.
    """
    source = _source(config)
    try:
        found = _find_splits(config, source)
        for trajectories in {part.path: part for part, _ in found.values()}.values():
            require_axes(config, trajectories)
            require_problem(config, trajectories)
        times = common_times(config, [trajectories for trajectories, _ in found.values()])
        loaded = {
            split: _load(config, trajectories, part, config.grid)
            for split, (trajectories, part) in found.items()
        }
        require_variety(source, loaded["train"].frames, config.n_input_frames)
        require_distinct(
            config,
            {
                split: (loaded[split].frames, range(trajectories.shape[0])[part], trajectories.path)
                for split, (trajectories, part) in found.items()
            },
        )
    except ValueError as error:
        raise _with_remedy(config, source, error) from error
    grid = tuple(loaded["train"].frames.shape[2:])
    return Splits(
        **loaded,
        grid=grid,
        sizes=config.split_sizes,
        times=times,
        description=f"{config.name} (from {source}), {' x '.join(map(str, grid))} points: "
        f"{config.describe_frames(times)}",
        identity=config.identity() if config.path is None else None,
    )


def training_set(
    splits: Splits,
    config: DatasetConfig,
    *,
    augment: bool | None,
    n_forced_epochs: int,
    seed: int = 0,
) -> TrajectoryDataset:
    """Return the training split as it is trained on.

    Args:
        splits: of `load_splits`.
        config: has the symmetries of the equation.
        augment: items under random symmetries, others in every epoch; None: where there are some
            and the data are generated.
        n_forced_epochs: first epochs with teacher forcing.
        seed: of the symmetries.

    Raises:
        ValueError: there are no symmetries to augment with, or not on this grid.
    """
    train, symmetry = splits.train, config.symmetry
    if augment and symmetry is None:
        raise ValueError(f"{config.name} has no symmetries to augment it; set augment=false")
    if augment is False or (augment is None and config.path is not None):
        symmetry = None
    if symmetry is not None:
        symmetry(train.frames[:1], torch.Generator())  # refuses an unsuitable grid at once
    return TrajectoryDataset(train.frames, train.n_input_frames, symmetry, n_forced_epochs, seed)


def load_test_split(config: DatasetConfig, grid: int) -> TrajectoryDataset:
    """Read the test split of data that `load_splits` has read before, on another grid.

    Raises:
        ValueError: the stored fields cannot be thinned out to this grid, or as `load_splits`.
    """
    source = _source(config)
    try:
        return _load(config, *_find_splits(config, source)["test"], grid)
    except ValueError as error:
        raise _with_remedy(config, source, error) from error


def check_grids(config: DatasetConfig, grids: Sequence[int]) -> None:
    """Raise ValueError unless the stored test split can be thinned out to each grid."""
    trajectories, _ = _find_splits(config, _source(config))["test"]
    for grid in grids:
        _points(config, trajectories, grid)


def _source(config: DatasetConfig) -> Path:
    """Return the file or folder to read, which exists if it is a generated one."""
    if config.path is not None:
        return Path(config.path)
    config.check_frames()
    if not config.is_complete:
        _require_memory(config)
    return ensure(config)


def _require_memory(config: DatasetConfig) -> None:
    """Raise ValueError where the data to be generated could not be loaded afterwards."""
    sizes = config.split_sizes
    n_frames = config.n_input_frames + config.n_output_frames
    require_memory(
        {
            f"{', '.join(f'n_{split}={size}' for split, size in sizes.items())} with {n_frames} "
            f"frames of {' x '.join([str(config.grid)] * config.n_axes)} points": 4.0
            * sum(sizes.values())
            * n_frames
            * config.grid**config.n_axes
        },
        FEWER,
    )


def _with_remedy(config: DatasetConfig, source: Path, error: ValueError) -> ValueError:
    if config.path is not None or not isinstance(error, UnusableFileError):
        return error
    return ValueError(f"{error}. Delete {source} and it is made again")


def _find_splits(config: DatasetConfig, source: Path) -> dict[str, tuple[Trajectories, slice]]:
    """Return for every split where it is, and which trajectories of that."""
    if is_well_folder(source):
        found = {}
        for split, size in config.split_sizes.items():
            trajectories = open_trajectories(source / "data" / split, config.convention)
            _require_trajectories(trajectories, f"n_{split}={size}", size)
            found[split] = (trajectories, slice(size))
        return found
    trajectories = open_trajectories(source, config.convention)
    n_train, n_valid, n_test = config.split_sizes.values()
    wanted = f"n_train={n_train}, n_valid={n_valid} and n_test={n_test}"
    _require_trajectories(trajectories, wanted, n_train + n_valid + n_test)
    n = trajectories.shape[0]
    return {
        "train": (trajectories, slice(n_train)),
        "valid": (trajectories, slice(n_train, n_train + n_valid)),
        "test": (trajectories, slice(n - n_test, n)),
    }


def _require_trajectories(trajectories: Trajectories, wanted: str, n_wanted: int) -> None:
    n = trajectories.shape[0]
    if n < n_wanted:
        raise UnusableFileError(
            f"{trajectories.path} has {n} trajectories, but {wanted} need {n_wanted}; "
            "the splits are disjoint, so lower one of them"
        )


def _load(
    config: DatasetConfig, trajectories: Trajectories, part: slice, grid: int
) -> TrajectoryDataset:
    frames = config.select_frames(trajectories.times, trajectories.path)
    require_steps(config, trajectories, frames)
    points = _points(config, trajectories, grid)
    values = trajectories.read(part, frames, points)
    tensor = torch.from_numpy(values.copy())
    require_sound(trajectories, part, frames, tensor, config.n_input_frames)
    return TrajectoryDataset(tensor, config.n_input_frames)


def _points(config: DatasetConfig, trajectories: Trajectories, grid: int) -> tuple[slice, ...]:
    """Return, for every axis, which of the stored points belong to a grid."""
    shape = trajectories.shape[2:]
    try:
        points = tuple(
            thin(n, grid, periodic=periodic)
            for n, periodic in zip(shape, config.periodic, strict=True)
        )
    except ValueError as error:
        raise ValueError(
            f"{trajectories.path} has fields of shape {shape}, which cannot be thinned out to "
            f"{' x '.join([str(grid)] * len(shape))}: {error}"
        ) from error
    square = trajectories.states.unit_square or config.convention == OWN
    if len(set(shape)) > 1 and not square:
        raise ValueError(
            f"{trajectories.path} has fields of shape {shape}, of which {grid} points per axis "
            "would keep another part along each axis; store square cells, or set "
            "dataset.convention=own if both axes are of length 1"
        )
    return points
