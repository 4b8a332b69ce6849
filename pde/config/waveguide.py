"""Options of the waveguide data set."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from data_scripts.pde.waveguide import WaveguideRecipe
from pde.config.one_shot import OneShotConfig, first_and_later

DEPTH = 1  # the axis with walls


@dataclass
class WaveguideConfig(WaveguideRecipe, OneShotConfig):
    """Waves in a stratified waveguide, and the points to learn from.

    Attributes:
        grid: points per axis that the model sees: i / grid along the guide, the cell centres
            (i + 1/2) / grid in depth.
    """

    grid: int = 32

    @property
    def normalization(self) -> str:
        """As of the waves in a layered medium."""
        return "role"

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

    def select_frames(self, times: Float[np.ndarray, " time"], path: Path) -> slice:
        """Return the first frame and the one at `final_time`; errors as `first_and_later`."""
        return first_and_later(times, path, self.final_time, self.convention)

    def describe_frames(self, times: tuple[float, ...]) -> str:
        """Return the two times."""
        return f"from t = {times[0]:g} to t = {times[-1]:g}"
