"""Closed-form Monarch factors of the classical transforms: where learning starts.

Every function returns the four arrays of a matrix

    M[i, c] = sum_r L[i, b(c), r] R[c, k(i), r]                                  (1)

on a grid of n = p q points: L (n, q, r), R (n, p, r), the block k(i) in [p] of every output and the
block b(c) in [q] of every input. With k(i) = i mod p and b(c) = c mod q, (1) is the Monarch product
of Dao et al. 2022 (arXiv:2204.00595) with the strided index contracted first; fixed permutations
of the input or the output only change k and b. All matrices are unitary but `random_factors`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Int
from torch import Tensor

from monarch_core.transforms.arguments import check_choice, check_count
from monarch_core.transforms.fourier import NORMS


@dataclass(frozen=True)
class Factors:
    """The arrays of equation (1), in double precision and dimensionless."""

    L: Complex[Tensor, "n_out q r"]
    R: Complex[Tensor, "n_in p r"]
    k: Int[Tensor, " n_out"]
    b: Int[Tensor, " n_in"]

    def adjoint(self) -> "Factors":
        """Return the factors of M^H: the two sides of (1) change places."""
        return Factors(L=self.R.conj(), R=self.L.conj(), k=self.b, b=self.k)

    def keep_outputs(self, indices: Tensor) -> "Factors":
        """Return the factors of the rows `indices` of M."""
        return Factors(L=self.L[indices], R=self.R, k=self.k[indices], b=self.b)

    def blocks_in_use(self) -> tuple[list[int], list[int]]:
        """Return which blocks of L and of R there is an input or output of."""
        return self.b.unique().tolist(), self.k.unique().tolist()

    def keep_blocks(self, of_L: list[int], of_R: list[int]) -> "Factors":
        """Return the factors with these blocks only, which are all in use."""
        with torch.device("cpu"):
            b = torch.searchsorted(torch.tensor(of_L), self.b)
            k = torch.searchsorted(torch.tensor(of_R), self.k)
            return Factors(L=self.L[:, of_L], R=self.R[:, of_R], k=k, b=b)

    def scale_outputs(self, scale: Tensor) -> "Factors":
        """Return the factors of diag(scale) M, with the common part of the scale on both sides."""
        common = scale[len(scale) // 2].sqrt()
        return Factors(
            L=self.L * (scale / common)[:, None, None], R=self.R * common, k=self.k, b=self.b
        )


def fourier_factors(p: int, q: int, *, centered: bool = False) -> Factors:
    """Return the unitary DFT, exp(-2 pi i (f - c)(j - c) / n) / sqrt(n), with c = 0 or n // 2.

    R[a q + b, k] = exp(-2 pi i a (k - c) / p) / sqrt(p)
    L[k + p l, b] = exp(-2 pi i (b - c)(k + p l - c) / n) / sqrt(q)
    """
    n = p * q
    c = n // 2 if centered else 0
    i = torch.arange(n)
    a, k = i // q, torch.arange(p)
    R = _unit_root(torch.outer(a, k - c), p) / math.sqrt(p)
    L = _unit_root(torch.outer(i - c, torch.arange(q) - c), n) / math.sqrt(q)
    return Factors(L=L[..., None], R=R[..., None], k=i % p, b=i % q)


def cosine_factors(p: int, q: int) -> Factors:
    """Return the orthonormal DCT-II, of rank 2 after Makhoul's input order.

        y[f] = s_f sum_j x[j] cos(pi f (2 j + 1) / (2 n)),   s_0 = sqrt(1/n), else sqrt(2/n)

    With v the even entries of x ascending, then the odd ones descending, and F the unitary DFT,
    y[f] = s_f sqrt(n) (e_f (F v)[f] + conj(e_f (F v)[f])) / 2, e_f = exp(-pi i f / (2 n))
    (Makhoul 1980, IEEE Trans. ASSP 28, 27-34).
    """
    n = p * q
    dft = fourier_factors(p, q)
    f = torch.arange(n, dtype=torch.float64)
    scale = torch.full((n,), math.sqrt(2.0), dtype=torch.float64)
    scale[0] = 1.0
    twiddle = torch.polar(scale / 2, -math.pi * f / (2 * n))
    L, R = twiddle[:, None, None] * dft.L, dft.R
    position = torch.cat((torch.arange(0, n, 2), torch.arange(1, n, 2).flip(0))).argsort()
    return Factors(
        L=torch.cat((L, L.conj()), dim=-1),
        R=torch.cat((R, R.conj()), dim=-1)[position],
        k=dft.k,
        b=dft.b[position],
    )


def sine_factors(p: int, q: int) -> Factors:
    """Return the orthonormal DST-II: row f is row n - 1 - f of the DCT-II with alternating signs.

    y[f] = s_f sum_j x[j] sin(pi (f + 1)(2 j + 1) / (2 n)),   s_(n-1) = sqrt(1/n), else sqrt(2/n)
    """
    dct = cosine_factors(p, q)
    sign = 1.0 - 2.0 * (torch.arange(p * q) % 2).to(torch.float64)
    return Factors(L=dct.L.flip(0), R=sign[:, None, None] * dct.R, k=dct.k.flip(0), b=dct.b)


def hadamard_factors(p: int, q: int) -> Factors:
    """Return the unitary Hadamard matrix in Sylvester's order, for n a power of two.

    Split i = i_1 q + i_0 and c = a q + b in binary: (-1)^<i, c> = (-1)^<i_1, a> (-1)^<i_0, b>.
    """
    n = p * q
    if n & (n - 1):
        near = " or ".join(str(2 ** (n.bit_length() + step)) for step in (-1, 0))
        raise ValueError(
            f"a Hadamard transform needs n to be a power of two, got n={n}; use n={near}"
        )
    i = torch.arange(n)
    return Factors(
        L=_parity_sign(i % q, torch.arange(q))[..., None] / math.sqrt(q),
        R=_parity_sign(i // q, torch.arange(p))[..., None] / math.sqrt(p),
        k=i // q,
        b=i % q,
    )


def identity_factors(p: int, q: int) -> Factors:
    """Return the identity, with the same order of blocks as the Hadamard matrix."""
    i = torch.arange(p * q)
    one = torch.tensor(1.0, dtype=torch.complex128)
    return Factors(
        L=(i[:, None] % q == torch.arange(q))[..., None] * one,
        R=(i[:, None] // q == torch.arange(p))[..., None] * one,
        k=i // q,
        b=i % q,
    )


def random_factors(p: int, q: int) -> Factors:
    """Return complex Gaussian factors that keep the variance: sum_c E |M[i, c]|^2 = 1.

    Var R = 1 / p and Var L = 1 / q, drawn from torch's global generator.
    """
    i = torch.arange(p * q)
    return Factors(
        L=torch.randn(p * q, q, 1, dtype=torch.complex128) / math.sqrt(q),
        R=torch.randn(p * q, p, 1, dtype=torch.complex128) / math.sqrt(p),
        k=i % p,
        b=i % q,
    )


STARTS: dict[str, Callable[[int, int], Factors]] = {
    "fourier": fourier_factors,
    "cosine": cosine_factors,
    "sine": sine_factors,
    "hadamard": hadamard_factors,
    "identity": identity_factors,
    "random": random_factors,
}


def spectrum_scale(start: str, n: int, norm: str) -> Tensor:
    """Return s with diag(s) A the transform of this norm and A the unitary one.

    The norms are those of `torch.fft` and `scipy.fft`: "backward" leaves the forward sum as it is
    (scipy doubles the cosine and sine sums) and divides the inverse by n (2 n); "forward" is the
    reverse. Hadamard, identity and random have one normalisation only.
    """
    check_choice("norm", norm, NORMS)
    scale = torch.ones(n, dtype=torch.float64)
    if norm == "ortho" or start not in ("fourier", "cosine", "sine"):
        return scale
    total = n if start == "fourier" else 2 * n
    scale *= math.sqrt(total)
    if start != "fourier":
        scale[0 if start == "cosine" else -1] *= math.sqrt(2.0)
    return scale if norm == "backward" else scale / total


@dataclass(frozen=True)
class Start:
    """What a Monarch transform is before learning.

    Attributes:
        name: of `STARTS`.
        n: length of the grid.
        block_sizes: (p, q) with p q = n.
        norm: as in `spectrum_scale`.
        inverse: whether it is the inverse of what the name says.
        centered: whether it is the centred DFT.
        kept: places of the kept modes in the spectrum, None for all.
        rank: number of terms, None for as many as are needed.

    Raises:
        ValueError: for an unknown name or norm, another start than Fourier that is centred, or a
            rank below that of the start.
    """

    name: str
    n: int
    block_sizes: tuple[int, int]
    norm: str
    inverse: bool
    centered: bool
    kept: list[int] | None
    rank: int | None

    def __post_init__(self) -> None:
        check_choice("start", self.name, list(STARTS))
        if self.centered and self.name != "fourier":
            raise ValueError(
                f"only the Fourier start can be centred, got start={self.name!r}; leave centered "
                "out"
            )
        own = 2 if self.name in ("cosine", "sine") else 1
        if self.rank is not None:
            check_count("rank", self.rank, f"start={self.name} has rank {own}", own)

    def factors(self) -> Factors:
        """Return the factors on the CPU, random ones drawn anew from torch's global generator."""
        with torch.device("cpu"):
            p, q = self.block_sizes[::-1] if self.inverse else self.block_sizes
            scale = spectrum_scale(self.name, self.n, self.norm)
            if self.name == "fourier":
                factors = fourier_factors(p, q, centered=self.centered)
            else:
                factors = STARTS[self.name](p, q)
            # Of an inverse the factors are those of the matrix whose adjoint it is.
            factors = factors.scale_outputs(1 / scale if self.inverse else scale)
            if self.kept is not None:
                factors = factors.keep_outputs(torch.tensor(self.kept))
            return _raise_rank(factors.adjoint() if self.inverse else factors, self.rank)


