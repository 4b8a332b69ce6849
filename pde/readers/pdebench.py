"""The layouts of PDEBench (Takamoto et al. 2022, arXiv:2210.07182)."""

from pathlib import Path

import h5py
import numpy as np

from pde.readers.trajectories import Trajectories, stored_times


def open_pdebench_tensor(path: Path, file: h5py.File) -> Trajectories:
    """Return a file with `tensor`: trajectories in one dimension, or Darcy flow.

    Raises:
        ValueError: the axes are not those of such a file.
    """
    if "nu" in file:
        return _open_darcy(path, file)
    shape = file["tensor"].shape
    if len(shape) != 3:
        raise ValueError(
            f"{path}: tensor must have axes (trajectory, time, x), got shape {shape}; only the "
            "one-dimensional PDEBench files have such a tensor"
        )
    times = stored_times(file.get("t-coordinate"), shape[1])

    def load(trajectories: slice, frames: slice) -> np.ndarray:
        with h5py.File(path) as opened:
            return opened["tensor"][trajectories, frames]

    viscosity = file.attrs.get("Nu")
    return Trajectories(
        path,
        "PDEBench 1-D",
        shape,
        times,
        load,
        viscosity=None if viscosity is None else float(viscosity),
    )


def _open_darcy(path: Path, file: h5py.File) -> Trajectories:
    n, *grid = file["nu"].shape
    if len(grid) != 2 or file["tensor"].shape != (n, 1, *grid):
        raise ValueError(
            f"{path}: nu must have axes (sample, x, y) and tensor (sample, 1, x, y), got shapes "
            f"{file['nu'].shape} and {file['tensor'].shape}"
        )

    def load(samples: slice, roles: slice) -> np.ndarray:
        with h5py.File(path) as opened:
            both = np.stack([opened["nu"][samples], opened["tensor"][samples, 0]], axis=1)
        return both[:, roles]

    return Trajectories(path, "PDEBench Darcy", (n, 2, *grid), np.arange(2.0), load)


def open_pdebench_groups(path: Path, file: h5py.File, groups: list[str]) -> Trajectories:
    """Return a file with one group per trajectory in two dimensions.

    Raises:
        ValueError: the trajectories differ in shape or hold more than one channel.
    """
    shapes = {file[group]["data"].shape for group in groups}
    if len(shapes) != 1:
        raise ValueError(f"{path}: all trajectories must have one shape, got {sorted(shapes)}")
    shape = shapes.pop()
    if len(shape) != 4 or shape[-1] != 1:
        raise ValueError(
            f"{path}: {groups[0]}/data must have axes (time, x, y, channel) with one channel, got "
            f"shape {shape}"
        )
    times = stored_times(file.get(f"{groups[0]}/grid/t"), shape[0])

    def load(trajectories: slice, frames: slice) -> np.ndarray:
        with h5py.File(path) as opened:
            return np.stack(
                [opened[group]["data"][frames, ..., 0] for group in groups[trajectories]]
            )

    return Trajectories(path, "PDEBench 2-D", (len(groups), *shape[:3]), times, load)
