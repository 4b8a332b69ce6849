"""Layers that hold linear transforms: drop-ins for those of torch and neuralop."""

from monarch_core.layers.linear import MonarchLinear
from monarch_core.layers.spectral_conv import MonarchSpectralConv
from monarch_core.layers.swap import densify, monarchize

__all__ = [
    "MonarchLinear",
    "MonarchSpectralConv",
    "densify",
    "monarchize",
]
