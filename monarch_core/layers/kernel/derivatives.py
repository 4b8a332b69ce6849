"""The derivatives of a spectral product, of any order and in any mode: spectral products again.

The product F is linear in each of its factors: the fields x, the weight W, and the rows of every
axis. With t_i in the place of the factor i, F(t_i), and B the gradients of <g, F>,

    along t          sum_i F(t_i)                                                     (1)
    gradients        B_j = d <g, F> / d j                                             (2)
    B_j along t      sum_(i != j) B_j(t_i), plus B_j with the change of g             (3)
    gradients of     sum_j <v_j, B_j>:  for g by (1), for a factor by (3), along v    (4)

so that the two functions here, with (1) to (4) as their rules, are differentiated as often as one
likes. The bias is added: it has a part in (1) only.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from monarch_core.layers.kernel.operator import Needed, available, gradients, product

Tensors = Sequence[Tensor | None]
BIAS = 2  # its place among x, W, bias, *rows


def differentiable_product(x: Tensor, W: Tensor, bias: Tensor | None, *rows: Tensor) -> Tensor:
    """Return the spectral product, by the kernel where it takes these tensors.

    Args:
        x: fields.
        W: weight of every frequency.
        bias: one number per channel.
        rows: of every axis for the analysis, then those for the synthesis.
    """
    if torch.compiler.is_compiling():  # one operator, taken apart when its derivatives are wanted
        return torch.ops.monarch.differentiable_product(x, W, bias, rows)
    return _choose(x, W, bias, rows)


def _choose(x: Tensor, W: Tensor, bias: Tensor | None, rows: Sequence[Tensor]) -> Tensor:
    return _apply(available(x, W, bias, *rows), x, W, bias, *rows)


_OPERATORS = torch.library.Library("monarch", "FRAGMENT")
_OPERATORS.define(
    "differentiable_product(Tensor x, Tensor W, Tensor? bias, Tensor[] rows) -> Tensor",
    tags=torch.Tag.pt2_compliant_tag,
)
_OPERATORS.impl("differentiable_product", _choose, "CompositeImplicitAutograd")


def _apply(in_one_pass: bool, x: Tensor, W: Tensor, bias: Tensor | None, *rows: Tensor) -> Tensor:
    # Only a guess where transforms of torch.func are nested: what is missing is computed again.
    keep = torch.is_grad_enabled() and any(R.requires_grad for R in rows)
    return _Product.apply(in_one_pass, keep, x, W, bias, *rows)[0]


class _Product(Function):
    """F: (in one pass, keep, x, W, bias, *rows) -> y and what B takes."""

    @staticmethod
    def forward(*inputs: Any) -> tuple[Tensor, ...]:
        return product(*inputs)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.in_one_pass, _, *tensors = inputs
        ctx.n_kept = len(output) - 1
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*output[1:])
        ctx.save_for_backward(*tensors, *output[1:])
        ctx.save_for_forward(*tensors)

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None, *_: None) -> tuple[Tensor | None, ...]:
        needed, saved = ctx.needs_input_grad[2:], ctx.saved_tensors
        if grad is None:
            return (None,) * (2 + len(needed))
        tensors, kept = saved[: len(needed)], saved[len(needed) :]
        return None, None, *_differentiate(ctx.in_one_pass, needed, grad, tensors, kept)

    @staticmethod
    def jvp(ctx: Any, *changes: Any) -> tuple[Tensor | None, ...]:
        y_change = _along(ctx.in_one_pass, ctx.saved_tensors, changes[2:])
        return y_change, *[None] * ctx.n_kept

    @staticmethod
    def vmap(info: Any, in_dims: Any, in_one_pass: bool, keep: bool, *tensors: Any) -> Any:
        x, *others = tensors
        if not any(dim is not None for dim in in_dims[3:]):  # more samples
            x = x.movedim(in_dims[2], 0)
            y = _apply(in_one_pass, x.flatten(0, 1), *others)
            return (y.unflatten(0, x.shape[:2]),), (0,)
        members = _members(info.batch_size, in_dims[2:], tensors)
        return (torch.stack([_apply(in_one_pass, *member) for member in members]),), (0,)


class _Gradients(Function):
    """B: (in one pass, needed, grad, x, W, *rows and what F keeps) -> the needed gradients."""

    @staticmethod
    def forward(*inputs: Any) -> tuple[Tensor, ...]:
        return gradients(*inputs)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.in_one_pass, ctx.needed, grad, x, *others = inputs
        ctx.n_inputs = len(inputs)
        tensors = (grad, x, *others[: 2 * x.dim() - 3])
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors)
        ctx.save_for_forward(*tensors)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        grad, x, W, *rows = ctx.saved_tensors
        tensors, changes = (x, W, None, *rows), _placed(ctx.needed, grads, len(rows))
        needs_grad, needs_x, needs_W, *needs_rows = ctx.needs_input_grad[2 : 5 + len(rows)]
        grad_change = _along(ctx.in_one_pass, tensors, changes) if needs_grad else None
        needed = (needs_x, needs_W, False, *needs_rows)
        found = _second(ctx.in_one_pass, needed, grad, tensors, changes)
        found = [None, None, grad_change, *found[:BIAS], *found[BIAS + 1 :]]
        return *found, *[None] * (ctx.n_inputs - len(found))

    @staticmethod
    def jvp(ctx: Any, *changes: Any) -> tuple[Tensor | None, ...]:
        grad, x, W, *rows = ctx.saved_tensors
        tensors = (x, W, None, *rows)
        grad_change, x_change, W_change, *others = changes[2:]
        needed = ctx.needed.each(len(rows))
        along = (x_change, W_change, None, *others[: len(rows)])
        total = _second(ctx.in_one_pass, needed, grad, tensors, along)
        if grad_change is not None:
            total = _sums(total, _differentiate(ctx.in_one_pass, needed, grad_change, tensors, ()))
        bias = W.new_zeros(W.shape[-1], *[1] * (x.dim() - 2))
        shapes = zip(total, (x, W, bias, *rows), needed, strict=True)
        return tuple(torch.zeros_like(like) if t is None else t for t, like, need in shapes if need)

    @staticmethod
    def vmap(info: Any, in_dims: Any, in_one_pass: bool, needed: Needed, *tensors: Any) -> Any:
        count = 2 * (tensors[1].dim() - (in_dims[3] is not None)) - 1  # grad, x, W, rows
        tensors, dims = tensors[:count], in_dims[2 : 2 + count]
        grad, x, *others = tensors
        if needed == (True, False, False, False) and not any(d is not None for d in dims[2:]):
            grad, x = (
                t.expand(info.batch_size, *t.shape) if dim is None else t.movedim(dim, 0)
                for t, dim in zip((grad, x), dims[:2], strict=True)
            )
            samples = (grad.flatten(0, 1), x.flatten(0, 1))
            [found] = _Gradients.apply(in_one_pass, needed, *samples, *others)
            return (found.unflatten(0, x.shape[:2]),), (0,)
        members = _members(info.batch_size, dims, tensors)
        found = zip(
            *(_Gradients.apply(in_one_pass, needed, *member) for member in members), strict=True
        )
        stacked = tuple(torch.stack(each) for each in found)
        return stacked, (0,) * len(stacked)


def _differentiate(
    in_one_pass: bool, needed: Sequence[bool], grad: Tensor, tensors: Tensors, kept: Tensors
) -> Tensors:
    """Return B for each of (x, W, bias, *rows), None where it is not needed."""
    x, W, _, *rows = tensors
    wanted = Needed(*needed[:3], any(needed[3:]))
    found = _Gradients.apply(in_one_pass, wanted, grad, x, W, *rows, *kept)
    each = _placed(wanted, found, len(rows))
    return [g if need else None for g, need in zip(each, needed, strict=True)]


def _placed(needed: Needed, grads: Tensors, n_rows: int) -> Tensors:
    """Return what B returned, at the place of each of (x, W, bias, *rows)."""
    found = iter(grads)
    return [next(found) if need else None for need in needed.each(n_rows)]


def _along(in_one_pass: bool, tensors: Tensors, changes: Tensors) -> Tensor | None:
    """Return the change of y with those of (x, W, bias, *rows), by (1)."""
    x, W, _, *rows = tensors
    total: Tensors = [None]
    for i, change in enumerate(changes):
        if change is None:
            continue
        if i == BIAS:
            shape = (len(x), W.shape[-1], *(R.shape[-1] for R in rows[len(rows) // 2 :]))
            total = _sums(total, [change.expand(shape)])
        else:
            moved = [*tensors[:i], change, *tensors[i + 1 :]]
            moved[BIAS] = None
            total = _sums(total, [_apply(in_one_pass, *moved)])
    return total[0]


def _second(
    in_one_pass: bool, needed: Sequence[bool], grad: Tensor, tensors: Tensors, changes: Tensors
) -> Tensors:
    """Return the changes of B with those of (x, W, bias, *rows), by (3)."""
    total: Tensors = [None] * len(tensors)
    for i, change in enumerate(changes):
        wanted = [need and j not in (i, BIAS) for j, need in enumerate(needed)]
        if change is not None and i != BIAS and any(wanted):
            moved = (*tensors[:i], change, *tensors[i + 1 :])
            total = _sums(total, _differentiate(in_one_pass, wanted, grad, moved, ()))
    return total


def _sums(some: Tensors, others: Tensors) -> Tensors:
    return [b if a is None else a if b is None else a + b for a, b in zip(some, others, strict=True)]


def _members(count: int, dims: Sequence[int | None], tensors: Tensors) -> list[list[Any]]:
    """Return the tensors of each entry of the axes `dims`, those without one as they are."""
    return [
        [t if dim is None else t.select(dim, i) for t, dim in zip(tensors, dims, strict=True)]
        for i in range(count)
    ]
