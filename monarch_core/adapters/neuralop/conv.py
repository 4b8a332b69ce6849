"""A spectral convolution with learnable transforms that networks of neuralop take for their own."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

import torch
from jaxtyping import Complex, Float
from neuralop.layers.base_spectral_conv import BaseSpectralConv
from neuralop.layers.resample import resample
from torch import Tensor

from monarch_core.adapters.neuralop.bound import BindableType, bound
from monarch_core.adapters.neuralop.grids import cut_or_filled
from monarch_core.adapters.neuralop.release import counts_both_signs
from monarch_core.adapters.neuralop.weight import FactorizedWeight
from monarch_core.layers import SpectralConv
from monarch_core.layers.frequencies import KEPT, both_signs, in_use, kept_counts
from monarch_core.layers.spectral_conv import MakeTransform, MakeWeight
from monarch_core.transforms import LinearTransform, Monarch
from monarch_core.transforms.arguments import check_counts, check_flag

# What a network of neuralop does not give its layers by itself.
CONFIGURABLE = ("bias", "device", "grid", "transform", "learn", "basis", "periodic")
FULL = ("none", "dense", "complexdense")


class MonarchSpectralConv(SpectralConv, BaseSpectralConv, metaclass=BindableType):
    """Drop-in for neuralop's `SpectralConv`: `layers.SpectralConv` by the contract of that layer.

    Started at the DFT it computes the same on even grids; on odd grids, where neuralop 2.0.0 undoes
    its shift wrongly, it is what the formula says, as in later versions. Where fields come on one
    grid and go to another it does what that layer does, on every Fourier axis but the last:
    frequencies f < 0 become n + f, or are lost (`cut_or_filled`). Going to more points
    along the last axis, neuralop after 2.0 also drops the imaginary part of the highest frequency
    of the first grid, where that is kept, as if it were the Nyquist frequency of the second; here,
    as in 2.0, it stays. It is a subclass, against the rule of this suite, so that its parameters
    keep their names in state dicts.

    As `conv_module` of an FNO the class itself is passed, or the class that `configured(...)`
    makes: `FNO(..., conv_module=MonarchSpectralConv.configured(grid=(64, 64)))`. Class and models
    can be pickled if the options can, so bind those of a transform with `functools.partial`, not
    with a lambda.

    Args:
        in_channels, out_channels, n_modes, bias, resolution_scaling_factor, device: as in
            neuralop's `SpectralConv` (n_modes counts both signs of a frequency, and each entry
            counts, where after 2.0 the first one scales the box of `max_n_modes` there).
        max_n_modes: frequencies with a weight, as in the neuralop that is installed: on the last
            axis those f >= 0 in 2.0, both signs in later versions.
        separable, factorization, rank, fixed_rank_modes, decomposition_kwargs: as there; the weight
            is multiplied out in every pass. `implementation` chooses another order of these
            products there, and has no effect here.
        grid, transform, learn, basis, periodic: as in `layers.SpectralConv`.
        complex_data, fno_block_precision: part of neuralop's contract. Complex data and its half
            precision are not offered: use autocast for precision.
        enforce_hermitian_symmetry: of neuralop after 2.0: True drops what no real field has, the
            imaginary part at f_D = 0 and at the Nyquist frequency once the other axes are
            transformed; False leaves that to `torch.fft.irfftn`, which fails to do it on some GPUs
            (pytorch issue 154496). (3) of `layers.SpectralConv` never has such a part, on any
            device, so that both values give the layer that neuralop has with True.
        index_set, spectral_transform: likewise of neuralop after 2.0; only None, which is the full
            box of frequencies and a regular grid.

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

    bound_options: ClassVar[dict[str, Any]] = {}

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
        rank: float | Sequence[int] | None = 0.5,
        factorization: str | None = None,
        implementation: str = "reconstructed",
        fixed_rank_modes: bool | Sequence[int] | None = False,
        decomposition_kwargs: dict[str, Any] | None = None,
        device: torch.device | str | None = None,
        *,
        enforce_hermitian_symmetry: bool = True,
        index_set: object = None,
        spectral_transform: object = None,
        grid: Sequence[int] | None = None,
        transform: MakeTransform | Sequence[MakeTransform] = Monarch,
        learn: str = "both",
        basis: str | Sequence[str | None] | None = "fourier",
        periodic: bool | Sequence[bool] = True,
    ) -> None:
        check_flag("enforce_hermitian_symmetry", enforce_hermitian_symmetry)
        _refuse_unoffered(
            complex_data=(complex_data, False),
            fno_block_precision=(fno_block_precision, "full"),
            index_set=(index_set, None),
            spectral_transform=(spectral_transform, None),
        )
        super().__init__(
            in_channels,
            out_channels,
            n_modes if max_n_modes is None else _with_both_signs(max_n_modes, n_modes),
            grid,
            transform,
            learn=learn,
            basis=basis,
            periodic=periodic,
            bias=bias,
            make_weight=_weight(
                factorization,
                rank=rank,
                is_separable=check_flag("separable", separable),
                fixed_rank_modes=[0] if fixed_rank_modes is True else fixed_rank_modes or None,
                **decomposition_kwargs or {},
            ),
        )
        self.n_modes, self.device = n_modes, device
        self.resolution_scaling_factor = _scaling(resolution_scaling_factor, self.order)
        self.to(device)

    @classmethod
    def configured(cls, **options: Any) -> "type[MonarchSpectralConv]":
        """Return this class with options bound that networks do not give, as `conv_module` takes.

        Raises:
            ValueError: for what is no option of the layer, or is the network's to give.
        """
        for name in options:
            if name not in CONFIGURABLE:
                raise ValueError(
                    f"{cls.__name__} has no option {name!r} to configure; its options are "
                    f"{', '.join(CONFIGURABLE)}, and what else it takes is given by the network"
                )
        made: type[MonarchSpectralConv] = bound(cls, options)
        return made

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
            ValueError: for a weight of another shape, or a layer whose weight is factorised.
        """
        wanted = (self.in_channels, self.out_channels, *self.n_weights)
        if tuple(weight.shape) != wanted or not weight.is_complex():
            raise ValueError(
                f"the weight must be complex (in_channels, out_channels, *modes) of shape {wanted},"
                f" got {weight.dtype} of {tuple(weight.shape)}; take it from a layer of the same "
                "channels and modes"
            )
        if isinstance(self.mode_weight, FactorizedWeight):
            raise ValueError(
                "a full weight was given to a layer whose weight is factorised; make the layer "
                "with factorization=None, or load the factors into mode_weight.tensor"
            )
        self.take_weight(weight)

    def transform(self, x: Tensor, output_shape: Sequence[int] | None = None) -> Tensor:
        """Bring a skip connection to the grid of the output, as neuralop does."""
        grid = tuple(x.shape[2:])
        out_grid = self.out_grid(grid) if output_shape is None else tuple(output_shape)
        if out_grid == grid:
            return x
        resampled: Tensor = resample(x, 1.0, list(range(2, x.ndim)), output_shape=out_grid)
        return resampled

    def slices_in_use(self, grid: Sequence[int], out_grid: Sequence[int]) -> list[slice]:
        """Return which frequencies are used: on signed axes those that the first grid holds."""
        points = [
            n if kind == "signed" else min(n, n_out)
            for n, n_out, kind in zip(grid, out_grid, self.kinds, strict=True)
        ]
        return in_use(self.n_weights, self.n_kept, points, self.kinds)

    def synthesis_rows(
        self, axis: int, n: int, n_out: int
    ) -> Float[Tensor, "2 heads modes {n_out}"]:
        """Return the rows of B^H of an axis on n_out points, for a spectrum of n."""
        rows = super().synthesis_rows(axis, n, n_out)
        if n == n_out or self.kinds[axis] == "real":
            return rows
        learned = self.inverse_transforms[axis]
        assert isinstance(learned, LinearTransform)
        return cut_or_filled(rows, self.frequencies[axis], n, learned.n)

    def out_grid(self, grid: tuple[int, ...]) -> tuple[int, ...]:
        """Return the grid of the result, for fields on this one."""
        factors = self.resolution_scaling_factor
        if factors is None:
            return grid
        return tuple(round(n * factor) for n, factor in zip(grid, factors, strict=True))


def _refuse_unoffered(**options: tuple[object, object]) -> None:
    """Raise ValueError for options of neuralop's layer, (value, what is offered), that are not."""
    for name, (value, offered) in options.items():
        if value != offered:
            raise ValueError(
                "MonarchSpectralConv maps real fields on regular grids by the full box of "
                f"frequencies and does not offer {name}={value!r}; use torch.autocast for lower "
                "precision, and neuralop's SpectralConv for the rest"
            )


def _with_both_signs(max_n_modes: int | Sequence[int], n_modes: int | Sequence[int]) -> list[int]:
    """Return `max_n_modes` with both signs counted on every axis, whichever neuralop is there."""
    order = len(both_signs(n_modes))
    counts = [max_n_modes] if isinstance(max_n_modes, int) else max_n_modes
    *others, last = check_counts("max_n_modes", counts, order, KEPT)
    return [*others, last if counts_both_signs() else 2 * last - 1]


def _weight(factorization: str | None, *, is_separable: bool, **options: Any) -> MakeWeight | None:
    """Return what makes the weight; None for the full one."""
    name = str(factorization).lower()
    if name in FULL and not is_separable:
        return None
    return partial(
        FactorizedWeight,
        factorization="dense" if name in FULL else name,
        is_separable=is_separable,
        **options,
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
