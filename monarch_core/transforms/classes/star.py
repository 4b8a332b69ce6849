"""Exact members of class MM*: circulant and Toeplitz matrices, and every permutation."""

import torch
from jaxtyping import Int, Num
from torch import Tensor

from monarch_core.transforms.arguments import check_block_sizes, check_vector
from monarch_core.transforms.classes.mm_star import MMStar
from monarch_core.transforms.classes.product import fourier_monarch


def circulant_mm_star(
    column: Num[Tensor, " n"], block_sizes: tuple[int, int] | None = None
) -> MMStar:
    """Return the factors of the circulant matrix C[i, j] = column[(i - j) mod n].

    C = F^H diag(d) F with d the DFT of the column and F symmetric, so with the complex conjugate
    of F, a Monarch matrix M2, it is (M2 diag(d)) M2^H (Dao et al. 2022).

    Raises:
        ValueError: if p q is not n.

    Examples:
        >>> import torch
        >>> from monarch_core.transforms import circulant_mm_star
        >>> column = torch.randn(6, dtype=torch.float64)
        >>> C = torch.stack([column.roll(j) for j in range(6)], dim=1)
        >>> torch.allclose(circulant_mm_star(column).dense().real, C)
        True
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

    Examples:
        >>> import torch
        >>> from monarch_core.transforms import toeplitz_mm_star
        >>> column, row = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 5.0, 6.0])
        >>> T = toeplitz_mm_star(column, row)
        >>> T.dense().real.round().int().tolist()
        [[1, 5, 6], [2, 1, 5], [3, 2, 1]]
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

    Examples:
        >>> import torch
        >>> from monarch_core.transforms import permutation_mm_star
        >>> order = torch.tensor([3, 0, 2, 5, 1, 4])
        >>> P = permutation_mm_star(order)
        >>> P.multiply(torch.arange(6.0).double()).tolist()
        [3.0, 0.0, 2.0, 5.0, 1.0, 4.0]
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
