"""The arithmetic of a spectral convolution: real matrix products over the kept frequencies."""

from collections.abc import Callable, Sequence
from functools import reduce
from math import prod
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import Function

from monarch_core.layers.derivatives import (
    are_transformed,
    backward_needs_formula,
    formula_gradients,
    formula_is_needed,
)
from monarch_core.layers.kernel import reference
from monarch_core.layers.kernel.operator import available, is_plain
from monarch_core.layers.precision import check_dtype, check_real, in_one_dtype


def spectral_product(
    x: Float[Tensor, "batch in_channels *grid"],
    W: Float[Tensor, "2 *modes in_channels out_channels"],
    bias: Float[Tensor, "out_channels *ones"] | None,
    down: reference.Rows,
    up: reference.Rows,
) -> Float[Tensor, "batch out_channels *out_grid"]:
    """Return the analysis of x, times W at every frequency, synthesised, plus bias.

    Each head serves its own group of channels. One or two axes in float32 on the CPU are operators
    of our own (`kernel.operator`), under compilers and the transforms of `torch.func` too; all else
    is products of torch (`kernel.reference`), with a backward pass that is written out. Further
    derivatives, forward mode, exported programs, which run elsewhere, and what the operator does
    not take there see `formula`. Under autocast the products run in its dtype, and so does the
    result.

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
    return checked_product(x, W, bias, *down, *up)


def checked_product(x: Tensor, W: Tensor, bias: Tensor | None, *rows: Tensor) -> Tensor:
    """Return `spectral_product` of arguments that fit each other."""
    return in_one_dtype(_product, x, W, bias, *rows)


def _product(x: Tensor, W: Tensor, bias: Tensor | None, *rows: Tensor) -> Tensor:
    if not _is_exported() and available(x, W, bias, *rows):
        return _by_kernel(x, W, bias, *rows)
    if formula_is_needed(x, W, bias, *rows) or not len(x):  # an empty batch has gradients too
        return formula(x, W, bias, *rows)
    return _differentiable(False, x, W, bias, *rows)


@torch.compiler.assume_constant_result  # the compiler of torch 2.11 takes is_exporting for true
def _is_exported() -> bool:
    return torch.compiler.is_exporting() or torch.jit.is_tracing()


@torch.compiler.allow_in_graph  # as one operation with derivatives, which are traced later
def _by_kernel(x: Tensor, W: Tensor, bias: Tensor | None, *rows: Tensor) -> Tensor:
    return _differentiable(True, x, W, bias, *rows)


def _differentiable(
    in_one_pass: bool, x: Tensor, W: Tensor, bias: Tensor | None, *rows: Tensor
) -> Tensor:
    transformed = in_one_pass and are_transformed(x, W, bias, *rows)
    if torch.is_grad_enabled() or transformed:
        keep = torch.is_grad_enabled() and any(R.requires_grad for R in rows)
        traced = torch.compiler.is_compiling() or not is_plain(x)
        by = _SpectralProduct if transformed or traced else _WithGradients
        return by.apply(in_one_pass, keep, x, W, bias, *rows)[0]
    product, _ = _functions(in_one_pass)
    return product(x, W, bias, *rows, keep=False)[0]


def formula(x: Tensor, W: Tensor, bias: Tensor | None, *rows: Tensor) -> Tensor:
    """Return what `spectral_product` does, in operations that torch differentiates.

    The axes of a field are (parts, modes * batch, heads, channels * grid left, this axis of the
    grid), those of a spectrum (parts, this axis of the modes, ...) in the same order.
    """
    order = len(rows) // 2
    batch, _, *grid = x.shape
    _, *modes, channels, out_channels = W.shape
    down, up = (reference.step_matrices(part) for part in (rows[:order], rows[order:]))
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


def _functions(in_one_pass: bool) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return what computes the product, and its gradients."""
    if in_one_pass:
        return _by_operator, torch.ops.monarch.spectral_product_backward
    return reference.product, reference.gradients


