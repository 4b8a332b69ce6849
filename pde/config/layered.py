"""Options of the data sets in a fixed layered medium."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from data_scripts.pde.layered import LayeredRecipe
from data_scripts.pde.layered_solver import Medium, NormalModes
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

    @property
    def normal_modes(self) -> Callable[[int], Float[Tensor, "n n"]]:
        """Those of the medium, at the cell centres."""
        return partial(_at_centres, self.medium)

    def select_frames(self, times: Float[np.ndarray, " time"], path: Path) -> slice:
        """Return the first frame and the one at `final_time`; errors as `first_and_later`."""
        return first_and_later(times, path, self.horizon, self.convention)

    def describe_frames(self, times: tuple[float, ...]) -> str:
        """Return the two times."""
        return f"from t = {times[0]:g} to t = {times[-1]:g}"


def _at_centres(medium: Medium, n: int) -> Float[Tensor, "n n"]:
    centres = (np.arange(n) + 0.5) / n
    return torch.from_numpy(NormalModes(medium, n).at(centres).T / np.sqrt(n))
