"""Options of the Burgers data sets."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from data_scripts.pde.burgers import BurgersRecipe
from data_scripts.pde.conventions import OWN, PDEBENCH
from pde.config.one_shot import EvolutionConfig
from pde.dataset.thinning import thinned


@dataclass
class BurgersConfig(BurgersRecipe, EvolutionConfig):
    """The Burgers equation, and the points to learn from.

    Attributes:
        grid: points the model sees: i / grid if periodic, else the cell centres (i + 1/2) / grid;
            of burgers_stretched the images of those under its map.
    """

    grid: int = 1024

    def coordinates(self, axis: int) -> Callable[[int], Float[np.ndarray, " n"]] | None:
        """Return what gives those of burgers_stretched."""
        return thinned(self.stored_coordinates) if self.is_stretched else None

    @property
    def conventions(self) -> tuple[str, ...]:
        """PDEBench's is periodic and has another diffusion, on another interval."""
        return (OWN, PDEBENCH) if all(self.periodic) else (OWN,)

    @property
    def quantity(self) -> tuple[str, str]:
        """What is predicted."""
        return "velocity", "length/time"
