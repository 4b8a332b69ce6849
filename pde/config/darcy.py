"""Options of the Darcy data set."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from pde.config.base import require
from pde.config.one_shot import OneShotConfig

# Part of the identity of a data set: raised whenever the same options give other numbers.
GENERATOR_VERSION = 1


@dataclass
class DarcyConfig(OneShotConfig):
    """Darcy flow on the unit square: from the coefficient to the solution.

    All quantities are dimensionless; `data_scripts/pde/darcy.md` describes the data.

    Attributes:
        name: "darcy".
        grid: points per axis that the model sees: the cell centres (i + 1/2) / grid.
        stored_grid: intervals per axis on which the equation is solved and stored.
    """

    name: str = "darcy"
    grid: int = 64
    stored_grid: int = 128

    def __post_init__(self) -> None:
        """Check values; raises ValueError naming value and remedy."""
        require(self.name == "darcy", "name", self.name, "darcy")
        super().__post_init__()

    @property
    def recipe(self) -> dict[str, Any]:
        """Everything the stored numbers depend on, with nothing left to a default."""
        return {
            "name": self.name,
            "stored_grid": self.stored_grid,
            **{f"n_{split}": size for split, size in self.split_sizes.items()},
            "seed": self.seed,
            "generator_version": GENERATOR_VERSION,
        }

    @property
    def folder_name(self) -> str:
        """Name and stored grid."""
        return f"{self.name}_{self.stored_grid}x{self.stored_grid}"

    @property
    def generator(self) -> str:
        """Module that makes the data."""
        return "data_scripts.pde.darcy"

    @property
    def n_axes(self) -> int:
        """Two dimensions of space."""
        return 2

    @property
    def periodic(self) -> bool:
        """The solution vanishes on the boundary."""
        return False

    @property
    def evolves(self) -> bool:
        """A stationary problem."""
        return False

    @property
    def normalization(self) -> str:
        """Coefficient and solution are two quantities."""
        return "role"

    @property
    def quantity(self) -> tuple[str, str]:
        """What is predicted."""
        return "pressure", ""

    def select_frames(self, times: Float[np.ndarray, " time"], path: Path) -> slice:
        """Return the coefficient and the solution.

        Raises:
            ValueError: the file holds something else.
        """
        if len(times) != 2:
            raise ValueError(
                f"{path} holds {len(times)} frames per sample where Darcy flow has two, the "
                "coefficient and the solution; choose the data set that the file belongs to"
            )
        return slice(0, 2)

    def describe_frames(self, times: tuple[float, ...]) -> str:
        """Return what follows from what."""
        return "from the coefficient to the solution"
