"""The MATLAB files of Li et al. 2021 (arXiv:2010.08895), classic and v7.3.

Three kinds of arrays, in both formats; HDF5, which is v7.3, shows all axes reversed:

    Navier-Stokes    `u` (trajectory, x, y, time), perhaps `t`
    Burgers          `a` and `u` (sample, x): at t = 0 and at t = 1
    Darcy            `coeff` and `sol` (sample, x, y)
"""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import scipy.io

from pde.readers.trajectories import (
    LAYOUTS,
    READ_ERRORS,
    Trajectories,
    damaged,
    stored_times,
)

Shapes = dict[str, tuple[int, ...]]


def open_matlab_hdf5(path: Path, file: h5py.File, header: bytes) -> Trajectories:
    """Return a MATLAB v7.3 file, whose first bytes are `header`.

    Raises:
        ValueError: MATLAB did not write it, or the arrays have other axes.
    """
    name = "u" if "u" in file else "sol"
    if not header.startswith(b"MATLAB 7.3 MAT-file") and "MATLAB_class" not in file[name].attrs:
        raise ValueError(
            f"{path} holds {name} but was not written by MATLAB, so the order of its axes is "
            "unknown"
        )
    shapes = {key: item.shape[::-1] for key, item in file.items() if hasattr(item, "shape")}
    pair = _find_pair(path, shapes)
    if pair is not None:

        def load_pair(samples: slice, roles: slice) -> np.ndarray:
            with h5py.File(path) as opened:
                fields = [opened[key][..., samples].T for key in pair[roles]]
            return np.stack(fields, axis=1)

        return _pair_of(path, "MATLAB v7.3", shapes[pair[0]], load_pair)
    n_trajectories, n_x, n_y, n_times = shapes["u"]

    def load(trajectories: slice, frames: slice) -> np.ndarray:
        with h5py.File(path) as opened:
            reversed_axes = opened["u"][frames, :, :, trajectories]
        return reversed_axes.transpose(3, 0, 2, 1)

    shape = (n_trajectories, n_times, n_x, n_y)
    return Trajectories(path, "MATLAB v7.3", shape, stored_times(file.get("t"), n_times), load)


def open_classic_matlab(path: Path) -> Trajectories:
    """Return a MATLAB file of the classic format.

    Raises:
        ValueError: the file is damaged, or holds other arrays or axes.
    """
    try:
        shapes = {name: shape for name, shape, _ in scipy.io.whosmat(path)}
        t = scipy.io.loadmat(path, variable_names=["t"]).get("t")
    except READ_ERRORS as error:
        raise damaged(path, error) from error
    pair = _find_pair(path, shapes)
    if pair is not None:

        def load_pair(samples: slice, roles: slice) -> np.ndarray:
            names = pair[roles]
            arrays = scipy.io.loadmat(path, variable_names=list(names))
            return np.stack([arrays[name][samples] for name in names], axis=1)

        return _pair_of(path, "MATLAB", shapes[pair[0]], load_pair)
    n_trajectories, n_x, n_y, n_times = shapes["u"]

    def load(trajectories: slice, frames: slice) -> np.ndarray:
        u = scipy.io.loadmat(path, variable_names=["u"])["u"]
        return np.moveaxis(u[trajectories, :, :, frames], -1, 1)

    shape = (n_trajectories, n_times, n_x, n_y)
    return Trajectories(path, "MATLAB", shape, stored_times(t, n_times), load)


def _find_pair(path: Path, shapes: Shapes) -> tuple[str, str] | None:
    """Return the names of input and output; None for `u` with all its frames.

    Raises:
        ValueError: it is neither.
    """
    if "coeff" in shapes and "sol" in shapes:
        pair, n_axes, axes = ("coeff", "sol"), 3, "(sample, x, y)"
    elif len(shapes.get("u", ())) == 4:
        return None
    elif "a" in shapes and len(shapes.get("u", ())) == 2:
        pair, n_axes, axes = ("a", "u"), 2, "(sample, x)"
    elif "u" in shapes:
        raise ValueError(
            f"{path}: u must have axes (trajectory, x, y, time), or (sample, x) beside an a of the "
            f"same axes, got shape {shapes['u']}"
        )
    else:
        raise ValueError(f"{path} holds {sorted(shapes)}, but no u; {LAYOUTS}")
    if shapes[pair[0]] != shapes[pair[1]] or len(shapes[pair[0]]) != n_axes:
        raise ValueError(
            f"{path}: {pair[0]} and {pair[1]} must both have axes {axes}, got shapes "
            f"{shapes[pair[0]]} and {shapes[pair[1]]}"
        )
    return pair


def _pair_of(
    path: Path, layout: str, shape: tuple[int, ...], load: Callable[[slice, slice], np.ndarray]
) -> Trajectories:
    """Return two fields per sample; those of Burgers are at t = 0 and t = 1."""
    return Trajectories(path, layout, (shape[0], 2, *shape[1:]), np.arange(2.0), load)
