"""What every PDE recipe does around its own mathematics: sizes, folder, batches, restart."""

import hashlib
import json
import math
import shutil
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import torch
from rich.console import Console

from data_scripts.recipe import Recipe, require, require_positive, write_metadata
from data_scripts.resumable import (
    Arrays,
    Batch,
    compute_batches,
    finished_batches,
    friendly_disk_errors,
    read_batch,
    require_free_space,
)
from monarch_core.runs.machine import require_memory, usable_cores

# Every split has random numbers of its own: more training data leave the test set as it is.
SPLIT_KEYS = {"train": 0, "valid": 1, "test": 2}
DEVICES = ("auto", "cpu", "cuda")


@dataclass
class PdeRecipe(Recipe):
    """Samples of a differential equation, computed from random fields.

    Attributes:
        name: the data set, part of every result.
        n_train: samples to learn from.
        n_valid: samples to choose by.
        n_test: samples to report on.
        seed: of the random fields.
        data_dir: folder below which generated data are kept.
        n_workers: processes that generate on the CPU; None takes one per available core.
        batch_size: samples computed together; None takes what suits the machine.

    Raises:
        ValueError: a value is impossible; names value and remedy.
    """

    PLACES: ClassVar[tuple[str, ...]] = ("data_dir", "n_workers", "batch_size", "device")
    # Part of the identity of a data set: raised whenever the same options give other numbers.
    GENERATOR_VERSION: ClassVar[int] = 1
    # Modules whose version may change the last digits.
    LIBRARIES: ClassVar[tuple[ModuleType, ...]] = (torch, np)

    n_train: int = 1000
    n_valid: int = 100
    n_test: int = 100
    seed: int = 0
    data_dir: str = "data"
    n_workers: int | None = None
    batch_size: int | None = None

    def __post_init__(self) -> None:
        """Check what all data sets share."""
        super().__post_init__()
        for key in ("n_train", "n_valid", "n_test"):
            require(getattr(self, key) >= 1, key, getattr(self, key), "at least 1")
        require(self.seed >= 0, "seed", self.seed, "at least 0")
        for key in ("n_workers", "batch_size"):
            value = getattr(self, key)
            require(value is None or value >= 1, key, value, "null or at least 1")

    @property
    @abstractmethod
    def numbers(self) -> dict[str, Any]:
        """What the stored numbers depend on beside sizes, seed and version."""

    @property
    @abstractmethod
    def folder_name(self) -> str:
        """Beginning of the name of the folder with generated data."""

    @property
    @abstractmethod
    def title(self) -> str:
        """Text in front of the progress bar."""

    @property
    def solver_points(self) -> int:
        """Points of the solver's grid; 0 where it needs no memory worth a word."""
        return 0

    @property
    def suitable_batch_size(self) -> int:
        """Samples computed together unless `batch_size` says otherwise."""
        return 20

    @abstractmethod
    def values_per_sample(self, split: str) -> int:
        """Return how many numbers are stored of each sample."""

    @abstractmethod
    def simulate(self, batch: Batch) -> Arrays:
        """Compute one batch: named arrays with one entry per sample, `frames` among them."""

    @abstractmethod
    def assemble(self, parts: Path, dataset: Path) -> dict[str, Any]:
        """Write the finished batches of `parts` into the folder `dataset`.

        Returns:
            What the data are, for the metadata: field, equation, units, grid, layout, source and so
            on.
        """

    @property
    def split_sizes(self) -> dict[str, int]:
        """Samples in each split."""
        return {"train": self.n_train, "valid": self.n_valid, "test": self.n_test}

    def identity(self) -> dict[str, Any]:
        """Return everything the stored numbers depend on, with nothing left to a default."""
        sizes = {f"n_{split}": size for split, size in self.split_sizes.items()}
        made_by = {"seed": self.seed, "generator_version": self.GENERATOR_VERSION}
        return {**self.numbers, **sizes, **made_by}

    @property
    def folder(self) -> Path:
        """Where the generated data are kept; another identity has another folder."""
        digest = hashlib.sha256(json.dumps(self.identity(), sort_keys=True).encode()).hexdigest()
        return Path(self.data_dir) / f"{self.folder_name}_{digest[:8]}"

    @property
    def unfinished_folder(self) -> Path:
        """Where they are while they are being generated."""
        return self.folder.with_name(f"{self.folder.name}.partial")

    def make(self, console: Console) -> None:
        """Compute the batches that are missing, then put all together.

        Raises:
            OSError: the disk is full or not writable, or a worker process was killed; finished
                batches are kept.
            FloatingPointError: a solution became unstable.
            ValueError: there is no such device.
        """
        folder, work = self.folder, self.unfinished_folder
        if self.is_complete:
            self.check()
            console.print(f"{folder} is there already")
            return
        shutil.rmtree(work / "dataset", ignore_errors=True)  # half of an earlier attempt
        compute_batches(
            self.simulate,
            work / "parts",
            self.split_sizes,
            batch_size=self.batch_size or self.suitable_batch_size,
            n_workers=1 if self.uses_gpu else self.n_workers or usable_cores(),
            console=console,
            description=self.title,
        )
        with friendly_disk_errors(work):
            about = self.assemble(work / "parts", work / "dataset")
            made = {"seed": self.seed, "recipe": self.identity(), "versions": self._versions()}
            write_metadata(work / "dataset", {"name": self.name, **about, **made})
            (work / "dataset").replace(folder)
        shutil.rmtree(work, ignore_errors=True)
        console.print(f"{folder}: {sum(self.split_sizes.values())} samples")

    def _versions(self) -> dict[str, str]:
        return {library.__name__: str(library.__version__) for library in self.LIBRARIES}

    def check(self) -> None:
        """Remove what is left where making the data was killed in its last clean-up."""
        shutil.rmtree(self.unfinished_folder, ignore_errors=True)

    @property
    def device_used(self) -> torch.device:
        """The device that computes.

        Raises:
            ValueError: there is no GPU.
        """
        device = getattr(self, "device", "cpu")
        if device == "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        if device == "cuda" and not torch.cuda.is_available():
            raise ValueError("device=cuda, but torch finds no GPU; use device=cpu or device=auto")
        return torch.device(device)

    @property
    def uses_gpu(self) -> bool:
        """Whether a GPU computes."""
        return self.device_used.type == "cuda"

    def require_room(self) -> None:
        """Ask, before anything is written, for memory, and room for the missing parts and the set.

        Raises:
            OSError: the disk is too small.
            ValueError: the solver does not fit into memory, of which a Runge-Kutta step takes eight
                complex fields at least, or the folder to be made holds files of another origin.
        """
        if self.is_complete:
            return
        sizes, n_points = self.split_sizes, self.solver_points
        n_together = min(self.batch_size or self.suitable_batch_size, max(sizes.values()))
        what = f"{n_together} samples on the {n_points} points of the solver"
        require_memory({what: 128.0 * n_together * n_points}, "lower solver_grid or batch_size")
        # in this order: a data set that another process finishes meanwhile comes with its metadata
        if self.folder.is_dir() and any(self.folder.iterdir()) and not self.is_complete:
            raise ValueError(
                f"{self.folder} holds files but no metadata.yaml, so it is no finished data set; "
                "delete it, or choose another data_dir"
            )
        n_bytes = {split: 4 * n * self.values_per_sample(split) for split, n in sizes.items()}
        done = finished_batches(self.unfinished_folder / "parts")
        n_done = {split: sum(b.stop - b.start for b in done if b.split == split) for split in sizes}
        parts = sum(n_bytes[split] * (1 - n_done[split] / n) for split, n in sizes.items())
        whole = sum(n_bytes.values())
        what = ", ".join(f"n_{split}={size}" for split, size in sizes.items())
        require_free_space(
            self.unfinished_folder,
            round(parts + whole),
            f"a data set of {what}, {whole / 1e9:.3g} GB in memory,",
        )

    def sample_keys(self, batch: Batch) -> list[tuple[int, int, int]]:
        """Return what names the random numbers of each sample of a batch."""
        key = SPLIT_KEYS[batch.split]
        return [(self.seed, key, number) for number in range(batch.start, batch.stop)]


