"""neuralop: a spectral convolution that its networks take in the place of their own."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from jaxtyping import Complex
from torch import Tensor, nn

from monarch_core.extras import require
from monarch_core.layers import SpectralConv
from monarch_core.layers.frequencies import KEPT, both_signs, kept_counts
from monarch_core.layers.spectral_conv import MakeTransform
from monarch_core.transforms import Monarch
from monarch_core.transforms.arguments import check_counts, check_flag, check_not_replaced

require("neuralop", "neuralop")

from neuralop.layers.base_spectral_conv import BaseSpectralConv  # noqa: E402
from neuralop.layers.spectral_convolution import SpectralConv as NeuralopConv  # noqa: E402

# What a network of neuralop does not give its layers by itself.
CONFIGURABLE = ("bias", "device", "grid", "transform", "learn", "basis", "periodic")


class MonarchSpectralConv(SpectralConv, BaseSpectralConv):
    """Drop-in for neuralop's `SpectralConv`: `layers.SpectralConv` by the contract of that layer.

    Started at the DFT it computes the same on even grids; on odd grids, where neuralop 2.0.0 undoes
    its shift wrongly, it is what the formula says. It is a subclass, against the rule of this
    suite, so that its parameters keep their names in state dicts.

    As `conv_module` of an FNO the class itself is passed; `configured(...)` binds its options:
    `FNO(..., conv_module=MonarchSpectralConv.configured(grid=(64, 64)))`. The model can be pickled
    if the options can, so bind those of a transform with `functools.partial`, not with a lambda.

    Args:
        in_channels, out_channels, n_modes, max_n_modes, bias, resolution_scaling_factor, device: as
            in neuralop's `SpectralConv` (n_modes counts both signs of a frequency, max_n_modes on
            the last axis those f >= 0).
        grid, transform, learn, basis, periodic: as in `layers.SpectralConv`.
        complex_data, separable, factorization, fno_block_precision: part of neuralop's contract.
            Complex data, separable and factorised weights, and its half precision are not offered:
            use autocast for precision.
        rank, implementation, fixed_rank_modes, decomposition_kwargs: likewise, without effect where
            there is no factorisation.
        enforce_hermitian_symmetry: of neuralop after 2.0: True drops what no real field has, the
            imaginary part at f_D = 0 and at the Nyquist frequency once the other axes are
            transformed; False leaves that to `torch.fft.irfftn`, which fails to do it on some GPUs
            (pytorch issue 154496). (3) of `layers.SpectralConv` never has such a part, on any
            device, so that both values give the layer that neuralop has with True.

    Raises:
        ValueError: for an option that is not offered, and as `layers.SpectralConv`.

    Examples:
        >>> import torch
        >>> from neuralop.models import FNO
        >>> from monarch_core import MonarchSpectralConv
        >>> sizes = dict(n_modes=(8, 8), in_channels=1, out_channels=1, hidden_channels=4)
        >>> _ = torch.manual_seed(0)
        >>> fft = FNO(**sizes)
        >>> _ = torch.manual_seed(0)
        >>> monarch = FNO(**sizes, conv_module=MonarchSpectralConv.configured(grid=(16, 16)))
        >>> u = torch.randn(2, 1, 16, 16)
        >>> torch.allclose(fft(u), monarch(u), atol=1e-5)  # the same until it learns
        True
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        n_modes: int | Sequence[int],
        complex_data: bool = False,
        max_n_modes: int | Sequence[int] | None = None,
        bias: bool = True,
        separable: bool = False,
        resolution_scaling_factor: float | Sequence[float] | None = None,
        fno_block_precision: str = "full",
        rank: float = 0.5,
        factorization: str | None = None,
        implementation: str = "reconstructed",
        fixed_rank_modes: bool | Sequence[int] = False,
        decomposition_kwargs: dict[str, Any] | None = None,
        device: torch.device | str | None = None,
        *,
        enforce_hermitian_symmetry: bool = True,
        grid: Sequence[int] | None = None,
        transform: MakeTransform | Sequence[MakeTransform] = Monarch,
        learn: str = "both",
        basis: str | Sequence[str | None] | None = "fourier",
        periodic: bool | Sequence[bool] = True,
    ) -> None:
        check_flag("enforce_hermitian_symmetry", enforce_hermitian_symmetry)
        _refuse_unoffered(complex_data, separable, factorization, fno_block_precision)
        most = n_modes
        if max_n_modes is not None:
            order = len(both_signs(n_modes))
            counts = [max_n_modes] if isinstance(max_n_modes, int) else max_n_modes
            *others, last = check_counts("max_n_modes", counts, order, KEPT)
            most = [*others, 2 * last - 1]  # both signs
        super().__init__(
            in_channels,
            out_channels,
            most,
            grid,
            transform,
            learn=learn,
            basis=basis,
            periodic=periodic,
            bias=bias,
        )
        self.n_modes, self.device = n_modes, device
        self.resolution_scaling_factor = _scaling(resolution_scaling_factor, self.order)
        self.to(device)

    @classmethod
    def configured(cls, **options: Any) -> "partial[MonarchSpectralConv]":
        """Return this layer with options bound that networks do not give, as `conv_module` takes.

        Raises:
            ValueError: for what is no option of the layer, or is the network's to give.
        """
        for name in options:
            if name not in CONFIGURABLE:
                raise ValueError(
                    f"{cls.__name__} has no option {name!r} to configure; its options are "
                    f"{', '.join(CONFIGURABLE)}, and what else it takes is given by the network"
                )
        return partial(cls, **options)

    @property
    def max_n_modes(self) -> list[int]:
        """Frequencies per axis that have a weight."""
        return self.n_weights

    @property
    def n_modes(self) -> list[int]:
        """Kept modes per axis; setting it counts both signs on the last axis too, as neuralop."""
        return self.n_kept

    @n_modes.setter
    def n_modes(self, n_modes: int | Sequence[int]) -> None:
        modes, most = both_signs(n_modes), self.n_weights
        kept = kept_counts(modes, self.kinds) if len(modes) == self.order else list(modes)
        if len(kept) != len(most) or any(m > limit for m, limit in zip(kept, most, strict=True)):
            raise ValueError(
                f"n_modes keeps {kept} frequencies per axis, and the layer has weights for {most}; "
                "keep fewer, or make the layer with a larger max_n_modes"
            )
        self.n_kept = kept

    @property
    def weight(self) -> Complex[Tensor, "in_channels out_channels *modes"]:
        """The weight W as neuralop lays it out, to read; `copy_weight` sets it."""
        return torch.complex(*self.both_parts().movedim((-2, -1), (1, 2)))

    def copy_weight(self, weight: Complex[Tensor, "in_channels out_channels *modes"]) -> None:
        """Take over the weight of a neuralop `SpectralConv`, or the real part if W is real.

        Raises:
            ValueError: for a weight of another shape.
        """
        wanted = (self.in_channels, self.out_channels, *self.n_weights)
        if tuple(weight.shape) != wanted or not weight.is_complex():
            raise ValueError(
                f"the weight must be complex (in_channels, out_channels, *modes) of shape {wanted},"
                f" got {weight.dtype} of {tuple(weight.shape)}; take it from a layer of the same "
                "channels and modes"
            )
        self.take_weight(weight)

    def transform(self, x: Tensor, output_shape: Sequence[int] | None = None) -> Tensor:
        """Bring a skip connection to the grid of the output, as neuralop does."""
        return NeuralopConv.transform(self, x, output_shape=output_shape)

    def out_grid(self, grid: tuple[int, ...]) -> tuple[int, ...]:
        """Return the grid of the result, for fields on this one."""
        factors = self.resolution_scaling_factor
        if factors is None:
            return grid
        return tuple(round(n * factor) for n, factor in zip(grid, factors, strict=True))


