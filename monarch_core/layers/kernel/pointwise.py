"""A network of one hidden layer on the channels of every point, by the kernel, in float32.

The hidden layer stays in the cache, and value and derivative of gelu share their exponential
(`mlp.h`). These functions read memory and trust that they are given what `takes` has seen.
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


def _sizes(x: Tensor, W_1: Tensor, W_2: Tensor) -> tuple[int, ...]:
    batch, channels, points = x.shape
    return batch, channels, len(W_1), len(W_2), points
