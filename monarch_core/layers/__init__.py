"""Layers that hold linear transforms, of torch alone."""

from monarch_core.layers.linear import MonarchLinear
from monarch_core.layers.spectral_conv import SpectralConv
from monarch_core.layers.swap import densify

__all__ = ["MonarchLinear", "SpectralConv", "densify"]
