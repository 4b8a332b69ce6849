"""Options of the Burgers data sets."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from data_scripts.pde.burgers import BurgersRecipe
from data_scripts.pde.conventions import OWN, PDEBENCH
from pde.config.one_shot import OneShotConfig, first_and_later
from pde.dataset.thinning import thin


@dataclass
class BurgersConfig(BurgersRecipe, OneShotConfig):
    """The Burgers equation, and the points to learn from.

    Attributes:
        grid: points the model sees: i / grid if periodic, else the cell centres (i + 1/2) / grid;
            of burgers_stretched the images of those under its map.
    """

    grid: int = 1024

    def coordinates(self, axis: int) -> Callable[[int], Float[np.ndarray, " n"]] | None:
        """Return what gives those of burgers_stretched."""
        return self._thinned if self.is_stretched else None

    def _thinned(self, n: int) -> Float[np.ndarray, " n"]:
        return self.stored_coordinates[thin(self.stored_points[0], n, periodic=False)]

    @property
    def conventions(self) -> tuple[str, ...]:
        """PDEBench's is periodic and has another diffusion, on another interval."""
        return (OWN, PDEBENCH) if all(self.periodic) else (OWN,)

    @property
    def normalization(self) -> str:
        """Diffusion leaves little of the initial field: the outputs need a scale of their own."""
        return "role"

    @property
    def quantity(self) -> tuple[str, str]:
        """What is predicted."""
        return "velocity", "length/time"

    def select_frames(self, times: Float[np.ndarray, " time"], path: Path) -> slice:
        """Return the first frame and the one at `final_time`; errors as `first_and_later`."""
        return first_and_later(times, path, self.final_time, self.convention)

    def describe_frames(self, times: tuple[float, ...]) -> str:
        """Return the two times."""
        return f"from t = {times[0]:g} to t = {times[-1]:g}"
