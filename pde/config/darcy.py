"""Options of the Darcy data set."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from data_scripts.pde.darcy import DarcyRecipe
from pde.config.one_shot import OneShotConfig


@dataclass
class DarcyConfig(DarcyRecipe, OneShotConfig):
    """Darcy flow, and the points to learn from.

    Attributes:
        grid: points per axis that the model sees: the cell centres (i + 1/2) / grid.
    """

    grid: int = 64

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
