"""Which files of a folder belong together, and to which split."""

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from data_scripts.pde.readers.formats.zarr_files import is_zarr
from data_scripts.pde.readers.stored import Contents, Stored
from data_scripts.pde.well_format import SPLITS

SUFFIXES = (".hdf5", ".h5", ".hdf", ".nc", ".mat", ".npy", ".npz", ".pt", ".pth", ".zarr")
_SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "validation": "valid",
    "val": "valid",
    "dev": "valid",
    "test": "test",
    "testing": "test",
}
_WORD = re.compile(rf"(?<![a-z])({'|'.join(_SPLIT_WORDS)})(?![a-z])", re.IGNORECASE)


def is_well_folder(path: Path) -> bool:
    """Return whether a folder has The Well's splits."""
    return (path / "data" / SPLITS[0]).is_dir()


def without_split(name: str) -> tuple[str, str | None]:
    """Return a name without the word for a split, and the split; `u_train` is u of train."""
    words = {_SPLIT_WORDS[word.lower()] for word in _WORD.findall(name)}
    if len(words) != 1:
        return name, None
    return re.sub(r"^[-_/ ]+|[-_/ ]+$|(?<=[-_/ ])[-_/ ]+", "", _WORD.sub("", name)), words.pop()


def split_contents(contents: Contents) -> dict[str, Contents]:
    """Return the arrays of every split, by names without the word for it; {} if there are none.

    Arrays of no split belong to all.
    """
    by_split: dict[str | None, dict[str, Stored]] = {}
    for name, stored in contents.arrays.items():
        rest, split = without_split(name)
        by_split.setdefault(split, {})[rest] = replace(stored, name=rest)
    shared = by_split.pop(None, {})
    return {
        split: replace(contents, arrays={**shared, **by_split[split]})
        for split in SPLITS
        if split in by_split
    }


def folder_files(path: Path) -> dict[str | None, list[Path]]:
    """Return the data files of a folder by split, sorted by name; None is the split of no split.

    They are those in the folders data/train, data/valid and data/test, or train, valid and test;
    else those directly in it, which belong to a split if their names all say so.
    """
    for parent in (path / "data", path):
        folders = [p for p in sorted(parent.glob("*")) if p.is_dir() and p.name in _SPLIT_WORDS]
        found = {_SPLIT_WORDS[folder.name]: _files(folder.glob("*")) for folder in folders}
        if any(found.values()):
            return {split: found[split] for split in SPLITS if found.get(split)}
    files = _files(path.glob("*"))
    by_split: dict[str | None, list[Path]] = {}
    for file in files:
        by_split.setdefault(without_split(file.stem)[1], []).append(file)
    if None in by_split:
        return {None: files}
    return {split: by_split[split] for split in SPLITS if split in by_split}


def _files(found: Iterable[Path]) -> list[Path]:
    are_data = (p for p in found if p.suffix.lower() in SUFFIXES)
    return sorted(p for p in are_data if p.is_file() or is_zarr(p))
