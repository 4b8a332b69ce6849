"""Exchange the dense layers of a trained model, of torch and of other libraries, for Monarch."""

from collections.abc import Callable

import torch
from torch import nn

from monarch_core.layers.linear import MonarchLinear
from monarch_core.layers.swap import exchange, sharing
from monarch_core.transforms.arguments import check_count


def monarchize(
    model: nn.Module,
    *,
    n_blocks: int = 4,
    conv_module: Callable[..., nn.Module] | None = None,
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
        conv_module: `MonarchSpectralConv`, the default, or that with options bound,
            `MonarchSpectralConv.configured(grid=(64, 64))`. The new
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
    is_shared = sharing(model)

    def replace(name: str, layer: nn.Module) -> nn.Module | None:
        if type(layer) is nn.Linear:
            small = n_blocks > min(layer.in_features, layer.out_features)
            if small or "weight" not in layer._parameters or is_shared(layer):
                return None
            return MonarchLinear.from_linear(layer, n_blocks) if select(name, layer) else None
        # A layer of neuralop has imported neuralop already.
        if type(layer).__module__.startswith("neuralop.") and not is_shared(layer):
            from monarch_core.adapters import neuralop

            if type(layer) is neuralop.NeuralopConv and select(name, layer):
                return neuralop.monarch_layer(layer, conv_module)
        return None

    with torch.random.fork_rng():  # new layers draw weights that are replaced at once
        return exchange(model, replace)
