"""Band-limited interpolation between periodic grids."""

import math
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor


@lru_cache(maxsize=128)
def interpolation_matrix(n: int, n_new: int) -> Float[Tensor, "n_new n"]:
    """Return the trigonometric interpolation from n to n_new equidistant points of a period.

        D[j, i] = 1/n sum_{|f| <= n/2} w_f cos(2 pi f (j / n_new - i / n))

    with w_f = 1/2 at the Nyquist frequencies of an even n, else 1. Exact for every trigonometric
    polynomial below the Nyquist frequency of the old grid. Double precision.
    """
    frequency = torch.arange(n // 2 + 1, dtype=torch.float64)
    weight = torch.where((frequency == 0) | (2 * frequency == n), 1.0, 2.0) / n
    new, old = (
        2 * math.pi * torch.outer(torch.arange(m, dtype=torch.float64) / m, frequency)
        for m in (n_new, n)
    )
    return (weight * new.cos()) @ old.cos().mT + (weight * new.sin()) @ old.sin().mT
