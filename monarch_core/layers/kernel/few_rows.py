"""The product of a Monarch matrix with few rows, and its gradients, by the kernel, in float32.

Of few rows most of the time goes into the calls of operations and into products that libraries make
for many rows; here are two calls (`few_rows.h`). These functions read memory and trust that they
are given what `takes` has seen.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from monarch_core.layers.kernel.call import call
from monarch_core.layers.kernel.operator import is_on

FEW = 64  # rows, above which batched products are faster


def takes(x: Tensor) -> bool:
    """Return whether the kernel is to be had here for such rows, and made for them."""
    return x.dtype is torch.float32 and x.is_cpu and 0 < x.shape[0] <= FEW and is_on()


def product(
    x: Tensor, L: Tensor, R: Tensor, bias: Tensor | None, n_out: int, *, keep: bool
) -> tuple[Tensor, list[Tensor]]:
    """Return M x + bias as `monarch_product.formula`, and to `keep` it z'."""
    y = x.new_empty(x.shape[0], n_out)
    z = x.new_empty(L.shape[0], x.shape[0], L.shape[2]) if keep else None
    call("multiply_few_rows", _sizes(x, L, R, n_out), x, L, R, bias, z, y)
    return y, [] if z is None else [z]


def gradients(
    grad: Tensor, x: Tensor, L: Tensor, R: Tensor, z: Tensor | None, needed: Sequence[bool]
) -> list[Tensor | None]:
    """Return those gradients of x, L, R and the bias that are `needed`; that of L takes z'."""
    found: list[Tensor | None] = [
        torch.empty_like(t, memory_format=torch.contiguous_format) if need else None
        for t, need in zip((x, L, R, grad[0]), needed, strict=True)
    ]
    call("gradients_of_few_rows", _sizes(x, L, R, grad.shape[1]), grad, x, L, R, z, *found)
    return found


def _sizes(x: Tensor, L: Tensor, R: Tensor, n_out: int) -> tuple[int, ...]:
    n_rows, n_in = x.shape
    return n_rows, *L.shape, R.shape[2], n_in, n_out
