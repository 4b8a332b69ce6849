"""MLP-Mixer: patches and channels are mixed in turn (Tolstikhin et al. 2021, arXiv:2105.01601)."""

from jaxtyping import Float
from torch import Tensor, nn

from sparse.config.model import MixerConfig
from sparse.config.shapes import ImageShape

BLOCKS = ["blocks.*"]


class Mlp(nn.Module):
    """Two linear layers with a GELU in between, on the last axis."""

    def __init__(self, width: int, n_hidden: int, dropout: float) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, n_hidden)
        self.act = nn.GELU()
        self.drop = nn.Dropout(dropout)
        self.fc2 = nn.Linear(n_hidden, width)

    def forward(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        """Return the output of the second layer."""
        return self.fc2(self.drop(self.act(self.fc1(x))))


class MixerBlock(nn.Module):
    """A residual MLP over the patches, and one over the channels."""

    def __init__(
        self, n_patches: int, width: int, n_hidden_tokens: int, n_hidden: int, dropout: float
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.mlp_tokens = Mlp(n_patches, n_hidden_tokens, dropout)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp_channels = Mlp(width, n_hidden, dropout)

    def forward(
        self, x: Float[Tensor, "batch patches width"]
    ) -> Float[Tensor, "batch patches width"]:
        """Mix patches, then channels."""
        x = x + self.mlp_tokens(self.norm1(x).mT).mT
        return x + self.mlp_channels(self.norm2(x))


class Mixer(nn.Module):
    """The network; parameters and their names are those of timm's `MlpMixer`.

    Args:
        config: of its sizes.
        shape: of the images.

    Raises:
        ValueError: patches do not tile an image.
    """

    def __init__(self, config: MixerConfig, shape: ImageShape) -> None:
        super().__init__()
        patch, width = config.number("patch"), config.number("width")
        n_patches = (shape.size // patch) ** 2
        self.stem = nn.ModuleDict(
            {"proj": nn.Conv2d(shape.n_channels, width, kernel_size=patch, stride=patch)}
        )
        self.blocks = nn.Sequential(
            *(
                MixerBlock(
                    n_patches,
                    width,
                    config.number("n_hidden_tokens"),
                    config.number("n_hidden"),
                    config.dropout_there,
                )
                for _ in range(config.number("n_layers"))
            )
        )
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Linear(width, shape.n_classes)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(
        self, images: Float[Tensor, "batch channels size size"]
    ) -> Float[Tensor, "batch classes"]:
        """Return logits for normalised images."""
        patches = self.stem["proj"](images).flatten(2).mT
        return self.head(self.norm(self.blocks(patches)).mean(1))
