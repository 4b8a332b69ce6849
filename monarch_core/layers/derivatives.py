"""Where torch must see a formula, and where a backward pass that is written out may stand for it.

A layer has a fast function with a backward pass of its own, which gives first derivatives and reads
memory, and a formula in operations of torch, which torch differentiates as often and in whatever
mode it likes. The fast one serves the plain training step and inference, the formula all else.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.autograd.forward_ad import unpack_dual


def formula_is_needed(*tensors: Tensor | None) -> bool:
    """Return whether a compiler, a transform, a mode of torch or forward mode has to see inside."""
    return operations_are_watched() or are_transformed(*tensors)


def operations_are_watched() -> bool:
    """Return whether a compiler, a transform or a mode of torch is at work, for all tensors."""
    return (
        torch.compiler.is_compiling()
        or torch.jit.is_tracing()
        or torch._C._len_torch_dispatch_stack() > 0  # make_fx, counters of operations
        or torch._C._are_functorch_transforms_active()
    )


def backward_needs_formula(grad: Tensor, *tensors: Tensor | None) -> bool:
    """Return whether the gradients of a backward pass will be differentiated themselves."""
    return torch.is_grad_enabled() or are_transformed(grad, *tensors)


def are_transformed(*tensors: Tensor | None) -> bool:
    """Return whether a transform of `torch.func` or forward mode is at work."""
    if torch._C._are_functorch_transforms_active():
        return True
    given = [t for t in tensors if t is not None]
    if any(map(torch._C._functorch.is_legacy_batchedtensor, given)):
        return True
    in_forward_mode = forward_ad._current_level >= 0  # else nothing has a tangent
    return in_forward_mode and any(unpack_dual(t).tangent is not None for t in given)


def formula_gradients(
    formula: Callable[..., Tensor],
    tensors: Sequence[Tensor | None],
    needed: Sequence[bool],
    grad: Tensor,
) -> list[Tensor | None]:
    """Return the gradients of formula(*tensors) from that of its value, in a backward pass.

    They can be differentiated again if this pass is (`create_graph`).

    Args:
        formula: of operations of torch.
        tensors: its arguments.
        needed: whether the gradient of each is; the others are None.
        grad: gradient of the value.
    """
    create_graph = torch.is_grad_enabled()
    wanted = [t for t, need in zip(tensors, needed, strict=True) if need and t is not None]

    def of_wanted(*values: Tensor) -> Tensor:
        given = iter(values)
        return formula(*(next(given) if n else t for t, n in zip(tensors, needed, strict=True)))

    with torch.enable_grad():
        # A node of its own for every argument: one may have been computed from another.
        arguments = [t.view_as(t) for t in wanted]
        if all(t.requires_grad for t in arguments):
            value = of_wanted(*arguments)
            found = torch.autograd.grad(value, arguments, grad, create_graph=create_graph)
        else:  # this pass belongs to a `torch.func.vjp` that has returned
            found = torch.func.vjp(of_wanted, *wanted)[1](grad)
    left = iter(found)
    return [next(left) if need else None for need in needed]
