"""Text of your own: plain files, whose bytes are tokens, or tokenised ones, left on disk."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Integer

from monarch_core.runs.fingerprint import fingerprint_files

N_BYTES = 256  # different tokens of plain text
SUFFIXES = (".txt", ".bin", ".npy")
# What the files of a split may be called, in the order of train, valid and test.
_NAMES = (("train",), ("val", "valid", "validation"), ("test",))


@dataclass(frozen=True)
class Tokens:
    """One sequence of tokens.

    Attributes:
        values: whole numbers; of tokenised files they are read when they are needed.
        is_plain: bytes of text.
        is_raw: numbers of 16 bits, as the name of a file says and nothing in it.
        fingerprint: of the files.
    """

    values: Integer[np.ndarray, " n"]
    is_plain: bool
    fingerprint: str
    is_raw: bool = False


def find_texts(path: Path) -> list[Tokens]:
    """Return one sequence, or those of training, validation and, if it is there, test.

    Args:
        path: a file, a folder of .txt files, or one with a file for each split, called
            `train.txt` or `ptb.train.txt`.

    Raises:
        ValueError: there is no such thing, a file is of another format or empty, or one is called
            after a split and there is none for training and validation.
    """
    if path.is_file():
        return [_read([path])]
    visible = path.glob("[!.]*")  # not what macOS and editors leave beside a file
    files = sorted(file for file in visible if _suffix(file) in SUFFIXES and file.is_file())
    parts = [[file for file in files if _last_word(file) in names] for names in _NAMES]
    if parts[0] and parts[1]:
        for found in parts:
            if len(found) > 1:
                raise ValueError(
                    f"{path} has {' and '.join(file.name for file in found)} for one split; keep "
                    "one of them"
                )
        return [_read(found) for found in parts if found]
    for found in parts:
        if found:
            raise ValueError(
                f"{path} has {found[0].name}, but a folder of splits has train and val, and may "
                "have test: as one text in the order of names, what is for a test would be "
                "trained on; add the split that is missing, or give a single file or other names"
            )
    if not files:
        raise ValueError(
            f"dataset.path={path} is no file and no folder with {', '.join(SUFFIXES)} files; give "
            "one, as in dataset.path=FOLDER"
        )
    if {_suffix(file) for file in files} != {".txt"}:
        raise ValueError(
            f"{path} has {', '.join(file.name for file in files[:4])}: tokenised files need to be "
            "called train and val, or to be given one by one, as in dataset.path=FILE.bin"
        )
    return [_read(files)]


def _read(paths: list[Path]) -> Tokens:
    """Read text files as one, or map one tokenised file."""
    path, mark, suffix = paths[0], fingerprint_files(paths), _suffix(paths[0])
    if suffix == ".txt":
        text = b"\n".join(file.read_bytes() for file in paths)
        return Tokens(np.frombuffer(text, dtype=np.uint8), True, mark)
    if suffix not in SUFFIXES:
        raise ValueError(f"{path} must be .txt, .bin or .npy; rename it, as to {path.stem}.txt")
    try:
        values = (
            np.load(path, mmap_mode="r", allow_pickle=False)
            if suffix == ".npy"
            else np.memmap(path, dtype="<u2", mode="r")
        )
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(
            f"{path} cannot be read ({error}); .bin holds 16-bit numbers, .npy one array of them"
        ) from error
    if values.ndim != 1 or values.dtype.kind not in "ui" or len(values) == 0:
        raise ValueError(
            f"{path} must hold whole numbers on one axis, got {values.dtype} of shape "
            f"{values.shape}; save the tokens so"
        )
    return Tokens(values, False, mark, suffix == ".bin")


def _suffix(file: Path) -> str:
    return file.suffix.lower()


def _last_word(file: Path) -> str:
    """Return what a file is called after: train for train.txt and for ptb.train.txt."""
    return file.stem.rpartition(".")[2].lower()


def check_vocabulary(part: Tokens, vocabulary: int, n_read: int = 10**6) -> None:
    """Raise ValueError where one of the first tokens is not below `vocabulary`.

    So it is in a .bin file where more tokens exist than 16 bits can tell apart, and where every
    second one of many is 0: numbers of 32 bits that were read as 16.
    """
    tokens = part.values
    every_second = tokens[1:n_read:2]
    if part.is_raw and (vocabulary > 2**16 or (len(every_second) > 100 and not every_second.any())):
        raise ValueError(
            f"a .bin file holds tokens of 16 bits, but dataset.vocabulary={vocabulary} and the "
            f"first are {tokens[:4].tolist()}: were they written with 32 bits? save them as an "
            "array, with numpy.save(FILE.npy, numpy.fromfile(FILE.bin, numpy.uint32))"
        )
    highest, lowest = int(tokens[:n_read].max()), int(tokens[:n_read].min())
    if lowest < 0 or highest >= vocabulary:
        raise ValueError(
            f"the tokens lie between {lowest} and {highest}, but dataset.vocabulary={vocabulary}; "
            "give that of the tokeniser"
        )
