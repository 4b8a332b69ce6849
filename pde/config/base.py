"""What the options of all data sets share."""

import hashlib
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from data_scripts.pde.conventions import OWN


@dataclass
class DatasetConfig(ABC):
    """Options of any data set; `name` decides which others there are.

    Attributes:
        name: the data set, part of every result.
        grid: points per axis that the model sees.
        n_train: samples to learn from.
        n_valid: samples to choose by.
        n_test: samples to report on.
        seed: of the random fields.
        path: file or folder of your own to read instead of generating; None generates.
        convention: what the numbers in the file at `path` mean. None: what the file itself shows,
            and a file that is not clearly of this problem is refused. "own": you say that its
            fields obey equation, domain, boundary and units of this data set. "pdebench", for
            Burgers: they obey those of PDEBench, and are converted.
        allow_duplicates: accept trajectories that are in more than one split.
        data_dir: folder below which generated data are kept.
        n_workers: processes that generate on the CPU; None takes one per available core.
        batch_size: samples computed together; None takes what suits the machine.

    Raises:
        ValueError: a value is impossible; names value and remedy.
    """

    # Where the data are or how they are made: free to change while their content stays.
    DATA_PLACES: ClassVar[tuple[str, ...]] = (
        "path",
        "data_dir",
        "n_workers",
        "batch_size",
        "device",
    )

    name: str
    grid: int
    n_train: int = 1000
    n_valid: int = 100
    n_test: int = 100
    seed: int = 0
    path: str | None = None
    convention: str | None = None
    allow_duplicates: bool = False
    data_dir: str = "data"
    n_workers: int | None = None
    batch_size: int | None = None

    def __post_init__(self) -> None:
        """Check what all data sets share."""
        require(self.grid >= 4, "grid", self.grid, "at least 4, such as 32 or 64")
        for key in ("n_train", "n_valid", "n_test"):
            require(getattr(self, key) >= 1, key, getattr(self, key), "at least 1")
        require(self.seed >= 0, "seed", self.seed, "at least 0")
        for key in ("n_workers", "batch_size"):
            value = getattr(self, key)
            require(value is None or value >= 1, key, value, "null or at least 1")
        allowed = self.conventions
        require(
            self.convention in (None, *allowed),
            "convention",
            self.convention,
            f"null or one of {allowed}",
        )
        require(
            self.convention is None or self.path is not None,
            "convention",
            self.convention,
            "null for generated data; it is for a file of your own, whose path is missing",
        )

    @property
    def conventions(self) -> tuple[str, ...]:
        """What `convention` can be."""
        return (OWN,)

    @property
    @abstractmethod
    def generator(self) -> str:
        """Module that makes the data, run with these options as key=value arguments."""

    @property
    @abstractmethod
    def n_axes(self) -> int:
        """Dimensions of space."""

    @property
    @abstractmethod
    def periodic(self) -> bool:
        """Whether the field is periodic along every axis."""

    @property
    @abstractmethod
    def normalization(self) -> str:
        """How a model scales its fields.

        "field": one mean and standard deviation, of all frames, which are one quantity;
        "role": those of the inputs and those of the outputs, which are two; "none": not at all.
        """

    @property
    @abstractmethod
    def quantity(self) -> tuple[str, str]:
        """Name and unit of what is predicted, for figures."""

    @property
    @abstractmethod
    def recipe(self) -> dict[str, Any]:
        """Everything the stored numbers depend on, with nothing left to a default."""

    @property
    @abstractmethod
    def folder_name(self) -> str:
        """Beginning of the name of the folder with generated data."""

    @abstractmethod
    def select_frames(self, times: Float[np.ndarray, " time"], path: Path) -> slice:
        """Return which stored frames are used: inputs first, then outputs.

        Raises:
            ValueError: the file at `path`, with frames at `times`, does not hold them.
        """

    @abstractmethod
    def describe_frames(self, times: tuple[float, ...]) -> str:
        """Return in words what is predicted from what, given the times of the used frames."""

    @property
    def evolves(self) -> bool:
        """Whether the outputs are later states of the inputs."""
        return True

    @property
    def symmetry(self) -> Callable[[Tensor, torch.Generator], Tensor] | None:
        """What makes another solution of one at random, where the equation has symmetries."""
        return None

    def check_frames(self) -> None:  # noqa: B027  # only a data set with many frames can fail
        """Raise ValueError unless the frames to use are among those a generated file holds."""

    @property
    def n_input_frames(self) -> int:
        """Frames the model sees."""
        return 1

    @property
    def n_output_frames(self) -> int:
        """Frames it predicts."""
        return 1

    @property
    def split_sizes(self) -> dict[str, int]:
        """Samples in each split."""
        return {"train": self.n_train, "valid": self.n_valid, "test": self.n_test}

    @property
    def folder(self) -> Path:
        """Where the generated data are kept; another recipe has another folder."""
        digest = hashlib.sha256(json.dumps(self.recipe, sort_keys=True).encode()).hexdigest()
        return Path(self.data_dir) / f"{self.folder_name}_{digest[:8]}"

    @property
    def is_generated(self) -> bool:
        """Whether they are there, complete: what generates them writes `metadata.yaml` last."""
        return (self.folder / "metadata.yaml").is_file()

    @property
    def unfinished_folder(self) -> Path:
        """Where they are while they are being generated."""
        return self.folder.with_name(f"{self.folder.name}.partial")


def require(holds: bool, key: str, value: object, wanted: str) -> None:
    """Raise a ValueError that names option, value and what is possible, unless it holds."""
    if not holds:
        raise ValueError(f"{key} must be {wanted}, got {value!r}")


def require_positive(key: str, value: float, example: str) -> None:
    """Raise ValueError unless the value is positive and finite."""
    require(0 < value < math.inf, key, value, f"positive, such as {example}")
