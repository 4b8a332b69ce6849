"""What a data set is, where it is and how it is made: one typed recipe per data set."""

import contextlib
import dataclasses
import math
import random
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import filelock
import numpy as np
import torch
from omegaconf import OmegaConf
from rich.console import Console

from data_scripts.resumable import friendly_disk_errors, progress_console
from monarch_core.runs.files import write_text

METADATA = "metadata.yaml"


@dataclass
class Recipe(ABC):
    """Options of a data set, and how it is made of them.

    Attributes:
        name: which recipe it is.
    """

    # Options that say where the data are or how they are made: free to change while their content
    # stays.
    PLACES: ClassVar[tuple[str, ...]] = ()

    # What `name` may be, where it is not the default alone.
    NAMES: ClassVar[tuple[str, ...]] = ()

    name: str = ""

    def __post_init__(self) -> None:
        """Raise ValueError for the name of another recipe."""
        names = self.NAMES or (type(self).name,)
        wanted = f"one of {names}" if len(names) > 1 else names[0]
        way = "choose another recipe, which has options of its own, by dataset=NAME"
        require(self.name in names, "name", self.name, f"{wanted} ({way})")

    @property
    @abstractmethod
    def folder(self) -> Path:
        """Where the data set is, or is to be."""

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """Return everything the stored numbers depend on, with nothing left to a default."""

    @abstractmethod
    def make(self, console: Console) -> None:
        """Make what is missing of the data set; `metadata.yaml` comes last and marks it complete.

        Nothing else makes it meanwhile (`ensure`). What an interrupted call has finished is kept.

        Args:
            console: where progress is shown.
        """

    @property
    def is_complete(self) -> bool:
        """Whether the data set is there as a whole."""
        return (self.folder / METADATA).is_file()

    def require_room(self) -> None:  # noqa: B027  # not every recipe knows what it needs
        """Raise ValueError or OSError where this machine is too small for the data set."""

    def check(self) -> None:  # noqa: B027  # a folder that is named by its content needs no check
        """Raise ValueError unless the complete data set is one that this recipe makes."""

    def options(self, without: tuple[str, ...] = ()) -> dict[str, Any]:
        """Return the options as plain values but those whose names are given."""
        return {k: v for k, v in dataclasses.asdict(self).items() if k not in without}


def ensure(recipe: Recipe, console: Console | None = None) -> Path:
    """Make a data set unless it is there, or check that this recipe made it; return its folder.

    Processes that start together (several ranks, a sweep) wait for the one that came first. The
    global generators of random numbers are afterwards as they were.

    Raises:
        ValueError: the data set cannot be made, or was made with other options.
        OSError: the disk is full or not writable, or a worker process was killed; what is finished
            is kept.
    """
    if not recipe.is_complete:
        with _making(recipe, console or progress_console()) as shown:
            if not recipe.is_complete:
                try:
                    recipe.make(shown)
                except FloatingPointError as error:
                    raise ValueError(f"{recipe.folder} could not be made: {error}") from error
    recipe.check()
    return recipe.folder


def produce(recipe: Recipe, console: Console | None = None) -> Path:
    """Make a data set, or what is missing of it, and return its folder; as `ensure` raises."""
    with _making(recipe, console or progress_console()) as shown:
        recipe.make(shown)
    return recipe.folder


@contextlib.contextmanager
def _making(recipe: Recipe, console: Console) -> Iterator[Console]:
    """Let one process at a time make a data set; a killed process holds nobody up."""
    state, of_numpy = random.getstate(), np.random.get_state()
    folder = recipe.folder
    if folder.exists() and not folder.is_dir():
        raise ValueError(
            f"{folder} is a file; give the folder of a data set, with out=FOLDER or "
            "dataset.root=FOLDER"
        )
    recipe.require_room()
    with friendly_disk_errors(folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder.with_name(f".{folder.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        console.print(f"another process is making {folder}; waiting for it")
        lock.acquire()
    try:
        with torch.random.fork_rng(devices=[]):
            yield console
    finally:
        lock.release()
        random.setstate(state)
        np.random.set_state(of_numpy)


def write_metadata(folder: Path, about: Mapping[str, Any]) -> None:
    """Write `metadata.yaml`, which marks the data set in `folder` as complete."""
    write_text(folder / METADATA, OmegaConf.to_yaml(OmegaConf.create(dict(about))))


def require(holds: bool, key: str, value: object, wanted: str) -> None:
    """Raise a ValueError that names option, value and what is possible, unless it holds."""
    if not holds:
        raise ValueError(f"{key} must be {wanted}, got {value!r}")


def require_positive(key: str, value: float, example: str) -> None:
    """Raise ValueError unless the value is positive and finite."""
    require(0 < value < math.inf, key, value, f"positive, such as {example}")


def require_one_of(options: object, allowed: Mapping[str, tuple[Any, ...]]) -> None:
    """Raise ValueError for an option, an attribute of `options`, with a value not allowed it."""
    for key, values in allowed.items():
        require(getattr(options, key) in values, key, getattr(options, key), f"one of {values}")


def require_range(key: str, value: float, lowest: float, highest: float, unit: str) -> None:
    """Raise ValueError unless a number lies in a range; NaN lies in none."""
    require(lowest <= value <= highest, key, value, f"from {lowest:g} to {highest:g} {unit}")
