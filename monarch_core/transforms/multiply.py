"""Products of a Monarch matrix, given by its two factors, with a batch of vectors."""

from functools import reduce

import torch
from jaxtyping import Num
from torch import Tensor


def monarch_multiply(
    x: Num[Tensor, "*batch n_in"], L: Num[Tensor, "p s t"], R: Num[Tensor, "q h a"]
) -> Num[Tensor, "*batch n_out"]:
    """Apply the Monarch matrix M with factors L and R to the last axis of x.

    With n_in = a q, n_out = s p and as many rows in R as columns in L, q h = p t (Dao et al. 2022,
    arXiv:2204.00595, with the strided index contracted first):

        z[b h + j] = sum_a R[b, j, a] x[a q + b]      (1)
        y[i p + m] = sum_r L[m, i, r] z[r p + m]      (2)

    The blocks may have any size and number, so M may be rectangular and have slices of any rank.
    The square case n = p q of rank 1 has L (p, q, q) and R (q, p, p).

    Real and complex operands of any precision mix by promotion. As with `torch.fft` along an
    axis that is not the last, the result need not be contiguous: in memory its batch runs
    fastest, which is what makes a chain of products cheap.

    Args:
        x: vectors, in any unit; any batch shape and any strides.
        L: p blocks of size s x t of the factor applied last, dimensionless.
        R: q blocks of size h x a of the factor applied first, dimensionless.

    Returns:
        The products M x, in the unit of x.

    Raises:
        ValueError: if the shapes of x, L and R do not fit each other.

    Examples:
        >>> import torch
        >>> from monarch_core import monarch_multiply
        >>> from monarch_core.transforms import monarch_dense
        >>> L, R = torch.randn(3, 4, 4), torch.randn(4, 3, 3)  # p = 3, q = 4
        >>> x = torch.randn(5, 12)
        >>> y = monarch_multiply(x, L, R)
        >>> torch.allclose(y, x @ monarch_dense(L, R).mT, atol=1e-4)
        True
    """
    check_factors(L, R)
    p, s, t = L.shape
    q, _, a = R.shape
    _check_vectors("x", x, a * q, f"R has {q} blocks with {a} columns")
    x, L, R = _promote(x, L, R)
    x_ab = _features_first(x).unflatten(0, (a, q))
    z_bj = torch.bmm(R, x_ab.transpose(0, 1))  # (1)
    z_rm = z_bj.flatten(0, 1).unflatten(0, (t, p))
    y_mi = torch.bmm(L, z_rm.transpose(0, 1))  # (2)
    return y_mi.transpose(0, 1).reshape(s * p, *x.shape[:-1]).movedim(0, -1)


def monarch_adjoint(
    y: Num[Tensor, "*batch n_out"], L: Num[Tensor, "p s t"], R: Num[Tensor, "q h a"]
) -> Num[Tensor, "*batch n_in"]:
    """Apply the adjoint M^H of the matrix of `monarch_multiply` to the last axis of y.

        z[r p + m] = sum_i conj(L[m, i, r]) y[i p + m]      (1)
        x[a q + b] = sum_j conj(R[b, j, a]) z[b h + j]      (2)

    M^H is a Monarch matrix only up to fixed permutations, so it has no factors of its own here.

    Args:
        y: vectors, in any unit; any batch shape and any strides.
        L: p blocks of size s x t of the factor of M applied last, dimensionless.
        R: q blocks of size h x a of the factor of M applied first, dimensionless.

    Returns:
        The products M^H y, in the unit of y.

    Raises:
        ValueError: if the shapes of y, L and R do not fit each other.

    Examples:
        >>> import torch
        >>> from monarch_core.transforms import monarch_adjoint, monarch_dense
        >>> L, R = torch.randn(3, 4, 4), torch.randn(4, 3, 3)
        >>> y = torch.randn(5, 12)
        >>> torch.allclose(monarch_adjoint(y, L, R), y @ monarch_dense(L, R), atol=1e-4)
        True
    """
    check_factors(L, R)
    p, s, _ = L.shape
    q, h, a = R.shape
    _check_vectors("y", y, s * p, f"L has {p} blocks with {s} rows")
    y, L, R = _promote(y, L, R)
    y_im = _features_first(y).unflatten(0, (s, p))
    z_mr = torch.bmm(L.mH, y_im.transpose(0, 1))  # (1)
    z_bj = z_mr.transpose(0, 1).flatten(0, 1).unflatten(0, (q, h))
    x_ba = torch.bmm(R.mH, z_bj)  # (2)
    return x_ba.transpose(0, 1).reshape(a * q, *y.shape[:-1]).movedim(0, -1)


