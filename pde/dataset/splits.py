"""Load the training, validation and test samples of a data set, making them if need be."""

from collections.abc import Sequence
from pathlib import Path

import torch

from data_scripts.pde.conventions import OWN
from data_scripts.pde.readers import (
    Trajectories,
    UnusableFileError,
    is_well_folder,
    open_trajectories,
)
from data_scripts.pde.readers.statement import FEWER
from data_scripts.recipe import ensure
from monarch_core.runs.machine import require_memory
from pde.config.base import DatasetConfig, GeneratedConfig
from pde.config.own import OwnConfig
from pde.dataset.checks import (
    common_times,
    require_axes,
    require_distinct,
    require_problem,
    require_sound,
    require_steps,
    require_variety,
)
from pde.dataset.own import check_own_grids, load_own_split, load_own_splits
from pde.dataset.samples import Splits, TrajectoryDataset
from pde.dataset.thinning import thin


def load_splits(config: DatasetConfig) -> Splits:
    """Read the three splits; without a `path`, generate the data first if they are missing.

    `pde.dataset.own` says which trajectories of own data are in which split. Of the others, a
    folder in The Well's layout keeps its own splits. From any other file the first `n_train`
    trajectories are for training, the `n_valid` after them for validation and the last `n_test` for
    testing, which are also the published test trajectories.

    Raises:
        ValueError: a file is missing, damaged, of unknown layout or of another problem, holds NaN,
            fields of zero or the same trajectory in two splits, has too few trajectories or
            frames, another grid, viscosity or times, or the data could not be generated.
    """
    if isinstance(config, OwnConfig):
        return load_own_splits(config)
    assert isinstance(config, GeneratedConfig)
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
    return TrajectoryDataset(
        train.frames,
        train.n_input_frames,
        symmetry,
        n_forced_epochs,
        seed,
        n_channels=train.n_channels,
        constants=train.constants,
    )


def load_test_split(config: DatasetConfig, grid: int) -> TrajectoryDataset:
    """Read the test split of data that `load_splits` has read before, on another grid.

    Raises:
        ValueError: the stored fields cannot be thinned out to this grid, or as `load_splits`.
    """
    if isinstance(config, OwnConfig):
        return load_own_split(config, "test", config.points_of(grid))
    assert isinstance(config, GeneratedConfig)
    source = _source(config)
    try:
        return _load(config, *_find_splits(config, source)["test"], grid)
    except ValueError as error:
        raise _with_remedy(config, source, error) from error


def check_grids(config: DatasetConfig, grids: Sequence[int]) -> None:
    """Raise ValueError unless the stored test split can be thinned out to each grid."""
    if isinstance(config, OwnConfig):
        check_own_grids(config, grids)
        return
    assert isinstance(config, GeneratedConfig)
    trajectories, _ = _find_splits(config, _source(config))["test"]
    for grid in grids:
        _points(config, trajectories, grid)


def _source(config: GeneratedConfig) -> Path:
    """Return the file or folder to read, which exists if it is a generated one."""
    if config.path is not None:
        return Path(config.path)
    config.check_frames()
    if not config.is_complete:
        _require_memory(config)
    return ensure(config)


def _require_memory(config: GeneratedConfig) -> None:
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


def _with_remedy(config: GeneratedConfig, source: Path, error: ValueError) -> ValueError:
    if config.path is not None or not isinstance(error, UnusableFileError):
        return error
    return ValueError(f"{error}. Delete {source} and it is made again")


def _find_splits(config: GeneratedConfig, source: Path) -> dict[str, tuple[Trajectories, slice]]:
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
    config: GeneratedConfig, trajectories: Trajectories, part: slice, grid: int
) -> TrajectoryDataset:
    frames = config.select_frames(trajectories.times, trajectories.path)
    require_steps(config, trajectories, frames)
    points = _points(config, trajectories, grid)
    values = trajectories.read(part, frames, points)
    tensor = torch.from_numpy(values.copy())
    numbers, times = range(trajectories.shape[0])[part], range(trajectories.shape[1])[frames]
    require_sound(
        trajectories.path,
        tensor,
        config.n_input_frames,
        place=lambda i, frame: trajectories.place(numbers[i], times[frame]),
    )
    return TrajectoryDataset(tensor, config.n_input_frames)


def _points(config: GeneratedConfig, trajectories: Trajectories, grid: int) -> tuple[slice, ...]:
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
