"""The swap: linear layers of a network become structured ones."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from monarch_core.adapters.dense_layers import ExchangedLayers, exchange_linear
from monarch_core.layers.block_diagonal import BlockDiagonalLinear
from monarch_core.layers.linear import MonarchLinear
from monarch_core.layers.low_rank import LowRankLinear
from monarch_core.layers.structured import StructuredLinear
from sparse.config.weight import WeightConfig

_BLOCKS_OF = {"monarch": MonarchLinear, "block_diagonal": BlockDiagonalLinear}


def swap_linear(
    network: nn.Module, weight: WeightConfig, blocks: Sequence[str], *, start: str
) -> ExchangedLayers:
    """Exchange linear layers of a network, in place: here dense becomes Monarch.

    Args:
        network: dense.
        weight: which layers, and what their weights become; dense leaves all as they are.
        blocks: patterns of the names of what lies inside the blocks, the layers that are exchanged
            where `weight` names no others.
        start: of the new layers, one of `STARTS`.

    Returns:
        What was exchanged, and how far each new layer is from the dense one.

    Raises:
        ValueError: no layer has a name that is asked for, or one is too small for its blocks.
    """
    if weight.is_control:
        return ExchangedLayers()
    return exchange_linear(
        network,
        layer_maker(weight, start),
        include=weight.include or blocks,
        exclude=weight.exclude,
    )


def layer_maker(weight: WeightConfig, start: str) -> Callable[[nn.Linear], StructuredLinear]:
    """Return what makes a structured layer for a dense one.

    Args:
        weight: not dense.
        start: one of `STARTS`.
    """

    def make(linear: nn.Linear) -> StructuredLinear:
        kind, structure = _kind(weight, linear)
        if start in ("projection", "scaled"):
            nearest: StructuredLinear = kind.from_linear(linear, structure)
            return nearest.scale_to(linear.weight) if start == "scaled" else nearest
        return kind(
            linear.in_features,
            linear.out_features,
            structure,
            linear.bias is not None,
            start="linear" if start == "random" else start,
            device=linear.weight.device,
            dtype=linear.weight.dtype,
        )

    return make


def _kind(weight: WeightConfig, linear: nn.Linear) -> tuple[Any, int]:
    """Return the class of a layer, and the number of its blocks or its rank."""
    if weight.kind == "low_rank":
        smaller = min(linear.in_features, linear.out_features)
        return LowRankLinear, weight.rank or math.ceil(smaller / weight.n_blocks)
    return _BLOCKS_OF[weight.kind], weight.n_blocks
