"""What the options of all data sets share."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from data_scripts.pde.conventions import OWN
from data_scripts.pde.generation import PdeRecipe
from data_scripts.recipe import require


@dataclass
class DatasetConfig(ABC):
    """What a run has to know of any data set; `name` decides which options there are.

    Attributes:
        name: word for tables.
        path: file or folder of your own to read.
        allow_duplicates: accept trajectories that are in more than one split.
    """

    name: str = ""
    path: str | None = None
    allow_duplicates: bool = False

    @property
    @abstractmethod
    def periodic(self) -> Sequence[bool]:
        """Whether the field is periodic, for each axis."""

    @property
    @abstractmethod
    def split_sizes(self) -> dict[str, int]:
        """Samples in each split."""

    @property
    @abstractmethod
    def points(self) -> tuple[int, ...]:
        """Points per axis that the model sees."""

    @property
    def n_axes(self) -> int:
        """Dimensions of space."""
        return len(self.periodic)

    def points_of(self, grid: int) -> tuple[int, ...]:
        """Return the points per axis of another grid, of as many points along the first axis."""
        return (grid,) * self.n_axes

    @property
    def in_channels(self) -> int:
        """Channels that a step reads: all frames that the model sees, then what is constant."""
        return self.n_input_frames * self.out_channels + self.n_constants

    @property
    def out_channels(self) -> int:
        """Channels of one frame."""
        return len(self.quantities)

    @property
    def n_constants(self) -> int:
        """Channels of the input that do not evolve."""
        return 0

    @property
    @abstractmethod
    def normalization(self) -> str:
        """How a model scales its fields.

        "field": one mean and standard deviation, of all frames, which are one quantity;
        "role": those of the inputs and those of the outputs, which are two; "none": not at all.
        """

    @property
    @abstractmethod
    def quantities(self) -> tuple[tuple[str, str], ...]:
        """Name and unit of every channel that is predicted."""

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

    def normal_modes(self, axis: int) -> Callable[[int], Float[Tensor, "n n"]] | None:
        """Return what gives the modes in which the problem is diagonal, where they are known.

        Called with the points of the axis; orthonormal rows, those of the lowest frequencies first.
        """
        return None

    def coordinates(self, axis: int) -> Callable[[int], Float[np.ndarray, " n"]] | None:
        """Return what gives where the points of a model lie, None where they are even.

        Called with the points of the axis; in units of the length of the domain, from 0 to 1.
        """
        return None

    def knows_period(self, axis: int) -> bool:
        """Whether the points of an axis, if it is periodic, say where its next period begins."""
        return True

    @property
    def is_even(self) -> bool:
        """Whether the points of a model are even along every axis."""
        return all(self.coordinates(axis) is None for axis in range(self.n_axes))

    @property
    def n_input_frames(self) -> int:
        """Frames the model sees."""
        return 1

    @property
    def n_output_frames(self) -> int:
        """Frames it predicts."""
        return 1


@dataclass
class GeneratedConfig(PdeRecipe, DatasetConfig):
    """Recipe of a data set with a name, and how it is used.

    Attributes:
        grid: points per axis that the model sees.
        path: file or folder of your own to read instead of generating; None generates.
        convention: what the numbers in the file at `path` mean. None: what the file itself shows,
            and a file that is not clearly of this problem is refused. "own": you say that its
            fields obey equation, domain, boundary and units of this data set. "pdebench", for
            Burgers: they obey those of PDEBench, and are converted.
        allow_duplicates: accept trajectories that are in more than one split.

    Raises:
        ValueError: a value is impossible; names value and remedy.
    """

    # Where the data are or how they are made: free to change while their content stays.
    DATA_PLACES: ClassVar[tuple[str, ...]] = ("path", *PdeRecipe.PLACES)

    grid: int = 0
    convention: str | None = None

    def __post_init__(self) -> None:
        """Check what all data sets share."""
        super().__post_init__()
        require(self.grid >= 4, "grid", self.grid, "at least 4, such as 32 or 64")
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
    def points(self) -> tuple[int, ...]:
        """`grid` along every axis."""
        return self.points_of(self.grid)

    @property
    @abstractmethod
    def quantity(self) -> tuple[str, str]:
        """Name and unit of what is predicted."""

    @property
    def quantities(self) -> tuple[tuple[str, str], ...]:
        """The one quantity."""
        return (self.quantity,)

    @abstractmethod
    def select_frames(self, times: Float[np.ndarray, " time"], path: Path) -> slice:
        """Return which stored frames are used: inputs first, then outputs.

        Raises:
            ValueError: the file at `path`, with frames at `times`, does not hold them.
        """

    def check_frames(self) -> None:
        """Raise ValueError unless the frames to use are among those a generated file holds."""