def monarch_dense(L: Num[Tensor, "p s t"], R: Num[Tensor, "q h a"]) -> Num[Tensor, "n_out n_in"]:
    """Return the matrix M that `monarch_multiply` applies, multiplied out.

    Both factors are written as full matrices, zeros included, so this is also the slow and
    obvious reference for the fast product:

        L_full[i p + m, r p + m'] = L[m, i, r] if m = m' else 0
        R_full[b h + j, a q + b'] = R[b, j, a] if b = b' else 0
        M = L_full R_full

    Args:
        L: p blocks of size s x t of the factor applied last, dimensionless.
        R: q blocks of size h x a of the factor applied first, dimensionless.

    Returns:
        The matrix, dimensionless, differentiable in L and R.

    Raises:
        ValueError: if the shapes of L and R do not fit each other.

    Examples:
        >>> import torch
        >>> from monarch_core.transforms import monarch_dense
        >>> L, R = torch.eye(4).expand(3, 4, 4), torch.eye(3).expand(4, 3, 3)
        >>> monarch_dense(L, R).count_nonzero(dim=0)  # identities leave the fixed permutation
        tensor([1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1])
    """
    check_factors(L, R)
    L, R = _promote(L, R)
    p, s, t = L.shape
    q, h, a = R.shape
    eye_p = torch.eye(p, dtype=L.dtype, device=L.device)
    eye_q = torch.eye(q, dtype=R.dtype, device=R.device)
    L_full = torch.einsum("mir,mn->imrn", L, eye_p).reshape(s * p, t * p)
    R_full = torch.einsum("bja,bc->bjac", R, eye_q).reshape(q * h, a * q)
    return L_full @ R_full


def check_factors(L: Tensor, R: Tensor) -> None:
    """Check that L and R are the factors of one Monarch matrix.

    Raises:
        ValueError: if a factor has not three axes or no entries, or if L has not as many columns as
            R rows.
    """
    for name, factor in (("L", L), ("R", R)):
        if factor.ndim != 3:
            raise ValueError(
                f"{name} must have three axes (blocks, rows, columns), got shape "
                f"{tuple(factor.shape)}; use {name}[None] for a single block"
            )
        if factor.numel() == 0:
            raise ValueError(
                f"{name} has no entries, got shape {tuple(factor.shape)}; give it at least one "
                "block, row and column"
            )
    (p, _, t), (q, h, _) = L.shape, R.shape
    if p * t != q * h:
        raise ValueError(
            f"L of shape {tuple(L.shape)} takes {p} x {t} = {p * t} values but R of shape "
            f"{tuple(R.shape)} returns {q} x {h} = {q * h}; change the columns of the blocks of L "
            "or the rows of the blocks of R until these agree"
        )


def _check_vectors(name: str, x: Tensor, n: int, reason: str) -> None:
    """Raise ValueError when the last axis of x is not n long."""
    if x.ndim == 0 or x.shape[-1] != n:
        raise ValueError(
            f"{name} has shape {tuple(x.shape)} but {reason}; make the last axis of {name} {n} long"
        )


def _promote(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Return the tensors in the smallest dtype that holds them all."""
    dtype = reduce(torch.promote_types, (tensor.dtype for tensor in tensors))
    return tuple(tensor.to(dtype) for tensor in tensors)


def _features_first(x: Tensor) -> Tensor:
    """Return x as a contiguous matrix (n, batch).

    Every block is then one matrix product with the whole batch as columns, on strided views that
    BLAS takes without a copy: two to four times faster than einsum on (*batch, n).
    """
    return x.movedim(-1, 0).reshape(x.shape[-1], -1).contiguous()
