"""Options of the data sets in a fixed layered medium."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from data_scripts.pde.layered import LayeredRecipe
from pde.config.one_shot import EvolutionConfig


@dataclass
class LayeredConfig(LayeredRecipe, EvolutionConfig):
    """Waves or heat in a layered medium, and the points to learn from.

    Attributes:
        grid: points that the model sees: the cell centres (i + 1/2) / grid.
    """

    grid: int = 256

    @property
    def quantity(self) -> tuple[str, str]:
        """What is predicted."""
        return ("temperature" if self.name == "heat_layered" else "displacement"), ""

    def normal_modes(self, axis: int) -> Callable[[int], Float[Tensor, "n n"]]:
        """Return what gives those of the medium, at the cell centres."""
        return self._rows_of_modes

    def _rows_of_modes(self, n: int) -> Float[Tensor, "n n"]:
        return torch.from_numpy(self.modes(n).rows(n))
