"""Write fields in the layouts of PDEBench (Takamoto et al. 2022, arXiv:2210.07182).

    Burgers    `tensor` (sample, t, x), `t-coordinate`, `x-coordinate`; without PDEBench's attribute
               `Nu`, which has another meaning (`data_scripts.pde.readers.published.pdebench`)
    Darcy      `nu` (sample, x, y), `tensor` (sample, 1, x, y), `t-`, `x-` and `y-coordinate`,
               attribute `beta`

All arrays are float32, one sample per chunk, with a checksum.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from jaxtyping import Float

from data_scripts.new_hdf5 import new_hdf5, write_in_pieces

# Arrays of a file ({} stands for an axis, of time or space), and the attribute of a constant force.
TENSOR, COEFFICIENT, COORDINATE, FORCE = "tensor", "nu", "{}-coordinate", "beta"
# What the readers of other projects rely on, though ours do without.
EXPECTED_OF_LINES = tuple(COORDINATE.format(axis) for axis in "xt")
EXPECTED_OF_DARCY = tuple(COORDINATE.format(axis) for axis in "xy")


def write_lines(
    path: Path,
    fields: Iterable[Float[np.ndarray, "samples t x"]],
    *,
    n_samples: int,
    times: Float[np.ndarray, " t"],
    points: Float[np.ndarray, " x"],
    attributes: dict[str, Any],
) -> None:
    """Write fields of one space dimension, which together are `n_samples`.

    Raises:
        OSError: the disk is full or not writable; the file is then useless.
    """
    with new_hdf5(path) as file:
        file.attrs.update(attributes)
        _write_coordinates(file, t=times, x=points)
        tensor = _new_array(file, TENSOR, (n_samples, len(times), len(points)))
        write_in_pieces(tensor, fields)


def write_darcy(
    path: Path,
    coefficients: Iterable[Float[np.ndarray, "samples x y"]],
    solutions: Iterable[Float[np.ndarray, "samples x y"]],
    *,
    n_samples: int,
    points: Float[np.ndarray, " x"],
    force: float,
    attributes: dict[str, Any],
) -> None:
    """Write coefficients and solutions on a square grid, of `n_samples` each.

    Raises:
        OSError: the disk is full or not writable; the file is then useless.
    """
    n = len(points)
    with new_hdf5(path) as file:
        file.attrs.update({**attributes, FORCE: force})
        _write_coordinates(file, t=np.zeros(1), x=points, y=points)
        write_in_pieces(_new_array(file, COEFFICIENT, (n_samples, n, n)), coefficients)
        tensor = _new_array(file, TENSOR, (n_samples, 1, n, n))
        write_in_pieces(tensor, (piece[:, None] for piece in solutions))


def _write_coordinates(file: h5py.File, **axes: np.ndarray) -> None:
    for axis, points in axes.items():
        file[COORDINATE.format(axis)] = points.astype(np.float32)


def _new_array(file: h5py.File, name: str, shape: tuple[int, ...]) -> h5py.Dataset:
    return file.create_dataset(name, shape, np.float32, chunks=(1, *shape[1:]), fletcher32=True)
