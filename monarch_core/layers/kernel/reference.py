"""The steps of a spectral product in torch: products of real matrices, one axis after the other.

The axes stay in an order in which every product is one large matrix product without a copy: a step
of the analysis contracts the last axis of the grid and puts the new frequency axis in front, a step
of the synthesis contracts the frequency axis in front and puts the new grid axis last. In 2-D:

    level 2   x  (1,         batch, channels, n_1, n_2)        fields, real
    level 1      (2, f_2,    batch, channels, n_1)
    level 0   X  (2, f_1, f_2, batch, channels)                spectrum

The analysis goes down, the synthesis up. The first axis is (real, imaginary). The step between the
levels d and d-1 belongs to grid axis d. It has a complex matrix R (m x n), given as [Re R; Im R],
and is done with real matrices M (parts, 2 m, n):

    contract   X = R Z = sum_p M[p] Z[p]^T           expand   Z = R^H X,  Z[p] = X^T M[p]

each the adjoint of the other, with M[0] = [Re R; Im R] and M[1] = [-Im R; Re R]. The last grid axis
holds real data and has M[0] only, which takes the real part on the way up.

Rows of every grid axis are the complex matrices as (heads, 2 m, n); each head serves its own group
of channels.
"""

from collections.abc import Sequence
from math import prod

import torch
from jaxtyping import Float
from torch import Tensor

Rows = Sequence[Float[Tensor, "heads _two_m _n"]]
Levels = list[Tensor]


def analyse(
    x: Float[Tensor, "batch channels *grid"], rows: Rows, keep: bool = False
) -> tuple[Float[Tensor, "2 *modes batch channels"], Levels]:
    """Return the spectrum R x and, to `keep`, the levels between, which the backward pass takes."""
    heads = _analyse_heads(x, rows)
    return _join(heads, 0, dim=-1), _between(heads) if keep else []


def synthesise(
    X: Float[Tensor, "2 *modes batch channels"],
    rows: Rows,
    bias: Float[Tensor, "channels *ones"] | None = None,
    keep: bool = False,
) -> tuple[Float[Tensor, "batch channels *grid"], Levels]:
    """Return the field R^H X + bias and, to `keep`, the levels between."""
    heads = _synthesise_heads(X, rows)
    y = _join(heads, -1, dim=1)
    if bias is not None:
        y += bias
    return y, _between(heads) if keep else []


def analyse_backward(
    grad: Float[Tensor, "2 *modes batch channels"], rows: Rows, x: Tensor, between: Levels | None
) -> tuple[Float[Tensor, "batch channels *grid"], Levels]:
    """Return the gradients of x and, unless `between` is None, of the rows of `analyse`."""
    heads = _synthesise_heads(grad, rows)
    grad_x = _join(heads, -1, dim=1)
    if between is None:
        return grad_x, []
    ends = _split(x.unsqueeze(0), 2, len(rows[0]))
    fields = [[*group, end] for group, end in zip(_groups(between, ends), ends, strict=True)]
    return grad_x, _gradients([levels[:-1] for levels in heads], fields)


def synthesise_backward(
    grad: Float[Tensor, "batch channels *grid"],
    rows: Rows,
    X: Tensor | None,
    between: Levels | None,
    with_bias: bool,
) -> tuple[Float[Tensor, "2 *modes batch channels"], Float[Tensor, " channels"] | None, Levels]:
    """Return the gradients of X, of a bias and, unless `between` is None, of the rows."""
    heads = _analyse_heads(grad, rows)
    grad_X = _join(heads, 0, dim=-1)
    # A sum over several axes would copy a bfloat16 field to float32.
    grad_bias = grad.reshape(*grad.shape[:2], prod(grad.shape[2:])).sum(-1).sum(0) if with_bias else None
    if between is None or X is None:
        return grad_X, grad_bias, []
    ends = _split(X, -1, len(rows[0]))
    coefficients = [[end, *group] for group, end in zip(_groups(between, ends), ends, strict=True)]
    return grad_X, grad_bias, _gradients(coefficients, [levels[1:] for levels in heads])


