"""The learnable Monarch transform: two block-diagonal factors that start at a known transform."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn

from monarch_core.transforms.base import (
    LinearTransform,
    apply_matrices,
    check_length,
    split_heads,
)
from monarch_core.transforms.fourier import frequency_indices
from monarch_core.transforms.multiply import monarch_multiply
from monarch_core.transforms.once import computed_once
from monarch_core.transforms.starts import STARTS, Factors, fourier_factors, spectrum_scale

APPLICATIONS = ("auto", "factored", "multiplied")
# One multiply-add of the factored product costs about this many of a plain complex matrix product,
# since its two stages are small and reorder the data: forward and backward on one CPU core, at the
# smallest sizes where the factors win. `python -m benchmarks.speed suites=factors` measures it, the
# option `apply` overrides it. Nothing was measured on a GPU.
FACTORED_COST = 3.8


class Monarch(LinearTransform):
    """A learnable Monarch transform (Dao et al. 2022, arXiv:2204.00595).

        M[i, c] = sum_r L[i, b(c), r] R[c, k(i), r]                              (1)

    on a grid of n = p q points. Output i belongs to block k(i) of p, input c to block b(c) of q.
    In the natural order k(i) = i mod p and b(c) = c mod q, and (1) is the product of two
    block-diagonal matrices with the fixed transposition between them (`monarch_multiply`). The
    DFT, plain or centred, is exactly (1) with rank 1; DCT-II and DST-II with rank 2 after a
    fixed order of the input; Hadamard and identity with a fixed order of the blocks. A prime n
    is allowed: then p = 1, L is a dense n x n block and R a diagonal.

    The factors are kept as real numbers, with the real and imaginary part on a trailing axis:
    `L` (heads, n_out, q, rank, 2) and `R` (heads, n_in, p, rank, 2). With `modes`, only the kept
    rows of L (inverse: of R) exist, and nothing is computed for the others.

    Args:
        n: length of the grid.
        start: the transform that the factors equal before learning: "fourier", "cosine" (DCT-II;
            inverse: DCT-III), "sine" (DST-II; DST-III), "hadamard", "identity" or "random"
            (complex Gaussian, variance-preserving).
        inverse: start at the inverse of `start`.
        norm: "ortho", "backward" or "forward", as in `torch.fft` and `scipy.fft` ("backward"
            doubles the cosine and sine sums, as scipy does); ignored by the last three starts.
        centered: start at the centred DFT (ifftshift, DFT, fftshift); Fourier only.
        modes: kept frequencies as signed integers (Fourier), or kept indices (other starts): the
            outputs of a forward transform, the inputs of an inverse one. None keeps all n.
        block_sizes: (p, q) with p q = n; default: p the largest divisor of n up to sqrt(n).
        heads: number of learnable copies; see `LinearTransform`.
        rank: at least that of the start; further terms start with L = 0 and a random R.
        frozen: keep the factors fixed at the start.
        apply: "factored" multiplies by the factors, "multiplied" by the n_out x n_in matrix that
            they make, "auto" takes the cheaper one.
        dtype: torch.float32 or torch.float64, of the real parameters.

    Raises:
        ValueError: when p q is not n, and for an unknown start, norm, option or dtype.
    """

    k: Tensor
    b: Tensor
    inputs: Tensor
    inputs_order: Tensor
    outputs: Tensor
    outputs_order: Tensor

    def __init__(
        self,
        n: int,
        *,
        start: str = "fourier",
        inverse: bool = False,
        norm: str = "ortho",
        centered: bool = False,
        modes: Sequence[int] | None = None,
        block_sizes: Sequence[int] | None = None,
        heads: int = 1,
        rank: int | None = None,
        frozen: bool = False,
        apply: str = "auto",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        kept = frequency_indices(n, modes, centered)
        n_kept = n if kept is None else len(kept)
        super().__init__(n_in=n_kept if inverse else n, n_out=n if inverse else n_kept, heads=heads)
        if apply not in APPLICATIONS:
            raise ValueError(f"apply must be one of {', '.join(APPLICATIONS)}, got {apply!r}")
        if dtype not in (torch.float32, torch.float64):
            raise ValueError(f"dtype must be torch.float32 or torch.float64, got {dtype}")
        self.block_sizes = check_block_sizes(n, block_sizes)
        copies = []
        for _ in range(heads):
            factors = _forward_factors(n, start, norm, centered, inverse, self.block_sizes)
            factors = factors if kept is None else factors.keep_outputs(kept)
            factors = factors.adjoint() if inverse else factors
            copies.append(_raise_rank(factors, rank))
        self.start = start
        self.L = nn.Parameter(_as_real(torch.stack([f.L for f in copies]), dtype))
        self.R = nn.Parameter(_as_real(torch.stack([f.R for f in copies]), dtype))
        self.requires_grad_(not frozen)
        self.register_buffer("k", copies[0].k, persistent=False)
        self.register_buffer("b", copies[0].b, persistent=False)
        p, q = self.block_sizes
        for name, groups in (("inputs", _group(self.b, q)), ("outputs", _group(self.k, p))):
            self.register_buffer(name, groups, persistent=False)
            self.register_buffer(f"{name}_order", _order(groups), persistent=False)
        self.natural_order = all(
            torch.equal(order, torch.arange(n)) for order in (self.inputs_order, self.outputs_order)
        )
        self.factored = apply == "factored" or (apply == "auto" and self._factored_is_cheaper())

    @classmethod
    def fourier(cls, n: int, **options: Any) -> "Monarch":
        """Start at the DFT (`inverse=True`: the inverse DFT)."""
        return cls(n, start="fourier", **options)

    @classmethod
    def cosine(cls, n: int, **options: Any) -> "Monarch":
        """Start at the DCT-II (`inverse=True`: its inverse, the DCT-III)."""
        return cls(n, start="cosine", **options)

    @classmethod
    def sine(cls, n: int, **options: Any) -> "Monarch":
        """Start at the DST-II (`inverse=True`: its inverse, the DST-III)."""
        return cls(n, start="sine", **options)

    @classmethod
    def hadamard(cls, n: int, **options: Any) -> "Monarch":
        """Start at the unitary Hadamard matrix; n must be a power of two."""
        return cls(n, start="hadamard", **options)

    @classmethod
    def identity(cls, n: int, **options: Any) -> "Monarch":
        """Start at the identity."""
        return cls(n, start="identity", **options)

    @classmethod
    def random(cls, n: int, **options: Any) -> "Monarch":
        """Start at variance-preserving complex Gaussian factors."""
        return cls(n, start="random", **options)

    def forward(self, x: Complex[Tensor, "*batch n_in"]) -> Complex[Tensor, "*batch n_out"]:
        """Return A x."""
        check_length(x, self.n_in, "x")
        if not self.factored:
            return apply_matrices(torch.complex(*self.matrix()), x)
        factors = computed_once(self, "factors", self.factors)
        return self._multiply(x, factors, self.inputs, self.outputs_order)

    def adjoint(self, y: Complex[Tensor, "*batch n_out"]) -> Complex[Tensor, "*batch n_in"]:
        """Return A^H y: the two factors change places."""
        check_length(y, self.n_out, "y")
        if not self.factored:
            return apply_matrices(torch.complex(*self.matrix()).mH, y)
        factors = computed_once(self, "adjoint factors", self._adjoint_factors)
        return self._multiply(y, factors, self.outputs, self.inputs_order)

    def factors(self) -> list[tuple[Complex[Tensor, "p s t"], Complex[Tensor, "q j a"]]]:
        """Return (L, R) of every head as `monarch_multiply` takes them.

        In the natural order of a full transform, `monarch_multiply(x, L, R)` is `forward(x)`.
        """
        left, right = _blocks(self.L, self.outputs), _blocks(self.R, self.inputs)
        return [_as_multiply_factors(*sides) for sides in zip(left, right, strict=True)]

    def _adjoint_factors(self) -> list[tuple[Tensor, Tensor]]:
        left, right = _blocks(self.R, self.inputs).conj(), _blocks(self.L, self.outputs).conj()
        return [_as_multiply_factors(*sides) for sides in zip(left, right, strict=True)]

    def compute_matrix(self) -> Float[Tensor, "2 heads n_out n_in"]:
        """Return the real and imaginary part of (1), in real arithmetic."""
        L = _pick(self.L, self.b)  # heads, n_out, n_in, rank, 2
        R = _pick(self.R, self.k).transpose(1, 2)
        L_re, L_im = L.movedim(-1, 0).contiguous()
        R_re, R_im = R.movedim(-1, 0).contiguous()
        real = (L_re * R_re - L_im * R_im).sum(-1)
        imag = (L_re * R_im + L_im * R_re).sum(-1)
        return torch.stack((real, imag))

    def extra_repr(self) -> str:
        """Return the options, for `print(model)`."""
        way = "factored" if self.factored else "multiplied"
        return f"{super().extra_repr()}, start={self.start}, block_sizes={self.block_sizes}, {way}"

    def _factored_is_cheaper(self) -> bool:
        (_, n_out, q, rank, _), (_, n_in, p, _, _) = self.L.shape, self.R.shape
        return FACTORED_COST * rank * (n_in * p + n_out * q) < n_in * n_out

    def _multiply(
        self, x: Tensor, factors: list[tuple[Tensor, Tensor]], groups: Tensor, order: Tensor
    ) -> Tensor:
        """Gather x block by block, multiply, and put every output where it belongs.

        A block with fewer entries than the longest is padded: its factors are zero there. In the
        natural order of a full transform everything is in its place already.
        """
        if not self.natural_order:
            x = _take(x, groups.clamp(min=0).T.flatten())
        if self.heads == 1:
            y = monarch_multiply(x, *factors[0])
        else:
            parts = split_heads(x, self.heads).unbind(-3)
            pairs = zip(parts, factors, strict=True)
            y = torch.cat([monarch_multiply(part, *pair) for part, pair in pairs], dim=-2)
        return y if self.natural_order else _take(y, order)


def _take(x: Tensor, index: Tensor) -> Tensor:
    """Return x[..., index], in memory with the last axis slowest, as `monarch_multiply` has it.

    Whole rows are then copied: five times faster than picking along the axis.
    """
    return x.movedim(-1, 0).index_select(0, index).movedim(0, -1)


def _pick(factor: Tensor, index: Tensor) -> Tensor:
    """Return factor[:, :, index], copying long pieces of memory in either case."""
    if len(index) <= factor.shape[1]:
        return factor.index_select(2, index)
    return factor.movedim(2, 0).contiguous().index_select(0, index).movedim(0, 2)


def check_block_sizes(n: int, block_sizes: Sequence[int] | None) -> tuple[int, int]:
    """Return (p, q) with p q = n: the given ones if they fit, else the most balanced, p <= q."""
    divisors = [d for d in range(1, n + 1) if n % d == 0]
    if block_sizes is None:
        p = max(d for d in divisors if d * d <= n)
        return p, n // p
    p, q = block_sizes
    if p * q != n or p < 1:
        pairs = ", ".join(f"({d}, {n // d})" for d in divisors)
        raise ValueError(
            f"block_sizes must multiply to n, got n={n} and block_sizes=({p}, {q}); "
            f"use one of {pairs}"
        )
    return p, q


def _forward_factors(
    n: int, start: str, norm: str, centered: bool, inverse: bool, block_sizes: tuple[int, int]
) -> Factors:
    """Return the factors of `start`, or of the matrix whose adjoint is its inverse."""
    if start not in STARTS:
        raise ValueError(f"start must be one of {', '.join(STARTS)}, got {start!r}")
    if centered and start != "fourier":
        raise ValueError(f"only the Fourier start can be centred, got start={start!r}")
    p, q = block_sizes[::-1] if inverse else block_sizes
    scale = spectrum_scale(start, n, norm)
    if start == "fourier":
        factors = fourier_factors(p, q, centered=centered)
    else:
        factors = STARTS[start](p, q)
    return factors.scale_outputs(1 / scale if inverse else scale)


def _raise_rank(factors: Factors, rank: int | None) -> Factors:
    """Return the same matrix with `rank` terms: new ones have L = 0, so that they can learn."""
    own = factors.L.shape[-1]
    if rank is None or rank == own:
        return factors
    if rank < own:
        raise ValueError(f"this start has rank {own}, got rank={rank}; use at least {own}")
    L = factors.L.new_zeros(*factors.L.shape[:-1], rank - own)
    R = torch.randn(*factors.R.shape[:-1], rank - own, dtype=factors.R.dtype)
    R *= factors.R.abs().square().mean().sqrt()
    return Factors(
        L=torch.cat((factors.L, L), -1), R=torch.cat((factors.R, R), -1), k=factors.k, b=factors.b
    )


def _as_real(x: Tensor, dtype: torch.dtype) -> Tensor:
    return torch.view_as_real(x).to(dtype, copy=True)


def _group(block: Tensor, n_blocks: int) -> Tensor:
    """Return (n_blocks, longest) indices of the entries of each block, padded with -1."""
    members = [torch.nonzero(block == g).flatten() for g in range(n_blocks)]
    return nn.utils.rnn.pad_sequence(members, batch_first=True, padding_value=-1)


def _order(groups: Tensor) -> Tensor:
    """Return where each entry stands when the groups are written side by side, padding left out."""
    entries = groups.T.flatten()
    return entries.argsort()[int((entries < 0).sum()) :]


def _blocks(factor: Tensor, groups: Tensor) -> Tensor:
    """Return the complex factor block by block: (heads, n_blocks, longest, other side, rank)."""
    blocks = torch.view_as_complex(factor)[:, groups.clamp(min=0)]
    return blocks * (groups >= 0)[..., None, None]


def _as_multiply_factors(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """Return L (p, s, q r) and R (q, r p, a) from L (p, s, q, r) and R (q, a, p, r)."""
    return left.flatten(-2), right.permute(0, 3, 2, 1).flatten(1, 2)
