"""Linear maps and small networks on the channels of every grid point, as plain matrix products.

Fields are (batch, channels, points). A 1 x 1 convolution computes the same, several times slower on
a CPU.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn.functional import gelu

from monarch_core.layers.chunks import chunk_bytes
from monarch_core.layers.derivatives import (
    backward_needs_formula,
    formula_gradients,
    formula_is_needed,
)
from monarch_core.layers.kernel import pointwise as kernel
from monarch_core.layers.precision import check_dtype, check_real, in_one_dtype


class PointwiseMLP(nn.Module):
    """A network of one hidden layer on the channels of each point.

        y = W_2 gelu(W_1 x + b_1) + b_2

    The hidden layer is computed piece by piece and computed again for the gradient, so that it is
    never in memory as a whole. Without a hidden layer, y = W_1 x + b_1.

    Args:
        in_channels: of x.
        hidden_channels: between the two maps; 0 for a single map.
        out_channels: of y.
    """

    def __init__(self, in_channels: int, hidden_channels: int, out_channels: int) -> None:
        super().__init__()
        sizes = [in_channels, *([hidden_channels] if hidden_channels else []), out_channels]
        self.maps = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))

    def forward(
        self, x: Float[Tensor, "batch in_channels points"]
    ) -> Float[Tensor, "batch out_channels points"]:
        """Return y; under autocast in its dtype, double precision apart.

        Raises:
            ValueError: if x is not (batch, in_channels, points), or has another dtype than the
                weights where autocast does not convert them.
        """
        parameters = [cast(Tensor, t) for layer in self.maps for t in (layer.weight, layer.bias)]
        channels = parameters[0].shape[1]
        if x.dim() != 3 or x.shape[1] != channels:
            raise ValueError(
                f"x must be (batch, {channels} channels, points), got {tuple(x.shape)}; flatten "
                "the axes of the grid into one, or build the network with other in_channels"
            )
        check_real(x, weight=parameters[0])
        check_dtype(x, weight=parameters[0], bias=parameters[1])
        return in_one_dtype(pointwise_linear if len(parameters) == 2 else _mlp, x, *parameters)


def pointwise_linear(
    x: Float[Tensor, "batch in_channels points"],
    W: Float[Tensor, "out_channels in_channels"],
    bias: Float[Tensor, " out_channels"] | None = None,
) -> Float[Tensor, "batch out_channels points"]:
    """Return W x + bias at every point."""
    W = W.expand(x.shape[0], *W.shape)
    if bias is None:
        return torch.bmm(W, x)
    return torch.baddbmm(bias[:, None], W, x)


def _mlp(x: Tensor, *parameters: Tensor) -> Tensor:
    needed = formula_is_needed(x, *parameters)
    return _formula(x, *parameters) if needed else _ChunkedMLP.apply(x, *parameters)


def _formula(x: Tensor, W_1: Tensor, b_1: Tensor, W_2: Tensor, b_2: Tensor) -> Tensor:
    return pointwise_linear(gelu(pointwise_linear(x, W_1, b_1)), W_2, b_2)


class _ChunkedMLP(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, W_1: Tensor, b_1: Tensor, W_2: Tensor, b_2: Tensor) -> Tensor:
        ctx.save_for_backward(x, W_1, b_1, W_2, b_2)
        if kernel.takes(x, W_1, b_1, W_2, b_2):
            return kernel.mlp(x, W_1, b_1, W_2, b_2)
        y = x.new_empty(x.shape[0], len(W_2), x.shape[-1])
        for piece in _pieces(x, len(W_1)):
            y[piece] = _formula(x[piece], W_1, b_1, W_2, b_2)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        tensors = ctx.saved_tensors
        if backward_needs_formula(grad, *tensors):
            return tuple(formula_gradients(_formula, tensors, ctx.needs_input_grad, grad))
        if kernel.takes(grad, *tensors):
            return tuple(kernel.gradients(grad, *tensors))
        x, W_1, b_1, W_2, _ = tensors
        grad_x = torch.empty_like(x)
        # sums over many pieces, which bfloat16 would round away
        grad_W_1, grad_b_1, grad_W_2 = (
            torch.zeros_like(t, dtype=torch.promote_types(t.dtype, torch.float32))
            for t in (W_1, b_1, W_2)
        )
        for piece in _pieces(x, len(W_1)):
            x_i, g_i = x[piece], grad[piece]
            hidden = pointwise_linear(x_i, W_1, b_1)
            grad_W_2 += torch.bmm(g_i, gelu(hidden).mT).sum(0, dtype=grad_W_2.dtype)
            g_i = torch.ops.aten.gelu_backward(pointwise_linear(g_i, W_2.mT), hidden)
            grad_b_1 += g_i.sum(-1).sum(0, dtype=grad_b_1.dtype)
            grad_W_1 += torch.bmm(g_i, x_i.mT).sum(0, dtype=grad_W_1.dtype)
            grad_x[piece] = pointwise_linear(g_i, W_1.mT)
        grads = (g.to(x.dtype) for g in (grad_W_1, grad_b_1, grad_W_2))
        return grad_x, *grads, grad.sum(-1).sum(0)


def _pieces(x: Tensor, hidden_channels: int) -> Iterator[tuple[slice, slice, slice]]:
    """Yield slices of the batch and the points, each with one chunk of hidden values."""
    samples, _, points = x.shape
    point = hidden_channels * x.element_size()
    held = max(1, chunk_bytes(x.device) // point)  # points of any sample
    step, width = max(1, held // points), min(points, held)
    for i in range(0, samples, step):
        for j in range(0, points, width):
            yield slice(i, i + step), slice(None), slice(j, j + width)
