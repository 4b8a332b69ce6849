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


def kept_modes(layer: NeuralopConv) -> list[int]:
    """Return how many frequencies per axis a layer keeps, of the last axis those f >= 0.

    In 2.0 these are its `n_modes`. Later versions scale the box of `max_n_modes` down to the first
    entry of `n_modes`, whatever the other entries say.
    """
    box = getattr(layer, "index_set", None)
    if box is None:
        return list(layer.n_modes)
    radius = box.radius_from_n_modes(layer.true_n_modes)
    *others, last = box.n_modes_per_dim_for_radius(radius, box.weights)
    active = [*others, last if layer.complex_data else last // 2 + 1]
    return [min(n, most) for n, most in zip(active, layer.max_n_modes, strict=True)]
