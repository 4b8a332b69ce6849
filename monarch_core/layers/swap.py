"""Exchange the layers of a trained model."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from torch import nn

from monarch_core.layers.structured import StructuredLinear
from monarch_core.transforms import Dense, Monarch


def densify(model: nn.Module) -> nn.Module:
    """Exchange structured layers for dense ones that compute the same, in place.

    Every `StructuredLinear` becomes `torch.nn.Linear` ("reverse sparsification" in Dao et al. 2022:
    train sparse, finish dense), a layer with a method `to_dense` what that returns, and every
    `Monarch` transform, those of a `MonarchSpectralConv` among them, a `Dense` one with its matrix.
    Layers that share parameters with others are left as they are. What learns and what does not,
    dtype and device stay; hooks and optimisers do not follow.

    Returns:
        The model, or the new layer where the model is one of those exchanged.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from monarch_core import MonarchLinear, densify
        >>> model = nn.Sequential(MonarchLinear(12, 24), nn.ReLU(), MonarchLinear(24, 12))
        >>> x = torch.randn(5, 12)
        >>> y = model(x)
        >>> torch.allclose(densify(model)(x), y, atol=1e-5)
        True
        >>> model[0]
        Linear(in_features=12, out_features=24, bias=True)
    """
    is_shared = sharing(model)

    def replace(name: str, layer: nn.Module) -> nn.Module | None:
        if is_shared(layer):
            return None
        to_dense = getattr(layer, "to_dense", None)
        if to_dense is not None:
            dense: nn.Module = to_dense()
            return dense
        if isinstance(layer, StructuredLinear):
            return layer.to_linear()
        return Dense.of(layer) if isinstance(layer, Monarch) else None

    return exchange(model, replace)


def sharing(model: nn.Module) -> Callable[[nn.Module], bool]:
    """Return a function that tells whether anything in a layer is in use elsewhere too."""
    owners = Counter(
        part
        for module in model.modules()
        for part in {*module._parameters.values(), *module._modules.values()}
    )

    def is_shared(layer: nn.Module) -> bool:
        parts: set[Any] = {*layer.parameters(), *layer.modules()} - {layer}
        return any(owners[part] > 1 for part in parts)

    return is_shared


def exchange(model: nn.Module, replace: Callable[[str, nn.Module], nn.Module | None]) -> nn.Module:
    """Put what `replace` returns in the place of each layer, once for a layer in two places."""
    done: dict[nn.Module, nn.Module] = {}

    def new(name: str, layer: nn.Module) -> nn.Module:
        if layer not in done:
            done[layer] = replace(name, layer) or layer
        return done[layer]

    # Everything is made before anything changes: an error leaves the model as it was.
    places = [
        (parent, key, new(f"{path}.{key}".removeprefix("."), child))
        for path, parent in model.named_modules()
        for key, child in parent._modules.items()
        if child is not None and key != "_orig_mod"  # what torch.compile has compiled stays
    ]
    result = new("", model)
    for parent, key, child in places:
        if parent._modules[key] is not child:
            setattr(parent, key, child)
    return result
