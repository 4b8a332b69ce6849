"""The swap: linear layers of a network become structured ones."""

import logging
import math
from collections.abc import Callable, Sequence

from torch import nn

from monarch_core.adapters.dense_layers import exchange_linear
from monarch_core.layers.linear import MonarchLinear
from sparse.config.weight import WeightConfig

log = logging.getLogger(__name__)


def swap_linear(
    network: nn.Module, weight: WeightConfig, blocks: Sequence[str], *, start: str
) -> nn.Module:
    """Exchange linear layers of a network, in place: here dense becomes Monarch.

    Args:
        network: dense.
        weight: which layers, and what their weights become; dense leaves all as they are.
        blocks: patterns of the names of what lies inside the blocks, the layers that are exchanged
            where `weight` names no others.
        start: of the new layers: random, that of their class, or projection, nearest to the dense
            weights; this logs how far each one is.

    Returns:
        The network.

    Raises:
        ValueError: no layer has a name that is asked for, or one is too small for its blocks.
    """
    if weight.is_control:
        return network
    done = exchange_linear(
        network,
        layer_maker(weight, projects=start == "projection"),
        include=weight.include or blocks,
        exclude=weight.exclude,
    )
    if start == "projection":
        log.info("relative residual of each layer:\n%s", done)
    return network


def layer_maker(weight: WeightConfig, *, projects: bool) -> Callable[[nn.Linear], nn.Module]:
    """Return what makes a structured layer for a dense one.

    Args:
        weight: not dense.
        projects: take the layer nearest to the dense one, otherwise a new one of its sizes.
    """
    kind = {"monarch": MonarchLinear}[weight.kind]

    def make(linear: nn.Linear) -> nn.Module:
        sizes = linear.in_features, linear.out_features
        if weight.kind == "low_rank":
            structure = weight.rank or math.ceil(min(sizes) / weight.n_blocks)
        else:
            structure = weight.n_blocks
        if projects:
            return kind.from_linear(linear, structure)
        return kind(
            *sizes,
            structure,
            linear.bias is not None,
            device=linear.weight.device,
            dtype=linear.weight.dtype,
        )

    return make
