"""What one prediction costs, counted while it is made."""

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode


@torch.no_grad()
def count_flops(model: nn.Module, inputs: Tensor) -> int:
    """Return the floating-point operations of the matrix products of one forward pass.

    A multiplication and an addition are two. Attention is computed by plain products, since fused
    kernels are not counted on every device. Structured layers are counted as they train, by
    their factors.

    Args:
        model: called as `model(inputs)`; its mode stays.
        inputs: one batch.
    """
    was_training = model.training
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        model.train()(inputs)
    model.train(was_training)
    return int(counter.get_total_flops())
