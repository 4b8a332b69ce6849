"""Layers that hold linear transforms, of torch alone."""

from monarch_core.layers.block_diagonal import BlockDiagonalLinear
from monarch_core.layers.linear import MonarchLinear
from monarch_core.layers.low_rank import LowRankLinear
from monarch_core.layers.spectral_conv import SpectralConv
from monarch_core.layers.structured import StructuredLinear
from monarch_core.layers.swap import densify

__all__ = [
    "BlockDiagonalLinear",
    "LowRankLinear",
    "MonarchLinear",
    "SpectralConv",
    "StructuredLinear",
    "densify",
]
