"""Interpolation of grid functions in the basis of a transform, to a grid of other size."""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from monarch_core.transforms.arguments import check_choice, check_count

BASES = ("fourier", "cosine", "sine")


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
        ValueError: for an unknown basis, or a grid without points.
    """
    check_choice("basis", basis, BASES)
    for points in (n, n_new):
        check_count("the number of points of a grid", points, "give a grid with points")
    if torch.compiler.is_compiling():
        return _formula(n, n_new, basis, torch)
    return torch.tensor(_computed(n, n_new, basis), device="cpu")


@lru_cache(maxsize=128)
def _computed(n: int, n_new: int, basis: str) -> Any:
    """Return numbers, no tensor: one belongs to the mode that made it, such as inference."""
    return _formula(n, n_new, basis, np)


def _formula(n: int, n_new: int, basis: str, xp: Any) -> Any:
    """Return D of `interpolation_matrix` by numpy, or by torch for a compiler to trace."""
    m = min(n, n_new)
    first, last = {"fourier": (0, m // 2), "cosine": (0, m - 1), "sine": (1, m)}[basis]
    f = xp.arange(first, last + 1, dtype=xp.float64)
    alone = {"fourier": (f == 0) | (2 * f == n), "cosine": f == 0, "sine": f == n}[basis]
    w = xp.where(alone, 0 * f + 1 / n, 0 * f + 2 / n)
    shift, rate = (0.0, 2 * math.pi) if basis == "fourier" else (0.5, math.pi)
    new, old = (
        xp.outer(rate * (xp.arange(points, dtype=xp.float64) + shift) / points, f)
        for points in (n_new, n)
    )
    waves = {"fourier": (xp.cos, xp.sin), "cosine": (xp.cos,), "sine": (xp.sin,)}[basis]
    return sum((w * wave(new)) @ wave(old).T for wave in waves)


def basis_rows(n: int, frequencies: Sequence[int], basis: str) -> Float[Tensor, "2 f n"]:
    """Return real and imaginary part of the rows of the unitary transform that a basis belongs to.

    | basis   | row f                                                          |
    | ------- | -------------------------------------------------------------- |
    | fourier | exp(-2 pi i f j / n) / sqrt(n)                                 |
    | cosine  | s cos(pi f (j + 1/2) / n), s = sqrt(1/n) at 0, else sqrt(2/n)  |
    | sine    | s sin(pi (f + 1) (j + 1/2) / n), s = sqrt(1/n) at n - 1, else sqrt(2/n) |
    """
    f = torch.tensor(list(frequencies), dtype=torch.float64, device="cpu")
    j = torch.arange(n, dtype=torch.float64, device="cpu")
    if basis == "fourier":
        angle = 2 * math.pi / n * torch.outer(f, j)
        return torch.stack((angle.cos(), -angle.sin())) / math.sqrt(n)
    angle = math.pi / n * torch.outer(f if basis == "cosine" else f + 1, j + 0.5)
    s = torch.full_like(f, math.sqrt(2 / n))
    s[f == (0 if basis == "cosine" else n - 1)] = math.sqrt(1 / n)
    rows = s[:, None] * (angle.cos() if basis == "cosine" else angle.sin())
    return torch.stack((rows, torch.zeros_like(rows)))
