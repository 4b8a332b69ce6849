"""neuralop: a spectral convolution that its networks take in the place of their own."""

from monarch_core.extras import require

require("neuralop", "neuralop")

from neuralop.layers.spectral_convolution import SpectralConv as NeuralopConv  # noqa: E402

from monarch_core.adapters.neuralop.conv import CONFIGURABLE, MonarchSpectralConv  # noqa: E402
from monarch_core.adapters.neuralop.exchange import monarch_layer  # noqa: E402

__all__ = ["CONFIGURABLE", "MonarchSpectralConv", "NeuralopConv", "monarch_layer"]
