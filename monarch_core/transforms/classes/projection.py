"""The nearest Monarch matrix to a dense one, in closed form."""

import torch
from jaxtyping import Float, Num
from torch import Tensor

from monarch_core.transforms.arguments import check_count, check_counts, check_matrix
from monarch_core.transforms.multiply import check_factors

DTYPES = (torch.float32, torch.float64, torch.complex64, torch.complex128)


@torch.no_grad()
def project_to_monarch(
    A: Num[Tensor, "n_out n_in"],
    *,
    block_sizes: tuple[int, int] | None = None,
    rank: int = 1,
    L_shape: tuple[int, int, int] | None = None,
    R_shape: tuple[int, int, int] | None = None,
) -> tuple[Num[Tensor, "p s t"], Num[Tensor, "q h a"], Float[Tensor, ""]]:
    """Return the factors of the Monarch matrix M nearest to A, and the distance.

        minimise |A - M|_F over M = (L, R) of `monarch_multiply`

    Theorem 1 of Dao et al. 2022 (arXiv:2204.00595) for factors of any shape. Cut A into q p slices

        A_bm[i, a] = A[i p + m, a q + b],    b < q,  m < p    (1)

    of size s x a. Exactly those columns of L meet a slice of M that stand at an intermediate index
    c = b h + j = r p + m, and each c belongs to one slice, so

        M_bm = sum over these c of L[m, :, r] R[b, j, :]      (2)

    is any matrix of rank at most their number, ceil(h / p) or floor(h / p). The slices are
    independent: by Eckart and Young the minimum is a truncated SVD of each, and what it discards
    gives the distance sqrt(sum sigma^2) without forming M. sqrt(sigma) goes to either factor. Where
    sigma is zero, as in all of a layer that starts at zero, L alone is zero and R a vector of the
    size of the others: were both zero, no gradient step could change them.

    A rank above that of the slices is allowed; both factors are zero there, which no gradient step
    can change.

    Args:
        A: a real or complex matrix, in single or double precision.
        block_sizes: (p, q), the numbers of blocks of L and of R; p divides n_out and q divides
            n_in. The default takes the largest divisor p of n_out up to its square root, and
            likewise the blocks of R of size n_in / q. For a square A with p q = n the factors
            are L (p, q, q rank) and R (q, p rank, p).
        rank: rank of every slice, with `block_sizes`: L (p, n_out / p, q rank) and
            R (q, p rank, n_in / q).
        L_shape: (p, s, t), in place of `block_sizes` and `rank` and together with `R_shape`.
        R_shape: (q, h, a), with s p = n_out, a q = n_in and p t = q h.

    Returns:
        L and R, so that `monarch_multiply(x, L, R)` applies M, and |A - M|_F, all in the unit,
        dtype (the distance: its real counterpart) and device of A, without gradient.

    Raises:
        ValueError: if the sizes do not fit those of A, or A is not finite or of another dtype.

    Examples:
        >>> import torch
        >>> from monarch_core import Fourier, Monarch, monarch_multiply, project_to_monarch
        >>> A = Fourier(12).dense(torch.complex128)
        >>> L, R, distance = project_to_monarch(A)
        >>> L.shape, R.shape, distance.item() < 1e-12  # the DFT is a Monarch matrix
        (torch.Size([3, 4, 4]), torch.Size([4, 3, 3]), True)
        >>> x = torch.randn(12, dtype=torch.complex128)
        >>> torch.allclose(monarch_multiply(x, L, R), A @ x)
        True
    """
    check_matrix(A)
    if A.dtype not in DTYPES:
        raise ValueError(f"A must be of single or double precision, got {A.dtype}; use A.float()")
    n_out, n_in = A.shape
    if L_shape is None and R_shape is None:
        L_shape, R_shape = _shapes(n_out, n_in, block_sizes, rank)
    elif L_shape is None or R_shape is None or block_sizes is not None or rank != 1:
        raise ValueError(
            f"give either block_sizes and rank or both L_shape and R_shape, got block_sizes="
            f"{block_sizes}, rank={rank}, L_shape={L_shape}, R_shape={R_shape}"
        )
    L_shape, R_shape = (
        (shape[0], shape[1], shape[2])
        for shape in (
            check_counts("L_shape=(p, s, t)", L_shape, 3, f"choose them with s p = {n_out}"),
            check_counts("R_shape=(q, h, a)", R_shape, 3, f"choose them with a q = {n_in}"),
        )
    )
    (p, s, _), (q, h, a) = L_shape, R_shape
    if (s * p, a * q) != (n_out, n_in):
        raise ValueError(
            f"L_shape={L_shape} and R_shape={R_shape} describe a matrix of {s * p} x {a * q}, got "
            f"A of {n_out} x {n_in}; choose (p, s, t) and (q, h, a) with s p = {n_out} and "
            f"a q = {n_in}"
        )
    L, R = A.new_zeros(L_shape), A.new_zeros(R_shape)
    check_factors(L, R)
    scale = power_of_four(A)
    A_bm = (A / scale).reshape(s, p, a, q).permute(3, 1, 0, 2)  # (1)
    U, sigma, Vh = torch.linalg.svd(A_bm, full_matrices=False)
    c = torch.arange(q * h, device=A.device)
    b, j, m, r = c // h, c % h, c % p, c // p
    # c is term number j // p of its slice; terms beyond the size of a slice stay zero.
    term = j // p
    b, j, m, r, term = (index[term < sigma.shape[-1]] for index in (b, j, m, r, term))
    root = sigma[b, m, term, None].sqrt() * scale.sqrt()
    right = root.where(root > 0, scale.sqrt())
    L[m, :, r] = root * U[b, m, :, term]  # (2)
    R[b, j, :] = right * Vh[b, m, term, :]
    sigma[b, m, term] = 0
    return L, R, scale * torch.linalg.vector_norm(sigma)


def power_of_four(A: Tensor) -> Tensor:
    """Return the power of four below the largest number in A, a normal one, or 1 where all are 0.

    In A divided by it no square over- or underflows, and neither it nor its root rounds anything.
    """
    numbers = torch.view_as_real(A.resolve_conj()) if A.is_complex() else A
    largest = numbers.abs().amax()
    power = torch.exp2(2 * torch.floor(torch.log2(largest) / 2))
    power = power.clamp(min=torch.finfo(power.dtype).tiny)  # one below has no finite inverse
    return torch.where(largest > 0, power, torch.ones_like(largest))


def _shapes(
    n_out: int, n_in: int, block_sizes: tuple[int, int] | None, rank: int
) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Return L_shape and R_shape for slices of one rank."""
    if block_sizes is None:
        block_sizes = _divisor_below_root(n_out), n_in // _divisor_below_root(n_in)
    remedy = f"use p of {_divisors(n_out)} and q of {_divisors(n_in)}"
    p, q = check_counts("block_sizes=(p, q)", block_sizes, 2, remedy)
    if n_out % p or n_in % q:
        raise ValueError(
            f"block_sizes=(p, q) must divide the sizes of A, got ({p}, {q}) and A of "
            f"{n_out} x {n_in}; {remedy}"
        )
    rank = check_count("rank", rank, "rank=1 is the smallest")
    return (p, n_out // p, q * rank), (q, p * rank, n_in // q)


def _divisors(n: int) -> list[int]:
    return [d for d in range(1, n + 1) if n % d == 0]


def _divisor_below_root(n: int) -> int:
    return max(d for d in _divisors(n) if d * d <= n)
