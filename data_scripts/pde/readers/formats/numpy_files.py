"""NumPy's own files: .npy, and .npz archives of several."""

import functools
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO

import numpy as np

from data_scripts.pde.readers.formats.whole import whole
from data_scripts.pde.readers.statement import AGAIN
from data_scripts.pde.readers.stored import Contents, Stored, defective
from data_scripts.unusable import UnusableFileError, reading

NPY_MAGIC, ZIP_MAGIC = b"\x93NUMPY", b"PK\x03\x04"
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
# Bytes of the fixed part of the header of a member, and the place of the lengths of its names.
_LOCAL_HEADER, _LENGTHS = 30, slice(26, 30)


def npy_contents(path: Path) -> Contents:
    """Return the one array of a .npy file, which is mapped into memory and never unpickled.

    Raises:
        UnusableFileError: the file is damaged, or holds objects.
    """
    with reading(path, AGAIN):
        with path.open("rb") as file:
            shape, _, dtype = _header(file)
        if dtype.hasobject:
            raise UnusableFileError(f"{path} {_OBJECTS}")
        np.load(path, mmap_mode="r", allow_pickle=False)  # raises where the file is too short

    def load(index: tuple[slice, ...]) -> np.ndarray:
        return np.load(path, mmap_mode="r", allow_pickle=False)[index]

    return Contents("NumPy array", {"": Stored("", shape, dtype, load)})


def npy_folder(files: Sequence[Path]) -> Contents:
    """Return the arrays of several .npy files, by the names of these."""
    arrays = {file.stem: replace(npy_contents(file).arrays[""], name=file.stem) for file in files}
    return Contents("NumPy arrays", arrays)


def npz_contents(path: Path) -> Contents:
    """Return the arrays of a .npz archive; those that are not compressed are mapped into memory.

    Raises:
        UnusableFileError: the file is damaged.
    """
    arrays: dict[str, Stored] = {}
    notes: list[str] = []
    with reading(path, AGAIN), zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            name = member.filename.removesuffix(".npy")
            if name in arrays:
                raise UnusableFileError(f"{path} holds two arrays named {name}; {AGAIN}")
            with archive.open(member) as file:
                shape, is_fortran, dtype = _header(file)
                start = file.tell()
            if dtype.hasobject:
                arrays[name] = defective(name, shape, dtype, f"{path}: {name} {_OBJECTS}")
            elif member.compress_type == zipfile.ZIP_STORED:
                load = functools.partial(
                    _mapped, path, member.header_offset, start, shape, is_fortran, dtype
                )
                arrays[name] = Stored(name, shape, dtype, load)
            else:
                read = functools.partial(_member, path, name)
                arrays[name], note = whole(path, name, shape, dtype, read)
                notes += note
    return Contents("NumPy archive", arrays, notes=tuple(notes))


_OBJECTS = "holds Python objects, which are never unpickled; store an array of numbers"


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(file)
    if version not in _HEADERS:
        raise ValueError(f"version {version} of the format is not known")
    return _HEADERS[version](file)


def _member(path: Path, name: str) -> np.ndarray:
    with np.load(path, allow_pickle=False) as archive:
        return archive[name]


def _mapped(
    path: Path,
    header_offset: int,
    start: int,
    shape: tuple[int, ...],
    is_fortran: bool,
    dtype: np.dtype,
    index: tuple[slice, ...],
) -> np.ndarray:
    """Return part of a member whose values begin `start` bytes after its header."""
    with path.open("rb") as file:
        file.seek(header_offset)
        lengths = np.frombuffer(file.read(_LOCAL_HEADER)[_LENGTHS], "<u2")
    offset = header_offset + _LOCAL_HEADER + int(lengths.sum()) + start
    if 0 in shape:
        return np.empty(shape, dtype)[index]
    mapped = np.memmap(path, dtype, "r", offset, shape, "F" if is_fortran else "C")
    return mapped[index]
