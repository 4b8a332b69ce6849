"""Stands for `monarch_core.adapters` until its function is there."""

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

import torch
from torch import nn

from monarch_core.layers.swap import exchange


def exchange_linear(
    model: nn.Module,
    make: Callable[[nn.Linear], nn.Module | None],
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
) -> list[str]:
    """Exchange layers by name, in place."""
    done = []

    def replace(name: str, layer: nn.Module) -> nn.Module | None:
        if include and not any(fnmatchcase(name, p) for p in include):
            return None
        if any(fnmatchcase(name, p) for p in exclude):
            return None
        if type(layer).__name__ == "Conv1D":
            linear = nn.Linear(*layer.weight.shape)
            with torch.no_grad():
                linear.weight.copy_(layer.weight.mT)
                linear.bias.copy_(layer.bias)
            layer = linear
        new = make(layer) if type(layer) is nn.Linear else None
        if new is not None:
            done.append(name)
        return new

    exchange(model, replace)
    return done
