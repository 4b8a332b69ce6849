"""Interpolation of grid functions in the basis of a transform, to a grid of other size."""

import math
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

BASES = ("fourier", "cosine", "sine")


@lru_cache(maxsize=128)
def interpolation_matrix(n: int, n_new: int, basis: str) -> Float[Tensor, "n_new n"]:
    """Return the interpolation from n to n_new equidistant points that is exact in a basis.

        D[j, i] = sum_f w_f phi_f(x_j) phi_f(x_i)

    | basis   | points      | phi_f(x)                    | f         | w_f                      |
    | ------- | ----------- | --------------------------- | --------- | ------------------------ |
    | fourier | i / n       | cos(2 pi f x), sin(2 pi f x)| 0 ... n/2 | 1/n at 0 and n/2, or 2/n |
    | cosine  | (i + 1/2)/n | cos(pi f x)                 | 0 ... n-1 | 1/n at 0, or 2/n         |
    | sine    | (i + 1/2)/n | sin(pi f x)                 | 1 ... n   | 1/n at n, or 2/n         |

    The grid is that of the FFT, of the DCT-II or of the DST-II. On a coarser grid only the f that
    it resolves are summed, f up to n_new/2, n_new - 1 or n_new, so that nothing is aliased. Exact
    for all sums of the phi_f that both grids resolve, but for the sine at the Nyquist frequency,
    which no grid sees. Double precision.

    Raises:
        ValueError: for an unknown basis.
    """
    if basis not in BASES:
        raise ValueError(f"basis must be one of {', '.join(BASES)}, got {basis!r}")
    m = min(n, n_new)
    first, last = {"fourier": (0, m // 2), "cosine": (0, m - 1), "sine": (1, m)}[basis]
    f = torch.arange(first, last + 1, dtype=torch.float64)
    alone = {"fourier": (f == 0) | (2 * f == n), "cosine": f == 0, "sine": f == n}[basis]
    w = torch.where(alone, 1.0, 2.0) / n
    shift, rate = (0.0, 2 * math.pi) if basis == "fourier" else (0.5, math.pi)
    new, old = (
        torch.outer(rate * (torch.arange(points, dtype=torch.float64) + shift) / points, f)
        for points in (n_new, n)
    )
    D = torch.zeros(n_new, n, dtype=torch.float64)
    if basis != "sine":
        D += (w * new.cos()) @ old.cos().mT
    if basis != "cosine":
        D += (w * new.sin()) @ old.sin().mT
    return D
