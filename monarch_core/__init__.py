"""Learnable Monarch matrices where networks use a Fourier transform."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from monarch_core.adapters.dense_layers import exchange_linear
    from monarch_core.adapters.exchange import monarchize
    from monarch_core.adapters.fine_tuning import add_monarch_adapters, merge_adapters
    from monarch_core.adapters.neuralop import MonarchSpectralConv
    from monarch_core.adapters.saved import load_monarchized, save_monarchized
    from monarch_core.layers import (
        BlockDiagonalLinear,
        LowRankLinear,
        MonarchLinear,
        StructuredLinear,
        densify,
    )
    from monarch_core.transforms import (
        Dense,
        Fourier,
        LinearTransform,
        Monarch,
        factorize_mm_star,
        monarch_multiply,
        prepared,
        project_to_monarch,
    )

__all__ = [
    "BlockDiagonalLinear",
    "Dense",
    "Fourier",
    "LinearTransform",
    "LowRankLinear",
    "Monarch",
    "MonarchLinear",
    "MonarchSpectralConv",
    "StructuredLinear",
    "add_monarch_adapters",
    "densify",
    "exchange_linear",
    "factorize_mm_star",
    "load_monarchized",
    "merge_adapters",
    "monarch_multiply",
    "monarchize",
    "prepared",
    "project_to_monarch",
    "save_monarchized",
]


def __getattr__(name: str) -> Any:
    """Import what is asked for, and torch with it: run folders and reports need none of it."""
    homes = {
        "Dense": "transforms",
        "Fourier": "transforms",
        "LinearTransform": "transforms",
        "Monarch": "transforms",
        "factorize_mm_star": "transforms",
        "monarch_multiply": "transforms",
        "prepared": "transforms",
        "project_to_monarch": "transforms",
        "BlockDiagonalLinear": "layers.block_diagonal",
        "LowRankLinear": "layers.low_rank",
        "MonarchLinear": "layers.linear",
        "StructuredLinear": "layers.structured",
        "densify": "layers.swap",
        "add_monarch_adapters": "adapters.fine_tuning",
        "merge_adapters": "adapters.fine_tuning",
        "load_monarchized": "adapters.saved",
        "save_monarchized": "adapters.saved",
        "exchange_linear": "adapters.dense_layers",
        "monarchize": "adapters.exchange",
        "MonarchSpectralConv": "adapters.neuralop",
    }
    if name not in homes:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{homes[name]}"), name)
