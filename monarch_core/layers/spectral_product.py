"""The arithmetic of a spectral convolution: real matrix products over the kept frequencies."""

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import Function

from monarch_core.layers.derivatives import (
    backward_needs_formula,
    formula_gradients,
    formula_is_needed,
)
from monarch_core.layers.kernel import axis_products, fused
from monarch_core.layers.precision import check_dtype, check_real, in_one_dtype


def spectral_product(
    x: Float[Tensor, "batch in_channels *grid"],
    W: Float[Tensor, "2 *modes in_channels out_channels"],
    bias: Float[Tensor, "out_channels *ones"] | None,
    down: axis_products.Rows,
    up: axis_products.Rows,
) -> Float[Tensor, "batch out_channels *out_grid"]:
    """Return the analysis of x, times W at every frequency, synthesised, plus bias.

    Each head serves its own group of channels. A training step has a backward pass that is written
    out: two axes in float32 on the CPU in one pass (`fused`), all else as products of torch
    (`axis_products`). Further derivatives, forward mode, transforms of `torch.func` and compilers
    see `formula`. Under autocast the products run in its dtype, and so does the result.

    Args:
        x: real fields.
        W: complex weight of every frequency, (real, imaginary) first.
        bias: one number per channel, with an axis of length 1 for every axis of the grid.
        down: A of every grid axis, as [Re A; Im A], for the analysis.
        up: B^H of every grid axis, as [Re B^H; Im B^H], for the synthesis.

    Raises:
        ValueError: if the heads do not divide the channels, or shapes or dtypes do not fit each
            other.
    """
    check_shapes(x, W, bias, down, up)
    check_real(x, W=W, bias=bias, down=down, up=up)
    check_dtype(x, W=W, bias=bias, down=down, up=up)
    return in_one_dtype(_product, x, W, bias, *down, *up)


def _product(x: Tensor, W: Tensor, bias: Tensor | None, *rows: Tensor) -> Tensor:
    if formula_is_needed(x, W, bias, *rows) or not len(x):  # an empty batch has gradients too
        return formula(x, W, bias, *rows)
    in_one_pass = fused.available(x, W, bias, *rows)
    return _SpectralProduct.apply(in_one_pass, x, W, bias, *rows)