@dataclass
class OneShotRecipe(PdeRecipe):
    """One field in and one field out, on points i / stored_grid of every axis.

    Attributes:
        stored_grid: intervals per axis of the stored fields, both ends included where the axis is
            not periodic.
    """

    stored_grid: int = 0

    def __post_init__(self) -> None:
        """Check that there is a grid."""
        super().__post_init__()
        require(self.stored_grid >= 4, "stored_grid", self.stored_grid, "at least 4")

    @property
    @abstractmethod
    def periodic(self) -> tuple[bool, ...]:
        """Whether the field is periodic, for each axis."""

    @property
    def stored_points(self) -> tuple[int, ...]:
        """Points of the stored fields, for each axis."""
        return tuple(self.stored_grid if p else self.stored_grid + 1 for p in self.periodic)

    def values_per_sample(self, split: str) -> int:
        """Return how many numbers the two fields have."""
        return 2 * math.prod(self.stored_points)


@dataclass
class EvolutionRecipe(OneShotRecipe):
    """A field at t = 0, and the same one later.

    Attributes:
        final_time: time of the field to predict.
    """

    final_time: float = 1.0

    def __post_init__(self) -> None:
        """Check that there is time between the two."""
        super().__post_init__()
        require_positive("final_time", self.final_time, f"{type(self).final_time:g}")

    @property
    def horizon(self) -> float:
        """`final_time`."""
        return self.final_time


def gather(
    parts: Path, name: str, splits: Sequence[str] = tuple(SPLIT_KEYS)
) -> Iterator[np.ndarray]:
    """Yield the array `name` of every finished batch, split by split, in order."""
    batches = finished_batches(parts)
    for split in splits:
        for batch in batches:
            if batch.split == split:
                yield read_batch(parts, batch, name)
