"""Learnable Monarch matrices where networks use a Fourier transform."""

from typing import TYPE_CHECKING, Any

from monarch_core.transforms import (
    Dense,
    Fourier,
    LinearTransform,
    Monarch,
    factorize_mm_star,
    matrices_computed_once,
    monarch_multiply,
    project_to_monarch,
)

if TYPE_CHECKING:
    from monarch_core.layers import MonarchLinear, MonarchSpectralConv, densify, monarchize

__all__ = [
    "Dense",
    "Fourier",
    "LinearTransform",
    "Monarch",
    "MonarchLinear",
    "MonarchSpectralConv",
    "densify",
    "factorize_mm_star",
    "matrices_computed_once",
    "monarch_multiply",
    "monarchize",
    "project_to_monarch",
]


def __getattr__(name: str) -> Any:
    """Import the layers when they are asked for: they need neuralop, which takes seconds."""
    if name in ("MonarchLinear", "MonarchSpectralConv", "densify", "monarchize"):
        from monarch_core import layers

        return getattr(layers, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