def formula(x: Tensor, W: Tensor, bias: Tensor | None, *rows: Tensor) -> Tensor:
    """Return what `spectral_product` does, in operations that torch differentiates.

    The axes of a field are (parts, modes * batch, heads, channels * grid left, this axis of the
    grid), those of a spectrum (parts, this axis of the modes, ...) in the same order.
    """
    order = len(rows) // 2
    batch, _, *grid = x.shape
    _, *modes, channels, out_channels = W.shape
    down, up = (axis_products.step_matrices(part) for part in (rows[:order], rows[order:]))
    out_grid = [M.shape[-1] for M in up]
    X = x
    for d in reversed(range(order)):
        M = down[d].unflatten(2, (2, modes[d]))
        heads, parts, *_, n = M.shape
        left = (batch * prod(modes[d + 1 :]), heads, channels // heads * prod(grid[:d]))
        X = torch.einsum("hprmn,pahgn->rmahg", M, X.reshape(parts, *left, n))
    re, im = X.reshape(2, *modes, batch, channels)
    Y = torch.stack((re @ W[0] - im @ W[1], re @ W[1] + im @ W[0]))
    for d in range(order):
        M = up[d].unflatten(2, (2, modes[d]))
        heads = len(M)
        left = (batch * prod(modes[d + 1 :]), heads, out_channels // heads * prod(out_grid[:d]))
        Y = torch.einsum("hprmn,rmahg->pahgn", M, Y.reshape(2, modes[d], *left))
    y = Y.reshape(batch, out_channels, *out_grid)
    return y if bias is None else y + bias


def check_shapes(
    x: Tensor, W: Tensor, bias: Tensor | None, down: Sequence[Tensor], up: Sequence[Tensor]
) -> None:
    """Raise ValueError where the arguments of `spectral_product` do not fit each other."""
    order = W.dim() - 3
    for name, rows in (("down", down), ("up", up)):
        if len(rows) != order:
            raise ValueError(
                f"{name} must have one matrix for each of the {order} axes of the modes of W, got "
                f"{len(rows)}; W is {tuple(W.shape)}"
            )
    for channels, rows in ((W.shape[-2], down), (W.shape[-1], up)):
        if channels % len(rows[0]):
            raise ValueError(
                "heads must divide the number of channels, got "
                f"heads={len(rows[0])} and {channels} channels; change one of them"
            )
    if x.dim() != order + 2 or x.shape[1] != W.shape[-2]:
        raise ValueError(
            f"x must be (batch, {W.shape[-2]} channels, {order} axes), got {tuple(x.shape)}; "
            "reshape x, or build the layer with other in_channels and n_modes"
        )
    ones = (W.shape[-1], *[1] * order)
    if bias is not None and bias.shape != ones:
        raise ValueError(
            f"bias must have the shape {ones}, one number per channel, got {tuple(bias.shape)}; "
            f"use bias.view{ones}"
        )
    modes, out_grid = W.shape[1:-2], [R.shape[-1] for R in up]
    shapes = {
        name: (rows, [(len(rows[0]), 2 * m, n) for m, n in zip(modes, grid, strict=True)])
        for name, rows, grid in (("down", down, x.shape[2:]), ("up", up, out_grid))
    }
    for name, (rows, wanted) in shapes.items():
        if [tuple(R.shape) for R in rows] != wanted:
            raise ValueError(
                f"{name} must have the shapes {wanted} (heads, 2 m, n), got "
                f"{[tuple(R.shape) for R in rows]}"
            )


class _SpectralProduct(Function):
    @staticmethod
    def forward(
        ctx: Any, in_one_pass: bool, x: Tensor, W: Tensor, bias: Tensor | None, *rows: Tensor
    ) -> Tensor:
        transform = fused if in_one_pass else axis_products
        order = len(rows) // 2
        # The levels between spectrum and field serve the gradient of the rows only.
        keep = any(ctx.needs_input_grad[4:])
        X, fields = transform.analyse(x, rows[:order], keep)
        Y = transform.mix(X, W)
        y, coefficients = transform.synthesise(Y, rows[order:], bias, keep)
        ctx.in_one_pass, ctx.n_fields = in_one_pass, len(fields)
        ctx.save_for_backward(x, W, bias, *rows, X, Y, *fields, *coefficients)
        # No view in the eyes of autograd, so that what follows may add to y in place.
        return torch.ops.aten._unsafe_view(y, y.shape)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        order = grad.dim() - 2
        saved, needed = ctx.saved_tensors, ctx.needs_input_grad[1:]
        tensors = saved[: len(needed)]
        if backward_needs_formula(grad, *tensors):
            return None, *formula_gradients(formula, tensors, needed, grad)
        transform = fused if ctx.in_one_pass else axis_products
        x, W, _, *rows = tensors
        down, up = rows[:order], rows[order:]
        X, Y, *between = saved[len(needed) :]
        needs_x, needs_W, needs_bias, *needs_rows = needed
        learned = any(needs_rows)
        fields = between[: ctx.n_fields] if learned else None
        coefficients = between[ctx.n_fields :] if learned else None

        grad_Y, grad_bias, grad_up = transform.synthesise_backward(
            grad, up, Y, coefficients, needs_bias
        )
        grad_W = transform.mix(X, grad_Y, adjoint="first") if needs_W else None
        grad_x, grad_down = None, []
        if needs_x or learned:
            grad_X = transform.mix(grad_Y, W, adjoint="second")
            grad_x, grad_down = transform.analyse_backward(grad_X, down, x, fields)
        if grad_bias is not None:
            grad_bias = grad_bias.unflatten(0, (-1, *[1] * order))
        grad_rows = [*grad_down, *grad_up] if learned else [None] * len(needs_rows)
        return None, grad_x, grad_W, grad_bias, *grad_rows
