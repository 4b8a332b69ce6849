"""Write HDF5 files such that a full disk is an error and not a crash."""

import contextlib
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np


@contextlib.contextmanager
def new_hdf5(path: Path) -> Iterator[h5py.File]:
    """Open a new file for writing, folders included.

    Raises:
        OSError: when the block ends, if the disk was full or not writable; the file is then
            useless.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _RememberingFile(path, "w+") as disk, h5py.File(disk, "w") as file:
        yield file
    if disk.error is not None:
        raise disk.error


def write_in_pieces(target: h5py.Dataset, pieces: Iterable[np.ndarray]) -> None:
    """Fill `target` along its first axis with arrays, which need not fit into memory together."""
    start = 0
    for piece in pieces:
        target[start : start + len(piece)] = piece
        start += len(piece)
        target.file.flush()
    assert start == len(target)


class _RememberingFile(io.FileIO):
    """File on which writing never fails, but keeps what went wrong.

    The HDF5 library ends the process with a segmentation fault when a full disk keeps it from
    closing a file. It therefore never hears of it, and the caller asks for `error` instead.
    """

    error: OSError | None = None

    def write(self, data: Any) -> int:
        left = memoryview(data).cast("B")
        size = len(left)
        try:
            while left and self.error is None:
                left = left[super().write(left) :]
        except OSError as error:
            self.error = error
        return size

    def truncate(self, size: int | None = None) -> int:
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size or 0
