"""Exact members of class (MM*)^2: the DFT, and the cosine and sine transforms."""

import math

import torch
from torch import Tensor

from monarch_core.transforms.arguments import check_block_sizes
from monarch_core.transforms.classes.mm_star import MMStar
from monarch_core.transforms.classes.product import fourier_monarch
from monarch_core.transforms.classes.star import permutation_mm_star


def fourier_mm_star_squared(
    n: int, block_sizes: tuple[int, int] | None = None
) -> tuple[MMStar, MMStar]:
    """Return (outer, inner) with outer inner = F, the unitary DFT.

    inner is the transposition T of the p x q grid, outer the Monarch matrix F T^-1.

    Raises:
        ValueError: if p q is not n.

    Examples:
        >>> import torch
        >>> from monarch_core import Fourier
        >>> from monarch_core.transforms import fourier_mm_star_squared
        >>> outer, inner = fourier_mm_star_squared(12)
        >>> F = outer.dense() @ inner.dense().to(torch.complex128)
        >>> torch.allclose(F, Fourier(12).dense(torch.complex128))
        True
    """
    p, q = check_block_sizes(n, block_sizes)
    return _after_order(*fourier_monarch(n, (p, q)), torch.arange(n))


def cosine_mm_star_squared(
    n: int, block_sizes: tuple[int, int] | None = None, *, expansion: int = 2
) -> tuple[MMStar, MMStar]:
    """Return (outer, inner) with outer inner = the orthonormal DCT-II (expansion 2).

        y[k] = s_k sum_j x[j] cos(pi k (2 j + 1) / (2 n)),   s_0 = sqrt(1/n), else sqrt(2/n)
             = s_k sqrt(n) Re(e_k (F v)[k]),                 e_k = exp(-pi i k / (2 n))     (1)

    for real x, with v the even entries of x ascending, then the odd ones descending (Makhoul 1980,
    IEEE Trans. ASSP 28, 27-34). With expansion 1, outer inner x is (1) before the real part: the
    real part of the matrix is the DCT-II. With expansion 2 the real part (w + conj(w)) / 2 is the
    sum over 2 n intermediate points, F on v and its conjugate on a copy of v: exact, for complex x
    too, with n x 2 n and 2 n x n Monarch matrices.

    Raises:
        ValueError: if p q is not n or expansion is not 1 or 2.

    Examples:
        >>> import torch
        >>> from scipy.fft import dct
        >>> from monarch_core.transforms import cosine_mm_star_squared
        >>> outer, inner = cosine_mm_star_squared(12)
        >>> x = torch.randn(12, dtype=torch.float64)
        >>> y = outer.multiply(inner.multiply(x)).real
        >>> torch.allclose(y, torch.from_numpy(dct(x.numpy(), norm="ortho")))
        True
    """
    L, R = _cosine_factors(n, block_sizes)
    return _real_part(L, R, expansion)


def sine_mm_star_squared(
    n: int, block_sizes: tuple[int, int] | None = None, *, expansion: int = 2
) -> tuple[MMStar, MMStar]:
    """Return (outer, inner) with outer inner = the orthonormal DST-II (expansion 2).

        y[k] = s_k sum_j x[j] sin(pi (k + 1)(2 j + 1) / (2 n)),   s_(n-1) = sqrt(1/n)
                                                                  s_k = sqrt(2/n) else

    Row k is row n - 1 - k of the DCT-II with alternating signs; see `cosine_mm_star_squared`.

    Raises:
        ValueError: if p q is not n or expansion is not 1 or 2.

    Examples:
        >>> import torch
        >>> from scipy.fft import dst
        >>> from monarch_core.transforms import sine_mm_star_squared
        >>> outer, inner = sine_mm_star_squared(12)
        >>> x = torch.randn(12, dtype=torch.float64)
        >>> y = outer.multiply(inner.multiply(x)).real
        >>> torch.allclose(y, torch.from_numpy(dst(x.numpy(), norm="ortho")))
        True
    """
    L, R = _cosine_factors(n, block_sizes)
    p, q = len(L), len(R)
    sign = 1.0 - 2.0 * (_makhoul_order(n) % 2).double()
    R = R * sign.reshape(p, q).T[:, None, :]
    return _real_part(L.flip(0, 1), R.flip(1), expansion)


def _makhoul_order(n: int) -> Tensor:
    """Return the even indices ascending, then the odd ones descending."""
    return torch.cat((torch.arange(0, n, 2), torch.arange(1, n, 2).flip(0)))


def _cosine_factors(n: int, block_sizes: tuple[int, int] | None) -> tuple[Tensor, Tensor]:
    """Return L, R of the matrix that takes v to s_k sqrt(n) e_k (F v)[k]."""
    p, q = check_block_sizes(n, block_sizes)
    L, R = fourier_monarch(n, (p, q))
    k = torch.arange(n, dtype=torch.float64)
    scale = torch.full_like(k, math.sqrt(2.0))
    scale[0] = 1.0
    twiddle = torch.polar(scale, -math.pi * k / (2 * n))
    return L * twiddle.reshape(q, p).T[:, :, None], R


def _real_part(L: Tensor, R: Tensor, expansion: int) -> tuple[MMStar, MMStar]:
    """Return Re(M) after Makhoul's order as a sum over twice the points, or M after it."""
    if expansion not in (1, 2):
        raise ValueError(f"expansion must be 1 or 2, got {expansion}; 2 is exact")
    order = _makhoul_order(len(L) * len(R))
    if expansion == 2:
        L = torch.stack((L, L.conj()), dim=-1).flatten(-2) / 2
        R = torch.stack((R, R.conj()), dim=1).flatten(0, 1)
    return _after_order(L, R, order)


def _after_order(L: Tensor, R: Tensor, order: Tensor) -> tuple[MMStar, MMStar]:
    """Return (outer, inner) of M with its input v[t] = x[order[t]], M = (L, R).

    Every input of M stands for t = a q + b; with e q blocks in R, the e blocks at e b + c share b.
    outer = M T^-1 has M2 = T, the Monarch matrix of identities, and inner makes T v.
    """
    p, n_blocks = len(L), len(R)
    q = len(order) // p
    v = order.reshape(p, q).repeat_interleave(n_blocks // q, dim=1)
    identity_L = torch.eye(n_blocks).to(L).expand(p, -1, -1)
    identity_R = torch.eye(p).to(R).expand_as(R)
    outer = MMStar(L1=L, R1=R, L2=identity_L, R2=identity_R)
    return outer, permutation_mm_star(v.T.flatten(), (p, q))
