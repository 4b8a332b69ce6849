"""What is timed: spectral layers and whole networks, built with the same sizes."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from neuralop.layers.spectral_convolution import SpectralConv
from neuralop.models import FNO as NeuralopFNO  # noqa: N811
from torch import Tensor, nn

from monarch_core import Fourier, MonarchSpectralConv
from monarch_core.layers import fourier_product
from monarch_core.layers.kernel.operator import switched_off
from pde.models.channels_last import FNO


class FftLayer(nn.Module):
    """The usual spectral layer: rfftn, the kept corner, a product over channels, pad, irfftn.

    Frequencies 0 <= k < m on the last axis, -m <= k < m on the others, as the published scripts.
    """

    def __init__(self, channels: int, modes: int, order: int) -> None:
        super().__init__()
        self.modes, self.order = modes, order
        kept = (*[2 * modes] * (order - 1), modes)
        self.weight = nn.Parameter(
            torch.randn(channels, channels, *kept, dtype=torch.cfloat) / channels
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the filtered fields (batch, channels, *grid)."""
        grid = x.shape[2:]
        axes = tuple(range(2, 2 + self.order))
        spectrum = torch.fft.rfftn(x, dim=axes, norm="forward")
        index = [
            torch.cat((torch.arange(self.modes), torch.arange(n - self.modes, n)))
            for n in grid[:-1]
        ]
        index.append(torch.arange(self.modes))
        corner: tuple[Any, ...] = (slice(None), slice(None), *torch.meshgrid(*index, indexing="ij"))
        mixed = torch.einsum("bi...,io...->bo...", spectrum[corner], self.weight)
        out = torch.zeros_like(spectrum)
        out[corner] = mixed
        return torch.fft.irfftn(out, s=grid, dim=axes, norm="forward")


class WithoutKernel(nn.Module):
    """A layer of ours, computed with the products of torch alone."""

    def __init__(self, layer: MonarchSpectralConv) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """Return what the layer returns."""
        with switched_off():
            return self.layer(x)


class ByRule(nn.Module):
    """A layer of ours to which the FFT costs as much per point as is said here."""

    def __init__(self, layer: MonarchSpectralConv, cost: float) -> None:
        super().__init__()
        self.layer, self.cost = layer, cost

    def forward(self, x: Tensor) -> Tensor:
        """Return what the layer returns."""
        before, fourier_product.POINT_COST = fourier_product.POINT_COST, self.cost
        try:
            return self.layer(x)
        finally:
            fourier_product.POINT_COST = before


def fixed_layers(channels: int, grid: Sequence[int], modes: int) -> dict[str, nn.Module]:
    """Return the two ways of a layer that stays the DFT."""
    n_modes = (2 * modes,) * len(grid)
    layer = MonarchSpectralConv(channels, channels, n_modes, grid=grid, transform=Fourier)
    ways = {"products": math.inf, "FFT": -math.inf}
    return {name: ByRule(layer, cost) for name, cost in ways.items()}


def layers(channels: int, grid: Sequence[int], modes: int) -> dict[str, nn.Module]:
    """Return the layers by name; the first is the one that others are compared with."""
    n_modes = (2 * modes,) * len(grid)
    learned = MonarchSpectralConv(channels, channels, n_modes, grid=grid)
    contenders = {
        "torch.fft": FftLayer(channels, modes, len(grid)),
        "neuralop": SpectralConv(channels, channels, n_modes),
        "ours, frozen": MonarchSpectralConv(channels, channels, n_modes, grid=grid, learn="none"),
        "ours, learned": learned,
    }
    if len(grid) == 2:
        contenders["learned, no kernel"] = WithoutKernel(learned)
    return contenders


def networks(width: int, grid: Sequence[int], modes: int) -> dict[str, nn.Module]:
    """Return Fourier neural operators by name, of equal size: 10 frames in, one out."""
    sizes: dict[str, Any] = {
        "in_channels": 10,
        "out_channels": 1,
        "hidden_channels": width,
        "n_layers": 4,
    }
    n_modes = (2 * modes,) * len(grid)
    ours = partial(FNO, n_modes, **sizes, projection_channels=128)
    learned = MonarchSpectralConv.configured(grid=grid)
    frozen = MonarchSpectralConv.configured(grid=grid, learn="none")
    return {
        "neuralop": NeuralopFNO(
            n_modes,
            **sizes,
            lifting_channel_ratio=0,
            projection_channel_ratio=128 / width,
            use_channel_mlp=False,
        ),
        "ours, FFT": ours(conv_module=SpectralConv),
        "ours, frozen": ours(conv_module=frozen),
        "ours, learned": ours(conv_module=learned),
    }


def forward(module: nn.Module, x: Tensor) -> Callable[[], object]:
    """Return one inference."""

    def run() -> None:
        with torch.no_grad():
            module(x)

    return run


def training(
    module: nn.Module, x: Tensor, dtype: torch.dtype | None = None
) -> Callable[[], object]:
    """Return one forward and backward pass, under autocast if a `dtype` is given.

    The gradient that arrives from above is a fixed random field, so that no loss is timed.
    """
    low_precision = torch.autocast(x.device.type, dtype, enabled=dtype is not None)
    with low_precision:
        grad = torch.randn_like(module(x))

    def run() -> None:
        for tensor in (x, *module.parameters()):
            tensor.grad = None
        with low_precision:
            y = module(x)
        y.backward(grad)

    return run
