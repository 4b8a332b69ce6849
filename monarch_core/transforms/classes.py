"""What the classes of Monarch products contain: exact factors of well-known matrices.

| class | builder | matrix |
| --- | --- | --- |
| M | `hadamard_monarch`, `fourier_monarch` | Hadamard up to one output order; DFT as it stands |
| MM* | `circulant_mm_star`, `permutation_mm_star` | circular convolution; every permutation |
| MM*, expansion 2 | `toeplitz_mm_star` | every Toeplitz matrix |
| (MM*)^2 | `fourier_mm_star_squared` | DFT |
| (MM*)^2, expansion 2 | `cosine_mm_star_squared`, `sine_mm_star_squared` | DCT-II, DST-II |

M is the class of `monarch_multiply` with rank 1: L (p, q, q) and R (q, p, p) on n = p q points. It
contracts the strided index first. Dao et al. 2022 (arXiv:2204.00595) contract the contiguous one,
so their M is this one with its input reordered by the fixed transposition T of the p x q grid,
(T x)[b p + a] = x[a q + b]: this one holds the DFT F and T H for Hadamard H, theirs F T^-1 and H.
The class MM* of products M1 M2^H is the same in both orders, and so are its powers.

Expansion e means, as in that paper, the n x n corner of a product of matrices of e n points:
factors of e n points of which only n rows exist. Dao et al. place the DCT and the DST in (MM*)^2
by their butterfly algorithms (Dao et al. 2020, arXiv:2012.14966). The algorithm used here is exact
with expansion 2; without expansion it gives a complex matrix whose real part is the transform.

All results are in double precision and dimensionless. Those of n prime are dense.
"""

import math

import torch
from jaxtyping import Complex, Int, Num
from torch import Tensor

from monarch_core.transforms.arguments import check_block_sizes, check_vector
from monarch_core.transforms.mm_star import MMStar
from monarch_core.transforms.starts import Factors, fourier_factors, hadamard_factors


def hadamard_monarch(
    n: int, block_sizes: tuple[int, int] | None = None
) -> tuple[Complex[Tensor, "p q q"], Complex[Tensor, "q p p"], Int[Tensor, " n"]]:
    """Return L, R and the output order of the unitary Hadamard matrix in Sylvester's order.

    H x = monarch_multiply(x, L, R)[..., order], with order[m q + i] = i p + m.

    Raises:
        ValueError: if n is not a power of two or p q is not n.
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
    """
    p, q = check_block_sizes(n, block_sizes)
    factors = fourier_factors(p, q)
    return factors.L.reshape(q, p, q).transpose(0, 1), _right_blocks(factors, p, q)


def circulant_mm_star(
    column: Num[Tensor, " n"], block_sizes: tuple[int, int] | None = None
) -> MMStar:
    """Return the factors of the circulant matrix C[i, j] = column[(i - j) mod n].

    C = F^H diag(d) F with d the DFT of the column and F symmetric, so with the complex conjugate
    of F, a Monarch matrix M2, it is (M2 diag(d)) M2^H (Dao et al. 2022).

    Raises:
        ValueError: if p q is not n.
    """
    check_vector("column", column)
    p, q = check_block_sizes(len(column), block_sizes)
    L, R = (factor.conj() for factor in fourier_monarch(p * q, (p, q)))
    d = torch.fft.fft(column.to(torch.complex128))
    return MMStar(L1=L, R1=R * d.reshape(p, q).T[:, None, :], L2=L, R2=R)


def toeplitz_mm_star(
    column: Num[Tensor, " n_rows"],
    row: Num[Tensor, " n_columns"],
    block_sizes: tuple[int, int] | None = None,
) -> MMStar:
    """Return the factors of the square Toeplitz matrix T with this first column and row.

    T is the n x n corner of a circulant matrix of 2 n points. Its factors are built on p x 2 q
    points and keep their first n outputs: M1 and M2 are n x 2 n Monarch matrices with L (p, q, 2 q)
    and R (2 q, p, p), that is expansion 2 and twice the numbers of a square pair.

    Raises:
        ValueError: if p q is not n, or column[0] is not row[0].
    """
    for name, x in (("column", column), ("row", row)):
        check_vector(name, x)
    n = len(column)
    p, q = check_block_sizes(n, block_sizes)
    if len(row) != n or row[0] != column[0]:
        raise ValueError(
            f"column and row must have one length and first entry, got lengths {n} and {len(row)} "
            f"and entries {column[0].item()} and {row[0].item()}; the first entries are one number"
        )
    wrapped = torch.cat((column, column[:1], row[1:].flip(0)))
    star = circulant_mm_star(wrapped, (p, 2 * q))
    return MMStar(L1=star.L1[:, :q], R1=star.R1, L2=star.L2[:, :q], R2=star.R2)


