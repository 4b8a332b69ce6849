"""Learnable Monarch matrices where networks use a Fourier transform."""

from monarch_core.layers.spectral_conv import MonarchSpectralConv
from monarch_core.transforms import Dense, Fourier, LinearTransform, Monarch

__all__ = ["Dense", "Fourier", "LinearTransform", "Monarch", "MonarchSpectralConv"]