def _raise_rank(factors: Factors, rank: int | None) -> Factors:
    """Return the same matrix with `rank` terms: new ones have L = 0, so that they can learn."""
    own = factors.L.shape[-1]
    if rank is None or rank == own:
        return factors
    L = factors.L.new_zeros(*factors.L.shape[:-1], rank - own)
    R = torch.randn(*factors.R.shape[:-1], rank - own, dtype=factors.R.dtype)
    R *= factors.R.abs().square().mean().sqrt()
    return Factors(
        L=torch.cat((factors.L, L), -1), R=torch.cat((factors.R, R), -1), k=factors.k, b=factors.b
    )


def _unit_root(exponent: Tensor, n: int) -> Tensor:
    """Return exp(-2 pi i exponent / n), reduced modulo n first so that it stays exact."""
    angle = -2 * math.pi * (exponent % n).to(torch.float64) / n
    return torch.polar(torch.ones_like(angle), angle)


def _parity_sign(i: Tensor, c: Tensor) -> Tensor:
    """Return (-1)^(number of ones that i and c share in binary), as complex128."""
    bits = i[:, None] & c[None, :]
    parity = torch.zeros_like(bits)
    while bits.any():
        parity ^= bits & 1
        bits = bits >> 1
    return (1.0 - 2.0 * parity).to(torch.complex128)
