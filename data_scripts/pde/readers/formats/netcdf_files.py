"""Classic netCDF files: version 3, with 32 or 64 bit offsets; netCDF-4 is HDF5."""

import contextlib
import functools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.io import netcdf_file

from data_scripts.hdf5 import REALS
from data_scripts.pde.readers.formats.hdf5_files import numbers
from data_scripts.pde.readers.formats.packed import packing, unpacked
from data_scripts.pde.readers.statement import AGAIN
from data_scripts.pde.readers.stored import Contents, Stored, defective
from data_scripts.unusable import reading

NETCDF_MAGIC = (b"CDF\x01", b"CDF\x02")


def netcdf_contents(path: Path) -> Contents:
    """Return the arrays of a file, which is mapped into memory; its words are listed, not used.

    Raises:
        UnusableFileError: the file is damaged.
    """
    with _opened(path) as file:
        arrays = {name: _array(path, file, name) for name in file.variables}
        attributes = numbers(file._attributes)
    return Contents("netCDF-3", arrays, attributes)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[netcdf_file]:
    """Open a file by a stream of our own, which is closed where scipy fails at its first bytes."""
    with (
        reading(path, AGAIN),
        path.open("rb") as stream,
        netcdf_file(stream, "r", mmap=True) as file,
    ):
        yield file


def _array(path: Path, file: netcdf_file, name: str) -> Stored:
    found = file.variables[name]
    dtype = found.data.dtype.newbyteorder("=")
    if dtype.kind not in REALS:
        return defective(name, found.data.shape, dtype, f"{path}: {name} holds words, no numbers")
    how = packing(found._attributes)
    unit = found._attributes.get("units", b"")
    return Stored(
        name,
        found.data.shape,
        how.dtype(dtype) if how else dtype,
        unpacked(functools.partial(_read, path, name), how),
        unit.decode(errors="replace") if isinstance(unit, bytes) else "",
        tuple(found.dimensions),
    )


def _read(path: Path, name: str, index: tuple[slice, ...]) -> np.ndarray:
    with _opened(path) as file:
        part = file.variables[name].data[index]
        values = part.astype(part.dtype.newbyteorder("="))
        del part  # nothing may refer to the map when it is closed
    return values
