"""Exponential time differencing: Runge-Kutta steps that treat a linear decay exactly."""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, Num
from torch import Tensor

# Points of the contour on which the coefficients are means; 32 give them to double precision.
_CONTOUR = 32


class ExponentialSteps:
    """Steps of u_t = -rates u + N(u) of order 4, by the scheme of Cox and Matthews 2002.

    With z = -rates h (J. Comput. Phys. 176, 430, equations 26-29):

        a = e^(z/2) u + Q N(u),   b = e^(z/2) u + Q N(a),   c = e^(z/2) a + Q (2 N(b) - N(u))   (1)
        u <- e^z u + f1 N(u) + f2 (N(a) + N(b)) + f3 N(c)                                       (2)

        Q  = h (e^(z/2) - 1) / z                  f2 = 2 h (2 + z + e^z (z - 2)) / z^3
        f1 = h (-4 - z + e^z (4 - 3 z + z^2)) / z^3
        f3 = h (-4 - 3 z - z^2 + e^z (4 - z)) / z^3                                             (3)

    The four are means over a circle around z, where nothing cancels (Kassam and Trefethen 2005,
    SIAM J. Sci. Comput. 26, 1214).

    Args:
        rates: of the decay, in 1/time, zero or more.
        h: length of a step.
        tendency: N, with the shape of u.
        dtype: of the coefficients.
    """

    def __init__(
        self,
        rates: Float[np.ndarray, "*shape"],
        h: float,
        tendency: Callable[[Tensor], Tensor],
        dtype: torch.dtype = torch.float64,
    ) -> None:
        z = -rates * h
        around = z[..., None] + np.exp(1j * np.pi * (np.arange(_CONTOUR) + 0.5) / _CONTOUR)
        e, cube = np.exp(around), around**3
        functions = (
            np.expm1(around / 2) / around,
            (-4 - around + e * (4 - 3 * around + around**2)) / cube,
            2 * (2 + around + e * (around - 2)) / cube,
            (-4 - 3 * around - around**2 + e * (4 - around)) / cube,
        )
        means = (h * function.mean(axis=-1).real for function in functions)
        self._Q, self._f1, self._f2, self._f3 = (torch.from_numpy(f).to(dtype) for f in means)
        self._e, self._e_half = (torch.from_numpy(np.exp(f * z)).to(dtype) for f in (1.0, 0.5))
        self._tendency = tendency

    def step(self, u: Num[Tensor, "*shape"]) -> Num[Tensor, "*shape"]:
        """Return u one step later."""
        N, Q = self._tendency, self._Q
        of_u, half = N(u), self._e_half * u
        a = half + Q * of_u
        of_a = N(a)
        of_b = N(half + Q * of_a)
        of_c = N(self._e_half * a + Q * (2 * of_b - of_u))  # (1)
        return self._e * u + self._f1 * of_u + self._f2 * (of_a + of_b) + self._f3 * of_c  # (2)
