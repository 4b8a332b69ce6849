"""Options of the waveguide data set."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from data_scripts.pde.waveguide import WaveguideRecipe
from pde.config.one_shot import EvolutionConfig

DEPTH = 1  # the axis with walls


@dataclass
class WaveguideConfig(WaveguideRecipe, EvolutionConfig):
    """Waves in a stratified waveguide, and the points to learn from.

    Attributes:
        grid: points per axis that the model sees: i / grid along the guide, the cell centres
            (i + 1/2) / grid in depth.
    """

    grid: int = 32

    @property
    def quantity(self) -> tuple[str, str]:
        """What is predicted."""
        return "displacement", ""

    def normal_modes(self, axis: int) -> Callable[[int], Float[Tensor, "n n"]] | None:
        """Return what gives the modes in depth, for the root mean square wavenumber of the fields.

        They differ from wavenumber to wavenumber; along the guide the DFT is diagonal.
        """
        return self._rows_of_modes if axis == DEPTH else None

    def _rows_of_modes(self, n: int) -> Float[Tensor, "n n"]:
        typical = 1 / (math.sqrt(2) * self.correlation_length)
        return torch.from_numpy(self.modes(n, typical).rows(n))
