"""Regression: the matrix of a class that maps given vectors nearest to what was seen of them.

    minimise f(A) = sum_j |A x_j - y_j|^2 = |y|^2 - 2 Re <A, B> + Re <A G, A>    (1)

with the second moments G = sum_j x_j x_j^H and B = sum_j y_j x_j^H, which are all that is kept of
the vectors, however many there are. G must be positive definite: where the x_j do not reach, add
lambda to G and lambda A_0 to B, a ridge towards a known matrix A_0.
"""

from functools import singledispatch

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from monarch_core.transforms.arguments import check_count
from monarch_core.transforms.base import LinearTransform
from monarch_core.transforms.classes.projection import project_to_monarch
from monarch_core.transforms.dense import Dense
from monarch_core.transforms.monarch import Monarch
from monarch_core.transforms.multiply import monarch_dense
from monarch_core.transforms.phased import PhasedFourier

MOST_STEPS = 1000  # of the alternation between phases, each of which is cheap
SMALLEST_GAIN = 1e-9  # of what the phases gain, in one step: less is not worth another
SMALLEST_FALL = 1e-3  # of the error, in one step of the factors, which cost more


@singledispatch
@torch.no_grad()
def regress(
    transform: LinearTransform,
    G: Complex[Tensor, "heads n_in n_in"],
    B: Complex[Tensor, "heads n_out n_in"],
) -> None:
    """Set the parameters of a transform to those that minimise (1), whatever they were before.

    Args:
        transform: changed in place.
        G: as in (1) for every head, on the CPU; double precision is advised.
        B: as in (1) for every head.

    Raises:
        ValueError: as the function of its class, for other heads, or for a class without one.

    Examples:
        >>> import torch
        >>> from monarch_core import Dense, Monarch
        >>> from monarch_core.transforms import regress
        >>> truth = Monarch.fourier(12, dtype=torch.float64).dense(torch.complex128)
        >>> x = torch.randn(40, 12, dtype=torch.complex128)
        >>> y = x @ truth.mT
        >>> G, B = (x.mT @ x.conj())[None], (y.mT @ x.conj())[None]
        >>> found = Dense(12, norm="backward", dtype=torch.float64)
        >>> regress(found, G, B)
        >>> torch.allclose(found.dense(torch.complex128), truth)
        True
    """
    raise ValueError(
        f"there is no regression for {type(transform).__name__}; use Dense, Monarch or "
        "PhasedFourier"
    )


@regress.register
@torch.no_grad()
def _(transform: Dense, G: Tensor, B: Tensor) -> None:
    _check_heads(transform, G, B)
    A = torch.stack([regress_dense(*pair) for pair in zip(G, B, strict=True)])
    transform.weight.copy_(torch.view_as_real(A.resolve_conj()))


@regress.register
@torch.no_grad()
def _(transform: Monarch, G: Tensor, B: Tensor) -> None:
    _check_heads(transform, G, B)
    p, q, rank = transform.R.shape[2], transform.L.shape[2], transform.L.shape[3]
    if not transform.natural_order or transform.n_in != transform.n_out:
        raise ValueError(
            f"the blocks of start={transform.start} are not in the natural order of a whole "
            "spectrum; use start=fourier without modes"
        )
    A = torch.stack(
        [regress_monarch(*pair, block_sizes=(p, q), rank=rank) for pair in zip(G, B, strict=True)]
    )
    found = Monarch.from_matrix(A, block_sizes=(p, q), rank=rank, dtype=transform.L.dtype)
    transform.load_state_dict(found.state_dict())


@regress.register
@torch.no_grad()
def _(transform: PhasedFourier, G: Tensor, B: Tensor) -> None:
    _check_heads(transform, G, B)
    a, b = regress_phases(transform.fourier.dense(B.dtype), B[0])
    transform.after.copy_(a)
    transform.before.copy_(b)


@torch.no_grad()
def regress_dense(
    G: Complex[Tensor, "n_in n_in"], B: Complex[Tensor, "n_out n_in"]
) -> Complex[Tensor, "n_out n_in"]:
    """Return the unconstrained minimiser of (1), A = B G^-1.

    Raises:
        ValueError: if G is not positive definite.
    """
    return torch.cholesky_solve(B.mH, _cholesky(G)).mH


@torch.no_grad()
def regress_monarch(
    G: Complex[Tensor, "n n"],
    B: Complex[Tensor, "n n"],
    *,
    block_sizes: tuple[int, int],
    rank: int = 1,
    n_steps: int = 20,
) -> Complex[Tensor, "n n"]:
    """Return the Monarch matrix of some rank that minimises (1), multiplied out.

        A[i, c] = sum_r L[i, b(c), r] R[c, k(i), r],   k(i) = i mod p,   b(c) = c mod q    (2)

    In either factor alone (1) is a linear least-squares problem, which falls apart into the p
    groups of rows of one k. It is solved for one factor and the other in turn, each orthonormal
    within its blocks when it is the fixed one. It starts at the projection of B G^-1, which is the
    answer where G is a multiple of the identity; the error never grows, and the search ends early
    when it hardly falls.

    Args:
        G: as in (1).
        B: as in (1).
        block_sizes: (p, q) with p q = n.
        rank: number of terms.
        n_steps: most alternations.

    Returns:
        A, of rank at most `rank` in every slice, so that `Monarch.from_matrix` holds it exactly.

    Raises:
        ValueError: as `regress_dense` and `project_to_monarch`.
    """
    n_steps = check_count("n_steps", n_steps, "20 is enough")
    L, R, _ = project_to_monarch(regress_dense(G, B), block_sizes=block_sizes, rank=rank)
    A = monarch_dense(L, R)
    if torch.equal(G, G[0, 0] * torch.eye(len(G), dtype=G.dtype)):
        return A
    (p, s, _), (q, _, a) = L.shape, R.shape
    rank = min(rank, s, a)
    R_kb = R.reshape(q, -1, p, a).permute(2, 0, 3, 1)[..., :rank]  # p, q, a, rank
    error = _error(A, G, B)
    for _ in range(n_steps):
        R_kb = torch.linalg.qr(R_kb)[0]
        L_kb = torch.linalg.qr(_solve_L(G, B, R_kb))[0]
        R_kb = _solve_R(G, B, L_kb)
        A = torch.einsum("kbir,kbar->ikab", L_kb, R_kb).reshape(len(A), -1)
        before, error = error, _error(A, G, B)
        if before - error <= SMALLEST_FALL * abs(error):
            break
    return A


