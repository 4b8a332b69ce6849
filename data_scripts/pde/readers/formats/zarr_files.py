"""Zarr stores: folders of chunks, format 2 and 3."""

import base64
import contextlib
import functools
import struct
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from data_scripts.pde.readers.formats.hdf5_files import numbers
from data_scripts.pde.readers.formats.packed import packing, unpacked
from data_scripts.pde.readers.statement import AGAIN
from data_scripts.pde.readers.stored import Contents, Stored, defective
from data_scripts.unusable import reading
from monarch_core.extras import require

_METADATA = ("zarr.json", ".zgroup", ".zarray", ".zmetadata")
_FILL = "_FillValue"
_LABELS = "_ARRAY_DIMENSIONS"  # where format 2 keeps the names of axes (xarray)


def is_zarr(path: Path) -> bool:
    """Return whether a folder is a store."""
    return path.is_dir() and any((path / name).is_file() for name in _METADATA)


def zarr_contents(path: Path) -> Contents:
    """Return the arrays of a store, in groups of any depth; they are read by chunks.

    Objects are never decoded; zarr itself (3.1) refuses the codec `pickle` for anything else.

    Raises:
        UnusableFileError: the store is damaged.
        MissingExtraError: the package `zarr` is not installed.
    """
    with _opened(path) as store:
        if hasattr(store, "members"):
            found = [(n, a) for n, a in store.members(max_depth=None) if hasattr(a, "shape")]
        else:
            found = [("", store)]
        # chunks of zeros are not written; a store without any is a download that has broken off
        is_empty = not any(array.nchunks_initialized for _, array in found)
        arrays = {name: _stored(path, name, array, is_empty) for name, array in sorted(found)}
        return Contents("Zarr", arrays, numbers(dict(store.attrs)))


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    require("zarr", "zarr")
    import zarr

    with reading(path, AGAIN), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of files that are none of the store's
        yield zarr.open(str(path), mode="r")


def _stored(path: Path, name: str, array: Any, is_empty: bool) -> Stored:
    shape, dtype = tuple(array.shape), np.dtype(array.dtype)
    if dtype.kind in "biufc":
        dtype = dtype.newbyteorder("=")
    stated = array.metadata.to_dict()
    attributes = dict(array.attrs)
    if 0 not in shape and is_empty:
        return defective(
            name, shape, dtype, f"{path}: {name or 'its array'} was never written; {AGAIN}"
        )
    missing = stated["fill_value"] if stated["zarr_format"] == 2 else None
    if missing and (
        _LABELS in attributes or packing(attributes)
    ):  # 0 is what zarr fills with where nobody says otherwise
        attributes.setdefault(_FILL, missing)
    if dtype.kind in "iuf" and isinstance(text := attributes.get(_FILL), str):
        attributes[_FILL] = _number_in_text(text)
    how = packing(attributes)
    unit = attributes.get("units", "")
    labels = stated.get("dimension_names") or attributes.get(_LABELS) or ()
    return Stored(
        name,
        shape,
        how.dtype(dtype) if how else dtype,
        unpacked(functools.partial(_read, path, name), how),
        unit if isinstance(unit, str) else "",
        tuple(str(label or "") for label in labels) if len(labels) == len(shape) else (),
    )


def _number_in_text(text: str) -> float | str:
    """Return the number that xarray has as text in format 3 (base64 of a double), else the text."""
    with contextlib.suppress(ValueError, struct.error):
        (number,) = struct.unpack("<d", base64.b64decode(text, validate=True))
        return float(number)
    return text


def _read(path: Path, name: str, index: tuple[slice, ...]) -> np.ndarray:
    with _opened(path) as store:
        values = np.asarray((store[name] if name else store)[index])
    return values.astype(values.dtype.newbyteorder("="), copy=False)
