"""Exact members of class M: the DFT and Hadamard matrices."""

import torch
from jaxtyping import Complex, Int
from torch import Tensor

from monarch_core.transforms.arguments import check_block_sizes
from monarch_core.transforms.starts import Factors, fourier_factors, hadamard_factors


def hadamard_monarch(
    n: int, block_sizes: tuple[int, int] | None = None
) -> tuple[Complex[Tensor, "p q q"], Complex[Tensor, "q p p"], Int[Tensor, " n"]]:
    """Return L, R and the output order of the unitary Hadamard matrix in Sylvester's order.

    H x = monarch_multiply(x, L, R)[..., order], with order[m q + i] = i p + m.

    Raises:
        ValueError: if n is not a power of two or p q is not n.

    Examples:
        >>> import torch
        >>> from monarch_core import monarch_multiply
        >>> from monarch_core.transforms import hadamard_monarch
        >>> L, R, order = hadamard_monarch(4)
        >>> H = 2 * monarch_multiply(torch.eye(4).to(L), L, R)[..., order]
        >>> H.real.round().int().tolist()
        [[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]
    """
    p, q = check_block_sizes(n, block_sizes)
    factors = hadamard_factors(p, q)
    order = torch.arange(n).reshape(q, p).T.flatten()
    return factors.L.reshape(p, q, q), _right_blocks(factors, p, q), order


def fourier_monarch(
    n: int, block_sizes: tuple[int, int] | None = None
) -> tuple[Complex[Tensor, "p q q"], Complex[Tensor, "q p p"]]:
    """Return L and R of the unitary DFT F: F x = monarch_multiply(x, L, R).

    This is the Cooley-Tukey step: R holds DFTs of p strided points, L those of q points with the
    twiddles. In the order of Dao et al. the same factors make F T^-1 (see the module).

    Raises:
        ValueError: if p q is not n.

    Examples:
        >>> import torch
        >>> from monarch_core import monarch_multiply
        >>> from monarch_core.transforms import fourier_monarch
        >>> L, R = fourier_monarch(12)
        >>> x = torch.randn(12, dtype=torch.complex128)
        >>> torch.allclose(monarch_multiply(x, L.to(x), R.to(x)), torch.fft.fft(x, norm="ortho"))
        True
    """
    p, q = check_block_sizes(n, block_sizes)
    factors = fourier_factors(p, q)
    return factors.L.reshape(q, p, q).transpose(0, 1), _right_blocks(factors, p, q)


def _right_blocks(factors: Factors, p: int, q: int) -> Tensor:
    """Return R[b, m, a] from R[a q + b, m, 0]."""
    return factors.R.reshape(p, q, p).permute(1, 2, 0)
