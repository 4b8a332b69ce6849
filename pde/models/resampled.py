"""A network on even points, for fields on points that are not."""

import numpy as np
import torch
from jaxtyping import Float
from scipy.interpolate import make_interp_spline
from torch import Tensor, nn


class Resampled(nn.Module):
    """Bring fields on points x_j to as many even ones, apply a network there, and go back.

        v = S network(R u),    R = spline(x -> y),    S = spline(y -> x),    y_i = i / (n - 1)

    Both splines are cubic interpolations with not-a-knot ends, as fixed matrices. The even points
    have both ends of the domain, so that nothing is extrapolated on the way back.

    Args:
        network: from (batch, frames, n) to (batch, steps, n).
        x: the points of the fields, ascending in [0, 1].
    """

    down: Tensor
    up: Tensor

    def __init__(self, network: nn.Module, x: Float[np.ndarray, " n"]) -> None:
        super().__init__()
        self.network = network
        y = np.linspace(0, 1, len(x))
        self.register_buffer("down", spline_matrix(x, y).float(), persistent=False)
        self.register_buffer("up", spline_matrix(y, x).float(), persistent=False)

    def forward(self, frames: Float[Tensor, "batch frames n"]) -> Float[Tensor, "batch steps n"]:
        """Return v.

        Raises:
            ValueError: for fields on other points.
        """
        if frames.shape[-1] != len(self.down):
            raise ValueError(
                f"a resampled network works on its {len(self.down)} points alone, got "
                f"{frames.shape[-1]}; bring the fields there"
            )
        return self.network(frames @ self.down.mT) @ self.up.mT


def spline_matrix(x: Float[np.ndarray, " n"], y: Float[np.ndarray, " m"]) -> Float[Tensor, "m n"]:
    """Return the matrix of cubic interpolation from values at x to values at y."""
    return torch.from_numpy(make_interp_spline(x, np.eye(len(x)), k=3)(y))
