"""The product of a Monarch matrix with a batch of rows, and its training step.

`formula` is the product in operations of torch, obvious and differentiable in any mode; `multiply`
returns the same by a forward and a backward pass that are written out and go through the batch in
pieces that stay in the cache.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from jaxtyping import Num
from torch import Tensor, nn
from torch.autograd import Function

from monarch_core.layers import rows
from monarch_core.layers.derivatives import (
    backward_needs_formula,
    formula_gradients,
    formula_is_needed,
)
from monarch_core.transforms.autocast import autocast_dtype

# Rows of a piece: few enough for the cache, enough for products at full speed.
PIECE_ROWS = 384
_PLAIN = (Tensor, nn.Parameter)
# Sums over many pieces round lower precisions away, and a GPU wants the whole batch.
_IN_PIECES = (torch.float32, torch.float64)


def formula(
    x: Num[Tensor, "rows n_in"],
    L: Num[Tensor, "N s h"],
    R: Num[Tensor, "N h a"],
    bias: Num[Tensor, " n_out"] | None,
    n_out: int,
) -> Num[Tensor, "rows n_out"]:
    """Return M x + bias for every row.

    M is the matrix of `monarch_multiply` (Dao et al. 2022, arXiv:2204.00595), of which only the
    first n_in <= N a columns and n_out <= N s rows are there:

        z[b, j] = sum_a R[b, j, a] x[a N + b]                 (1)
        z'[m, r] = z[b, j] where b h + j = r N + m            (2)
        y[i N + m] = sum_r L[m, i, r] z'[m, r]                (3)

    Args:
        x: vectors, in any unit.
        L: blocks of the factor applied last, dimensionless.
        R: blocks of the factor applied first, dimensionless.
        bias: in the unit of the product.
        n_out: length of the product.
    """
    N, s, _ = L.shape
    z = torch.bmm(rows.take_apart(x, N, R.shape[2]), R.mT)  # (1)
    y_mi = torch.bmm(rows.shuffle(z), L.mT)  # (2), (3)
    y = y_mi.permute(1, 2, 0).reshape(x.shape[0], s * N)[:, :n_out]
    return (y if bias is None else y + bias).contiguous()


def multiply(
    x: Num[Tensor, "rows n_in"],
    L: Num[Tensor, "N s h"],
    R: Num[Tensor, "N h a"],
    bias: Num[Tensor, " n_out"] | None,
    n_out: int,
) -> Num[Tensor, "rows n_out"]:
    """Return what `formula` returns, in less time where a real layer learns or is evaluated."""
    tensors = [x, L, R] if bias is None else [x, L, R, bias]
    if formula_is_needed(*tensors) or not _is_plain(tensors, n_out):
        return formula(x, L, R, bias, n_out)
    if torch.is_grad_enabled() and any(t.requires_grad for t in tensors):
        y: Tensor = _Product.apply(x, L, R, bias, n_out)
        return y
    return _product(x, L, R, bias, n_out, keep=False)[0]


def _is_plain(tensors: Sequence[Tensor], n_out: int) -> bool:
    """Return whether these are real numbers in memory, of one kind and of sizes that fit."""
    x, L, R, *bias = tensors
    dtype, device = x.dtype, x.device
    if dtype.is_complex or L.ndim != 3 or R.ndim != 3:
        return False
    for t in tensors:  # of a negative view memory holds what is to be negated
        plain = type(t) in _PLAIN and t.dtype is dtype and not t.is_neg()
        if not plain or t.device != device:
            return False
    (N, s, h), a = L.shape, R.shape[2]
    return (
        R.shape == (N, h, a)
        and N * (a - 1) < x.shape[1] <= N * a
        and N * (s - 1) < n_out <= N * s
        and (not bias or bias[0].shape == (n_out,))
    )


class _Product(Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, L: Tensor, R: Tensor, bias: Tensor | None, n_out: int
    ) -> Tensor:
        y, kept = _product(x, L, R, bias, n_out, keep=ctx.needs_input_grad[1])
        ctx.save_for_backward(x, L, R, bias, *kept)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, L, R, bias, *kept = ctx.saved_tensors
        needed = ctx.needs_input_grad[:4]
        if backward_needs_formula(grad, x, L, R, bias):
            plain = partial(formula, n_out=grad.shape[1])
            return *formula_gradients(plain, (x, L, R, bias), needed, grad), None
        if autocast_dtype(grad.device.type) is None:
            return *_gradients(grad.resolve_neg(), x, L, R, kept, needed), None
        with torch.autocast(grad.device.type, enabled=False):
            return *_gradients(grad.resolve_neg(), x, L, R, kept, needed), None


def _product(
    x: Tensor, L: Tensor, R: Tensor, bias: Tensor | None, n_out: int, *, keep: bool
) -> tuple[Tensor, list[Tensor]]:
    """Return `formula`, and to `keep` them z' of every piece."""
    (N, _, _), (_, _, a) = L.shape, R.shape
    y, kept = x.new_empty(len(x), n_out), []
    for x_i, y_i in zip(_pieces(x), _pieces(y), strict=True):
        z = rows.shuffle(torch.bmm(rows.take_apart(x_i, N, a), R.mT))
        rows.put_together(torch.bmm(z, L.mT), bias, y_i)
        if keep:
            kept.append(z)
    return y, kept


def _gradients(
    grad: Tensor,
    x: Tensor,
    L: Tensor,
    R: Tensor,
    kept: Sequence[Tensor],
    needed: Sequence[bool],
) -> list[Tensor | None]:
    """Return those gradients of x, L, R and the bias that are `needed`."""
    needs_x, needs_L, needs_R, needs_bias = needed
    (N, s, _), (_, _, a) = L.shape, R.shape
    grad_bias = grad.sum(0) if needs_bias else None
    if not (needs_x or needs_L or needs_R):
        return [None, None, None, grad_bias]
    grad_L = grad_R = grad_x = None
    if needs_x:
        grad_x = torch.empty_like(x, memory_format=torch.contiguous_format)
    slots = _pieces(x if grad_x is None else grad_x)
    for i, (g_i, x_i, slot) in enumerate(zip(_pieces(grad), _pieces(x), slots, strict=True)):
        g_mi = rows.take_apart(g_i, N, s)
        if needs_L:
            grad_L = _add_product(grad_L, g_mi, kept[i])
        if not (needs_x or needs_R):
            continue
        g_bj = rows.shuffle_back(torch.bmm(g_mi, L))
        if needs_R:
            grad_R = _add_product(grad_R, g_bj, rows.take_apart(x_i, N, a))
        if needs_x:
            rows.put_together(torch.bmm(g_bj, R), None, slot)
    return [grad_x, grad_L, grad_R, grad_bias]


def _add_product(total: Tensor | None, a: Tensor, b: Tensor) -> Tensor:
    """Return total + a^T b for every block, in the memory of total."""
    if total is not None:
        return total.baddbmm_(a.mT, b)
    return a.mT * b if a.shape[1] == 1 else torch.bmm(a.mT, b)


def _pieces(x: Tensor) -> tuple[Tensor, ...]:
    if len(x) <= PIECE_ROWS or x.dtype not in _IN_PIECES or x.device.type != "cpu":
        return (x,)
    return x.split(PIECE_ROWS)
