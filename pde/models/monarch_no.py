"""The Monarch neural operator: gated spectral layers with residual connections."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import gelu

from monarch_core.layers.pointwise import PointwiseMLP, pointwise_linear
from pde.config.model import MonarchNoConfig
from pde.config.run import PdeConfig
from pde.models.channels_last import unit_grid
from pde.models.fno import check_modes, spectral_conv

# Spectral weights start smaller than in an FNO, so that each layer starts as a small correction.
SPECTRAL_SCALE = 0.3


class MonarchNO(nn.Module):
    """A neural operator whose layers multiply two filtered fields.

        v_0 = P(x, grid)                                        (1)
        (a_l, b_l) = K_l v_(l-1) + W_l v_(l-1)                  (2)
        v_l = v_(l-1) + O_l (gelu(a_l) * b_l)                   (3)
        y = x_last + Q(v_L)                                     (4)

    K_l is a spectral convolution from the width to twice the hidden channels, W_l and O_l are
    matrices on the channels of each point, * is the product point by point, x_last the last frame.
    Advection, u . grad w, is a sum of products of two filtered fields, which (3) can form in one
    layer; gating by products is that of Shazeer 2020 (arXiv:2002.05202). (4) predicts the
    increment; where input and output are different fields, y = Q(v_L).

    Args:
        n_modes: kept frequencies per axis, both signs, as `conv_module` takes them.
        in_channels: of x.
        width: channels of v.
        hidden_channels: channels of a and of b.
        n_layers: layers.
        projection_channels: hidden channels of Q.
        conv_module: makes K, called with (in_channels, out_channels, n_modes).
        out_channels: of y.
        last_frame: the channels of x that are x_last (4); None where y is not added to it.
    """

    def __init__(
        self,
        n_modes: Sequence[int],
        in_channels: int,
        width: int,
        hidden_channels: int,
        n_layers: int,
        projection_channels: int,
        *,
        conv_module: Callable[..., nn.Module],
        out_channels: int = 1,
        last_frame: slice | None,
    ) -> None:
        super().__init__()
        self.last_frame = last_frame
        self.lifting = PointwiseMLP(in_channels + len(n_modes), 0, width)
        self.layers = nn.ModuleList(
            GatedSpectralLayer(width, hidden_channels, n_modes, conv_module)
            for _ in range(n_layers)
        )
        self.projection = PointwiseMLP(width, projection_channels, out_channels)

    def forward(
        self, x: Float[Tensor, "batch in_channels *grid"]
    ) -> Float[Tensor, "batch out_channels *grid"]:
        """Return the next frame y on the grid of x."""
        grid = x.shape[2:]
        coordinates = unit_grid(grid, x).expand(x.shape[0], *[-1] * (len(grid) + 1))
        v = self.lifting(torch.cat((x, coordinates), dim=1).flatten(2)).unflatten(2, grid)
        for layer in self.layers:
            v = layer(v)
        y = self.projection(v.flatten(2)).unflatten(2, grid)
        return y if self.last_frame is None else x[:, self.last_frame] + y


class GatedSpectralLayer(nn.Module):
    """Equations (2) and (3) of `MonarchNO`.

    Args:
        width: channels of v.
        hidden_channels: channels of a and of b.
        n_modes: kept frequencies per axis, both signs.
        conv_module: makes K.
    """

    def __init__(
        self,
        width: int,
        hidden_channels: int,
        n_modes: Sequence[int],
        conv_module: Callable[..., nn.Module],
    ) -> None:
        super().__init__()
        self.conv = conv_module(width, 2 * hidden_channels, n_modes)
        with torch.no_grad():
            for name, parameter in self.conv.named_parameters():
                if "weight" in name and "transforms" not in name:
                    parameter.mul_(SPECTRAL_SCALE)
        self.skip = nn.Linear(width, 2 * hidden_channels, bias=False)
        self.out = nn.Linear(hidden_channels, width)

    def forward(self, v: Float[Tensor, "batch width *grid"]) -> Float[Tensor, "batch width *grid"]:
        """Return v_l."""
        W = self.skip.weight
        both = torch.baddbmm(self.conv(v).flatten(2), W.expand(v.shape[0], *W.shape), v.flatten(2))
        a, b = both.chunk(2, dim=1)
        change = pointwise_linear(gelu(a) * b, self.out.weight, self.out.bias)
        return v + change.unflatten(2, v.shape[2:])


def build_monarch_no(model: MonarchNoConfig, config: PdeConfig, grid: tuple[int, ...]) -> nn.Module:
    """Return the operator with the kept frequencies of `build_fno`.

    Raises:
        ValueError: when the grid cannot hold the modes, or the transform does not fit it.
    """
    check_modes(model.n_modes, grid)
    data = config.dataset
    end = data.in_channels - data.n_constants
    return MonarchNO(
        (*[2 * model.n_modes] * (len(grid) - 1), 2 * (model.n_modes - 1)),
        data.in_channels,
        model.hidden_channels,
        model.gate_channels,
        model.n_layers,
        model.projection_channels,
        conv_module=spectral_conv(config, grid),
        out_channels=data.out_channels,
        last_frame=slice(end - data.out_channels, end) if data.normalization == "field" else None,
    )
