"""U-Net (Ronneberger et al. 2015, arXiv:1505.04597) in the size of the FNO paper's table."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pde.config.model import UNetConfig
from pde.config.run import PdeConfig
from pde.models.convolutions import convolution, crop, enlargement, normed_convolution

SMALLEST = 2**5  # points per axis, of which the halvings make one


class UNet(nn.Module):
    """Five halvings and five doublings of the grid, with skip connections.

    The FNO paper (Li et al. 2021, arXiv:2010.08895) did not publish the code of its baselines.
    This one follows the U-Net that Wang et al. 2020 (arXiv:1911.08655) published as their own
    baseline: strided convolutions, batch norm and leaky ReLU; without their dropout. With 64
    channels and ten frames in two dimensions it has 24,950,491 parameters, the printed number.

    Args:
        n_in: input channels.
        n_channels: channels of the first level, doubled at each of the next four.
        n_axes: axes of the grid, whose lengths may be any.
        n_out: output channels.

    Raises:
        ValueError: if `n_channels` is no multiple of 4.
    """

    def __init__(self, n_in: int, n_channels: int = 64, n_axes: int = 2, n_out: int = 1) -> None:
        super().__init__()
        if n_channels % 4:
            raise ValueError(
                f"hidden_channels of a U-Net must be a multiple of 4, got {n_channels}; use 64"
            )
        widths = [n_channels * 2**level for level in range(5)]
        self.down = nn.ModuleList()
        for level, (a, b) in enumerate(zip([n_in, *widths], widths, strict=False)):
            layers = [normed_convolution(n_axes, a, b, stride=2, bias=False)]
            if level >= 2:
                layers.append(normed_convolution(n_axes, b, b, bias=False))
            self.down.append(nn.Sequential(*layers))
        enlarged = [n_channels * 4 // 2**level for level in range(5)]
        skipped = [0, *widths[-2::-1]]
        self.up = nn.ModuleList(
            enlargement(n_axes, a + s, b)
            for a, s, b in zip([widths[-1], *enlarged], skipped, enlarged, strict=False)
        )
        self.head = convolution(n_axes, enlarged[-1] + n_in, n_out)

    def forward(self, x: Float[Tensor, "batch n_in *grid"]) -> Float[Tensor, "batch n_out *grid"]:
        """Return one frame."""
        levels = [x]
        for level in self.down:
            levels.append(level(levels[-1]))
        y = levels.pop()
        for enlarge in self.up:
            skipped = levels.pop()
            y = torch.cat((skipped, crop(enlarge(y), skipped)), dim=1)
        return self.head(y)


def build_unet(model: UNetConfig, config: PdeConfig, grid: tuple[int, ...]) -> nn.Module:
    """Return the U-Net for the frames of a data set."""
    data, n_batch = config.dataset, config.fit.batch_size
    alone = n_batch == 1 or data.split_sizes["train"] % n_batch == 1
    if alone and max(grid) <= SMALLEST:
        raise ValueError(
            f"batch norm needs two values, and of a grid of {'x'.join(map(str, grid))} the U-Net "
            f"makes one point, got a batch of one sample with fit.batch_size={n_batch} and n_train="
            f"{data.split_sizes['train']}; choose another fit.batch_size"
        )
    return UNet(data.in_channels, model.hidden_channels, len(grid), data.out_channels)
