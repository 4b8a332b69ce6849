"""Arrays of formats that cannot be read in parts: compressed ones, and MATLAB's classic format."""

import functools
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from data_scripts.pde.readers.stored import Stored
from data_scripts.unusable import UnusableFileError
from monarch_core.runs.machine import require_memory

# Bytes that one byte of a file compressed by zlib can stand for at most.
_DEFLATE = 1032
# Bytes from which it is said that an array is read as a whole.
_LARGE = 1 << 28


def whole(
    path: Path,
    name: str,
    shape: tuple[int, ...],
    dtype: np.dtype,
    load: Callable[[], np.ndarray],
) -> tuple[Stored, tuple[str, ...]]:
    """Return an array that is loaded as a whole at the first use and kept, and what to say of it.

    Args:
        path: of the file.
        name: of the array.
        shape: as the file claims it.
        dtype: as the file claims it.
        load: returns all values.

    Raises:
        UnusableFileError: the file is too small to hold the array.
        ValueError: the array is larger than the memory.
    """
    n_values, n_bytes = math.prod(shape), path.stat().st_size
    if n_values > _DEFLATE * n_bytes:
        raise UnusableFileError(
            f"{path}: {name} claims shape {shape}, more than {n_bytes} bytes can hold; the file is "
            "damaged, download or make it again"
        )
    require_memory(
        {f"the values of {name} in {path}": float(dtype.itemsize) * n_values},
        "store them as .npy, HDF5 or MATLAB v7.3, which are read in parts, or in several files",
    )
    kept = functools.cache(load)
    stored = Stored(name, shape, dtype, lambda index: kept()[index])
    note = (
        f"{name} ({stored.n_bytes / 1e9:.2g} GB) is read as a whole, having no parts: "
        "store .npy, .npz without compression, HDF5 or MATLAB v7.3 to read less"
    )
    return stored, (note,) if stored.n_bytes >= _LARGE else ()
