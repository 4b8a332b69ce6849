"""Options of the channel data set."""

from dataclasses import dataclass

from data_scripts.pde.channel import ChannelRecipe
from pde.config.one_shot import EvolutionConfig


@dataclass
class ChannelConfig(ChannelRecipe, EvolutionConfig):
    """Flow between two walls, and the points to learn from.

    Attributes:
        grid: points per axis that the model sees: x = i / grid along the channel and
            y = (1 - cos pi s) / 2 with s = (i + 1/2) / grid across, the Gauss points of Chebyshev
            polynomials.
    """

    grid: int = 48

    @property
    def horizon(self) -> float:
        """`final_time`."""
        return self.final_time

    @property
    def quantity(self) -> tuple[str, str]:
        """What is predicted."""
        return "vorticity", "1/time"
