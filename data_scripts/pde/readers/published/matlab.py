"""The MATLAB files of Li et al. 2021 (arXiv:2010.08895), classic and v7.3.

Three kinds of arrays, in both formats; HDF5, which is v7.3, shows all axes reversed:

    Navier-Stokes    `u` (trajectory, x, y, time), perhaps `t`
    Burgers          `a` and `u` (sample, x): at t = 0 and at t = 1
    Darcy            `coeff` and `sol` (sample, x, y)
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from data_scripts.pde.readers.axes import field
from data_scripts.pde.readers.fields import Fields, ReadOptions
from data_scripts.pde.readers.formats.hdf5_files import hdf5_contents
from data_scripts.pde.readers.names import other_equation, viscosity_in_name
from data_scripts.pde.readers.own.interpret import interpret
from data_scripts.pde.readers.own.values import changes_less, steps
from data_scripts.pde.readers.statement import LAYOUTS, Statement
from data_scripts.pde.readers.stored import WHOLE, Contents, Stored
from data_scripts.unusable import UnusableFileError
from monarch_core.runs.printable import listed

_FIELDS = ("u", "a", "coeff", "sol")
# Samples from which the order of the axes is told.
_N_LOOKED_AT = 16


def open_matlab_hdf5(path: Path, file: h5py.File, header: bytes) -> Fields:
    """Return the fields of a MATLAB v7.3 file, whose first bytes are `header`.

    Raises:
        ValueError: MATLAB did not write it, or the arrays have other axes.
    """
    names = [name for name in _FIELDS if name in file]
    for name in names:
        field(file, name, integers=name == "coeff")
    contents = hdf5_contents(path, file, header)
    if not contents.by_matlab:
        raise UnusableFileError(
            f"{path} holds {', '.join(names)} but was not written by MATLAB, so the order of its "
            "axes is unknown"
        )
    return open_matlab(path, contents)


def open_matlab(path: Path, contents: Contents) -> Fields:
    """Return the fields of a MATLAB file of any format.

    Raises:
        ValueError: it holds other arrays, or they have other axes.
    """
    arrays = {name: contents.arrays[name] for name in _FIELDS if name in contents.arrays}
    for name, stored in arrays.items():
        _require_floats(path, stored, integers=name == "coeff")
    shapes = {name: stored.shape for name, stored in contents.arrays.items()}
    pair = _find_pair(path, shapes)
    if pair is not None:
        axes = ("trajectory", "x", "y")[: len(shapes[pair[0]])]
        options = ReadOptions(key=pair[1], input_key=pair[0], axes=axes)
        states = _states(path, "burgers" if pair == ("a", "u") else "darcy")
        if pair == ("a", "u"):
            states |= {"doubts": (*states["doubts"], *_transposed(_some(arrays["a"])))}
    else:
        options = ReadOptions(key="u", axes=("trajectory", "x", "y", "time"))
        states = _states(path, "navier_stokes")
        states["doubts"] += _time_second(shapes["u"], lambda: _some(arrays["u"]))
    fields = replace(interpret(path, contents, options), statement=Statement(**states))
    return fields if pair is not None else replace(fields, constant=(), constants=())


def _require_floats(path: Path, stored: Stored, *, integers: bool) -> None:
    if stored.defect:
        raise UnusableFileError(stored.defect)
    if stored.dtype.kind not in ("iufb" if integers else "f"):
        raise UnusableFileError(
            f"{path}: {stored.name} is of class {stored.dtype}, which is no field of real numbers; "
            "store it as double or single in physical units"
        )


def _find_pair(path: Path, shapes: dict[str, tuple[int, ...]]) -> tuple[str, str] | None:
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


def _some(stored: Stored) -> np.ndarray:
    return stored.load((slice(_N_LOOKED_AT), *[WHOLE] * (len(stored.shape) - 1)))


def _transposed(a: np.ndarray) -> tuple[str, ...]:
    """Return a doubt where points of a field differ more than fields of one point."""
    across, along = steps(a)
    if len(a) > 1 and changes_less(across, along):
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
