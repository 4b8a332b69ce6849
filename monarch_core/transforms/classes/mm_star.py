"""Products M1 M2^H of two Monarch matrices, and how to find their factors in a dense matrix."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Num
from torch import Tensor

from monarch_core.transforms.arguments import check_block_sizes, check_count, check_matrix
from monarch_core.transforms.classes.projection import power_of_four
from monarch_core.transforms.multiply import monarch_adjoint, monarch_dense, monarch_multiply


@dataclass(frozen=True, eq=False)
class MMStar:
    """The matrix M1 M2^H, with M1 = (L1, R1) and M2 = (L2, R2) in the order of `monarch_multiply`.

    The fixed permutation that makes the strided index come first cancels between M1 and M2^H, so
    these are the matrices of class MM* of Dao et al. 2022 (arXiv:2204.00595) whatever the order:
    with L_full as in `monarch_dense` and R_b the blocks of R,

        M1 M2^H = L1_full blockdiag(R1_b R2_b^H) L2_full^H

    Examples:
        >>> import torch
        >>> from monarch_core.transforms import circulant_mm_star
        >>> C = circulant_mm_star(torch.tensor([1.0, 2.0, 0.0, 0.0]))
        >>> C.multiply(torch.eye(4)[0]).real.round().int().tolist()  # the first column
        [1, 2, 0, 0]
    """

    L1: Num[Tensor, "p s1 t"]
    R1: Num[Tensor, "q h a"]
    L2: Num[Tensor, "p s2 t"]
    R2: Num[Tensor, "q h a"]

    def multiply(self, x: Num[Tensor, "*batch n_in"]) -> Num[Tensor, "*batch n_out"]:
        """Return M1 M2^H x, in the unit of x."""
        return monarch_multiply(monarch_adjoint(x, self.L2, self.R2), self.L1, self.R1)

    def dense(self) -> Num[Tensor, "n_out n_in"]:
        """Return M1 M2^H multiplied out."""
        return monarch_dense(self.L1, self.R1) @ monarch_dense(self.L2, self.R2).mH


@torch.no_grad()
def factorize_mm_star(
    A: Num[Tensor, "n n"],
    *,
    block_sizes: tuple[int, int] | None = None,
    n_tries: int = 8,
    tolerance: float = 1e-6,
) -> MMStar:
    """Return the factors of a matrix A = M1 M2^H of class MM*.

    Algorithm of Theorem 7 of Dao et al. 2022 (arXiv:2204.00595). In blocks A_mn of size q x q,
    A_mn[i, k] = A[i p + m, k p + n], the class reads

        A_mn = X_m D_mn Y_n   with D_mn diagonal, X_m = L1[m], Y_n = L2[n]^H        (1)

    For a pivot (u, v) whose blocks A_mv and A_un are all invertible,

        F_mn = A_mv^-1 A_mn A_un^-1 A_uv = Y_v^-1 (diagonal) Y_v                     (2)

    so the inverse of Y_v holds the eigenvectors that all F_mn share. They are those of one random
    combination of the F_mn; of several combinations the one that reproduces A best is kept. Then

        X_m = A_mv Y_v^-1,   Y_n = X_u^-1 A_un,   D_mn = diag(X_m^-1 A_mn Y_n^-1)    (3)

    and R1[b, m, n] = D_mn[b, b], R2 = identity. The pivot is the best-conditioned one; only its
    row and its column of blocks need to be invertible, so D may have zeros elsewhere. The factors
    are fixed up to a common permutation and scalings; those of a real A may be complex.

    Args:
        A: square matrix of any real or complex numbers, of any size; the work is done in double
            precision.
        block_sizes: (p, q) with p q = n; default: p the largest divisor of n up to its root.
        n_tries: number of random combinations, drawn from a fixed seed.
        tolerance: largest accepted |A - M1 M2^H|_F / |A|_F.

    Returns:
        The factors in complex128, on the device of A, without gradient: L1, L2 (p, q, q) and
        R1, R2 (q, p, p).

    Raises:
        ValueError: if A is not square or not finite, p q is not n, n_tries is below 1 or tolerance
            not between 0 and 1; if no row and column of blocks are invertible; if the F_mn share no
            eigenvectors, so that A is not of the class.

    Examples:
        >>> import torch
        >>> from monarch_core import factorize_mm_star
        >>> from monarch_core.transforms import monarch_dense
        >>> M1, M2 = (monarch_dense(torch.randn(2, 3, 3), torch.randn(3, 2, 2)) for _ in range(2))
        >>> A = (M1 @ M2.mH).double()
        >>> found = factorize_mm_star(A)
        >>> torch.allclose(found.dense(), A.to(torch.complex128), atol=1e-5)
        True
    """
    check_matrix(A)
    if A.shape[0] != A.shape[1]:
        raise ValueError(
            f"A must be square, got shape {tuple(A.shape)}; use project_to_monarch for others"
        )
    n_tries = check_count("n_tries", n_tries, "8 are usually enough")
    if not 0 < tolerance < 1:
        raise ValueError(
            f"tolerance must be a relative distance between 0 and 1, got {tolerance}; use 1e-6"
        )
    p, q = check_block_sizes(A.shape[0], block_sizes)
    A = A.to(torch.complex128)
    scale = power_of_four(A)
    A = A / scale
    A_mn = A.reshape(q, p, q, p).permute(1, 3, 0, 2)  # (1)
    u, v = _pivot(A_mn)
    left = torch.linalg.solve(A_mn[:, v, None], A_mn)
    right = torch.linalg.solve(A_mn[u], A_mn[u, v].expand(p, q, q))
    F = left @ right  # (2)
    F = (F / torch.linalg.matrix_norm(F, keepdim=True).clamp(min=1e-300)).flatten(0, 1)
    generator = torch.Generator().manual_seed(0)
    error, remainder, factors = float("inf"), float("inf"), None
    for _ in range(n_tries):
        weights = torch.randn(len(F), dtype=torch.complex128, generator=generator).to(A.device)
        _, E = torch.linalg.eig(torch.einsum("f,fik->ik", weights, F))
        remainder = min(remainder, _off_diagonal(torch.linalg.inv_ex(E).inverse @ F @ E))
        candidate = _factors_in_basis(A_mn, E, u, v)
        missed = ((A - candidate.dense()).norm() / A.norm()).item()
        if missed < error:
            error, factors = missed, candidate
    if factors is None or error > tolerance:
        raise ValueError(
            f"A is not a product M1 M2^H with block_sizes=({p}, {q}): in the best of {n_tries} "
            "bases the matrices F that should share their eigenvectors keep a relative "
            f"off-diagonal remainder of {remainder:.1e}, and the factors miss A by {error:.1e} "
            f"(relative), above tolerance={tolerance:.0e}; try other block_sizes, or "
            "project_to_monarch for the nearest Monarch matrix"
        )
    return replace(factors, R1=scale * factors.R1)


def _factors_in_basis(A_mn: Tensor, E: Tensor, u: int, v: int) -> MMStar:
    """Return the factors of equation (3), with E the inverse of Y_v."""
    X = A_mn[:, v] @ E
    X_inverse = torch.linalg.inv_ex(X).inverse
    Y = X_inverse[u] @ A_mn[u]
    D = X_inverse[:, None] @ A_mn @ torch.linalg.inv_ex(Y).inverse  # (3)
    R1 = D.diagonal(dim1=-2, dim2=-1).permute(2, 0, 1).contiguous()
    p = len(A_mn)
    return MMStar(L1=X, R1=R1, L2=Y.mH, R2=torch.eye(p).to(R1).expand_as(R1))


def _off_diagonal(F: Tensor) -> float:
    """Return the norm of the entries off the diagonals, relative to that of all entries."""
    off = F - torch.diag_embed(F.diagonal(dim1=-2, dim2=-1))
    return (off.norm() / F.norm()).item()


def _pivot(A_mn: Tensor) -> tuple[int, int]:
    """Return the block (u, v) whose row and column of blocks are farthest from singular."""
    sigma = torch.linalg.svdvals(A_mn)
    quality = sigma[..., -1] / sigma[..., 0].clamp(min=1e-300)  # (p, p)
    worst = torch.minimum(quality.amin(1)[:, None], quality.amin(0)[None, :])
    best = worst.max().item()
    if best < 1e-13:
        raise ValueError(
            f"no row and column of blocks of A are all invertible: the best pivot still meets a "
            f"block with smallest/largest singular value {best:.1e}; the factorisation needs "
            "invertible blocks, try other block_sizes"
        )
    u, v = divmod(int(worst.argmax()), len(worst))
    return u, v
