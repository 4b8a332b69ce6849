"""The arithmetic of a spectral convolution: real matrix products over the kept frequencies."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from monarch_core.layers import axis_products, fused


def spectral_product(
    x: Float[Tensor, "batch in_channels *grid"],
    W: Float[Tensor, "2 *modes in_channels out_channels"],
    bias: Float[Tensor, "out_channels *ones"] | None,
    down: axis_products.Rows,
    up: axis_products.Rows,
) -> Float[Tensor, "batch out_channels *out_grid"]:
    """Return the analysis of x, times W at every frequency, synthesised, plus bias.

    Each head serves its own group of channels. The backward pass is written out, and differentiates
    once. Two axes in float32 on the CPU are done in one pass (`fused`), all else as products of
    torch (`axis_products`). Under autocast the products run in its dtype, and so does the result.

    Args:
        x: real fields.
        W: complex weight of every frequency, (real, imaginary) first.
        bias: one number per channel, with an axis of length 1 for every axis of the grid.
        down: A of every grid axis, as [Re A; Im A], for the analysis.
        up: B^H of every grid axis, as [Re B^H; Im B^H], for the synthesis.

    Raises:
        ValueError: if the heads do not divide the channels, or shapes do not fit each other.
    """
    check_shapes(x, W, bias, down, up)
    tensors = [x, W, bias, *down, *up]
    device = x.device.type
    if not torch.is_autocast_enabled(device):
        return _SpectralProduct.apply(fused.available(*tensors), *tensors)
    dtype = torch.get_autocast_dtype(device)
    with torch.autocast(device, enabled=False):
        return _SpectralProduct.apply(False, *(t if t is None else t.to(dtype) for t in tensors))


def check_shapes(
    x: Tensor, W: Tensor, bias: Tensor | None, down: Sequence[Tensor], up: Sequence[Tensor]
) -> None:
    """Raise ValueError where the arguments of `spectral_product` do not fit each other."""
    for channels, rows in ((W.shape[-2], down), (W.shape[-1], up)):
        if channels % len(rows[0]):
            raise ValueError(
                "heads must divide the number of channels, got "
                f"heads={len(rows[0])} and {channels} channels; change one of them"
            )
    if x.shape[1] != W.shape[-2] or x.dim() != len(down) + 2:
        raise ValueError(
            f"x must be (batch, {W.shape[-2]} channels, {len(down)} axes), got {tuple(x.shape)}"
        )
    if bias is not None and bias.numel() != W.shape[-1]:
        raise ValueError(f"bias must have {W.shape[-1]} numbers, got {tuple(bias.shape)}")
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
        ctx.in_one_pass, ctx.split = in_one_pass, 2 * order + len(fields)
        ctx.save_for_backward(x, W, X, Y, *rows, *fields, *coefficients)
        # No view in the eyes of autograd, so that what follows may add to y in place.
        return torch.ops.aten._unsafe_view(y, y.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        transform = fused if ctx.in_one_pass else axis_products
        order = grad.dim() - 2
        x, W, X, Y, *rest = ctx.saved_tensors
        down, up = rest[:order], rest[order : 2 * order]
        _, needs_x, needs_W, needs_bias, *needs_rows = ctx.needs_input_grad
        learned = any(needs_rows)
        fields = rest[2 * order : ctx.split] if learned else None
        coefficients = rest[ctx.split :] if learned else None

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
