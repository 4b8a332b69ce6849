"""Whether what is about to be written would take the place of what it is made from."""

from collections.abc import Iterable
from pathlib import Path


def replaced_source(places: Iterable[Path], sources: Iterable[Path]) -> tuple[Path, Path] | None:
    """Return the first source that is the same file as one of `places`, after that place.

    Args:
        places: files about to be written; links and other names of a file are that file.
        sources: what they are made from; those that are not there are left alone.
    """
    there = {_identity(place): place for place in places if place.is_file()}
    for source in sources if there else ():
        if source.is_file() and (place := there.get(_identity(source))):
            return place, source
    return None


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino
