"""What may be taken from an HDF5 file: its own arrays of real numbers, written in full.

A file can name another one of the machine (external links, external storage, virtual datasets) and
claim arrays that nobody ever wrote. Neither is followed here.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from data_scripts.pde.readers.trajectories import UnusableFileError, require_real
from monarch_core.runs.printable import printable

# Soft links followed for one name; more are a circle.
_N_LINKS = 20
# Bytes up to which an array of coordinates is read.
_COORDINATES = 1 << 26


def find(
    group: h5py.Group, name: str, n_links: int = 0
) -> h5py.Dataset | h5py.Group | h5py.Datatype | None:
    """Return what a file has under a name, None if nothing; names are relative to `group`.

    Raises:
        UnusableFileError: a link leads into another file, to nothing, or in a circle.
    """
    place = group
    for part in filter(None, name.split("/")):
        link = place.get(part, getlink=True) if isinstance(place, h5py.Group) else None
        if link is None:
            return None
        if isinstance(link, h5py.ExternalLink):
            raise UnusableFileError(
                f"{group.file.filename}: {printable(name)} is a link into another file "
                f"({printable(link.filename)}), which is not followed; copy the array here"
            )
        if isinstance(link, h5py.SoftLink):
            start = place.file if link.path.startswith("/") else place
            place = find(start, link.path, n_links + 1) if n_links < _N_LINKS else None
            if place is None:
                raise UnusableFileError(
                    f"{group.file.filename}: {printable(name)} is a link to "
                    f"{printable(link.path)}, where there is nothing; copy the array to its place"
                )
        else:
            place = place[part]
    return place


def field(group: h5py.Group, name: str, *, integers: bool = False) -> h5py.Dataset:
    """Return an array that holds a field, not read yet.

    Args:
        group: file, or group in it.
        name: of the array.
        integers: whether it may hold integers and truth values, too.

    Raises:
        UnusableFileError: there is no such array, its numbers are not real, it was not written in
            full or cannot be read here, or they lie in another file.
    """
    found = _own(group, name, integers=integers)
    if found.ndim == 0:
        raise UnusableFileError(
            f"{group.file.filename}: {name} is a single value where an array is expected"
        )
    return found


def _own(group: h5py.Group, name: str, *, integers: bool) -> h5py.Dataset:
    """Return an array or single value of this file that can be read."""
    path = Path(group.file.filename)
    found = find(group, name)
    if not isinstance(found, h5py.Dataset) or found.shape is None:
        kind = {h5py.Group: "a group", h5py.Datatype: "a type", type(None): "missing"}
        raise UnusableFileError(
            f"{path}: {name} is {kind.get(type(found), 'empty')} where an array is expected; "
            "correct the file or choose the data set that it belongs to"
        )
    require_real(path, name, found.dtype, integers=integers)
    if found.is_virtual or found.external:
        raise UnusableFileError(
            f"{path}: the values of {name} lie in another file, which is not read; copy them into "
            "this file, as h5repack does"
        )
    _require_filters(path, name, found)
    _require_written(path, name, found)
    return found


def numbers(group: h5py.Group, name: str) -> np.ndarray | None:
    """Return the values of a small array, or a single one, in double; None if there is none.

    Raises:
        UnusableFileError: as `field`, or it is too large for coordinates.
    """
    if find(group, name) is None:
        return None
    stored = _own(group, name, integers=True)
    if stored.nbytes > _COORDINATES:
        raise UnusableFileError(
            f"{group.file.filename}: {name} has shape {stored.shape}, too large for coordinates"
        )
    return np.asarray(stored[()], dtype=np.float64)


def coordinates(group: h5py.Group, pattern: str, grid: Sequence[int]) -> dict[str, np.ndarray]:
    """Return the coordinates of the axes x, y, ... that a file has.

    Args:
        group: file, or group in it.
        pattern: name of an array of coordinates, {} standing for the axis.
        grid: points along every axis.

    Raises:
        UnusableFileError: there are more or fewer coordinates than points, or as `field`.
    """
    found = {}
    for axis, n in zip("xyz", grid, strict=False):
        name = pattern.format(axis)
        points = numbers(group, name)
        if points is not None and points.shape != (n,):
            raise UnusableFileError(
                f"{group.file.filename}: {name} has shape {points.shape}, but there are {n} points "
                f"along {axis}; correct the coordinate or the order of the axes"
            )
        if points is not None:
            found[axis] = points
    return found


def number(item: h5py.Group | h5py.Dataset, name: str) -> float | None:
    """Return a number that a group or array has as an attribute; None if it has none.

    Raises:
        UnusableFileError: the attribute is no finite number.
    """
    if name not in item.attrs:
        return None
    value = item.attrs[name]
    try:
        found = float(np.asarray(value, dtype=np.float64).item())
    except (TypeError, ValueError):
        found = math.nan
    if not math.isfinite(found):
        raise UnusableFileError(
            f"{item.file.filename}: attribute {name} must be one finite number, got "
            f"{printable(repr(value))}; correct it"
        )
    return found


def text(item: h5py.Group | h5py.Dataset, name: str) -> str | None:
    """Return an attribute in words that can be printed, None if there is none."""
    if name not in item.attrs:
        return None
    value = item.attrs[name]
    return printable(value.decode(errors="replace") if isinstance(value, bytes) else str(value))


def _require_filters(path: Path, name: str, array: h5py.Dataset) -> None:
    properties = array.id.get_create_plist()
    for i in range(properties.get_nfilters()):
        code, _, _, label = properties.get_filter(i)
        if not h5py.h5z.filter_avail(code):
            words = printable(label.decode(errors="replace")) or "?"
            raise UnusableFileError(
                f"{path}: {name} is compressed by HDF5 filter {code} ({words}), "
                "which is not installed here; write the file anew with gzip, as h5repack does"
            )


def _require_written(path: Path, name: str, array: h5py.Dataset) -> None:
    """Compare the pieces of an array that were written with those it claims."""
    if 0 in array.shape:
        return
    if array.chunks is None:
        claimed, written = 1, int(array.id.get_storage_size() > 0)
    else:
        claimed = math.prod(-(-n // c) for n, c in zip(array.shape, array.chunks, strict=True))
        written = array.id.get_num_chunks()
    if written < claimed:
        raise UnusableFileError(
            f"{path}: {name} claims shape {array.shape}, but {claimed - written} of its {claimed} "
            "pieces were never written; the file is unfinished, make or download it again"
        )