def permutation_mm_star(
    order: Int[Tensor, " n_out"], block_sizes: tuple[int, int] | None = None
) -> MMStar:
    """Return the factors of the matrix P with (P x)[d] = x[order[d]]: a permutation, or copies.

    Write the n inputs and the outputs on grids of p columns. L2 moves entries within the columns
    of the input, the blocks of R1 move them along the rows, and L1 within the columns of the
    output. Every permutation is of this form: give every entry a row so that no two entries of an
    input column, and no two of an output column, share one. That is an edge colouring of a
    bipartite multigraph with equal degrees (Koenig), as in a rearrangeable Clos network.

    When every input is used e times, n_out = e n, it is the colouring of degree e q: a permutation
    of e n points after x is stacked e times, which L2 of shape (p, q, e q) does by itself.

    Args:
        order: the input that each output takes.
        block_sizes: (p, q) with p q = n; default: p the largest divisor of n up to its root.

    Returns:
        L1 (p, e q, e q), R1 (e q, p, p), L2 (p, q, e q), R2 = identity, in float64.

    Raises:
        ValueError: if the inputs 0 .. n - 1 are not all used equally often, or p q is not n.
    """
    whole = order.ndim == 1 and order.numel() > 0 and not order.is_floating_point()
    counts = torch.bincount(order.clamp(min=0)) if whole else torch.zeros(1)
    e = int(counts[0])
    if not whole or order.min() < 0 or (counts != e).any():
        raise ValueError(
            "order must use each of the inputs 0 .. n - 1 equally often, got indices from "
            f"{order.tolist()[:8]}... of length {len(order)}; give whole numbers, each e times"
        )
    p, q = check_block_sizes(len(counts), block_sizes)
    target = torch.arange(len(order))
    r = torch.tensor(_route((order % p).tolist(), (target % p).tolist(), p, e * q))
    L1, L2 = torch.zeros(p, e * q, e * q).double(), torch.zeros(p, q, e * q).double()
    R1 = torch.zeros(e * q, p, p).double()
    L2[order % p, order // p, r] = 1
    R1[r, target % p, order % p] = 1
    L1[target % p, target // p, r] = 1
    return MMStar(L1=L1, R1=R1, L2=L2, R2=torch.eye(p).to(R1).expand_as(R1))


def fourier_mm_star_squared(
    n: int, block_sizes: tuple[int, int] | None = None
) -> tuple[MMStar, MMStar]:
    """Return (outer, inner) with outer inner = F, the unitary DFT.

    inner is the transposition T of the p x q grid, outer the Monarch matrix F T^-1.

    Raises:
        ValueError: if p q is not n.
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
    """
    L, R = _cosine_factors(n, block_sizes)
    p, q = len(L), len(R)
    sign = 1.0 - 2.0 * (_makhoul_order(n) % 2).double()
    R = R * sign.reshape(p, q).T[:, None, :]
    return _real_part(L.flip(0, 1), R.flip(1), expansion)


def _right_blocks(factors: Factors, p: int, q: int) -> Tensor:
    """Return R[b, m, a] from R[a q + b, m, 0]."""
    return factors.R.reshape(p, q, p).permute(1, 2, 0)


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


def _route(source: list[int], target: list[int], p: int, n_rows: int) -> list[int]:
    """Return a row for every entry, distinct within every source and every target column.

    Entries are placed one by one. Let row f be free in the source column, row g in the target
    column. Starting from the target column, exchange f and g along the alternating path of the
    entries already placed; it cannot reach the source column, and f becomes free in both.
    """
    ends = (source, target)
    placed: list[list[list[int | None]]] = [[[None] * n_rows for _ in range(p)] for _ in ends]
    row = [0] * len(source)
    for entry, (u, w) in enumerate(zip(source, target, strict=True)):
        f, g = placed[0][u].index(None), placed[1][w].index(None)
        path, side, column, wanted = [entry], 1, w, f
        while (other := placed[side][column][wanted]) is not None:
            path.append(other)
            side, wanted = 1 - side, f + g - wanted
            column = ends[side][other]
        for other in path[1:]:
            for side in (0, 1):
                placed[side][ends[side][other]][row[other]] = None
            row[other] = f + g - row[other]
        row[entry] = f
        for other in path:
            for side in (0, 1):
                placed[side][ends[side][other]][row[other]] = other
    return row
