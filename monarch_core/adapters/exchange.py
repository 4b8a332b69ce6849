"""Exchange the dense layers of a trained model, of torch and of other libraries, for Monarch."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from monarch_core.adapters.dense_layers import (
    ExchangedLayer,
    ExchangedLayers,
    n_numbers,
    order_in,
    replacement,
)
from monarch_core.layers.linear import MonarchLinear
from monarch_core.layers.swap import exchange, sharing
from monarch_core.transforms.arguments import check_count, check_flag

log = logging.getLogger(__name__)


def monarchize(
    model: nn.Module,
    *,
    n_blocks: int = 4,
    include: str | Sequence[str] = (),
    exclude: str | Sequence[str] = (),
    fused: Mapping[str, int] | None = None,
    conv_module: Callable[..., nn.Module] | None = None,
    select: Callable[[str, nn.Module], bool] = lambda name, layer: True,
    report: Callable[[ExchangedLayers], object] = lambda layers: None,
    keep_norm: bool = False,
) -> nn.Module:
    """Exchange dense layers for Monarch ones that compute nearly the same, in place.

    Every linear layer that `exchange_linear` finds, those of `transformers` and attention among
    them and q, k and v one by one, becomes the nearest `MonarchLinear`, by projection of its weight
    (Dao et al. 2022, arXiv:2204.00595, Theorem 1; "dense-to-sparse"). neuralop's `SpectralConv`
    becomes a `MonarchSpectralConv` with the same weight, factorised or not, whose transforms start
    at the DFT: on even grids it computes the same. On the meta device nothing is projected, and the
    new layers are there too.

    Left as they are: a linear layer with fewer inputs or outputs than blocks, and what
    `exchange_linear` leaves, of spectral convolutions too. Hooks and optimisers do not follow: make
    the optimiser afterwards. What was exchanged is logged as a table at level INFO.

    Args:
        model: changed in place. What learns and what does not, dtype and device stay.
        n_blocks: of `MonarchLinear`; fewer is closer to the dense layer.
        include: patterns of names, as in `exchange_linear`; of spectral convolutions `select`
            decides alone.
        exclude: likewise.
        fused: as in `exchange_linear`.
        conv_module: `MonarchSpectralConv`, the default, or that with options bound,
            `MonarchSpectralConv.configured(grid=(64, 64))`. The new
            transforms learn as its options say, and not where the weight does not.
        select: called with the name of a layer and the layer; False leaves it.
        report: called with what was exchanged, a list of `ExchangedLayer` that prints as a table:
            `report=print`.
        keep_norm: give the new weights of linear layers the norm of the dense ones, for a model
            that is to be trained from random weights (`StructuredLinear.scale_to`); they are
            no longer the nearest.

    Returns:
        The model, or the new layer where the model is one of those exchanged.

    Raises:
        ValueError: for a spectral convolution that `MonarchSpectralConv` does not offer (complex
            data, half precision, modes that its grid cannot hold), options with which the new layer
            does not compute the same, n_blocks below 1, a weight with NaN or infinite entries, or
            as `exchange_linear`. The model is then as it was.

    Examples:
        >>> from torch import nn
        >>> from monarch_core import MonarchLinear, monarchize
        >>> model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))
        >>> monarchize(model, n_blocks=4, exclude="2")
        Sequential(
          (0): MonarchLinear(in_features=16, out_features=32, n_blocks=4, bias=True)
          (1): ReLU()
          (2): Linear(in_features=32, out_features=4, bias=True)
        )
    """
    check_count("n_blocks", n_blocks, "n_blocks=1 is the dense layer")
    check_flag("keep_norm", keep_norm)
    is_shared = sharing(model)
    done = ExchangedLayers()

    def make(name: str, linear: nn.Linear) -> nn.Module | None:
        if n_blocks > min(linear.in_features, linear.out_features):
            return None
        if not linear.weight.is_meta and not linear.weight.isfinite().all():
            raise ValueError(
                f"the weight of {name or 'the layer'} has NaN or infinite entries, to which no "
                "Monarch matrix is near; repair it, or leave the layer out with exclude"
            )
        nearest = nearest_monarch(linear, n_blocks)
        return nearest.scale_to(linear.weight) if keep_norm else nearest

    of_linear = replacement(
        model, make, done, include=include, exclude=exclude, fused=fused, select=select
    )

    def replace(name: str, layer: nn.Module) -> nn.Module | None:
        # A layer of neuralop has imported neuralop already.
        if type(layer).__module__.startswith("neuralop.") and not is_shared(layer):
            from monarch_core.adapters import neuralop

            if type(layer) is neuralop.NeuralopConv and select(name, layer):
                new = neuralop.monarch_layer(layer, conv_module)
                done.append(_of_convolution(name, layer, new))
                return new
        return of_linear(name, layer)

    order = order_in(model)
    with torch.random.fork_rng():  # new layers draw weights that are replaced at once
        result = exchange(model, replace)
    done.sort(key=order)
    log.info("exchanged for Monarch layers of %d blocks:\n%s", n_blocks, done)
    report(done)
    return result


def nearest_monarch(linear: nn.Linear, n_blocks: int) -> MonarchLinear:
    """Return `MonarchLinear.from_linear`, or on the meta device a layer of its sizes."""
    if not linear.weight.is_meta:
        return MonarchLinear.from_linear(linear, n_blocks)
    has_bias = linear.bias is not None
    sizes = linear.in_features, linear.out_features
    layer = MonarchLinear(*sizes, n_blocks, has_bias, device="meta", dtype=linear.weight.dtype)
    for factor in (layer.L, layer.R):
        factor.requires_grad_(linear.weight.requires_grad)
    if layer.bias is not None:
        layer.bias.requires_grad_(linear.bias.requires_grad)
    return layer.train(linear.training)


def _of_convolution(name: str, conv: Any, new: nn.Module) -> ExchangedLayer:
    return ExchangedLayer(
        name,
        type(conv).__name__,
        type(new).__name__,
        conv.in_channels,
        conv.out_channels,
        n_numbers(conv),
        n_numbers(new),
        None,
    )
