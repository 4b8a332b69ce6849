"""Write trajectories of a scalar field in the layout of The Well 1.2.0.

    <folder>/data/{train,valid,test}/<name>.hdf5    <folder>/stats.yaml

with one dataset t0_fields/<field> of shape (trajectory, time, x, y) per file (Ohana et al. 2024,
arXiv:2412.00568), so that The Well's own readers open it.
"""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from omegaconf import OmegaConf

from data_scripts.new_hdf5 import new_hdf5, write_in_pieces

SPLITS = ("train", "valid", "test")
# Groups and arrays of a file; {} stands for an axis of space.
SCALAR_FIELDS, SCALARS, BOUNDARIES = "t0_fields", "scalars", "boundary_conditions"
DIMENSIONS = "dimensions/{}"
TIME = DIMENSIONS.format("time")
# Attributes of the file, of a boundary, and of a field that is a trajectory.
DATASET_NAME, GRID_TYPE, CARTESIAN = "dataset_name", "grid_type", "cartesian"
BOUNDARY_KIND, BOUNDARY_AXES, PERIODIC, WALL = "bc_type", "associated_dims", "PERIODIC", "WALL"
VARYING = ("sample_varying", "time_varying")
# What The Well's own readers rely on, though ours do without.
EXPECTED_KEYS = (TIME, BOUNDARIES, SCALARS, "t1_fields", "t2_fields")
EXPECTED_ATTRIBUTES = (DATASET_NAME, GRID_TYPE, "n_spatial_dims", "n_trajectories")


class _FieldStatistics:
    """Mean, spread and root mean square of a field and of its change between two frames."""

    def __init__(self) -> None:
        self._sums = {"": np.zeros(3), "_delta": np.zeros(3)}

    def update(self, frames: np.ndarray) -> None:
        """Add trajectories of shape (trajectory, time, ...)."""
        for suffix, values in (("", frames), ("_delta", np.diff(frames, axis=1))):
            x = values.astype(np.float64)
            self._sums[suffix] += (x.size, x.sum(), np.square(x).sum())

    def as_dict(self, field: str) -> dict[str, dict[str, float]]:
        """Return the numbers as The Well's stats.yaml holds them."""
        stats = {}
        for suffix, (count, total, squares) in self._sums.items():
            mean, mean_square = total / max(count, 1), squares / max(count, 1)
            stats[f"mean{suffix}"] = {field: float(mean)}
            stats[f"std{suffix}"] = {field: math.sqrt(max(mean_square - mean**2, 0.0))}
            stats[f"rms{suffix}"] = {field: math.sqrt(mean_square)}
        return stats


def write_split(
    path: Path,
    trajectories: Iterable[np.ndarray],
    *,
    shape: tuple[int, int, int, int],
    times: np.ndarray,
    points: tuple[np.ndarray, np.ndarray],
    periodic: tuple[bool, bool],
    field: str,
    dataset_name: str,
    parameters: dict[str, float],
    attributes: dict[str, Any],
) -> None:
    """Write one file of a field in two dimensions.

    Args:
        path: file to write.
        trajectories: arrays (trajectory, time, x, y), together `shape`; taken one after another,
            so that they need not fit into memory together.
        shape: (n_trajectories, n_times, n_x, n_y).
        times: time of every frame.
        points: coordinates x and y, each with the ends of the axis unless it is periodic.
        periodic: whether x and y are; otherwise walls are at both ends.
        field: name of the field.
        dataset_name: goes into the file.
        parameters: numbers of the equation, the same for every trajectory.
        attributes: further root attributes, such as the recipe of the data.

    Raises:
        OSError: the disk is full or not writable; the file is then useless.
    """
    with new_hdf5(path) as file:
        file.attrs[DATASET_NAME] = dataset_name
        file.attrs[GRID_TYPE] = CARTESIAN
        file.attrs["n_spatial_dims"] = 2
        file.attrs["n_trajectories"] = shape[0]
        file.attrs["simulation_parameters"] = list(parameters)
        for name, value in {**attributes, **parameters}.items():
            file.attrs[name] = value
        _write_dimensions(file, times, points)
        _write_boundaries(file.create_group(BOUNDARIES), shape[2:], periodic)
        scalars = file.create_group(SCALARS)
        scalars.attrs["field_names"] = list(parameters)
        for name, value in parameters.items():
            scalar = scalars.create_dataset(name, data=np.float32(value))
            scalar.attrs.update(dict.fromkeys(VARYING, False))
        for rank in range(3):
            file.create_group(f"t{rank}_fields").attrs["field_names"] = [field] if rank == 0 else []
        # One frame per chunk lets any window be read alone; the checksum finds damaged files.
        frames = file[SCALAR_FIELDS].create_dataset(
            field, shape, np.float32, chunks=(1, 1, *shape[2:]), fletcher32=True
        )
        frames.attrs.update({"dim_varying": [True, True], **dict.fromkeys(VARYING, True)})
        write_in_pieces(frames, trajectories)


def write_statistics(path: Path, trajectories: Iterable[np.ndarray], field: str) -> None:
    """Write stats.yaml, which The Well's readers use to normalise; `trajectories` as above."""
    statistics = _FieldStatistics()
    for frames in trajectories:
        statistics.update(frames)
    OmegaConf.save(OmegaConf.create(statistics.as_dict(field)), path)


def _write_dimensions(
    file: h5py.File, times: np.ndarray, coordinates: tuple[np.ndarray, ...]
) -> None:
    time = file.create_dataset(TIME, data=times.astype(np.float32))
    time.attrs["sample_varying"] = False
    time.parent.attrs["spatial_dims"] = ["x", "y"]
    for axis, points in zip("xy", coordinates, strict=True):
        written = file.create_dataset(DIMENSIONS.format(axis), data=points.astype(np.float32))
        written.attrs.update(dict.fromkeys(VARYING, False))


def _write_boundaries(group: h5py.Group, grid: tuple[int, ...], periodic: tuple[bool, ...]) -> None:
    for axis, n, is_periodic in zip("xy", grid, periodic, strict=True):
        kind = PERIODIC if is_periodic else WALL
        boundary = group.create_group(f"{axis}_{kind.lower()}")
        boundary.attrs.update(
            {
                BOUNDARY_AXES: [axis],
                "associated_fields": [],
                BOUNDARY_KIND: kind,
                **dict.fromkeys(VARYING, False),
            }
        )
        ends = np.zeros(n, dtype=bool)
        ends[[0, -1]] = True
        boundary.create_dataset("mask", data=ends)
        boundary.create_dataset("values", data=np.zeros(0, dtype=np.float32))