def monarch_layer(
    conv: NeuralopConv, conv_module: Callable[..., nn.Module] | None
) -> MonarchSpectralConv:
    """Return a layer that computes what a `SpectralConv` of neuralop does.

    Args:
        conv: left as it is.
        conv_module: makes the layer, a `MonarchSpectralConv`; None: with its default options.

    Raises:
        ValueError: for a convolution that `MonarchSpectralConv` does not offer, one that changes
            the resolution, and options with which the new layer does not compute the same.
    """
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
    if layer.bias is not None:
        with torch.no_grad():
            layer.bias.copy_(conv.bias)
        layer.bias.requires_grad_(conv.bias.requires_grad)
    return layer.train(conv.training)


def _refuse_unoffered(
    complex_data: bool, separable: bool, factorization: str | None, fno_block_precision: str
) -> None:
    """Raise ValueError for the options of neuralop's layer that `MonarchSpectralConv` lacks."""
    dense = str(factorization).lower() in ("none", "dense", "complexdense")
    refused = {
        f"complex_data={complex_data}": complex_data,
        f"separable={separable}": separable,
        f"factorization={factorization!r}": not dense,
        f"fno_block_precision={fno_block_precision!r}": fno_block_precision != "full",
    }
    for option, wrong in refused.items():
        if wrong:
            raise ValueError(
                f"MonarchSpectralConv maps real fields with one full weight per frequency and does "
                f"not offer {option}; use torch.autocast for lower precision, and neuralop's "
                "SpectralConv for the rest"
            )


def _scaling(given: float | Sequence[float] | None, order: int) -> list[float] | None:
    """Return one factor per axis.

    Raises:
        ValueError: for factors that neuralop leaves out without a word, as a tuple, or that are not
            above zero.
    """
    if given is None:
        return None
    factors = given if isinstance(given, list) else [given] * order
    numbers = [float(f) for f in factors if isinstance(f, int | float) and 0 < f < math.inf]
    if len(numbers) != len(factors) or len(numbers) != order:
        raise ValueError(
            f"resolution_scaling_factor must be a number above 0 or a list of {order}, one for "
            f"every axis, got {given!r}; give a list of floats"
        )
    return numbers
