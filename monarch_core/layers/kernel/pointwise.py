"""Networks on the channels of every point, by the kernel, in float32.

A hidden layer stays in the cache (`mlp.h`), a map with what is added to it and gelu is one pass
(`skip.h`), and value and derivative of gelu share their exponential (`gelu.h`). These functions
read memory and trust that they are given what `takes` has seen.
"""

import torch
from torch import Tensor

from monarch_core.layers.kernel.call import call
from monarch_core.layers.kernel.operator import is_on, is_plain


def takes(x: Tensor, *others: Tensor) -> bool:
    """Return whether the kernel is to be had here for such fields and weights."""
    return (
        x.numel() > 0
        and is_on()
        and all(t.dtype is torch.float32 and t.is_cpu and is_plain(t) for t in (x, *others))
    )


def mlp(x: Tensor, W_1: Tensor, b_1: Tensor, W_2: Tensor, b_2: Tensor) -> Tensor:
    """Return W_2 gelu(W_1 x + b_1) + b_2 at every point."""
    y = x.new_empty(x.shape[0], len(W_2), x.shape[2])
    call("pointwise_mlp", _sizes(x, W_1, W_2), x, W_1, b_1, W_2, b_2, y)
    return y


def gradients(
    grad: Tensor, x: Tensor, W_1: Tensor, b_1: Tensor, W_2: Tensor, b_2: Tensor
) -> list[Tensor]:
    """Return the gradients of x, W_1, b_1, W_2 and b_2 from that of y."""
    found = [
        torch.empty_like(t, memory_format=torch.contiguous_format) for t in (x, W_1, b_1, W_2, b_2)
    ]
    call("pointwise_mlp_backward", _sizes(x, W_1, W_2), grad, x, W_1, b_1, W_2, *found)
    return found


def add_product(y: Tensor, W: Tensor, v: Tensor, *, with_gelu: bool) -> Tensor | None:
    """Add W v to y, in its memory, and return gelu of that, or None."""
    assert y.is_contiguous()
    activated = torch.empty_like(y) if with_gelu else None
    call("add_product", _sizes_of_map(v, W), v, W, y, activated)
    return activated


def gradients_of_product(
    grad: Tensor, W: Tensor, v: Tensor, pre: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of y, W and v of `add_product` from that of what it returns.

    Args:
        grad: gradient of gelu(pre), or of pre itself where that is None.
        W: map.
        v: fields that it was applied to.
        pre: y + W v.
    """
    found = [torch.empty_like(t, memory_format=torch.contiguous_format) for t in (v, W)]
    of_y = None if pre is None else torch.empty_like(pre)
    call("add_product_backward", _sizes_of_map(v, W), grad, v, W, pre, of_y, *found)
    return grad if of_y is None else of_y, found[1], found[0]


def _sizes_of_map(v: Tensor, W: Tensor) -> tuple[int, ...]:
    batch, channels, points = v.shape
    return batch, channels, len(W), points


def _sizes(x: Tensor, W_1: Tensor, W_2: Tensor) -> tuple[int, ...]:
    batch, channels, points = x.shape
    return batch, channels, len(W_1), len(W_2), points
