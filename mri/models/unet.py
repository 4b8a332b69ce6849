"""U-Net for images, the size of the public fastMRI baseline.

Ronneberger et al. 2015 (arXiv:1505.04597) with the choices of Zbontar et al. 2018
(arXiv:1811.08839): instance norm, leaky ReLU, average pooling, transposed convolutions.
"""

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, pad

from mri.config.model import UNetConfig
from mri.models.channels import from_channels, to_channels
from mri.physics.axis_transforms import AxisTransforms, EncodingFactory
from mri.physics.encoding import zero_filled, zero_filled_scale

NEGATIVE_SLOPE = 0.2


def _normed(layer: nn.Module, n_channels: int) -> list[nn.Module]:
    return [layer, nn.InstanceNorm2d(n_channels), nn.LeakyReLU(NEGATIVE_SLOPE)]


def _double_convolution(n_in: int, n_out: int) -> nn.Sequential:
    return nn.Sequential(
        *_normed(nn.Conv2d(n_in, n_out, 3, padding=1, bias=False), n_out),
        *_normed(nn.Conv2d(n_out, n_out, 3, padding=1, bias=False), n_out),
    )


def check_depth(n_pools: int, grid: tuple[int, int]) -> None:
    """Check that something is left of an image at the deepest level, before a network is made.

    Raises:
        ValueError: if there is no pooling, or the deepest level is a single pixel.
    """
    if n_pools < 1:
        raise ValueError(f"a U-Net needs at least one pooling, got n_pools={n_pools}; 4 are usual")
    if max(grid) <= 2**n_pools:
        raise ValueError(
            f"an image of {grid[0]} x {grid[1]} is one pixel after {n_pools} poolings; use fewer "
            "poolings (n_pools) or larger images"
        )


class UNet(nn.Module):
    """Encoder and decoder with skip connections, for images of any size.

    An image is zero-padded at its lower and right edges to a multiple of 2^n_pools and cropped
    back. 32 channels, 4 pools and 2 -> 2 channels make 7,756,418 parameters.

    Args:
        n_in: input channels.
        n_out: output channels.
        n_channels: channels of the first level, doubled at every pooling.
        n_pools: number of poolings.

    Raises:
        ValueError: if `n_channels` or `n_pools` is below one.
    """

    def __init__(
        self, n_in: int = 2, n_out: int = 2, n_channels: int = 32, n_pools: int = 4
    ) -> None:
        super().__init__()
        if n_channels < 1 or n_pools < 1:
            raise ValueError(
                f"a U-Net needs at least one channel and one pooling, got n_channels={n_channels} "
                f"and n_pools={n_pools}; the fastMRI baseline uses 32 and 4"
            )
        widths = [n_channels * 2**level for level in range(n_pools + 1)]
        self.n_pools = n_pools
        self.down = nn.ModuleList(
            _double_convolution(a, b) for a, b in zip([n_in, *widths], widths, strict=False)
        )
        pairs = list(zip(widths[1:], widths[:-1], strict=True))[::-1]  # deepest first
        self.enlarge = nn.ModuleList(
            nn.Sequential(*_normed(nn.ConvTranspose2d(a, b, 2, stride=2, bias=False), b))
            for a, b in pairs
        )
        self.up = nn.ModuleList(_double_convolution(2 * b, b) for _, b in pairs)
        self.head = nn.Conv2d(n_channels, n_out, 1)

    def forward(self, x: Float[Tensor, "batch n_in h w"]) -> Float[Tensor, "batch n_out h w"]:
        """Return one image per entry of the batch.

        Raises:
            ValueError: if the image is so small that the deepest level is a single pixel.
        """
        height, width = x.shape[-2:]
        check_depth(self.n_pools, (height, width))
        step = 2**self.n_pools
        x = pad(x, (0, -width % step, 0, -height % step))
        skipped = []
        for level in self.down[:-1]:
            x = level(x)
            skipped.append(x)
            x = avg_pool2d(x, 2)
        x = self.down[-1](x)
        for enlarge, level in zip(self.enlarge, self.up, strict=True):
            x = level(torch.cat([enlarge(x), skipped.pop()], dim=1))
        return self.head(x)[..., :height, :width]


class UNetReconstruction(nn.Module):
    """U-Net on the zero-filled SENSE image of each echo, complex images as two real channels.

        x = s (U(z) + r z),  z = S^H T Omega y / s

    s is the zero-filled scale of the echo, so that x(c y) = c x(y) for every c > 0; r is 1 for a
    residual network and 0 otherwise.

    Args:
        inverse: k-space to image.
        unet: network with two input and two output channels.
        residual: add the zero-filled image to the output.
    """

    def __init__(self, inverse: AxisTransforms, unet: UNet, residual: bool = False) -> None:
        super().__init__()
        self.inverse = inverse
        self.unet = unet
        self.residual = residual

    def forward(
        self,
        kspace: Complex[Tensor, "batch echoes coils k_h k_w"],
        maps: Complex[Tensor, "batch coils h w"],
        mask: Float[Tensor, "batch k_h k_w"],
    ) -> Complex[Tensor, "batch echoes h w"]:
        """Return one image per echo, in the unit of the data.

        Raises:
            ValueError: if the shapes do not belong together or do not fit the transform.
        """
        image = zero_filled(kspace, maps, mask, self.inverse)
        scale = zero_filled_scale(kspace)
        z = image / scale
        x = from_channels(self.unet(to_channels(z)), z)
        return scale * (x + z if self.residual else x)


def build_unet(config: UNetConfig, encoding: EncodingFactory, grid: tuple[int, int]) -> nn.Module:
    """Return the U-Net.

    Raises:
        ValueError: it has more poolings than the grid allows.
    """
    check_depth(config.n_pools, grid)
    unet = UNet(n_channels=config.n_channels, n_pools=config.n_pools)
    return UNetReconstruction(encoding(grid, inverse=True), unet, config.residual)
