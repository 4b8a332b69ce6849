"""Load the training, validation and test trajectories of a data set, making them if need be."""

import json
import subprocess
import sys
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.data import Dataset

from pde.dataset_config import NavierStokesConfig
from pde.readers import Trajectories, is_well_folder, open_trajectories

GENERATOR = "data_scripts.navier_stokes"
# What only says which frames to use, not what they hold.
_READING_OPTIONS = {
    "name",
    "n_input_frames",
    "n_output_frames",
    "first_frame",
    "frame_spacing",
    "path",
}


class TrajectoryDataset(Dataset[tuple[tuple[Tensor], Tensor]]):
    """Pairs of past and future, one per trajectory, in physical units.

    Item i is ((past,), future) with past = frames[i, :n_input_frames], the rest being the future;
    both are float32 with axes (time, *grid).

    Args:
        frames: all used frames of all trajectories.
        n_input_frames: how many of them are the past.
    """

    def __init__(self, frames: Float[Tensor, "trajectory time *grid"], n_input_frames: int) -> None:
        self.frames = frames
        self.n_input_frames = n_input_frames

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, i: int) -> tuple[tuple[Tensor], Tensor]:
        past, future = self.frames[i].tensor_split([self.n_input_frames])
        return (past,), future


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
    """

    train: TrajectoryDataset
    valid: TrajectoryDataset
    test: TrajectoryDataset
    grid: tuple[int, ...]
    sizes: dict[str, int]
    times: tuple[float, ...]
    description: str


def load_splits(config: NavierStokesConfig) -> Splits:
    """Read the three splits; without a `path`, generate the data first if they are missing.

    A folder in The Well's layout keeps its own splits. From any other file the first `n_train`
    trajectories are for training, the `n_valid` after them for validation and the last `n_test`
    for testing, which are also the published test trajectories.

    Raises:
        ValueError: a file is missing, damaged or of unknown layout, holds NaN, has too few
            trajectories or frames or another grid, or the data could not be generated.
    """
    if config.path is not None:
        source = Path(config.path)
    else:
        config.check_frames()
        source = config.folder
        if not (source / "metadata.yaml").is_file():
            _generate(config)
    try:
        loaded = {
            split: _load(config, trajectories, part)
            for split, (trajectories, part) in _find_splits(config, source).items()
        }
    except ValueError as error:
        if config.path is not None:
            raise
        raise ValueError(f"{error}. Delete {source} and it is made again") from error
    times = open_trajectories(source).times[config.frames]
    grid = tuple(loaded["train"].frames.shape[2:])
    origin = f"from {source}" if config.path is not None else f"viscosity {config.viscosity:g}"
    return Splits(
        **loaded,
        grid=grid,
        sizes=config.split_sizes,
        times=tuple(float(t) for t in times),
        description=f"{config.name} ({origin}), {' x '.join(map(str, grid))} points: "
        f"{config.n_input_frames} frames in, {config.n_output_frames} out, times {times[0]:g} to "
        f"{times[-1]:g}",
    )


def _find_splits(config: NavierStokesConfig, source: Path) -> dict[str, tuple[Trajectories, slice]]:
    """Return for every split where it is, and which trajectories of that."""
    if is_well_folder(source):
        found = {}
        for split, size in config.split_sizes.items():
            trajectories = open_trajectories(source / "data" / split)
            _require_trajectories(trajectories, f"n_{split}={size}", size)
            found[split] = (trajectories, slice(size))
        return found
    trajectories = open_trajectories(source)
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
        raise ValueError(
            f"{trajectories.path} has {n} trajectories, but {wanted} need {n_wanted}; "
            "the splits are disjoint, so lower one of them"
        )


def _load(config: NavierStokesConfig, trajectories: Trajectories, part: slice) -> TrajectoryDataset:
    _, n_frames, *grid = trajectories.shape
    if config.frames.stop > n_frames:
        raise ValueError(
            f"{trajectories.path} has {n_frames} frames, but the last one asked for is number "
            f"{config.frames.stop} (first_frame={config.first_frame}, then "
            f"{config.n_input_frames} + {config.n_output_frames} frames with frame_spacing="
            f"{config.frame_spacing}); lower one of these"
        )
    if len(grid) != 2 or any(n % config.grid for n in grid):
        raise ValueError(
            f"{trajectories.path} has fields of shape {tuple(grid)}, which cannot be thinned out "
            f"to {config.grid} x {config.grid}; set grid to a divisor of the file's"
        )
    frames = trajectories.read(part, config.frames)
    stride_x, stride_y = (n // config.grid for n in grid)
    thinned = torch.from_numpy(frames)[..., ::stride_x, ::stride_y].contiguous()
    return TrajectoryDataset(thinned, config.n_input_frames)


def _generate(config: NavierStokesConfig) -> None:
    """Run the data script as a process of its own, whose progress is seen on this terminal."""
    options = [
        f"{field.name}={json.dumps(getattr(config, field.name))}"
        for field in fields(config)
        if field.name not in _READING_OPTIONS
    ]
    command = [sys.executable, "-m", GENERATOR, *options]
    finished = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    if finished.returncode != 0:
        lines = finished.stderr.strip().splitlines() or ["it said nothing"]
        raise ValueError(
            f"the data could not be made ({GENERATOR}, exit status {finished.returncode}): "
            f"{lines[-1].removeprefix('error: ')}"
        )
