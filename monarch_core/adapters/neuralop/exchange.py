"""neuralop's spectral convolutions, exchanged for layers that compute the same and can learn."""

from collections.abc import Callable

import torch
from neuralop.layers.spectral_convolution import SpectralConv as NeuralopConv
from tltorch import FactorizedTensor
from torch import nn

from monarch_core.adapters.neuralop.conv import FULL, MonarchSpectralConv
from monarch_core.adapters.neuralop.release import counts_both_signs, kept_modes
from monarch_core.adapters.neuralop.weight import FactorizedWeight
from monarch_core.transforms.arguments import check_not_replaced


def monarch_layer(
    conv: NeuralopConv, conv_module: Callable[..., nn.Module] | None
) -> MonarchSpectralConv:
    """Return a layer that computes what a `SpectralConv` of neuralop does.

    Args:
        conv: left as it is.
        conv_module: makes the layer, a `MonarchSpectralConv`; None: with its default options.

    Raises:
        ValueError: for a convolution that `MonarchSpectralConv` does not offer, and options with
            which the new layer does not compute the same.
    """
    _refuse_unknown(conv)
    *others, last = conv.max_n_modes  # of the last axis f >= 0, unless the data are complex
    options = {
        "complex_data": conv.complex_data,
        "max_n_modes": [*others, 2 * (last - 1) if counts_both_signs() else last],
        "bias": conv.bias is not None,
        "separable": conv.separable,
        "factorization": None if conv.weight.name.lower() in FULL else conv.weight.name,
        "rank": conv.weight.rank,
        "resolution_scaling_factor": conv.resolution_scaling_factor,
        "fno_block_precision": conv.fno_block_precision,
    }
    *first, half = kept_modes(conv)
    n_modes = [*first, 2 * (half - 1)]  # both signs, as the layer has them
    make = conv_module or MonarchSpectralConv
    check_not_replaced(make, options)
    layer = make(conv.in_channels, conv.out_channels, n_modes, **options)
    if not isinstance(layer, MonarchSpectralConv):
        raise ValueError(
            f"conv_module must make a MonarchSpectralConv, got one of {type(layer).__name__}; bind "
            "options with MonarchSpectralConv.configured"
        )
    for option, kept, new in (
        ("basis", "fourier", layer.bases if len(set(layer.bases)) > 1 else layer.bases[0]),
        ("bias", conv.bias is not None, layer.bias is not None),
    ):
        if new != kept:
            raise ValueError(
                f"with {option}={new!r} the new layer does not compute what neuralop's does, which "
                f"has {option}={kept!r}; leave the option out of conv_module, or the layer with "
                "select"
            )
    full = conv.weight.to_tensor()
    layer.to(full.device, full.real.dtype)
    take_weight(layer, conv.weight)
    if not any(p.requires_grad for p in conv.weight.parameters()):
        layer.requires_grad_(False)
    if layer.bias is not None:
        with torch.no_grad():
            layer.bias.copy_(conv.bias)
        layer.bias.requires_grad_(conv.bias.requires_grad)
    return layer.train(conv.training)


def take_weight(layer: MonarchSpectralConv, weight: FactorizedTensor) -> None:
    """Give a layer the weight of a `SpectralConv` of neuralop, full or factorised, as it is.

    Raises:
        ValueError: the weight of the layer is of another shape or factorisation.
    """
    own = layer.mode_weight
    if not isinstance(own, FactorizedWeight):
        layer.copy_weight(weight.to_tensor().detach())
        return
    here, there = own.tensor.state_dict(), weight.state_dict()
    shapes = [{name: tuple(value.shape) for name, value in s.items()} for s in (here, there)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"the weight of the layer has the factors {shapes[0]}, that of neuralop's {shapes[1]}; "
            "use the same factorization, rank, channels and modes"
        )
    own.tensor.load_state_dict(there)


def _refuse_unknown(conv: NeuralopConv) -> None:
    """Raise ValueError for options of later versions, or norms, that are not offered."""
    for name, value, offered in (
        ("index_set", type(getattr(conv, "index_set", None)).__name__, "HyperRectangleIndexSet"),
        (
            "spectral_transform",
            type(getattr(conv, "spectral_transform", None)).__name__,
            "RegularGridFFT",
        ),
    ):
        if value not in (offered, "NoneType"):
            raise ValueError(
                f"a layer with {name}={value} has no counterpart; leave it out with select"
            )
    if conv.fft_norm != "forward" and conv.resolution_scaling_factor is not None:
        raise ValueError(
            f"a layer that changes the resolution depends on its fft_norm, got {conv.fft_norm!r} "
            "where 'forward' has a counterpart; leave it out with select"
        )
