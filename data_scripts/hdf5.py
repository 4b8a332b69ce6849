"""HDF5 files that may come from a stranger: one file, nothing pulled in, nothing only claimed.

A file can name others of the machine (external links, external storage, virtual datasets), and
claim arrays that nobody ever wrote, or that are nearly all padding. None of this is followed here.
Every remedy that is passed in ends the errors that have none of their own.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from data_scripts.unusable import UnusableFileError, reading, require_file
from monarch_core.runs.printable import listed, printable

# NumPy's kinds of values, and what they are called.
NUMBERS, REALS, FLOATS, TEXTS, RECORDS = "ciufb", "iufb", "f", "OS", "V"
_CALLED = {
    NUMBERS: "numbers",
    REALS: "real numbers",
    FLOATS: "floating-point numbers",
    TEXTS: "words",
    RECORDS: "records",
    NUMBERS + RECORDS: "numbers",
}
# Noise, as in k-space, does not compress; zero padding does, to a few times its size.
_MOST_COMPRESSION = 200.0
_SMALL = 1 << 24  # bytes up to which any claim is fine
# Soft links followed for one name; more are a circle.
_N_LINKS = 20
# Names of arrays and groups that are listed.
_MOST_NAMES = 100_000


def open_file(path: Path, remedy: str) -> h5py.File:
    """Open a file for reading.

    Raises:
        UnusableFileError: it is missing, a folder, truncated, or not HDF5.
    """
    require_file(path, remedy)
    with reading(path, remedy):
        return h5py.File(path, "r")


def find(
    parent: h5py.Group, name: str, n_links: int = 0
) -> h5py.Dataset | h5py.Group | h5py.Datatype | None:
    """Return what a file has under a name, None if nothing; names are relative to `parent`.

    Raises:
        UnusableFileError: a link leads into another file, to nothing, or in a circle.
    """
    place = parent
    for part in filter(None, name.split("/")):
        link = place.get(part, getlink=True) if isinstance(place, h5py.Group) else None
        if link is None:
            return None
        if isinstance(link, h5py.ExternalLink):
            raise UnusableFileError(
                f"{_where(place, part)} is a link into another file ({printable(link.filename)}), "
                "which is not followed; copy the array here"
            )
        if isinstance(link, h5py.SoftLink):
            start = place.file if link.path.startswith("/") else place
            target = find(start, link.path, n_links + 1) if n_links < _N_LINKS else None
            if target is None:
                raise UnusableFileError(
                    f"{_where(place, part)} is a link to {printable(link.path)}, where there is "
                    "nothing; copy the array to its place"
                )
            place = target
        else:
            place = place[part]
    return place


def walk(parent: h5py.Group) -> Iterator[str]:
    """Yield the names of all arrays in a group and the groups below, relative to it and sorted.

    Links that lead into other files, to nothing or in circles are among them, for the error that
    follows where they are used; what a group holds comes once.

    Raises:
        UnusableFileError: there are more than anybody would look at.
    """
    seen, n_names = set(), 0
    places = [("", parent)]
    while places:
        prefix, place = places.pop(0)
        for part in sorted(place):
            n_names += 1
            if n_names > _MOST_NAMES:
                raise UnusableFileError(
                    f"{parent.file.filename} holds more than {_MOST_NAMES} arrays and groups; join "
                    "the trajectories into one array, with an axis for them"
                )
            try:
                found = find(place, part)
            except UnusableFileError:
                yield prefix + part
                continue
            if isinstance(found, h5py.Dataset):
                yield prefix + part
            elif isinstance(found, h5py.Group) and found.id not in seen:
                seen.add(found.id)
                places.append((f"{prefix}{part}/", found))


def group(parent: h5py.Group, name: str, remedy: str) -> h5py.Group:
    """Return a group of a file that lies in that very file.

    Raises:
        UnusableFileError: there is no such group, or as `find`.
    """
    found = _located(parent, name, remedy)
    if not isinstance(found, h5py.Group):
        raise _unexpected(parent, name, found, "a group", remedy)
    return found


def array(
    parent: h5py.Group,
    name: str,
    remedy: str,
    *,
    kinds: str = NUMBERS,
    most_compression: float = _MOST_COMPRESSION,
) -> h5py.Dataset:
    """Return an array or a single value, not read yet, that is stored in this very file.

    Args:
        parent: file, or group in it.
        name: of the array.
        remedy: what to do about an array that is missing, or another one.
        kinds: of values that are wanted: NUMBERS, REALS, FLOATS, TEXTS or RECORDS.
        most_compression: how many times the bytes stored for it a large array may claim.

    Raises:
        UnusableFileError: there is no such array, it holds other values, it was not written in
            full, cannot be read here, or claims too much; or as `find`.
    """
    found = _located(parent, name, remedy)
    if not isinstance(found, h5py.Dataset) or found.shape is None:
        raise _unexpected(parent, name, found, "an array", remedy)
    where = _where(parent, name)
    require_kind(where, found.dtype, kinds, remedy)
    if found.is_virtual or found.external:
        raise UnusableFileError(
            f"{where} has values that lie in another file, which is not read; copy the values into "
            "this file, as h5repack does"
        )
    _require_filters(where, found)
    _require_written(where, found)
    stored = found.id.get_storage_size()
    if found.nbytes > _SMALL and found.nbytes > most_compression * stored:
        raise UnusableFileError(
            f"{where} claims shape {found.shape} ({found.nbytes / 1e9:.3g} GB), but only {stored} "
            f"bytes are stored; {remedy}"
        )
    return found


def read(stored: h5py.Dataset, index: tuple[Any, ...], remedy: str) -> np.ndarray:
    """Return part of an array.

    Raises:
        UnusableFileError: it is truncated, or its checksum is wrong.
    """
    with reading(f"{stored.file.filename}: {stored.name.lstrip('/')}{list(index)}", remedy):
        return np.asarray(stored[index])


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
    return _words(item.attrs[name])


def texts(item: Any, name: str) -> list[str]:
    """Return an attribute that is a list of words, empty if there is none."""
    return [_words(value) for value in np.atleast_1d(item.attrs.get(name, []))]


def _words(value: Any) -> str:
    return printable(value.decode(errors="replace") if isinstance(value, bytes) else str(value))


def require_kind(where: str, dtype: np.dtype, kinds: str, remedy: str) -> None:
    """Raise UnusableFileError unless values are of the kinds wanted."""
    if dtype.kind in kinds:
        return
    if dtype.kind == "c":
        raise UnusableFileError(
            f"{where} is complex ({dtype}), where {_CALLED[kinds]} are expected; store its real "
            "part if the imaginary one is zero"
        )
    raise UnusableFileError(
        f"{where} has type {printable(str(dtype))}, where {_CALLED[kinds]} are expected; {remedy}"
    )


def _where(parent: h5py.Group, name: str) -> str:
    return f"{parent.file.filename}: {printable(f'{parent.name}/{name}'.lstrip('/'))}"


def _located(parent: h5py.Group, name: str, remedy: str) -> Any:
    with reading(_where(parent, name), remedy):
        return find(parent, name)


def _unexpected(
    parent: h5py.Group, name: str, found: object, wanted: str, remedy: str
) -> UnusableFileError:
    kinds = {h5py.Group: "a group", h5py.Datatype: "a type", type(None): "missing"}
    is_array = isinstance(found, h5py.Dataset) and found.shape is not None
    kind = "an array" if is_array else kinds.get(type(found), "empty")
    beside = "" if found is not None else f" (there is {listed(sorted(parent)) or 'nothing'})"
    return UnusableFileError(
        f"{_where(parent, name)} is {kind} where {wanted} is expected{beside}; {remedy}"
    )


def _require_filters(where: str, stored: h5py.Dataset) -> None:
    properties = stored.id.get_create_plist()
    for i in range(properties.get_nfilters()):
        code, _, _, label = properties.get_filter(i)
        if not h5py.h5z.filter_avail(code):
            words = printable(label.decode(errors="replace")) or "?"
            raise UnusableFileError(
                f"{where} is compressed by HDF5 filter {code} ({words}), which is not installed "
                "here; write the file anew with gzip, as h5repack does"
            )


def _require_written(where: str, stored: h5py.Dataset) -> None:
    """Compare the pieces of an array that were written with those it claims."""
    if 0 in stored.shape:
        return
    if stored.chunks is None:
        claimed, written = 1, int(stored.id.get_storage_size() > 0)
    else:
        claimed = math.prod(-(-n // c) for n, c in zip(stored.shape, stored.chunks, strict=True))
        written = stored.id.get_num_chunks()
    if written < claimed:
        raise UnusableFileError(
            f"{where} claims shape {stored.shape}, but {claimed - written} of its {claimed} pieces "
            "were never written; the file is unfinished, make or download it again"
        )
