"""MATLAB's classic files: versions 4, 5 (to which 6 and 7 belong); v7.3 is HDF5."""

import functools
from pathlib import Path

import numpy as np
import scipy.io
from scipy.io.matlab import matfile_version

from data_scripts.pde.readers.formats.whole import whole
from data_scripts.pde.readers.statement import AGAIN
from data_scripts.pde.readers.stored import Contents, Stored, defective
from data_scripts.unusable import reading

HEADER = b"MATLAB 5.0 MAT-file"
_REALS = {
    "double": "f8",
    "single": "f4",
    "logical": "bool",
    **{f"{sign}int{bits}": f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}


def is_classic_matlab(path: Path, header: bytes) -> bool:
    """Return whether a file is one of MATLAB's, by its first bytes and, for version 4, its name."""
    if header.startswith(HEADER):
        return True
    if path.suffix.lower() != ".mat":
        return False
    try:
        return matfile_version(path, appendmat=False)[0] == 0
    except (ValueError, OSError):
        return False


def classic_contents(path: Path) -> Contents:
    """Return the arrays of a file; each is read as a whole when it is used, and kept.

    Raises:
        UnusableFileError: the file is damaged.
    """
    arrays: dict[str, Stored] = {}
    notes: tuple[str, ...] = ()
    with reading(path, AGAIN):
        stored = scipy.io.whosmat(path, appendmat=False)
        counts = {name: sum(other == name for other, *_ in stored) for name, *_ in stored}
        for name, shape, kind in stored:
            if counts[name] > 1:
                defect = f"{path} holds {counts[name]} arrays named {name}; leave one of them away"
            elif kind not in _REALS:
                defect = f"{path}: {name} is of class {kind}, no field of real numbers; " + (
                    f"store its parts as arrays, save('own.mat', '-struct', '{name}')"
                    if kind == "struct"
                    else "store it as double or single in physical units"
                )
            else:
                load = functools.partial(_load, path, name)
                arrays[name], note = whole(path, name, shape, np.dtype(_REALS[kind]), load)
                notes += note
                continue
            arrays[name] = defective(name, shape, np.dtype(object), defect)
    return Contents("MATLAB", arrays, by_matlab=True, notes=notes)


def _load(path: Path, name: str) -> np.ndarray:
    with reading(path, AGAIN):
        return scipy.io.loadmat(path, appendmat=False, variable_names=[name])[name]
