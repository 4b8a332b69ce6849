"""What differs between releases of neuralop, found out from the layer that is installed."""

from functools import cache

import torch
from neuralop.layers.spectral_convolution import SpectralConv as NeuralopConv


@cache
def counts_both_signs() -> bool:
    """Tell whether `max_n_modes` counts both signs of a frequency on the last axis too.

    It does after 2.0, as `n_modes` always has; in 2.0 it counts those f >= 0 there.
    """
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        layer = NeuralopConv(1, 1, (2,), max_n_modes=[4])
    return bool(layer.weight.shape[-1] == 4 // 2 + 1)


@cache
def convolves_odd_grids() -> bool:
    """Tell whether the layer is a convolution on an odd number of points, the last axis apart.

    That of 2.0 shifts the spectrum back to other places than it came from; later ones do not. A
    weight of one must leave a kept wave as it is.
    """
    with torch.random.fork_rng(devices=[]), torch.device("cpu"), torch.no_grad():
        layer = NeuralopConv(1, 1, (3, 2), bias=False)
        for weight in layer.weight.parameters():
            weight.fill_(1)
        wave = torch.cos(2 * torch.pi * torch.arange(5) / 5)[None, None, :, None].expand(1, 1, 5, 4)
        return torch.allclose(layer(wave), wave, atol=1e-5)