def mix(a: Tensor, b: Tensor, adjoint: str = "none") -> Tensor:
    """Return the complex products a b, or for "first" a^H b, or for "second" a b^H.

    (real, imaginary) come first, then any modes, then the two axes of the matrices.
    """
    modes = a.shape[1:-2]
    a_re, a_im = a.view(2, modes.numel(), *a.shape[-2:]).unbind()
    b_re, b_im = b.reshape(2, modes.numel(), *b.shape[-2:]).unbind()
    sign_a = sign_b = 1.0
    if adjoint == "first":
        a_re, a_im, sign_a = a_re.mT, a_im.mT, -1.0
    if adjoint == "second":
        b_re, b_im, sign_b = b_re.mT, b_im.mT, -1.0
    re = torch.bmm(a_re, b_re).baddbmm_(a_im, b_im, alpha=-sign_a * sign_b)
    im = torch.bmm(a_im, b_re).baddbmm_(a_re, b_im, beta=sign_a, alpha=sign_b)
    return torch.stack((re, im)).view(2, *modes, *re.shape[1:])


def _split(x: Tensor, dim: int, heads: int) -> Levels:
    return [x] if heads == 1 else [part.contiguous() for part in x.chunk(heads, dim)]


def _join(heads: list[Levels], level: int, dim: int) -> Tensor:
    parts = [levels[level] for levels in heads]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim)


def _between(heads: list[Levels]) -> Levels:
    return [level for levels in heads for level in levels[1:-1]]


def _groups(between: Levels, heads: Levels) -> list[Levels]:
    """Return the levels between of each head."""
    count = len(between) // len(heads)
    return [between[h * count : (h + 1) * count] for h in range(len(heads))]


def _step_matrices(rows: Rows) -> list[Float[Tensor, "heads parts two_m n"]]:
    """Return M of every axis."""
    pairs = []
    for R in rows[:-1]:
        re, im = R.chunk(2, dim=1)
        pairs.append(torch.stack((R, torch.cat((-im, re), dim=1)), dim=1))
    return [*pairs, rows[-1].unsqueeze(1)]


def _analyse_heads(x: Tensor, rows: Rows) -> list[Levels]:
    """Return the levels 0 to D of a field for every head."""
    groups, matrices = _split(x.unsqueeze(0), 2, len(rows[0])), _step_matrices(rows)
    return [_analyse(group, [M[h] for M in matrices]) for h, group in enumerate(groups)]


def _synthesise_heads(X: Tensor, rows: Rows) -> list[Levels]:
    """Return the levels 0 to D of a spectrum for every head, level D without its axis of length 1."""
    groups, matrices = _split(X, -1, len(rows[0])), _step_matrices(rows)
    return [_synthesise(group, [M[h] for M in matrices]) for h, group in enumerate(groups)]


def _analyse(x: Tensor, matrices: Levels) -> Levels:
    levels = [x]
    for M in reversed(matrices):
        parts, *left, n = levels[0].shape
        Z = levels[0].reshape(parts, prod(left), n)
        X = M[0] @ Z[0].mT
        if len(M) == 2:
            X.addmm_(M[1], Z[1].mT)
        levels.insert(0, X.view(2, X.shape[0] // 2, *left))
    return levels


def _synthesise(X: Tensor, matrices: Levels) -> Levels:
    levels = [X]
    for M in matrices[:-1]:
        X = levels[-1]
        flat = X.reshape(M.shape[1], prod(X.shape[2:])).mT
        Z = torch.bmm(flat.expand(2, -1, -1), M)
        levels.append(Z.view(2, *X.shape[2:], M.shape[-1]))
    X, M = levels[-1], matrices[-1][0]
    # This product returns no view of another tensor: what follows may add to the field in place.
    return [*levels, torch.matmul(X.reshape(M.shape[0], *X.shape[2:]).movedim(0, -1), M)]


def _gradients(coefficients: list[Levels], fields: list[Levels]) -> Levels:
    """Return the gradient of the rows of every axis, from the levels of each head beside it."""
    return [
        torch.stack([_outer(X[d], Z[d]) for X, Z in zip(coefficients, fields, strict=True)])
        for d in range(len(fields[0]))
    ]


def _outer(X: Tensor, Z: Tensor) -> Tensor:
    """Return [Re; Im] of X Z^H, summed over all that is not in R."""
    flat = X.reshape(X.shape[0]*X.shape[1], prod(X.shape[2:]))
    M = [flat @ part.reshape(flat.shape[1], part.shape[-1]) for part in Z]
    if len(M) == 1:
        return M[0]
    re, im = M[1].chunk(2)  # gradients of -Im R and Re R
    return M[0] + torch.cat((im, -re))
