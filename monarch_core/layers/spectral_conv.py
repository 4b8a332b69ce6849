"""A spectral convolution whose transforms can learn."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Complex, Float, Inexact
from torch import Tensor, nn

from monarch_core.layers.axis_rows import make_transform, rows_on
from monarch_core.layers.fourier_product import fft_is_cheaper, fourier_product
from monarch_core.layers.frequencies import (
    axis_kinds,
    both_signs,
    check_grid,
    in_use,
    kept_counts,
    kept_frequencies,
)
from monarch_core.layers.monarch_rows import monarch_rows
from monarch_core.layers.precision import check_dtype, check_real
from monarch_core.layers.resample import BASES
from monarch_core.layers.spectral_product import checked_product
from monarch_core.transforms import Fourier, LinearTransform, Monarch
from monarch_core.transforms.arguments import check_choice, check_count, check_flag, per_axis
from monarch_core.transforms.prepared import Preparable

LEARN = ("both", "forward", "inverse", "none")
MakeTransform = Callable[..., LinearTransform]


class SpectralWeight(nn.Module, ABC):
    """The weight W of a spectral convolution as parameters of another form, such as few factors."""

    @abstractmethod
    def forward(self) -> Inexact[Tensor, "in_channels out_channels *modes"]:
        """Return W, complex, or real for a layer whose weight is."""

    @abstractmethod
    def reset_parameters(self, deviation: float) -> None:
        """Draw W anew, with E |W|^2 = deviation^2."""


MakeWeight = Callable[[tuple[int, ...], torch.dtype], SpectralWeight]


class SpectralConv(Preparable):
    """Spectral convolution with one learnable transform per axis and direction.

    With A_d the forward and B_d the inverse transform of axis d, restricted to the kept
    frequencies f_d, channels c and o, and a complex weight W per frequency:

        X[c, f_1 ... f_D] = sum_{x_1 ... x_D} A_1[f_1, x_1] ... A_D[f_D, x_D] u[c, x_1 ... x_D]  (1)
        Y[o, f_1 ... f_D] = sum_c W[f_1 ... f_D, c, o] X[c, f_1 ... f_D]                         (2)
        v[o, x_1 ... x_D] = Re sum_f s(f_D) B_1[x_1, f_1] ... B_D[x_D, f_D] Y[o, f] + bias[o]    (3)

    The field is real, so that the last axis keeps f_D >= 0 only and s counts the conjugate half:
    s = 1 at f_D = 0 and at the Nyquist frequency, else 2. Started at the DFT this is the layer of
    the Fourier neural operator (Li et al. 2021, arXiv:2010.08895).

    Every axis may have a transform of its own: Fourier along a channel, cosine between its walls.
    One that is real before learning has no conjugate half: with the basis cosine, sine or None,
    f_d = 0, 1, ..., as many as Fourier frequencies of both signs, on the last axis twice the
    n_modes // 2 + 1 that a Fourier transform keeps. The half f >= 0, and s, then belong to the last
    Fourier axis, where f = -n_modes // 2 is left out; without any, s = 1 and W is real. Band width
    and numbers of the weights are always those of the Fourier layer.

    Everything is real matrix products over the kept frequencies, without an FFT and without
    complex numbers, so that autocast and export work; only for fields on one axis with the
    transform `Fourier`, which stays the DFT, the FFT is taken where it is faster
    (`fourier_product`). The transforms belong to the grid `grid`.
    On another grid their rows (columns), which are functions on the grid, are interpolated in the
    basis that they started from (`resample_rows`): before learning the layer is then again
    that of the new grid, if no Nyquist frequency is among those kept, the grid being i / n, or the
    cell centres (i + 1/2) / n of the DCT-II and the DST-II.

    `prepared()` makes the matrices of its own grid, and leaves those of others to every call.

    Args:
        in_channels: of the fields.
        out_channels: of the result.
        n_modes: kept frequencies per axis, both signs counted.
        grid: points per axis that the transforms are learned on; None: on each axis the smallest
            power of two that is at least twice n_modes.
        transform: makes the transform of one axis; called with n, inverse, norm and modes.
            Bind its other options with `functools.partial(Monarch, heads=4)`. Here and in `basis`
            and `periodic`, a sequence has one entry per axis.
        learn: which transforms learn: "both", "forward", "inverse" or "none".
        basis: what the rows of `transform` are before learning, and are interpolated in:
            "fourier", "cosine" or "sine". None: any real rows, such as those of a Hadamard,
            identity or random start; "complex": any complex ones, those of f and -f conjugate. Such
            a layer works on the grid that it is made for alone.
        periodic: whether the fields are periodic; it matters for the Fourier basis on another grid
            than `grid`.
        bias: add a learned number per channel.
        make_weight: makes W of other parameters than its numbers; called with its shape
            (in_channels, out_channels, *modes) and its dtype, complex64 or float32.

    Attributes:
        n_weights: frequencies of every axis that have a weight.
        n_kept: how many of them are in use, the lowest; those that both grids hold.

    Raises:
        ValueError: for modes that the grid cannot hold, heads that do not divide the channels, or
            a `basis` that `transform` does not have.

    Examples:
        >>> from functools import partial
        >>> import torch
        >>> from monarch_core import Fourier, Monarch
        >>> from monarch_core.layers import SpectralConv
        >>> layer = SpectralConv(2, 3, n_modes=(8, 8), grid=(16, 16))
        >>> u = torch.randn(5, 2, 16, 16)
        >>> layer(u).shape, layer(u, output_shape=(32, 24)).shape
        (torch.Size([5, 3, 16, 16]), torch.Size([5, 3, 32, 24]))

        Cosine between walls on the first axis, Fourier on the second, and only the latter learns:

        >>> make = [partial(Monarch, start="cosine", frozen=True), Monarch]
        >>> mixed = SpectralConv(
        ...     2, 3, (8, 8), (16, 16), make, basis=["cosine", "fourier"], periodic=[False, True]
        ... )
        >>> mixed(u).shape
        torch.Size([5, 3, 16, 16])
    """

    bias: nn.Parameter | None
    ready_for: tuple[object, ...] | None = None  # what a prepared layer has its matrices for

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        n_modes: int | Sequence[int],
        grid: Sequence[int] | None = None,
        transform: MakeTransform | Sequence[MakeTransform] = Monarch,
        *,
        learn: str = "both",
        basis: str | Sequence[str | None] | None = "fourier",
        periodic: bool | Sequence[bool] = True,
        bias: bool = True,
        make_weight: MakeWeight | None = None,
    ) -> None:
        super().__init__()
        n_modes = both_signs(n_modes)
        self.order = len(n_modes)
        check_choice("learn", learn, LEARN)
        check_flag("bias", bias)
        self.bases = per_axis("basis", basis, self.order)
        self.periodic = per_axis("periodic", periodic, self.order)
        for axis_basis, is_periodic in zip(self.bases, self.periodic, strict=True):
            check_choice("basis", axis_basis, (*BASES, "complex", None))
            check_flag("periodic", is_periodic)
        self.in_channels = check_count("in_channels", in_channels, "count those of the fields")
        self.out_channels = check_count("out_channels", out_channels, "count those of the result")
        self.kinds = axis_kinds([b not in ("fourier", "complex") for b in self.bases])
        self.real_weight = "half" not in self.kinds
        self.n_weights = kept_counts(n_modes, self.kinds)
        self.n_kept = list(self.n_weights)
        self.grid = check_grid(grid, self.n_weights, self.kinds)
        self.frequencies = kept_frequencies(self.n_weights, self.kinds)
        channels = self.in_channels, self.out_channels
        self.mode_weight: nn.Parameter | SpectralWeight
        if make_weight is None:
            # The layout that the batched product of (2) takes without a copy; real part first.
            self.mode_weight = nn.Parameter(
                torch.empty(2 - self.real_weight, *self.n_weights, *channels)
            )
        else:
            dtype = torch.float32 if self.real_weight else torch.complex64
            self.mode_weight = make_weight((*channels, *self.n_weights), dtype)
        shape = (self.out_channels, *[1] * self.order)
        self.bias = nn.Parameter(torch.empty(shape)) if bias else None
        self.reset_parameters()
        makers = per_axis("transform", transform, self.order)
        self.forward_transforms, self.inverse_transforms = (
            self._transforms(makers, inverse, channels)
            for inverse, channels in ((False, self.in_channels), (True, self.out_channels))
        )
        if learn not in ("both", "forward"):
            self.forward_transforms.requires_grad_(False)
        if learn not in ("both", "inverse"):
            self.inverse_transforms.requires_grad_(False)

    def _transforms(
        self, makers: Sequence[MakeTransform], inverse: bool, channels: int
    ) -> nn.ModuleList:
        """Return the transform of every axis."""
        axes = zip(makers, self.grid, self.frequencies, self.bases, strict=True)
        made = nn.ModuleList(
            make_transform(make, n, f, basis, channels, inverse=inverse, axis=axis)
            for axis, (make, n, f, basis) in enumerate(axes)
        )
        return made.to(torch.get_default_device())

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw weights and bias anew, as is needed after `Module.to_empty`.

        They are complex Gaussian, E |W|^2 = 2 / (in_channels + out_channels), in the order and the
        layout of neuralop's layer, so that one seed gives both the same. A real weight takes the
        variance of both parts. The transforms have a `reset_parameters` of their own.
        """
        deviation = (2 / (self.in_channels + self.out_channels)) ** 0.5
        if isinstance(self.mode_weight, SpectralWeight):
            self.mode_weight.reset_parameters(deviation)
        else:
            shape = (self.in_channels, self.out_channels, *self.n_weights)
            W = torch.empty(shape, dtype=torch.cfloat).normal_(0, deviation)
            self.take_weight(W * math.sqrt(2.0) if self.real_weight else W)
        if self.bias is not None:
            self.bias.copy_(deviation * torch.randn(self.bias.shape))

    @torch.no_grad()
    def take_weight(self, W: Complex[Tensor, "in_channels out_channels *modes"]) -> None:
        """Take over W, or its real part if the weight is real; not in a `SpectralWeight`."""
        assert isinstance(self.mode_weight, nn.Parameter)
        parts = torch.stack((W.real, W.imag))[: len(self.mode_weight)]
        self.mode_weight.copy_(parts.movedim((1, 2), (-2, -1)))

    def both_parts(self) -> Float[Tensor, "2 *modes in_channels out_channels"]:
        """Return W as (real, imaginary)."""
        W = self.mode_weight
        if isinstance(W, SpectralWeight):
            full = W()
            parts = (full, torch.zeros_like(full)) if self.real_weight else (full.real, full.imag)
            return torch.stack(parts).movedim((1, 2), (-2, -1))
        return torch.cat((W, torch.zeros_like(W))) if self.real_weight else W

    def _of_the_weight(self) -> Tensor:
        """Return a real tensor of its dtype, on its device."""
        W = self.mode_weight
        return next(W.parameters()).real if isinstance(W, SpectralWeight) else W

    def forward(
        self, x: Float[Tensor, "batch in_channels *grid"], output_shape: Sequence[int] | None = None
    ) -> Float[Tensor, "batch out_channels *out_grid"]:
        """Return v of (3) for the real fields x, on a grid of `output_shape` points (None: x's).

        The kept frequencies are those of `n_kept` that both grids hold. Under
        autocast the products run in its dtype, double precision apart, as in `torch.nn.Linear`.

        Raises:
            ValueError: for fields of another shape or dtype than the layer is made for, and for
                another grid than its own without a `basis`.
        """
        self._check_fields(x, output_shape)
        check_real(x, weight=self._of_the_weight())
        check_dtype(x, weight=self._of_the_weight())
        grid = tuple(x.shape[2:])
        out_grid = self.out_grid(grid) if output_shape is None else tuple(output_shape)
        if self._may_take_the_fft():
            W = self.both_parts()[:, *self.slices_in_use(grid, out_grid)]
            if fft_is_cheaper(x, out_grid[0], W.shape[1]):
                return fourier_product(x, W, self.bias, out_grid[0])
        names = ("W", *(f"{way}_{d}" for way in ("down", "up") for d in range(self.order)))
        if self.ready_for == (grid, out_grid, *self.n_kept):
            W, *rows = (self.get_buffer(f"made_{name}") for name in names)
        else:
            W, *rows = self._matrices(grid, out_grid)
        return checked_product(x, W, self.bias, *rows)

    def _may_take_the_fft(self) -> bool:
        """Return whether the layer is on one axis, with transforms that stay the DFT."""
        transforms = (*self.forward_transforms, *self.inverse_transforms)
        return self.bases == ("fourier",) and all(isinstance(t, Fourier) for t in transforms)

    def out_grid(self, grid: tuple[int, ...]) -> tuple[int, ...]:
        """Return the grid of the result, for fields on this one."""
        return grid

    def make(self) -> dict[str, Tensor]:
        """Return what `spectral_product` takes beside the fields, on the grid of the layer."""
        W, *rows = self._matrices(self.grid, self.out_grid(self.grid))
        half = self.order
        return {
            "W": W.view_as(W),  # no parameter, which a buffer must not be
            **{f"down_{d}": matrix for d, matrix in enumerate(rows[:half])},
            **{f"up_{d}": matrix for d, matrix in enumerate(rows[half:])},
        }

    def prepared(self) -> "SpectralConv":
        """Return a view of this layer with the matrices of its own grid and of its modes now."""
        view = super().prepared()
        assert isinstance(view, SpectralConv)
        if view is not self:
            view.ready_for = (self.grid, self.out_grid(self.grid), *self.n_kept)
        return view

    def slices_in_use(self, grid: Sequence[int], out_grid: Sequence[int]) -> list[slice]:
        """Return which of the frequencies with a weight are used between two grids."""
        both = [min(pair) for pair in zip(grid, out_grid, strict=True)]
        return in_use(self.n_weights, self.n_kept, both, self.kinds)

    def synthesis_rows(
        self, axis: int, n: int, n_out: int
    ) -> Float[Tensor, "2 heads modes {n_out}"]:
        """Return the rows of B^H of an axis on n_out points, for fields that come on n."""
        return self._rows_of(self.inverse_transforms, axis, n_out)

    def _rows_of(self, transforms: nn.ModuleList, axis: int, n: int) -> Tensor:
        transform = transforms[axis]
        assert isinstance(transform, LinearTransform)
        weight = self._of_the_weight()
        return rows_on(
            n,
            transform,
            self.frequencies[axis],
            self.bases[axis],
            weight.dtype,
            weight.device,
            inverse=transforms is self.inverse_transforms,
            periodic=self.periodic[axis],
        )

    def _matrices(self, grid: tuple[int, ...], out_grid: tuple[int, ...]) -> list[Tensor]:
        """Return W, [Re A; Im A] of every axis, and [Re B^H; Im B^H], times s where it belongs."""
        slices = self.slices_in_use(grid, out_grid)
        rows = self._rows(grid, out_grid)
        if all(part == slice(None) for part in slices):
            return [self.both_parts(), *rows]
        kept = [
            R.unflatten(1, (2, -1))[:, :, part].flatten(1, 2)
            for R, part in zip(rows, 2 * slices, strict=True)
        ]
        return [self.both_parts()[:, *slices], *kept]

    def _rows(self, grid: tuple[int, ...], out_grid: tuple[int, ...]) -> list[Tensor]:
        """Return the rows as `_matrices`, for all frequencies that have a weight."""
        doubled = None
        if not self.real_weight:
            d = self.kinds.index("half")  # neither f = 0 nor the Nyquist frequency
            doubled = d, (1, min((out_grid[d] + 1) // 2, self.n_weights[d]))
        if grid == out_grid == self.grid and self._of_the_weight().dtype == torch.float32:
            quick = monarch_rows([*self.forward_transforms, *self.inverse_transforms], doubled)
            if quick is not None:
                return quick
        axes = range(self.order)
        found = [
            rows.transpose(0, 1).flatten(1, 2)
            for rows in (
                *(self._rows_of(self.forward_transforms, d, grid[d]) for d in axes),
                *(self.synthesis_rows(d, grid[d], out_grid[d]) for d in axes),
            )
        ]
        if doubled is not None:
            d, (first, end) = doubled
            up = found[self.order + d].unflatten(1, (2, -1))
            s = up.new_ones(up.shape[2])
            s[first:end] = 2
            found[self.order + d] = (s[:, None] * up).flatten(1, 2)
        return found

    def _check_fields(self, x: Tensor, output_shape: Sequence[int] | None) -> None:
        shape, order = tuple(x.shape), self.order
        if len(shape) != order + 2 or shape[1] != self.in_channels or 0 in shape[2:]:
            raise ValueError(
                f"the fields must be (batch, {self.in_channels} channels, {order} axes of at least "
                f"one point), got shape {shape}; bring the axes into this order"
            )
        if output_shape is None:
            return
        points = output_shape if isinstance(output_shape, Sequence) else ()
        if len(points) != order or any(isinstance(n, float) or n < 1 for n in points):
            raise ValueError(
                f"output_shape must be {order} numbers of points, got {output_shape}; give those "
                "of every axis of the grid"
            )
