"""Analysis and synthesis of fields as real matrix products, one axis after the other.

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

import torch
from jaxtyping import Float
from torch import Tensor

Rows = Sequence[Float[Tensor, "heads _two_m _n"]]
Levels = list[Tensor]


def _onednn_multiplies() -> bool:
    """Return whether this torch has the product that `matrix_product` takes, not a public one."""
    one = torch.ones(1, 1)
    try:
        torch.ops.mkldnn._linear_pointwise(one, one, None, "none", [], "")
    except (AttributeError, RuntimeError):
        return False
    return True


_ONEDNN = torch.backends.mkldnn.is_available() and _onednn_multiplies()


def matrix_product(
    a: Float[Tensor, "rows inner"], b: Float[Tensor, "inner columns"]
) -> Float[Tensor, "rows columns"]:
    """Return a b, by oneDNN in float32 on a CPU: faster than MKL for few rows and many columns.

    `torch.mm` and `torch.nn.functional.linear` took up to 1.6 times as long for these shapes, and
    torch has no public function that calls oneDNN here.
    """
    on_cpu = a.device.type == "cpu" and a.dtype == torch.float32
    if not (on_cpu and _ONEDNN):
        return a @ b
    return torch.ops.mkldnn._linear_pointwise(a, b.mT, None, "none", [], "")


def product(
    x: Float[Tensor, "batch in_channels *grid"],
    W: Float[Tensor, "2 *modes in_channels out_channels"],
    bias: Float[Tensor, "out_channels *ones"] | None,
    *rows: Float[Tensor, "heads _two_m _n"],
    keep: bool,
) -> Levels:
    """Return y, the synthesis of W R x plus bias, and what its gradients take.

    Args:
        x: fields.
        W: weight of every frequency.
        bias: one number per channel.
        rows: R of every axis for the analysis, then those for the synthesis.
        keep: whether the gradients of the rows will be wanted.

    Returns:
        y, the spectra X and Y = X W and, to `keep`, the levels between of analysis and synthesis.
    """
    down, up = rows[: len(rows) // 2], rows[len(rows) // 2 :]
    fields = _analyse_heads(x, down)
    X = _join(fields, 0, dim=-1)
    Y = mix(X, W)
    coefficients = _synthesise_heads(Y, up)
    y = _join(coefficients, -1, dim=1)
    if bias is not None:
        y += bias
    return [y, X, Y, *(_between(fields) + _between(coefficients) if keep else [])]


def gradients(
    grad: Float[Tensor, "batch out_channels *out_grid"],
    x: Float[Tensor, "batch in_channels *grid"],
    W: Float[Tensor, "2 *modes in_channels out_channels"],
    rows: Rows,
    kept: Sequence[Tensor],
    needed: Sequence[bool],
) -> Levels:
    """Return those gradients of x, W, the bias and all rows that are `needed`, in this order.

    Args:
        grad: gradient of y.
        x: fields.
        W: weight of every frequency.
        rows: of every axis for the analysis, then those for the synthesis.
        kept: what `product` returned after y.
        needed: four times whether; the gradients of the rows need that of x.
    """
    order = len(rows) // 2
    down, up = rows[:order], rows[order:]
    needs_x, needs_W, needs_bias, needs_rows = needed
    X, Y, *between = kept
    coefficients = _analyse_heads(grad, up)
    grad_Y = _join(coefficients, 0, dim=-1)
    found = []
    if needs_x:
        fields = _synthesise_heads(mix(grad_Y, W, adjoint="second"), down)
        found.append(_join(fields, -1, dim=1))
    if needs_W:
        found.append(mix(X, grad_Y, adjoint="first"))
    if needs_bias:
        # A sum over several axes would copy a bfloat16 field to float32.
        found.append(grad.flatten(2).sum(-1).sum(0).unflatten(0, (-1, *[1] * order)))
    if not needs_rows:
        return found
    heads = len(down[0]), len(up[0])
    n_fields = heads[0] * (order - 1)
    xs, Ys = _split(x.unsqueeze(0), 2, heads[0]), _split(Y, -1, heads[1])
    x_levels = [
        [*group, end] for group, end in zip(_groups(between[:n_fields], xs), xs, strict=True)
    ]
    Y_levels = [
        [end, *group] for group, end in zip(_groups(between[n_fields:], Ys), Ys, strict=True)
    ]
    return [
        *found,
        *_outer_products([levels[:-1] for levels in fields], x_levels),
        *_outer_products(Y_levels, [levels[1:] for levels in coefficients]),
    ]


def mix(a: Tensor, b: Tensor, adjoint: str = "none") -> Tensor:
    """Return the complex products a b, or for "first" a^H b, or for "second" a b^H.

    (real, imaginary) come first, then any modes, then the two axes of the matrices.
    """
    modes = a.shape[1:-2]
    a_re, a_im = a.view(2, modes.numel(), *a.shape[-2:]).unbind()
    b_re, b_im = b.flatten(1, -3).unbind()
    sign_a = sign_b = 1.0
    if adjoint == "first":
        a_re, a_im, sign_a = a_re.mT, a_im.mT, -1.0
    if adjoint == "second":
        b_re, b_im, sign_b = b_re.mT, b_im.mT, -1.0
    re = torch.bmm(a_re, b_re).baddbmm_(a_im, b_im, alpha=-sign_a * sign_b)
    im = torch.bmm(a_im, b_re).baddbmm_(a_re, b_im, beta=sign_a, alpha=sign_b)
    return torch.stack((re, im)).unflatten(1, modes)


def _split(x: Tensor, dim: int, heads: int) -> Levels:
    return [x] if heads == 1 else [part.contiguous() for part in x.chunk(heads, dim)]


def _join(heads: list[Levels], level: int, dim: int) -> Tensor:
    parts = [levels[level] for levels in heads]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim)


def _between(heads: list[Levels]) -> Levels:
    return [level for levels in heads for level in levels[1:-1]]


def _groups(between: Sequence[Tensor], heads: Levels) -> list[Levels]:
    """Return the levels between of each head."""
    count = len(between) // len(heads)
    return [list(between[h * count : (h + 1) * count]) for h in range(len(heads))]


def step_matrices(rows: Rows) -> list[Float[Tensor, "heads parts two_m n"]]:
    """Return M of every axis."""
    pairs = []
    for R in rows[:-1]:
        re, im = R.chunk(2, dim=1)
        pairs.append(torch.stack((R, torch.cat((-im, re), dim=1)), dim=1))
    return [*pairs, rows[-1].unsqueeze(1)]


def _analyse_heads(x: Tensor, rows: Rows) -> list[Levels]:
    """Return the levels 0 to D of a field for every head."""
    groups, matrices = _split(x.unsqueeze(0), 2, len(rows[0])), step_matrices(rows)
    return [_analyse(group, [M[h] for M in matrices]) for h, group in enumerate(groups)]


def _synthesise_heads(X: Tensor, rows: Rows) -> list[Levels]:
    """Return the levels 0 to D of a spectrum for every head, D without its axis of length 1."""
    groups, matrices = _split(X, -1, len(rows[0])), step_matrices(rows)
    return [_synthesise(group, [M[h] for M in matrices]) for h, group in enumerate(groups)]


def _analyse(x: Tensor, matrices: Levels) -> Levels:
    levels = [x]
    for M in reversed(matrices):
        Z = levels[0]
        n = Z.shape[-1]
        X = matrix_product(M[0], Z[0].reshape(-1, n).mT)
        if len(M) == 2:
            X.addmm_(M[1], Z[1].reshape(-1, n).mT)
        levels.insert(0, X.view(2, -1, *Z.shape[1:-1]))
    return levels


def _synthesise(X: Tensor, matrices: Levels) -> Levels:
    levels = [X]
    for M in matrices:
        X = levels[-1]
        flat = X.view(M.shape[1], X.numel() // M.shape[1]).mT
        if len(M) == 2:
            levels.append(torch.bmm(flat.expand(2, -1, -1), M).view(2, *X.shape[2:], -1))
            continue
        x = X.new_empty(*X.shape[2:], M.shape[-1])  # no view, so that one may add to it in place
        torch.mm(flat, M[0], out=x.view(-1, x.shape[-1]))
        levels.append(x)
    return levels


def _outer_products(coefficients: list[Levels], fields: list[Levels]) -> Levels:
    """Return the gradient of the rows of every axis, from the levels of each head beside it."""
    return [
        torch.stack([_outer(X[d], Z[d]) for X, Z in zip(coefficients, fields, strict=True)])
        for d in range(len(fields[0]))
    ]


def _outer(X: Tensor, Z: Tensor) -> Tensor:
    """Return [Re; Im] of X Z^H, summed over all that is not in R."""
    flat = X.reshape(X.shape[0] * X.shape[1], -1)
    M = [matrix_product(flat, part.reshape(-1, part.shape[-1])) for part in Z]
    if len(M) == 1:
        return M[0]
    re, im = M[1].chunk(2)  # gradients of -Im R and Re R
    return M[0] + torch.cat((im, -re))
