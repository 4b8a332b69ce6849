"""HDF5 files of any names and groups, those of MATLAB v7.3 and netCDF-4 among them."""

import math
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from data_scripts import hdf5
from data_scripts.pde.readers.formats.packed import packing, unpacked
from data_scripts.pde.readers.statement import AGAIN, CORRECT
from data_scripts.pde.readers.stored import Contents, Stored, defective
from data_scripts.unusable import UnusableFileError

MATLAB_HEADER = b"MATLAB 7.3 MAT-file"
_MATLAB_CLASS = "MATLAB_class"
# Groups in which MATLAB keeps the parts of cells and objects.
_MATLAB_OWN = ("#refs#/", "#subsystem#/")
_NO_NUMBERS = ("char", "cell", "struct", "function_handle", "string")
_UNITS = ("units", "unit")


def hdf5_contents(path: Path, file: h5py.File, header: bytes = b"") -> Contents:
    """Return the arrays of a file, whose first bytes are `header`.

    The axes of what MATLAB wrote are in its own order, which is the reverse of HDF5's.
    """
    names = [name for name in hdf5.walk(file) if not name.startswith(_MATLAB_OWN)]
    by_matlab = is_by_matlab(file, names, header)
    return Contents(
        layout="MATLAB v7.3" if by_matlab else "HDF5",
        arrays={name: _any_array(path, file, name, by_matlab) for name in names},
        attributes=numbers(file.attrs),
        by_matlab=by_matlab,
    )


def is_by_matlab(file: h5py.File, names: Iterable[str], header: bytes) -> bool:
    """Return whether MATLAB wrote a file, by its first bytes or attributes of its arrays."""
    return header.startswith(MATLAB_HEADER) or any(
        file.get(name, getclass=True, getlink=True) is h5py.HardLink
        and _MATLAB_CLASS in file[name].attrs
        for name in names
    )


def stored_array(path: Path, file: h5py.File, name: str, *, is_reversed: bool = False) -> Stored:
    """Return an array, not read yet, that is stored in this very file.

    Args:
        path: of the file.
        file: the same, open.
        name: of the array.
        is_reversed: whether its axes are to be taken in the reverse order.

    Raises:
        UnusableFileError: as `hdf5.array`, complex values excepted.
    """
    found = numeric(file, name)
    step = -1 if is_reversed else 1
    how = packing(found.attrs)
    return Stored(
        name,
        found.shape[::step],
        how.dtype(found.dtype) if how else found.dtype,
        unpacked(partial(_read, path, name, is_reversed), how),
        next((unit for key in _UNITS if (unit := hdf5.text(found, key))), ""),
        tuple(_label(dimension) for dimension in found.dims)[::step],
    )


def _any_array(path: Path, file: h5py.File, name: str, by_matlab: bool) -> Stored:
    """Return an array as `stored_array`; with a defect where that raises."""
    shape, dtype = (), np.dtype(object)
    try:
        found = hdf5.find(file, name)
        if isinstance(found, h5py.Dataset) and found.shape is not None:
            shape, dtype = found.shape[:: -1 if by_matlab else 1], found.dtype
            _require_no_words(path, found)
        return stored_array(path, file, name, is_reversed=by_matlab)
    except UnusableFileError as error:
        return defective(name, shape, dtype, str(error))


def _require_no_words(path: Path, found: h5py.Dataset) -> None:
    """Raise UnusableFileError for an array that stands for words or objects of MATLAB."""
    kind = hdf5.text(found, _MATLAB_CLASS)
    if kind in _NO_NUMBERS:
        name = found.name.lstrip("/")
        raise UnusableFileError(f"{path}: {name} is of class {kind}, which is no field of numbers")


def numeric(file: h5py.File, name: str) -> h5py.Dataset:
    """Return an array of numbers, not read yet; raises as `hdf5.array`."""
    # a field may be piecewise constant, and is read only where the memory holds it
    return hdf5.array(file, name, CORRECT, most_compression=math.inf)


def _read(path: Path, name: str, is_reversed: bool, index: tuple[slice, ...]) -> np.ndarray:
    with hdf5.open_file(path, AGAIN) as file:
        found = numeric(file, name)
        return found[index[::-1]].T if is_reversed else found[index]


def _label(dimension: Any) -> str:
    """Return the name of an axis: its label or, as in netCDF-4, that of its coordinates."""
    if dimension.label:
        return str(dimension.label)
    return str(dimension[0].name).rpartition("/")[2] if len(dimension) else ""


def numbers(attributes: Mapping[str, Any]) -> dict[str, float]:
    """Return those attributes that are one number."""
    found = {}
    for name, value in attributes.items():
        if isinstance(value, np.ndarray | np.generic | float | int):
            array = np.asarray(value)
            if array.size == 1 and array.dtype.kind in hdf5.REALS:
                found[name] = float(array.item())
    return found
