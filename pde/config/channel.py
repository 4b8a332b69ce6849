"""Options of the channel data set."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from data_scripts.pde.channel import ChannelRecipe
from pde.config.one_shot import OneShotConfig, first_and_later


@dataclass
class ChannelConfig(ChannelRecipe, OneShotConfig):
    """Flow between two walls, and the points to learn from.

    Attributes:
        grid: points per axis that the model sees: x = i / grid along the channel and
            y = (1 - cos pi s) / 2 with s = (i + 1/2) / grid across, the Gauss points of Chebyshev
            polynomials.
    """

    grid: int = 48

    @property
    def normalization(self) -> str:
        """Viscosity leaves less of the initial field."""
        return "role"

    @property
    def quantity(self) -> tuple[str, str]:
        """What is predicted."""
        return "vorticity", "1/time"

    def select_frames(self, times: Float[np.ndarray, " time"], path: Path) -> slice:
        """Return the first frame and the one at `final_time`; errors as `first_and_later`."""
        return first_and_later(times, path, self.final_time, self.convention)

    def describe_frames(self, times: tuple[float, ...]) -> str:
        """Return the two times."""
        return f"from t = {times[0]:g} to t = {times[-1]:g}"
