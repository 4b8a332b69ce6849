"""Complex images as two real channels, for convolutions."""

import torch
from jaxtyping import Complex, Float
from torch import Tensor


def to_channels(
    image: Complex[Tensor, "batch echoes h w"],
) -> Float[Tensor, "batch_echoes 2 h w"]:
    """Return real and imaginary part as channels, one sample per echo."""
    return torch.view_as_real(image).flatten(0, 1).movedim(-1, 1)


def from_channels(
    channels: Float[Tensor, "batch_echoes 2 h w"], like: Complex[Tensor, "batch echoes h w"]
) -> Complex[Tensor, "batch echoes h w"]:
    """Undo `to_channels`, in the shape and precision of `like` (networks may run in bfloat16)."""
    pairs = channels.to(like.real.dtype).movedim(1, -1).contiguous()
    return torch.view_as_complex(pairs).unflatten(0, like.shape[:2])
