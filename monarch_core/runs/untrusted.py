"""Text files that somebody else may have written, read where that is safe.

A run folder may come from anybody. Its files are read only where they are plain files of a sane
size, and nothing in them is executed.
"""

import json
import stat
from pathlib import Path
from typing import Any

_MOST_BYTES = 1 << 26  # of a text file
_TAIL = 1 << 16  # bytes at the end of a file in which its last line must begin


def check_plain_file(path: Path) -> None:
    """Check that a file of a run folder can be opened without harm.

    Raises:
        OSError: it cannot be looked at.
        ValueError: it is a folder, a pipe or a device, or a link to something outside its folder.
    """
    if not path.resolve().is_relative_to(path.parent.resolve()):
        raise ValueError(
            f"{path.name} is a link to {path.resolve()}, outside of its folder, and is not "
            "followed; put a copy of the file in its place"
        )
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError(f"{path.name} is no plain file; put a copy of the file in its place")


def read_text(path: Path) -> str:
    """Return the text of a file of a run folder.

    Raises:
        OSError: it cannot be read.
        ValueError: as for `check_plain_file`; or it is too large, or not UTF-8.
    """
    check_plain_file(path)
    n_bytes = path.stat().st_size
    if n_bytes > _MOST_BYTES:
        raise ValueError(
            f"{path.name} has {n_bytes} bytes, more than the {_MOST_BYTES} that are read; "
            "make a smaller one"
        )
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path.name} is no text in UTF-8 ({error}); restore it from a copy"
        ) from error


def last_line(path: Path) -> str:
    """Return the last line of a file that is not blank, empty if there is none.

    Raises:
        OSError: it cannot be read.
        ValueError: as for `check_plain_file`.
    """
    check_plain_file(path)
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL))
        lines = file.read(_TAIL).decode("utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def parse_json(text: str) -> Any:
    """Return what a text in JSON says.

    Raises:
        ValueError: it is no JSON, or nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply to be read") from None
