"""A network on even points, for fields on points that are not."""

import numpy as np
import torch
from jaxtyping import Float
from scipy.interpolate import make_interp_spline
from torch import Tensor, nn


class Resampled(nn.Module):
    """Bring fields on points x_j to as many even ones, apply a network there, and go back.

        v = S network(R u),    R = spline(x -> y),    S = spline(y -> x),    y_i = i / (n - 1)

    Both splines are cubic interpolations with not-a-knot ends, as fixed matrices along one axis.
    The even points have both ends of the domain, so that nothing is extrapolated on the way back.

    Args:
        network: from (batch, frames, *grid) to (batch, steps, *grid).
        x: the points of the fields along the axis, ascending in [0, 1].
        axis: its number.
    """

    down: Tensor
    up: Tensor

    def __init__(self, network: nn.Module, x: Float[np.ndarray, " n"], axis: int = 0) -> None:
        super().__init__()
        self.network = network
        self.axis = axis
        y = np.linspace(0, 1, len(x))
        self.register_buffer("down", spline_matrix(x, y).float(), persistent=False)
        self.register_buffer("up", spline_matrix(y, x).float(), persistent=False)

    def forward(
        self, frames: Float[Tensor, "batch frames *grid"]
    ) -> Float[Tensor, "batch steps *grid"]:
        """Return v.

        Raises:
            ValueError: for fields on other points.
        """
        n = frames.shape[2 + self.axis]
        if n != len(self.down):
            raise ValueError(
                f"a resampled network works on its {len(self.down)} points alone, got {n}; bring "
                "the fields there"
            )
        return self._along_axis(self.up, self.network(self._along_axis(self.down, frames)))

    def _along_axis(self, matrix: Tensor, fields: Tensor) -> Tensor:
        return (fields.movedim(2 + self.axis, -1) @ matrix.mT).movedim(-1, 2 + self.axis)


def spline_matrix(x: Float[np.ndarray, " n"], y: Float[np.ndarray, " m"]) -> Float[Tensor, "m n"]:
    """Return the matrix of cubic interpolation from values at x to values at y."""
    return torch.from_numpy(make_interp_spline(x, np.eye(len(x)), k=3)(y))
