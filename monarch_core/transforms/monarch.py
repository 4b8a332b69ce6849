"""The learnable Monarch transform: two block-diagonal factors that start at a known transform."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Complex, Float, Num
from torch import Tensor, nn

from monarch_core.transforms.arguments import (
    DTYPES,
    check_block_sizes,
    check_choice,
    check_count,
    check_flag,
    check_matrix,
    kept_indices,
)
from monarch_core.transforms.base import apply_matrices, check_length, split_heads
from monarch_core.transforms.classes.projection import project_to_monarch
from monarch_core.transforms.indices import IndexedTransform
from monarch_core.transforms.multiply import monarch_multiply
from monarch_core.transforms.prepared import Preparable
from monarch_core.transforms.starts import Factors, Start

APPLICATIONS = ("auto", "factored", "multiplied")
# One multiply-add of the factored product costs about this many of a plain complex matrix product,
# since its two stages are small and reorder the data: forward and backward on one CPU core, at the
# smallest sizes where the factors win. `python -m benchmarks.speed suites=factors` measures it, the
# option `apply` overrides it. Nothing was measured on a GPU.
FACTORED_COST = 3.8


class Monarch(IndexedTransform, Preparable):
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
    rows of L (inverse: of R) exist, and of R (L) only the blocks that they belong to: nothing is
    learned or computed for the others. Weights that hold all blocks are cut when they are loaded.

    Args:
        n: length of the grid.
        start: the transform that the factors equal before learning: "fourier", "cosine" (DCT-II;
            inverse: DCT-III), "sine" (DST-II; DST-III), "hadamard", "identity" or "random"
            (complex Gaussian, variance-preserving).
        inverse: start at the inverse of `start`.
        norm: "ortho", "backward" or "forward", as in `torch.fft` and `scipy.fft` ("backward"
            doubles the cosine and sine sums, as scipy does); ignored by the last three starts.
        centered: start at the centred DFT (ifftshift, DFT, fftshift); Fourier only.
        modes: kept frequencies f as signed integers, |f| <= n / 2 (Fourier), or kept indices from 0
            to n - 1 (other starts): the outputs of a forward transform, the inputs of an inverse
            one. None keeps all n.
        block_sizes: (p, q) with p q = n; default: p the largest divisor of n up to sqrt(n).
        heads: number of learnable copies; see `LinearTransform`.
        rank: at least that of the start; further terms start with L = 0 and a random R.
        frozen: keep the factors fixed at the start.
        apply: "factored" multiplies by the factors, "multiplied" by the n_out x n_in matrix that
            they make, "auto" takes the cheaper one.
        dtype: torch.float32 or torch.float64, of the real parameters.

    Raises:
        ValueError: when p q is not n, for modes that the grid does not have or that repeat, and for
            an unknown start, norm, option or dtype.

    Examples:
        >>> import torch
        >>> from monarch_core import Monarch
        >>> x = torch.randn(4, 320, dtype=torch.complex64)
        >>> M = Monarch.fourier(320)
        >>> torch.allclose(M(x), torch.fft.fft(x, norm="ortho"), atol=1e-4)
        True
        >>> sum(p.numel() for p in M.parameters()), 2 * 320**2  # and of a dense complex matrix
        (23040, 204800)
        >>> M(x).abs().square().sum().backward()  # it learns
        >>> M.L.grad.shape
        torch.Size([1, 320, 20, 1, 2])
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
        n = check_count("n", n, "give the number of points of the grid")
        heads = check_count("heads", heads, "use heads=1 for one matrix")
        check_choice("apply", apply, APPLICATIONS)
        check_choice("dtype", dtype, DTYPES)
        for name, value in (("inverse", inverse), ("centered", centered), ("frozen", frozen)):
            check_flag(name, value)
        kept = kept_indices(n, modes, signed=start == "fourier", centered=centered)
        n_kept = n if kept is None else len(kept)
        super().__init__(n_in=n_kept if inverse else n, n_out=n if inverse else n_kept, heads=heads)
        self.block_sizes = p, q = check_block_sizes(n, block_sizes)
        self.start = start
        self._start: Start | None = Start(start, n, (p, q), norm, inverse, centered, kept, rank)
        copies = [self._start.factors() for _ in range(heads)]
        self._in_use = copies[0].blocks_in_use()
        copies = [factors.keep_blocks(*self._in_use) for factors in copies]
        self._assemble(copies, frozen, apply, dtype)

    @classmethod
    def from_matrix(
        cls,
        A: Num[Tensor, "*heads n_out n_in"],
        *,
        block_sizes: tuple[int, int] | None = None,
        rank: int = 1,
        frozen: bool = False,
        apply: str = "auto",
        dtype: torch.dtype = torch.float32,
    ) -> "Monarch":
        """Start at the Monarch matrix nearest to a given one, in the natural order.

        The DFT is met exactly, by its projection in double precision; `project_to_monarch` returns
        the distance for others. DCT-II, Hadamard and others that need a fixed order of inputs or
        blocks are not near their `start` here.

        Args:
            A: real or complex, of any two sizes; with three axes, one matrix per head.
            block_sizes: (p, q); p divides n_out and q divides n_in; default: of
                `project_to_monarch`.
            rank: number of terms.
            frozen: keep the factors fixed.
            apply: as of the class.
            dtype: of the real parameters.

        Raises:
            ValueError: as the class and `project_to_monarch`.

        Examples:
            >>> import torch
            >>> from monarch_core import Fourier, Monarch
            >>> A = Fourier(24).dense(torch.complex128)
            >>> M = Monarch.from_matrix(A, dtype=torch.float64)
            >>> torch.allclose(M.dense(torch.complex128), A)
            True
        """
        check_choice("apply", apply, APPLICATIONS)
        check_choice("dtype", dtype, DTYPES)
        check_flag("frozen", frozen)
        matrices = A[None] if A.ndim == 2 else A
        check_matrix(matrices.flatten(0, -2))
        copies = [_nearest(M.to("cpu", torch.complex128), block_sizes, rank) for M in matrices]
        n_out, n_in = matrices.shape[-2:]
        monarch = cls.__new__(cls)
        IndexedTransform.__init__(monarch, n_in, n_out, len(matrices))
        monarch.block_sizes = copies[0].R.shape[1], copies[0].L.shape[1]
        monarch.start, monarch._start = "matrix", None
        monarch._assemble(copies, frozen, apply, dtype)
        return monarch

    def _assemble(
        self, copies: list[Factors], frozen: bool, apply: str, dtype: torch.dtype
    ) -> None:
        """Take the factors of every head as parameters, and what their order asks for."""
        device = torch.get_default_device()
        self.L, self.R = (
            nn.Parameter(values.to(device, dtype, copy=True), requires_grad=not frozen)
            for values in _as_real(copies)
        )
        p, q = copies[0].R.shape[1], copies[0].L.shape[1]
        k, b = copies[0].k, copies[0].b
        inputs, outputs = _group(b, q), _group(k, p)
        orders = [_order(inputs), _order(outputs)]
        names = ("k", "b", "inputs", "outputs", "inputs_order", "outputs_order")
        for name, index in zip(names, (k, b, inputs, outputs, *orders), strict=True):
            self.set_index(name, index)
        self.natural_order = all(order.tolist() == list(range(self.n)) for order in orders)
        self.factored = apply == "factored" or (apply == "auto" and self._factored_is_cheaper())

    def reset_parameters(self) -> None:
        """Go back to the start, as is needed after `Module.to_empty`; random numbers are new.

        Raises:
            ValueError: for factors of `from_matrix`, which have no start.
        """
        if self._start is None:
            raise ValueError(
                f"this Monarch of {self.n_out} x {self.n_in} was made by Monarch.from_matrix and "
                "has no start to go back to; load its weights"
            )
        copies = [self._start.factors().keep_blocks(*self._in_use) for _ in range(self.heads)]
        with torch.no_grad():
            for factor, values in zip((self.L, self.R), _as_real(copies), strict=True):
                factor.copy_(values.to(factor.dtype))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *others: Any) -> None:
        """Leave out of weights that hold all blocks those that no kept mode belongs to."""
        if self._start is not None:
            for name, blocks in zip("LR", self._in_use, strict=True):
                given = state_dict.get(prefix + name)
                own = getattr(self, name).shape
                if not isinstance(given, Tensor) or given.ndim != 5:
                    continue
                if own[2] < given.shape[2] in self.block_sizes and max(blocks) < given.shape[2]:
                    state_dict[prefix + name] = given[:, :, blocks]
        super()._load_from_state_dict(state_dict, prefix, *others)

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
        return self._multiply(x, self.factors(), self.inputs, self.outputs_order)

    def adjoint(self, y: Complex[Tensor, "*batch n_out"]) -> Complex[Tensor, "*batch n_in"]:
        """Return A^H y: the two factors change places."""
        check_length(y, self.n_out, "y")
        if not self.factored:
            return apply_matrices(torch.complex(*self.matrix()).mH, y)
        return self._multiply(y, self._factors("adjoint"), self.outputs, self.inputs_order)

    def factors(self) -> list[tuple[Complex[Tensor, "p s t"], Complex[Tensor, "q j a"]]]:
        """Return (L, R) of every head as `monarch_multiply` takes them.

        In the natural order of a full transform, `monarch_multiply(x, L, R)` is `forward(x)`.
        """
        return self._factors("forward")

    def matrix(self) -> Float[Tensor, "2 heads n_out n_in"]:
        """Return the real and the imaginary part of (1), in real arithmetic."""
        if (made := self.made("matrix")) is not None:
            return made
        L = _pick(self.L, self.b)  # heads, n_out, n_in, rank, 2
        R = _pick(self.R, self.k).transpose(1, 2)
        L_re, L_im = L.movedim(-1, 0).contiguous()
        R_re, R_im = R.movedim(-1, 0).contiguous()
        real = (L_re * R_re - L_im * R_im).sum(-1)
        imag = (L_re * R_im + L_im * R_re).sum(-1)
        return torch.stack((real, imag))

    def make(self) -> dict[str, Tensor]:
        """Return the matrix, or for a factored one the blocks of both factors, each way."""
        if not self.factored:
            return {"matrix": self.matrix()}
        ways = ("forward", "adjoint")
        return {f"{way}_{i}": side for way in ways for i, side in enumerate(self._sides(way))}

    def _factors(self, way: str) -> list[tuple[Tensor, Tensor]]:
        return [_as_multiply_factors(*sides) for sides in zip(*self._sides(way), strict=True)]

    def _sides(self, way: str) -> tuple[Tensor, Tensor]:
        """Return the blocks of the factor applied last and of the one applied first."""
        last, first = self.made(f"{way}_0"), self.made(f"{way}_1")
        if last is not None and first is not None:
            return last, first
        left, right = _blocks(self.L, self.outputs), _blocks(self.R, self.inputs)
        return (left, right) if way == "forward" else (right.conj(), left.conj())

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


def _nearest(A: Tensor, block_sizes: tuple[int, int] | None, rank: int) -> Factors:
    """Return the factors of (1) nearest to A, with k(i) = i mod p and b(c) = c mod q.

    Term r of the slice (b, m) stands at column b rank + r of L[m] and row r p + m of R[b].
    """
    L, R, _ = project_to_monarch(A, block_sizes=block_sizes, rank=rank)
    (p, s, _), (q, _, a) = L.shape, R.shape
    return Factors(
        L=L.reshape(p, s, q, -1).transpose(0, 1).flatten(0, 1),
        R=R.reshape(q, -1, p, a).permute(3, 0, 2, 1).flatten(0, 1),
        k=torch.arange(len(A)) % p,
        b=torch.arange(A.shape[1]) % q,
    )


def _take(x: Tensor, index: Tensor) -> Tensor:
    """Return x[..., index], in memory with the last axis slowest, as `monarch_multiply` has it.

    Whole rows are then copied: five times faster than picking along the axis.
    """
    return x.movedim(-1, 0).index_select(0, index.to(x.device)).movedim(0, -1)


def _pick(factor: Tensor, index: Tensor) -> Tensor:
    """Return factor[:, :, index], copying long pieces of memory in either case."""
    index = index.to(factor.device)
    if len(index) <= factor.shape[1]:
        return factor.index_select(2, index)
    return factor.movedim(2, 0).contiguous().index_select(0, index).movedim(0, 2)


def _as_real(copies: list[Factors]) -> list[Tensor]:
    """Return L and R of every head, with the real and imaginary part on a trailing axis."""
    sides = ([f.L for f in copies], [f.R for f in copies])
    return [torch.view_as_real(torch.stack(side)) for side in sides]


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
    groups = groups.to(factor.device)
    blocks = torch.view_as_complex(factor)[:, groups.clamp(min=0)]
    return blocks * (groups >= 0)[..., None, None]


def _as_multiply_factors(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """Return L (p, s, q r) and R (q, r p, a) from L (p, s, q, r) and R (q, a, p, r)."""
    return left.flatten(-2), right.permute(0, 3, 2, 1).flatten(1, 2)