def _by_operator(
    x: Tensor, W: Tensor, bias: Tensor | None, *rows: Tensor, keep: bool
) -> tuple[Tensor, ...]:
    monarch = torch.ops.monarch
    operator = monarch.spectral_product if len(rows) == 4 else monarch.spectral_product_1d
    found: tuple[Tensor, ...] = operator(x, W, bias, *rows, keep=keep)
    return found


class _SpectralProduct(Function):
    @staticmethod
    def forward(*inputs: Any) -> tuple[Tensor, ...]:  # torch binds long signatures slowly
        in_one_pass, keep, *tensors = inputs
        product, _ = _functions(in_one_pass)
        return tuple(product(*tensors, keep=keep))

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: tuple[Tensor, ...]) -> None:
        ctx.in_one_pass, ctx.keep, *tensors = inputs
        _, *kept = output
        ctx.n_kept = len(kept)
        ctx.mark_non_differentiable(*kept)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors, *kept)
        ctx.save_for_forward(*tensors)

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None, *_: None) -> tuple[Tensor | None, ...]:
        needed, saved = ctx.needs_input_grad[2:], ctx.saved_tensors
        tensors, kept = saved[: len(needed)], saved[len(needed) :]
        if grad is None:
            return None, None, *[None] * len(needed)
        x, W, _, *rows = tensors
        needs_x, needs_W, needs_bias, *needs_rows = needed
        learned = any(needs_rows)
        if backward_needs_formula(grad, *tensors):
            if not ctx.in_one_pass or needs_W or needs_bias or learned:
                return None, None, *formula_gradients(formula, tensors, needed, grad)
            # The adjoint of a spectral product is the one with W^H, back from `up` to `down`.
            adjoint = torch.stack((W[0], -W[1])).mT
            order = len(rows) // 2
            grad_x = _by_kernel(grad, adjoint, None, *rows[order:], *rows[:order])
            return None, None, grad_x, *[None] * (len(needed) - 1)
        product, gradients = _functions(ctx.in_one_pass)
        if learned and not ctx.keep:  # nested transforms of torch.func hide what learns outside
            _, *kept = product(x, W, None, *rows, keep=True)
        which = (needs_x or learned, needs_W, needs_bias, learned)
        found = iter(gradients(grad, x, W, rows, kept, which))
        each = (*which[:3], *[learned] * len(rows))
        return None, None, *(next(found) if need else None for need in each)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> tuple[Tensor | None, ...]:
        x, W, _, *rows = ctx.saved_tensors
        x_change, W_change, bias_change, *row_changes = tangents[2:]
        factors, terms = (x, W, *rows), []  # y is linear in each factor
        for i, change in enumerate((x_change, W_change, *row_changes)):
            if change is not None:
                moved = [*factors[:i], change, *factors[i + 1 :]]
                terms.append(_by_kernel(*moved[:2], None, *moved[2:]))
        if bias_change is not None:
            out_grid = (R.shape[-1] for R in rows[len(rows) // 2 :])
            terms.append(bias_change.expand(x.shape[0], -1, *out_grid))
        return reduce(torch.add, terms), *[None] * ctx.n_kept

    @staticmethod
    def vmap(info: Any, in_dims: Any, in_one_pass: bool, keep: bool, *tensors: Any) -> Any:
        dims = in_dims[2:]
        x, *others = tensors
        if any(dim is not None for dim in dims[1:]):
            return (torch.vmap(formula, dims)(*tensors),), (0,)
        samples = x.movedim(dims[0], 0)  # only more of them
        compute = _by_kernel if samples.numel() else formula
        y = compute(samples.flatten(0, 1), *others)
        return (y.unflatten(0, samples.shape[:2]),), (0,)


class _WithGradients(Function):
    """`_SpectralProduct` in the older form, in which torch calls it sooner, without its modes."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> tuple[Tensor, ...]:
        output = _SpectralProduct.forward(*inputs)
        _SpectralProduct.setup_context(ctx, inputs, output)
        return output

    backward = _SpectralProduct.backward
