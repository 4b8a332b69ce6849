"""Files replaced as a whole, so that a kill at any moment leaves the old or the new one."""

import contextlib
import errno
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import IO

_TEMPORARY = re.compile(r"\..+\.\d+\.tmp")  # the names that `atomic_write` gives


def atomic_write(path: Path, writer: Callable[[IO[bytes]], object]) -> None:
    """Write a file so that a reader, or a kill at any moment, sees the old or the new one.

    The bytes go to a temporary file in the same folder, reach the disk, and only then replace
    `path`.

    Args:
        path: the file to write; its folder is made when missing.
        writer: called once with the temporary file, open for writing bytes.

    Raises:
        OSError: the disk is full or the folder cannot be written; `path` is as it was before.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            writer(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise OSError(write_failure(path, error)) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Delete the temporary files that a killed `atomic_write` left in a folder, and no others."""
    for leftover in folder.glob(".*.tmp"):
        if _TEMPORARY.fullmatch(leftover.name):
            leftover.unlink()


def remove_link(path: Path) -> None:
    """Delete a symbolic link, so that what is written in its place does not go where it leads.

    A run folder that somebody sends may hold links to files of whoever opens it.
    """
    with contextlib.suppress(OSError):
        if path.is_symlink():
            path.unlink()


def write_text(path: Path, text: str) -> None:
    """Write text as UTF-8 through `atomic_write`."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes through `atomic_write`."""
    atomic_write(path, lambda file: file.write(content))


def write_failure(path: Path, error: OSError) -> str:
    """Return one paragraph on a file that could not be written: where, why, and what to do."""
    reason = error.strerror or str(error)
    message = f"could not write {path}: {reason}"
    with contextlib.suppress(OSError):
        free = shutil.disk_usage(path.parent).free
        message += f"; {free / 1e6:.0f} MB are free there"
    remedy = "check that the folder exists and is writable"
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        remedy = "free some space or choose a folder on another disk"
    return f"{message}. What was finished before is kept; {remedy}, then start again."
