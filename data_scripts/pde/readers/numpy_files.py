"""NumPy's own files: .npy, and .npz archives of several."""

from pathlib import Path

import numpy as np

from data_scripts.pde.readers.stored import Stored
from data_scripts.pde.readers.trajectories import AGAIN
from data_scripts.unusable import reading


def npy_arrays(path: Path) -> dict[str, Stored]:
    """Return the one array of a .npy file, which is mapped into memory and never unpickled.

    Raises:
        UnusableFileError: the file is damaged, or holds objects.
    """
    with reading(path, AGAIN):
        array = np.load(path, mmap_mode="r", allow_pickle=False)

    def load(index: tuple[slice, ...]) -> np.ndarray:
        return np.load(path, mmap_mode="r", allow_pickle=False)[index]

    return {"": Stored("", array.shape, array.dtype, load)}
