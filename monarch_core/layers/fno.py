"""A Fourier neural operator as plain matrix products: neuralop's, with the same weights, faster."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from neuralop.layers.spectral_convolution import SpectralConv
from torch import Tensor, nn
from torch.nn.functional import gelu

from monarch_core.layers.pointwise import PointwiseMLP
from monarch_core.layers.spectral_conv import MonarchSpectralConv

# Their backward pass does not need their output: the skip connection is added to it in place.
OUTPUT_IS_FREE = (MonarchSpectralConv, SpectralConv)


class FNO(nn.Module):
    """The Fourier neural operator of Li et al. 2021 (arXiv:2010.08895).

        v_0 = P(x, grid),   v_l = gelu(K_l v_(l-1) + W_l v_(l-1)),   y = Q(v_L)

    K_l is the spectral convolution with its bias, W_l a matrix on the channels; the last layer has
    no gelu. P lifts, Q projects (`PointwiseMLP`). The coordinates i / n of the points are channels
    of the input.

    Args:
        n_modes: kept frequencies per axis, both signs, as `conv_module` takes them.
        in_channels: of x, without the coordinates.
        out_channels: of y.
        hidden_channels: width.
        n_layers: Fourier layers.
        lifting_channels: hidden channels of P; 0 makes it one linear map.
        projection_channels: hidden channels of Q; 0 makes it one linear map.
        conv_module: class of K, called with (in_channels, out_channels, n_modes), such as
            `MonarchSpectralConv.configured(grid=...)` or neuralop's `SpectralConv`.
    """

    def __init__(
        self,
        n_modes: Sequence[int],
        in_channels: int,
        out_channels: int,
        hidden_channels: int,
        n_layers: int = 4,
        lifting_channels: int = 0,
        projection_channels: int = 128,
        *,
        conv_module: type[nn.Module],
    ) -> None:
        super().__init__()
        width = hidden_channels
        self.lifting = PointwiseMLP(in_channels + len(n_modes), lifting_channels, width)
        self.convs = nn.ModuleList(conv_module(width, width, n_modes) for _ in range(n_layers))
        self.skips = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(n_layers))
        self.projection = PointwiseMLP(width, projection_channels, out_channels)

    def forward(
        self, x: Float[Tensor, "batch in_channels *grid"]
    ) -> Float[Tensor, "batch out_channels *grid"]:
        """Return y on the grid of x."""
        grid = x.shape[2:]
        coordinates = unit_grid(grid, x).expand(x.shape[0], *[-1] * (len(grid) + 1))
        v = self.lifting(torch.cat((x, coordinates), dim=1).flatten(2))
        for layer, (conv, skip) in enumerate(zip(self.convs, self.skips, strict=True)):
            Kv = conv(v.unflatten(2, grid))
            # Autocast does not see products in place.
            W = skip.get_parameter("weight").to(v.dtype).expand(v.shape[0], -1, -1)
            if isinstance(conv, OUTPUT_IS_FREE):
                # Flat, but no view in the eyes of autograd, which would copy the gradient.
                Kv = torch.ops.aten._unsafe_view(Kv, v.shape).to(v.dtype)
                v = Kv.baddbmm_(W, v)
            else:
                v = torch.baddbmm(Kv.flatten(2).to(v.dtype), W, v)
            v = gelu(v) if layer < len(self.convs) - 1 else v
        return self.projection(v).unflatten(2, grid)


def unit_grid(grid: Sequence[int], like: Tensor) -> Float[Tensor, "1 axes *grid"]:
    """Return the coordinates i / n of every point, one channel per axis."""
    axes = [torch.arange(n, dtype=like.dtype, device=like.device) / n for n in grid]
    return torch.stack(torch.meshgrid(*axes, indexing="ij")).unsqueeze(0)


def copy_neuralop_weights(model: FNO, host: nn.Module) -> None:
    """Take over the weights of a neuralop `FNO` of the same sizes and spectral layers.

    It has linear skip connections and neither channel MLP nor norm, as published.

    Raises:
        RuntimeError: a parameter of one is missing in the other, or differs in shape.
    """
    state = {}
    for name, value in host.named_parameters():
        for theirs, ours in (
            ("fno_blocks.fno_skips.", "skips."),
            ("fno_blocks.convs.", "convs."),
            (".fcs.", ".maps."),
            (".conv.weight", ".weight"),
        ):
            name = name.replace(theirs, ours)
        is_pointwise = not name.startswith("convs.") and name.endswith("weight")
        state[name] = value.squeeze(-1) if is_pointwise else value
    model.load_state_dict(state)
