"""HDF5 files that may come from a stranger: one file, nothing pulled in, nothing only claimed."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np

# k-space is noise and does not compress; zero padding does, to a few times its size
_MOST_COMPRESSION = 200
_SMALL = 1 << 24  # bytes up to which any claim is fine
_OUTSIDE = (
    "takes its values from another file; a data file must not pull in other files, copy the values "
    "into it"
)


def open_plain(path: Path, remedy: str) -> h5py.File:
    """Open a file for reading.

    Args:
        path: the file.
        remedy: what to do if it is damaged, the end of the error.

    Raises:
        ValueError: if it is missing, a folder, truncated, or not HDF5.
    """
    if path.is_dir():
        raise ValueError(f"{path} is a folder, expected an HDF5 file; {remedy}")
    if not path.is_file():
        raise ValueError(f"{path}: no such file; {remedy}")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise ValueError(f"{path}: truncated, or not an HDF5 file ({error}); {remedy}") from error


def plain_group(path: Path, parent: h5py.Group, name: str, remedy: str) -> h5py.Group:
    """Return a group of a file that lies in that very file.

    Raises:
        ValueError: if there is no such group, or it is linked from another file.
    """
    found = _inside(path, parent, name, remedy)
    if not isinstance(found, h5py.Group):
        raise ValueError(f"{path}: {name} is no group; {remedy}")
    return found


def plain_dataset(
    path: Path, group: h5py.Group, name: str, remedy: str, *, kinds: str = "ciufb"
) -> h5py.Dataset:
    """Return an array of a file whose values are stored in that very file.

    Args:
        path: the file, for errors.
        group: where to look.
        name: of the dataset in `group`.
        remedy: what to do about it, the end of the errors.
        kinds: NumPy kinds of values that are wanted; numbers unless said otherwise.

    Raises:
        ValueError: if there is no such array, it has other values, it is linked from another file
            (external link, external storage, virtual dataset), or claims far more than is stored.
    """
    found = _inside(path, group, name, remedy)
    where = _where(path, group, name)
    if not isinstance(found, h5py.Dataset):
        raise ValueError(f"{where} is a group, expected an array; {remedy}")
    if found.is_virtual or found.external:
        raise ValueError(f"{where} {_OUTSIDE}")
    if found.shape is None or found.dtype.kind not in kinds:
        raise ValueError(
            f"{where} holds {found.dtype} of the shape {found.shape}, which is no array of the "
            f"values expected here; {remedy}"
        )
    stored = found.id.get_storage_size()
    if found.nbytes > _SMALL and found.nbytes > _MOST_COMPRESSION * stored:
        raise ValueError(
            f"{where} claims the shape {found.shape} ({found.nbytes / 1e9:.3g} GB), but only "
            f"{stored} bytes are stored; {remedy}"
        )
    return found


def _where(path: Path, group: h5py.Group, name: str) -> str:
    return f"{path}: {f'{group.name}/{name}'.lstrip('/')}"


def _inside(path: Path, group: h5py.Group, name: str, remedy: str) -> Any:
    link = group.get(name, getlink=True)
    if link is None:
        raise ValueError(f"{path}: {name!r} is missing, only {sorted(group)}; {remedy}")
    where = _where(path, group, name)
    if isinstance(link, h5py.ExternalLink):
        raise ValueError(f"{where} {_OUTSIDE}")
    try:
        found = group[name]
    except (KeyError, OSError, RuntimeError) as error:
        raise ValueError(f"{where} is damaged ({error}); {remedy}") from error
    if found.file.filename != group.file.filename:
        raise ValueError(f"{where} {_OUTSIDE}")
    return found


def read_plain(
    path: Path, dataset: h5py.Dataset, index: tuple[Any, ...], remedy: str
) -> np.ndarray:
    """Read part of a dataset, turning a damaged chunk into an error that names the file.

    Raises:
        ValueError: if the chunk is truncated or its checksum is wrong.
    """
    try:
        return np.asarray(dataset[index])
    except (OSError, RuntimeError) as error:
        where = f"{dataset.name.lstrip('/')}{list(index)}"
        raise ValueError(f"{path}: {where} is damaged ({error}); {remedy}") from error
