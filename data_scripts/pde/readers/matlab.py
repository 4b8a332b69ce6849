"""The MATLAB files of Li et al. 2021 (arXiv:2010.08895), classic and v7.3.

Three kinds of arrays, in both formats; HDF5, which is v7.3, shows all axes reversed:

    Navier-Stokes    `u` (trajectory, x, y, time), perhaps `t`
    Burgers          `a` and `u` (sample, x): at t = 0 and at t = 1
    Darcy            `coeff` and `sol` (sample, x, y)
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io

from data_scripts.pde.readers.axes import field, numbers, read_field, stored_times
from data_scripts.pde.readers.names import other_equation, viscosity_in_name
from data_scripts.pde.readers.trajectories import (
    LAYOUTS,
    Statement,
    Trajectories,
)
from data_scripts.unusable import UnusableFileError
from monarch_core.runs.machine import require_memory
from monarch_core.runs.printable import listed

Shapes = dict[str, tuple[int, ...]]
# Takes the name of an array and slices of its axes, in the order above.
Part = Callable[[str, tuple[slice, ...]], np.ndarray]
_FLOATS = ("double", "single")
_INTEGERS = tuple(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))
# Bytes that one byte of a compressed file can stand for at most.
_DEFLATE = 1032
# Samples from which the order of the axes is told.
_N_LOOKED_AT = 16


def open_matlab_hdf5(path: Path, file: h5py.File, header: bytes) -> Trajectories:
    """Return a MATLAB v7.3 file, whose first bytes are `header`.

    Raises:
        ValueError: MATLAB did not write it, or the arrays have other axes.
    """
    arrays = {
        name: field(file, name, integers=name == "coeff")
        for name in ("u", "a", "coeff", "sol")
        if name in file
    }
    by_matlab = any("MATLAB_class" in array.attrs for array in arrays.values())
    if not by_matlab and not header.startswith(b"MATLAB 7.3 MAT-file"):
        raise UnusableFileError(
            f"{path} holds {', '.join(arrays)} but was not written by MATLAB, so the order of its "
            "axes is unknown"
        )

    def part(name: str, axes: tuple[slice, ...]) -> np.ndarray:
        return read_field(path, name, axes[::-1], integers=True).T

    shapes = {name: array.shape[::-1] for name, array in arrays.items()}
    return _open(path, "MATLAB v7.3", shapes, part, lambda: numbers(file, "t"))


def open_classic_matlab(path: Path) -> Trajectories:
    """Return a MATLAB file of the classic format.

    Raises:
        ValueError: the file is damaged, or holds other arrays or axes.
    """
    stored = scipy.io.whosmat(path, appendmat=False)
    kinds = {name: (shape, kind) for name, shape, kind in stored}
    for name in {"u", "a", "coeff", "sol", "t"} & set(kinds):
        n = sum(other == name for other, *_ in stored)
        if n > 1:
            raise UnusableFileError(f"{path} holds {n} arrays named {name}; leave one of them away")
        _require_numbers(path, name, *kinds[name])

    def load(name: str) -> np.ndarray:
        return scipy.io.loadmat(path, appendmat=False, variable_names=[name])[name]

    def part(name: str, axes: tuple[slice, ...]) -> np.ndarray:
        return load(name)[axes]

    shapes = {name: shape for name, (shape, _) in kinds.items()}
    return _open(path, "MATLAB", shapes, part, lambda: load("t") if "t" in kinds else None)


def _require_numbers(path: Path, name: str, shape: tuple[int, ...], kind: str) -> None:
    """Refuse an array that is none, or that the file is too small to hold."""
    if kind not in _FLOATS and not (kind in (*_INTEGERS, "logical") and name in ("coeff", "t")):
        raise UnusableFileError(
            f"{path}: {name} is of class {kind}, which is no field of real numbers; store it as "
            "double or single in physical units"
        )
    n_values = int(np.prod(shape, dtype=object))
    if n_values > _DEFLATE * path.stat().st_size:
        raise UnusableFileError(
            f"{path}: {name} claims shape {shape}, more than {path.stat().st_size} bytes can hold; "
            "the file is damaged, download or make it again"
        )
    # a classic file is read as a whole
    require_memory(
        {f"the values of {name} in {path}": 8.0 * n_values},
        "store them as v7.3, which is read in parts, or in several files",
    )


def _open(
    path: Path, layout: str, shapes: Shapes, part: Part, read_t: Callable[[], np.ndarray | None]
) -> Trajectories:
    pair = _find_pair(path, shapes)
    if pair is not None:

        def load_pair(samples: slice, roles: slice) -> np.ndarray:
            axes = (samples, *[slice(None)] * (len(shapes[pair[0]]) - 1))
            return np.stack([part(name, axes) for name in pair[roles]], axis=1)

        n_samples, *grid = shapes[pair[0]]
        shape = (n_samples, 2, *grid)
        states = _states(path, "burgers" if pair == ("a", "u") else "darcy")
        if pair == ("a", "u"):
            states |= {"doubts": (*states["doubts"], *_transposed(part("a", _some(2))))}
        return Trajectories(path, layout, shape, np.arange(2.0), load_pair, Statement(**states))
    n_trajectories, n_x, n_y, n_times = shapes["u"]

    def load(trajectories: slice, frames: slice) -> np.ndarray:
        whole = slice(None)
        return np.moveaxis(part("u", (trajectories, whole, whole, frames)), -1, 1)

    states = _states(path, "navier_stokes")
    states["doubts"] += _time_second(shapes["u"], lambda: part("u", _some(4)))
    return Trajectories(
        path,
        layout,
        (n_trajectories, n_times, n_x, n_y),
        stored_times(path, read_t(), n_times),
        load,
        Statement(**states),
    )


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
        raise UnusableFileError(
            f"{path}: u must have axes (trajectory, x, y, time), or (sample, x) beside an a of the "
            f"same axes, got shape {shapes['u']}"
        )
    else:
        raise UnusableFileError(
            f"{path} holds {listed(sorted(shapes)) or 'nothing'}, but no u; {LAYOUTS}"
        )
    if shapes[pair[0]] != shapes[pair[1]] or len(shapes[pair[0]]) != n_axes:
        raise UnusableFileError(
            f"{path}: {pair[0]} and {pair[1]} must both have axes {axes}, got shapes "
            f"{shapes[pair[0]]} and {shapes[pair[1]]}"
        )
    return pair


def _states(path: Path, problem: str) -> dict[str, Any]:
    return {
        "problem": problem,
        "viscosity": None if problem == "darcy" else viscosity_in_name(path),
        "by_name": True,
        "doubts": other_equation(path),
    }


def _some(n_axes: int) -> tuple[slice, ...]:
    return (slice(_N_LOOKED_AT), *[slice(None)] * (n_axes - 1))


def _transposed(a: np.ndarray) -> tuple[str, ...]:
    """Return a doubt where points of a field differ more than fields of one point."""
    with np.errstate(all="ignore"):
        across, along = (np.median(np.abs(np.diff(a, axis=axis))) for axis in (0, 1))
    if len(a) > 1 and across < along / 2:
        return (
            f"its a, which should have axes (sample, x), changes less from row to row ({across:.2g}"
            f") than from column to column ({along:.2g}); if x came first, store a.T and u.T",
        )
    return ()


def _time_second(shape: tuple[int, ...], read: Callable[[], np.ndarray]) -> tuple[str, ...]:
    """Return a doubt where the axes of `u` look like (trajectory, time, x, y), Python's order.

    Where all lengths agree, the values tell: a periodic axis of space closes in steps like its
    others, time does not.
    """
    _, first, second, last = shape
    reason = ""
    if second == last != first:
        reason = f"has shape {shape}"
    elif first == second == last:
        u = read()
        if _gap(u, 1) > max(1.5, _gap(u, 3)):
            reason = "closes periodically along its last axis, but not along its second one"
    return (
        (
            f"its u {reason}, as if its axes were (trajectory, time, x, y) instead of (trajectory, "
            "x, y, time); if so, store u.transpose(0, 2, 3, 1)",
        )
        if reason
        else ()
    )


def _gap(u: np.ndarray, axis: int) -> float:
    """Return the step from the last point of an axis to the first over the largest other one."""
    others = tuple(i for i in range(1, u.ndim) if i != axis)
    with np.errstate(all="ignore"):
        steps = np.square(np.abs(np.diff(u, axis=axis))).sum(others).max(1)
        closing = np.square(np.abs(u.take(0, axis) - u.take(-1, axis))).reshape(len(u), -1).sum(1)
        return float(np.sqrt(np.median(closing / np.maximum(steps, np.finfo(float).tiny))))
