"""The arithmetic of a spectral convolution: real matrix products over the kept frequencies."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from monarch_core.layers.kernel.derivatives import differentiable_product
from monarch_core.layers.kernel.operator import product
from monarch_core.layers.kernel.reference import Rows
from monarch_core.layers.precision import check_dtype, check_real, in_one_dtype


def spectral_product(
    x: Float[Tensor, "batch in_channels *grid"],
    W: Float[Tensor, "2 *modes in_channels out_channels"],
    bias: Float[Tensor, "out_channels *ones"] | None,
    down: Rows,
    up: Rows,
) -> Float[Tensor, "batch out_channels *out_grid"]:
    """Return the analysis of x, times W at every frequency, synthesised, plus bias.

    Each head serves its own group of channels. Two axes in float32 on the CPU go through the
    kernel, all else is products of torch, in all derivatives (`kernel.derivatives`) and under
    `torch.compile` too. An exported program has torch's products. Under autocast the products run
    in its dtype, and so does the result.

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
    # What is exported runs elsewhere: it has operators of torch alone.
    if torch.compiler.is_exporting() or torch.jit.is_tracing():
        return product(False, False, x, W, bias, *rows)[0]
    return differentiable_product(x, W, bias, *rows)


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
