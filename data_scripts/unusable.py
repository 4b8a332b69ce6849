"""Files that cannot be used, whoever they come from: how every reader here says so.

An error is one paragraph that names the file, what is wrong with it, and the remedy.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from monarch_core.runs.printable import paragraph


class UnusableFileError(ValueError):
    """A file is damaged, or is not what it has to be; the message names file and remedy."""


def require_file(path: Path, remedy: str) -> None:
    """Raise UnusableFileError unless there is a regular file (which no pipe or device is)."""
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "is no regular file"
        raise UnusableFileError(f"{path} {what if path.exists() else 'does not exist'}; {remedy}")


@contextlib.contextmanager
def reading(place: object, remedy: str) -> Iterator[None]:
    """Turn what the libraries raise for a bad file into one error.

    Args:
        place: file, or place in it.
        remedy: what to do about a file that is damaged, the end of the error.

    Raises:
        UnusableFileError: whatever the block raised.
    """
    try:
        yield
    except UnusableFileError:
        raise
    except MemoryError as error:
        raise UnusableFileError(
            f"{place} claims more than fits into memory ({paragraph(error)}); read less of it at a "
            f"time, or {remedy}"
        ) from error
    except Exception as error:
        # the readers raise errors of their own, of zipfile, zlib, struct and many more
        raise UnusableFileError(
            f"{place} is truncated or damaged, or of another format ({paragraph(error)}); {remedy}"
        ) from error


def read_npy(path: Path, remedy: str) -> np.ndarray:
    """Return the array of a .npy file, which may be neither an archive nor a pickle.

    Raises:
        UnusableFileError: it is damaged, or holds objects.
    """
    with reading(path, remedy), path.open("rb") as file:
        return np.lib.format.read_array(file)
