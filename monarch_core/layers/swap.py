"""Exchange the layers of a trained model: dense for Monarch, and back."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from neuralop.layers.spectral_convolution import SpectralConv
from torch import nn

from monarch_core.layers.configured import refuse_replaced
from monarch_core.layers.linear import MonarchLinear
from monarch_core.layers.spectral_conv import MonarchSpectralConv
from monarch_core.transforms import Dense, Monarch
from monarch_core.transforms.arguments import check_count


def monarchize(
    model: nn.Module,
    *,
    n_blocks: int = 4,
    conv_module: Callable[..., MonarchSpectralConv] = MonarchSpectralConv,
    select: Callable[[str, nn.Module], bool] = lambda name, layer: True,
) -> nn.Module:
    """Exchange dense layers for Monarch ones that compute nearly the same, in place.

    `torch.nn.Linear` becomes the nearest `MonarchLinear`, by projection of its weight (Dao et al.
    2022, arXiv:2204.00595, Theorem 1; "dense-to-sparse"). neuralop's `SpectralConv` becomes a
    `MonarchSpectralConv` with the same weight, whose transforms start at the DFT: on even grids it
    computes the same, where input and output are on one grid. A factorised weight is multiplied
    out.

    Left as they are: a linear layer with fewer inputs or outputs than blocks or whose weight is
    computed from others (weight norm), layers that share parameters with other layers, one that is
    compiled by itself, and subclasses of the two, since their owners may reach into them. Hooks and
    optimisers do not follow: make the optimiser afterwards.

    Args:
        model: changed in place. What learns and what does not, dtype and device stay.
        n_blocks: of `MonarchLinear`; fewer is closer to the dense layer.
        conv_module: with options bound, `MonarchSpectralConv.configured(grid=(64, 64))`. The new
            transforms learn as its options say, and not where the weight does not.
        select: called with the name of a layer and the layer; False leaves it.

    Returns:
        The model, or the new layer where the model is one of those exchanged.

    Raises:
        ValueError: for a spectral convolution that `MonarchSpectralConv` does not offer (complex
            data, separable weights, half precision, modes that its grid cannot hold), one that
            changes the resolution, options with which the new layer does not compute the same, or
            n_blocks below 1. The model is then as it was.
    """
    check_count("n_blocks", n_blocks, "n_blocks=1 is the dense layer")
    is_shared = _sharing(model)

    def exchange(name: str, layer: nn.Module) -> nn.Module | None:
        if type(layer) is nn.Linear:
            small = n_blocks > min(layer.in_features, layer.out_features)
            if small or "weight" not in layer._parameters or is_shared(layer):
                return None
            return MonarchLinear.from_linear(layer, n_blocks) if select(name, layer) else None
        if type(layer) is SpectralConv and not is_shared(layer) and select(name, layer):
            return _monarch_conv(layer, conv_module)
        return None

    with torch.random.fork_rng():  # new layers draw weights that are replaced at once
        return _exchange(model, exchange)


def densify(model: nn.Module) -> nn.Module:
    """Exchange Monarch layers for dense ones that compute the same, in place.

    `MonarchLinear` becomes `torch.nn.Linear` ("reverse sparsification" in Dao et al. 2022: train
    sparse, finish dense), and every `Monarch` transform, those of a `MonarchSpectralConv` among
    them, a `Dense` one with its matrix. Layers that share parameters with others are left as they
    are. What learns and what does not, dtype and device stay; hooks and optimisers do not follow.

    Returns:
        The model, or the new layer where the model is one of those exchanged.
    """
    is_shared = _sharing(model)

    def exchange(name: str, layer: nn.Module) -> nn.Module | None:
        if is_shared(layer):
            return None
        if isinstance(layer, MonarchLinear):
            return layer.to_linear()
        return Dense.of(layer) if isinstance(layer, Monarch) else None

    return _exchange(model, exchange)


def _sharing(model: nn.Module) -> Callable[[nn.Module], bool]:
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


def _exchange(
    model: nn.Module, exchange: Callable[[str, nn.Module], nn.Module | None]
) -> nn.Module:
    """Put what `exchange` returns in the place of each layer, once for a layer in two places."""
    done: dict[nn.Module, nn.Module] = {}

    def new(name: str, layer: nn.Module) -> nn.Module:
        if layer not in done:
            done[layer] = exchange(name, layer) or layer
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


def _monarch_conv(
    conv: SpectralConv, conv_module: Callable[..., MonarchSpectralConv]
) -> MonarchSpectralConv:
    """Return a layer with the weights of neuralop's, made for what that computes."""
    if conv.resolution_scaling_factor is not None:
        raise ValueError(
            "a layer that changes the resolution does not compute what neuralop's does, got "
            f"resolution_scaling_factor={conv.resolution_scaling_factor}; leave it out with select"
        )
    weight = conv.weight.to_tensor().detach()
    n_modes = [*conv.n_modes[:-1], 2 * (conv.n_modes[-1] - 1)]  # both signs, as the layer has them
    options = {
        "complex_data": conv.complex_data,
        "max_n_modes": conv.max_n_modes,
        "bias": conv.bias is not None,
        "separable": conv.separable,
        "fno_block_precision": conv.fno_block_precision,
    }
    refuse_replaced(conv_module, options)
    layer = conv_module(conv.in_channels, conv.out_channels, n_modes, **options)
    if not isinstance(layer, MonarchSpectralConv):
        raise ValueError(
            f"conv_module must make a MonarchSpectralConv, got one of {type(layer).__name__}; bind "
            "options with MonarchSpectralConv.configured"
        )
    for option, kept, new in (
        ("basis", "fourier", layer.basis),
        ("bias", conv.bias is not None, layer.bias is not None),
        ("resolution_scaling_factor", None, layer.resolution_scaling_factor),
    ):
        if new != kept:
            raise ValueError(
                f"with {option}={new!r} the new layer does not compute what neuralop's does, which "
                f"has {option}={kept!r}; leave the option out of conv_module, or the layer with "
                "select"
            )
    layer.to(weight.device, weight.real.dtype)
    layer.copy_weight(weight)
    if not any(p.requires_grad for p in conv.weight.parameters()):
        layer.requires_grad_(False)
    if conv.bias is not None:
        with torch.no_grad():
            layer.bias.copy_(conv.bias)
        layer.bias.requires_grad_(conv.bias.requires_grad)
    return layer.train(conv.training)
