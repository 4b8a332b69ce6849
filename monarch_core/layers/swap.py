"""Exchange the layers of a trained model: dense for Monarch, and back."""

from collections import Counter
from collections.abc import Callable

from neuralop.layers.spectral_convolution import SpectralConv
from torch import nn

from monarch_core.layers.linear import MonarchLinear
from monarch_core.layers.spectral_conv import MonarchSpectralConv
from monarch_core.transforms import Dense, Monarch


def monarchize(
    model: nn.Module,
    *,
    n_blocks: int = 4,
    conv_module: type[MonarchSpectralConv] = MonarchSpectralConv,
    select: Callable[[str, nn.Module], bool] = lambda name, layer: True,
) -> nn.Module:
    """Exchange dense layers for Monarch ones that compute nearly the same, in place.

    `torch.nn.Linear` becomes the nearest `MonarchLinear`, by projection of its weight (Dao et al.
    2022, arXiv:2204.00595, Theorem 1; "dense-to-sparse"). neuralop's `SpectralConv` becomes a
    `MonarchSpectralConv` with the same weight, whose transforms start at the DFT: on even grids it
    computes the same. A factorised weight is multiplied out.

    Left as they are: a linear layer with fewer inputs or outputs than blocks, one whose parameters
    other layers use too, and subclasses of the two, since their owners may reach into them. Hooks
    and optimisers do not follow: make the optimiser afterwards.

    Args:
        model: changed in place. Whether parameters learn, dtype and device stay.
        n_blocks: of `MonarchLinear`; fewer is closer to the dense layer.
        conv_module: with options bound, `MonarchSpectralConv.configured(grid=(64, 64))`.
        select: called with the name of a layer and the layer; False leaves it.

    Returns:
        The model, or the new layer where the model is one of those exchanged.

    Raises:
        ValueError: for a spectral convolution that `MonarchSpectralConv` does not offer (complex
            data, separable weights, half precision, modes that its grid cannot hold), or one with
            a real transform, which does not compute the same.
    """
    users = Counter(
        parameter for layer in model.modules() for parameter in layer.parameters(recurse=False)
    )

    def exchange(name: str, layer: nn.Module) -> nn.Module | None:
        if type(layer) is nn.Linear:
            small = n_blocks > min(layer.in_features, layer.out_features)
            shared = any(users[parameter] > 1 for parameter in layer.parameters())
            if small or shared or not select(name, layer):
                return None
            return MonarchLinear.from_linear(layer, n_blocks)
        if type(layer) is SpectralConv and select(name, layer):
            return _monarch_conv(layer, conv_module)
        return None

    return _exchange(model, exchange)


def densify(model: nn.Module) -> nn.Module:
    """Exchange Monarch layers for dense ones that compute the same, in place.

    `MonarchLinear` becomes `torch.nn.Linear` ("reverse sparsification" in Dao et al. 2022: train
    sparse, finish dense), and every `Monarch` transform, those of a `MonarchSpectralConv` among
    them, a `Dense` one with its matrix. Whether parameters learn, dtype and device stay; hooks and
    optimisers do not follow.

    Returns:
        The model, or the new layer where the model is one of those exchanged.
    """

    def exchange(name: str, layer: nn.Module) -> nn.Module | None:
        if isinstance(layer, MonarchLinear):
            return layer.to_linear()
        return Dense.of(layer) if isinstance(layer, Monarch) else None

    return _exchange(model, exchange)


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
        if child is not None
    ]
    result = new("", model)
    for parent, key, child in places:
        setattr(parent, key, child)
    return result


def _monarch_conv(
    conv: SpectralConv, conv_module: type[MonarchSpectralConv]
) -> MonarchSpectralConv:
    """Return a layer with the weights of neuralop's."""
    weight = conv.weight.to_tensor()
    layer = conv_module(
        conv.in_channels,
        conv.out_channels,
        [*conv.n_modes[:-1], 2 * (conv.n_modes[-1] - 1)],  # both signs, as the layer takes them
        complex_data=conv.complex_data,
        max_n_modes=conv.max_n_modes,
        bias=conv.bias is not None,
        separable=conv.separable,
        resolution_scaling_factor=conv.resolution_scaling_factor,
        fno_block_precision=conv.fno_block_precision,
    )
    if layer.real_transform:
        raise ValueError(
            f"a layer with basis={layer.basis!r} does not compute what the FFT does; use "
            "basis=fourier"
        )
    layer.copy_weight(weight.detach())
    layer.mode_weight.requires_grad_(any(p.requires_grad for p in conv.weight.parameters()))
    if conv.bias is not None:
        layer.bias = conv.bias
    return layer.to(weight.device).train(conv.training)
