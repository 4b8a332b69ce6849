"""Residual network (He et al. 2016, arXiv:1512.03385) in the size of the FNO paper's table."""

from jaxtyping import Float
from torch import Tensor, nn

from pde.config.model import ResNetConfig
from pde.config.run import PdeConfig
from pde.models.convolutions import convolution, normed_convolution

N_STAGES, N_RESIDUALS = 3, 2


class Residual(nn.Module):
    """x + f(x), f being two convolutions with batch norm and leaky ReLU."""

    def __init__(self, n_axes: int, n_channels: int) -> None:
        super().__init__()
        self.f = _pair(n_axes, n_channels, n_channels)

    def forward(
        self, x: Float[Tensor, "batch channels *grid"]
    ) -> Float[Tensor, "batch channels *grid"]:
        """Return x + f(x)."""
        return x + self.f(x)


class ResNet(nn.Module):
    """18 convolutions at full resolution, in three stages of growing width.

    The FNO paper (Li et al. 2021, arXiv:2010.08895) names 18 convolutions and did not publish the
    code of its baselines. This one follows the residual network that Wang et al. 2020
    (arXiv:1911.08655) published as their own baseline, without its dropout: a first convolution,
    two residual blocks in each stage, between stages a pair of convolutions that doubles the
    channels and has no bypass, and a last convolution. With 16 channels and ten frames in two
    dimensions it has 266,641 parameters, the printed number.

    Args:
        n_in: input channels.
        n_channels: channels of the first stage.
        n_axes: axes of the grid.
        n_out: output channels.
    """

    def __init__(self, n_in: int, n_channels: int = 16, n_axes: int = 2, n_out: int = 1) -> None:
        super().__init__()
        widths = [n_channels * 2**stage for stage in range(N_STAGES)]
        layers: list[nn.Module] = [normed_convolution(n_axes, n_in, n_channels)]
        for stage, width in enumerate(widths):
            if stage:
                layers.append(_pair(n_axes, widths[stage - 1], width))
            layers += [Residual(n_axes, width) for _ in range(N_RESIDUALS)]
        self.layers = nn.Sequential(*layers, convolution(n_axes, widths[-1], n_out))

    def forward(self, x: Float[Tensor, "batch n_in *grid"]) -> Float[Tensor, "batch n_out *grid"]:
        """Return one frame."""
        return self.layers(x)


def build_resnet(model: ResNetConfig, config: PdeConfig, grid: tuple[int, ...]) -> nn.Module:
    """Return the residual network for the frames of a data set."""
    data = config.dataset
    return ResNet(data.in_channels, model.hidden_channels, len(grid), data.out_channels)


def _pair(n_axes: int, n_in: int, n_out: int) -> nn.Sequential:
    return nn.Sequential(
        normed_convolution(n_axes, n_in, n_out), normed_convolution(n_axes, n_out, n_out)
    )
