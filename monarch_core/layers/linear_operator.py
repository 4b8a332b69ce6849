"""The product of a Monarch matrix with rows, and its gradients, by an operator of torch in C++.

    torch.ops.monarch.linear              M x + bias, or None where the kernel does not take them
    torch.ops.monarch.linear_gradients    the gradients by the formula, to be differentiated again

It is one call from Python, and none on the way back, of what the kernel does in one pass each way
(`kernel/monarch_linear.h`): of few rows what is around the products takes longer than they do. The
operator is compiled against the headers of torch (`kernel/linear_operator.cpp`) when it is first
needed.
"""

import ctypes
import os
import threading
from functools import cache
from typing import Any

import torch
from jaxtyping import Num
from torch import Tensor, nn

from monarch_core.layers.derivatives import formula_gradients, operations_are_watched
from monarch_core.layers.kernel.build import kernel_library, operator_library
from monarch_core.layers.kernel.operator import is_on
from monarch_core.layers.monarch_product import formula
from monarch_core.transforms.autocast import autocast_dtype

_PLAIN = {Tensor, nn.Parameter, type(None)}  # subclasses may know the operators of torch only
_loading = threading.RLock()
if hasattr(os, "register_at_fork"):  # another thread's lock would never be released in a child
    os.register_at_fork(
        before=_loading.acquire,
        after_in_parent=_loading.release,
        after_in_child=_loading.release,
    )

torch.library.define(
    "monarch::linear",
    "(Tensor x, Tensor L, Tensor R, Tensor? bias, int n_in, int n_out) -> Tensor?",
)
torch.library.define(
    "monarch::linear_gradients",
    "(Tensor grad, Tensor? x, Tensor L, Tensor R, int n_in, bool[4] needed) -> Tensor[]",
)


def product(
    x: Num[Tensor, "*batch n_in"],
    L: Num[Tensor, "N s h"],
    R: Num[Tensor, "N h a"],
    bias: Num[Tensor, " n_out"] | None,
    n_in: int,
    n_out: int,
) -> Num[Tensor, "*batch n_out"] | None:
    """Return M x + bias as `monarch_product.formula`, contiguous; None for the caller to do it.

    None is returned where a compiler or a mode of torch has to see operations, without the kernel,
    under autocast, and for all but rows of float32 numbers of torch itself in the memory of the
    CPU, of shapes that fit.
    """
    if x.dtype is not torch.float32 or not x.is_cpu or operations_are_watched() or not is_on():
        return None
    if autocast_dtype("cpu") is not None or not {type(x), type(L), type(R), type(bias)} <= _PLAIN:
        return None
    operator = _operator(kernel_library())
    return None if operator is None else operator(x, L, R, bias, n_in, n_out)


@cache
def _operator(kernel: Any) -> Any:
    """Return the operator, using this kernel, or None where it cannot be compiled."""
    with _loading:
        library = operator_library()
        if library is None:
            return None
        functions = (kernel.multiply_rows, kernel.gradients_of_rows)
        library.use_kernel(*(ctypes.cast(function, ctypes.c_void_p) for function in functions))
    return torch.ops.monarch.linear.default


# Batched: for `is_grads_batched`, and `vmap` over a backward pass.
@torch.library.impl(
    "monarch::linear_gradients", ("CompositeImplicitAutograd", "Batched", "FuncTorchBatched")
)
def _gradients_by_formula(
    grad: Tensor, x: Tensor | None, L: Tensor, R: Tensor, n_in: int, needed: list[bool]
) -> list[Tensor | None]:
    if x is None:  # for no gradient that its numbers matter to
        x = L.new_zeros(*grad.shape[:-1], n_in)

    def plain(x: Tensor, L: Tensor, R: Tensor) -> Tensor:
        y = formula(x.reshape(-1, n_in), L, R, None, grad.shape[-1])
        return y.view(*x.shape[:-1], grad.shape[-1])

    *to_product, to_bias = needed
    found: list[Tensor | None] = []
    if any(to_product):
        found = formula_gradients(plain, (x, L, R), to_product, grad)
    if to_bias:
        found.append(grad.reshape(-1, grad.shape[-1]).sum(0))
    return [gradient for gradient in found if gradient is not None]
