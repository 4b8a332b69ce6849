"""Options of the channel data set."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from data_scripts.pde.channel import ChannelRecipe
from pde.config.one_shot import EvolutionConfig
from pde.dataset.thinning import thinned

ACROSS = 1  # the axis with walls


@dataclass
class ChannelConfig(ChannelRecipe, EvolutionConfig):
    """Flow between two walls, and the points to learn from.

    Attributes:
        grid: points per axis that the model sees: x = i / grid along the channel and
            y = (1 - cos pi s) / 2 with s = (i + 1/2) / grid across, the Gauss points of Chebyshev
            polynomials.
    """

    grid: int = 48

    def coordinates(self, axis: int) -> Callable[[int], Float[np.ndarray, " n"]] | None:
        """Return what gives those across the channel; along it they are even."""
        return thinned(self.stored_coordinates[ACROSS]) if axis == ACROSS else None

    @property
    def quantity(self) -> tuple[str, str]:
        """What is predicted."""
        return "vorticity", "1/time"
