"""Interpolation of grid functions in the basis of a transform, to a grid of other size."""

import math
from collections.abc import Sequence
from functools import lru_cache

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
    # A tensor that a compiler traces, or one without numbers, serves no other call.
    if torch.compiler.is_compiling() or type(torch.empty(0, device="cpu")) is not Tensor:
        return _interpolation(n, n_new, basis)
    return _known_interpolation(n, n_new, basis).clone()


@lru_cache(maxsize=128)
def _known_interpolation(n: int, n_new: int, basis: str) -> Tensor:
    with torch.inference_mode(False):  # whose tensors would serve inference alone
        return _interpolation(n, n_new, basis)


def _interpolation(n: int, n_new: int, basis: str) -> Tensor:
    """Return D of `interpolation_matrix`."""
    m = min(n, n_new)
    first, last = {"fourier": (0, m // 2), "cosine": (0, m - 1), "sine": (1, m)}[basis]
    f = torch.arange(first, last + 1, dtype=torch.float64, device="cpu")
    alone = {"fourier": (f == 0) | (2 * f == n), "cosine": f == 0, "sine": f == n}[basis]
    w = torch.where(alone, 0 * f + 1 / n, 0 * f + 2 / n)
    shift, rate = (0.0, 2 * math.pi) if basis == "fourier" else (0.5, math.pi)
    new, old = (
        torch.outer(rate * (torch.arange(points, dtype=f.dtype, device="cpu") + shift) / points, f)
        for points in (n_new, n)
    )
    waves = {"fourier": (torch.cos, torch.sin), "cosine": (torch.cos,), "sine": (torch.sin,)}[basis]
    return torch.stack([(w * wave(new)) @ wave(old).T for wave in waves]).sum(0)


def resample_rows(
    rows: Float[Tensor, "2 heads modes n"],
    n_new: int,
    frequencies: Sequence[int],
    basis: str,
    periodic: bool,
) -> Float[Tensor, "2 heads modes n_new"]:
    """Return rows that were learned from those of a basis, as functions on a grid of n_new points.

    Where the fields are not periodic, what Fourier rows have learned is not either, and is
    interpolated between cell centres, in the basis of the DCT-II:

        rows on the new grid = D_fourier start + D_cosine (rows - start)                         (1)
    """
    n = rows.shape[-1]
    D = interpolation_matrix(n, n_new, basis).to(rows)
    if periodic or basis != "fourier":
        return rows @ D.mT
    start = basis_rows(n, frequencies, basis).unsqueeze(1).to(rows)
    D_cosine = interpolation_matrix(n, n_new, "cosine").to(rows)
    return start @ D.mT + (rows - start) @ D_cosine.mT  # (1)


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