@torch.no_grad()
def regress_phases(
    F: Complex[Tensor, "n_out n_in"],
    B: Complex[Tensor, "n_out n_in"],
) -> tuple[Float[Tensor, " n_out"], Float[Tensor, " n_in"]]:
    """Return the phases a and b of A = diag(exp(i a)) F diag(exp(i b)) that minimise (1).

    Given b, each a_k is free of the others and in closed form; for a unitary F so is b given a:

        a = -arg diag(F diag(exp(i b)) B^H),   b = -arg diag(B^H diag(exp(i a)) F)    (2)

    Args:
        F: a unitary matrix, such as the orthonormal DFT, with which G has no influence.
        B: as in (1).
    """
    b = torch.zeros(F.shape[1], dtype=F.real.dtype)
    gain = torch.tensor(0.0)
    for _ in range(MOST_STEPS):
        inner = (F * torch.exp(1j * b) * B.conj()).sum(1)
        a = -inner.angle()
        b = -(B.conj() * torch.exp(1j * a)[:, None] * F).sum(0).angle()
        before, gain = gain, inner.abs().sum()
        if gain - before <= SMALLEST_GAIN * gain:
            break
    return a, b


def _solve_L(G: Tensor, B: Tensor, R: Tensor) -> Tensor:
    """Return L (p, q, s, rank) for orthonormal blocks R (p, q, a, rank).

    With W_k[c, (b, r)] = R[k, b, c // q, r] where c mod q = b and 0 elsewhere, and the rows i of
    one k, L_k (W_k^T G W_k^*) = B_k W_k^*.
    """
    p, q, a, rank = R.shape
    B_k = B.reshape(-1, p, a, q)  # s, p, a, q
    G_ab = G.reshape(a, q, a, q)
    R_conj = R.conj()
    right = torch.einsum("skab,kbar->ksbr", B_k, R_conj).flatten(-2)
    normal = torch.einsum("kbar,abcd,kdct->kbrdt", R, G_ab, R_conj)
    normal = normal.reshape(p, q * rank, q * rank)
    solved = torch.linalg.solve(normal.mT, right.mT).mT
    return solved.unflatten(-1, (q, rank)).transpose(1, 2)


def _solve_R(G: Tensor, B: Tensor, L: Tensor) -> Tensor:
    """Return R (p, q, a, rank) for orthonormal blocks L (p, q, s, rank).

    With P_k = L_k^H L_k over the rows of one k,

        sum_(c', r') P_k[(b(c), r), (b(c'), r')] G[c', c] R[c', r'] = sum_i L[i, b(c), r]^* B[i, c]

    positive definite as G is, by Schur's product theorem.
    """
    p, q, s, rank = L.shape
    a = len(G) // q
    B_k = B.reshape(s, p, a, q)
    G_ab = G.reshape(a, q, a, q)
    solved = []
    for k in range(p):
        inner = torch.einsum("bsr,dst->brdt", L[k].conj(), L[k])
        normal = torch.einsum("brdt,cdab->bardct", inner, G_ab)
        right = torch.einsum("bsr,sab->bar", L[k].conj(), B_k[:, k])
        n = q * a * rank
        factor = torch.linalg.cholesky(normal.reshape(n, n))
        solved.append(torch.cholesky_solve(right.reshape(n, 1), factor).reshape(q, a, rank))
    return torch.stack(solved)


def _check_heads(transform: LinearTransform, G: Tensor, B: Tensor) -> None:
    if not len(G) == len(B) == transform.heads:
        raise ValueError(
            f"G and B must hold one matrix for each of the {transform.heads} heads, got shapes "
            f"{tuple(G.shape)} and {tuple(B.shape)}; give moments for each, as G[None] for one"
        )


def _error(A: Tensor, G: Tensor, B: Tensor) -> float:
    """Return f(A) but for the constant, with which it would be positive."""
    return float(((A @ G) * A.conj()).sum().real - 2 * (A * B.conj()).sum().real)


def _cholesky(G: Tensor) -> Tensor:
    factor, failed = torch.linalg.cholesky_ex(G)
    if failed or not G.isfinite().all():
        raise ValueError(
            "G is not positive definite, so the vectors do not determine the matrix; add "
            "lambda to its diagonal and lambda A_0 to B"
        )
    return factor
