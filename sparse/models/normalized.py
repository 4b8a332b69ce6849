"""Images in physical units for a network that wants them normalised."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sparse.config.shapes import ImageShape


class Normalized(nn.Module):
    """A network behind (x - mean) / std of each channel; both are saved with its weights.

    Args:
        network: called with normalised images.
        shape: of the images, with their statistics.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, shape: ImageShape) -> None:
        super().__init__()
        self.network = network
        for name in ("mean", "std"):
            statistic = torch.tensor(getattr(shape, name), dtype=torch.float32)
            self.register_buffer(name, statistic[:, None, None])

    def forward(
        self, images: Float[Tensor, "batch channels size size"]
    ) -> Float[Tensor, "batch classes"]:
        """Return logits for intensities from 0 to 1."""
        logits: Tensor = self.network((images - self.mean) / self.std)
        return logits
