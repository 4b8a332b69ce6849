"""The config node of the transform: the one line in which two compared runs differ."""

from dataclasses import dataclass
from typing import Any

from omegaconf import MISSING


@dataclass
class TransformConfig:
    """Which linear transform stands where the Fourier transform would.

    Attributes:
        name: word for tables.
        axis: node with a `_target_` that makes the transform of one axis, called with `n`,
            `inverse`, `norm`, `centered` and `modes`: what MRI models take.
        spectral_conv: node with a `_target_` that makes the spectral convolution of a neural
            operator, called with `grid` and `periodic`: what PDE models take.
    """

    name: str = MISSING
    axis: dict[str, Any] = MISSING
    spectral_conv: dict[str, Any] = MISSING
