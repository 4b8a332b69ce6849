"""Options of the data sets in a fixed layered medium."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from data_scripts.pde.layered import LayeredRecipe
from pde.config.one_shot import OneShotConfig, first_and_later


@dataclass
class LayeredConfig(LayeredRecipe, OneShotConfig):
    """Waves or heat in a layered medium, and the points to learn from.

    Attributes:
        grid: points that the model sees: the cell centres (i + 1/2) / grid.
    """

    grid: int = 256

    @property
    def normalization(self) -> str:
        """Heat leaves less of the initial field; waves keep it."""
        return "role"

    @property
    def quantity(self) -> tuple[str, str]:
        """What is predicted."""
        return ("temperature" if self.name == "heat_layered" else "displacement"), ""

    def normal_modes(self, axis: int) -> Callable[[int], Float[Tensor, "n n"]]:
        """Return what gives those of the medium, at the cell centres."""
        return self._rows_of_modes

    def _rows_of_modes(self, n: int) -> Float[Tensor, "n n"]:
        return torch.from_numpy(self.modes(n).rows(n))

    def select_frames(self, times: Float[np.ndarray, " time"], path: Path) -> slice:
        """Return the first frame and the one at `final_time`; errors as `first_and_later`."""
        return first_and_later(times, path, self.horizon, self.convention)

    def describe_frames(self, times: tuple[float, ...]) -> str:
        """Return the two times."""
        return f"from t = {times[0]:g} to t = {times[-1]:g}"
