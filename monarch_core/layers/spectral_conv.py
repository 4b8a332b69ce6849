"""A spectral convolution whose transforms can learn: drop-in for neuralop's `SpectralConv`."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from jaxtyping import Complex, Float
from neuralop.layers.base_spectral_conv import BaseSpectralConv
from neuralop.layers.spectral_convolution import SpectralConv
from torch import Tensor, nn

from monarch_core.layers.configured import bind_options, refuse_replaced
from monarch_core.layers.precision import check_dtype, check_real
from monarch_core.layers.resample import BASES, basis_rows, interpolation_matrix
from monarch_core.layers.spectral_arguments import (
    both_signs,
    check_fields,
    check_grid,
    check_kept,
    check_scaling,
    check_transform,
    kept_counts,
    kept_frequencies,
    most_counts,
    refuse_unoffered,
    rows_of,
)
from monarch_core.layers.spectral_product import spectral_product
from monarch_core.transforms import LinearTransform, Monarch, computed_once
from monarch_core.transforms.arguments import check_choice, check_count, check_flag

LEARN = ("both", "forward", "inverse", "none")


class MonarchSpectralConv(BaseSpectralConv):
    """Spectral convolution with one learnable transform per axis and direction.

    With A_d the forward and B_d the inverse transform of axis d, restricted to the kept
    frequencies f_d, channels c and o, and a complex weight W per frequency:

        X[c, f_1 ... f_D] = sum_{x_1 ... x_D} A_1[f_1, x_1] ... A_D[f_D, x_D] u[c, x_1 ... x_D]  (1)
        Y[o, f_1 ... f_D] = sum_c W[f_1 ... f_D, c, o] X[c, f_1 ... f_D]                         (2)
        v[o, x_1 ... x_D] = Re sum_f s(f_D) B_1[x_1, f_1] ... B_D[x_D, f_D] Y[o, f] + bias[o]    (3)

    The field is real, so that the last axis keeps f_D >= 0 only and s counts the conjugate half:
    s = 1 at f_D = 0 and at the Nyquist frequency, else 2. Started at the DFT this is neuralop's
    `SpectralConv` (Li et al. 2021, arXiv:2010.08895) on even grids; on odd grids, where
    neuralop 2.0.0 undoes its shift wrongly, it is what the formula says.

    A transform that is real before learning has no conjugate half: with the basis cosine, sine or
    None, f_d = 0, 1, ... on every axis, s = 1, and W is real. On each axis there are as many f_d as
    Fourier frequencies of both signs, on the last one twice the n_modes // 2 + 1 that a Fourier
    transform keeps, so that band width and number of weights agree.

    Everything is real matrix products over the kept frequencies, without an FFT and without
    complex numbers, so that autocast and export work. The transforms belong to the grid `grid`.
    On another grid their rows (columns), which are functions on the grid, are interpolated in the
    basis that they started from (`interpolation_matrix`): before learning the layer is then again
    that of the new grid, if no Nyquist frequency is among those kept, the grid being i / n, or the
    cell centres (i + 1/2) / n of the DCT-II and the DST-II. Where the fields are not periodic, what
    Fourier rows have learned is not either, and is interpolated between cell centres, in the basis
    of the DCT-II:

        rows on the new grid = D_fourier start + D_cosine (rows - start)                         (4)

    As `conv_module` of an FNO the class itself is passed; `configured(...)` binds its options:
    `FNO(..., conv_module=MonarchSpectralConv.configured(grid=(64, 64)))`. The model can be pickled
    if the options can, so bind those of a transform with `functools.partial`, not with a lambda.
    `functools.partial(MonarchSpectralConv, grid=(64, 64))` does for options that the FNO does not
    give by itself.

    Args:
        in_channels, out_channels, n_modes, max_n_modes, bias, resolution_scaling_factor: as in
            neuralop's `SpectralConv` (n_modes counts both signs of a frequency, max_n_modes on the
            last axis those f >= 0).
        grid: points per axis that the transforms are learned on; None: on each axis the smallest
            power of two that is at least twice n_modes.
        transform: makes the transform of one axis; called with n, inverse, norm and modes.
            Bind its other options with `functools.partial(Monarch, heads=4)`.
        learn: which transforms learn: "both", "forward", "inverse" or "none".
        basis: what the rows of `transform` are before learning, and are interpolated in:
            "fourier", "cosine" or "sine". None: any rows, such as those of a Hadamard, identity or
            random start; such a layer works on the grid that it is made for alone.
        periodic: whether the fields are periodic; it matters for the Fourier basis on another grid
            than `grid`, by (4).
        complex_data, separable, factorization, fno_block_precision, rank, implementation,
            fixed_rank_modes, decomposition_kwargs: part of neuralop's contract. Complex data,
            separable and factorised weights, and its half precision are not offered: use
            autocast for precision. The last four have no effect without a factorisation.

    Raises:
        ValueError: for an option that is not offered, modes that the grid cannot hold, heads that
            do not divide the channels, or a `basis` that `transform` does not have.
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
        grid: Sequence[int] | None = None,
        transform: Callable[..., LinearTransform] = Monarch,
        learn: str = "both",
        basis: str | None = "fourier",
        periodic: bool = True,
    ) -> None:
        super().__init__(device=device)
        refuse_unoffered(complex_data, separable, factorization, fno_block_precision)
        check_choice("learn", learn, LEARN)
        check_choice("basis", basis, (*BASES, None))
        for name, flag in (("bias", bias), ("periodic", periodic)):
            check_flag(name, flag)
        self.in_channels = check_count("in_channels", in_channels, "count those of the fields")
        self.out_channels = check_count("out_channels", out_channels, "count those of the result")
        self.basis, self.periodic = basis, periodic
        self.real_transform = real_transform = basis != "fourier"
        kept = kept_counts(n_modes, real_transform)
        self.order = len(kept)
        self.max_n_modes = most = most_counts(max_n_modes, kept, real_transform)
        self.n_modes = n_modes
        self.grid = check_grid(grid, both_signs(most, real_transform))
        self.frequencies = kept_frequencies(most, real_transform)
        # The weights are drawn by neuralop's layer, so that one seed gives both layers the same.
        self._host = partial(
            SpectralConv,
            self.in_channels,
            self.out_channels,
            both_signs(most, real=False),
            bias=bias,
            resolution_scaling_factor=resolution_scaling_factor,
        )
        host = self._host()
        self.resolution_scaling_factor = check_scaling(
            resolution_scaling_factor, host.resolution_scaling_factor, self.order
        )
        # The layout that the batched product of (2) takes without a copy; real part first.
        self.mode_weight = nn.Parameter(
            torch.empty(2 - real_transform, *most, self.in_channels, self.out_channels)
        )
        self.bias = host.bias
        self._take_over(host)
        self.forward_transforms = self._transforms(transform, inverse=False)
        self.inverse_transforms = self._transforms(transform, inverse=True)
        if learn not in ("both", "forward"):
            self.forward_transforms.requires_grad_(False)
        if learn not in ("both", "inverse"):
            self.inverse_transforms.requires_grad_(False)
        self.to(device)

    @classmethod
    def configured(cls, **options: Any) -> type["MonarchSpectralConv"]:
        """Return this layer with options bound, as a class, which is what neuralop's FNO takes.

        Raises:
            ValueError: for what is no option of the layer.
        """
        return bind_options(cls, options)

    def reset_parameters(self) -> None:
        """Draw weights and bias anew, as is needed after `Module.to_empty`.

        The transforms have a `reset_parameters` of their own.
        """
        host = self._host()
        self._take_over(host)
        if self.bias is not None:
            with torch.no_grad():
                self.bias.copy_(host.bias)

    def _take_over(self, host: SpectralConv) -> None:
        # A real weight takes the variance of both parts of the complex one.
        scale = math.sqrt(2.0) if self.real_transform else 1.0
        self.copy_weight(host.weight.to_tensor().detach() * scale)

    def _transforms(self, make: Callable[..., LinearTransform], inverse: bool) -> nn.ModuleList:
        """Return the transform of every axis, checked to be what it is called for."""
        if not callable(make) or isinstance(make, nn.Module):
            raise ValueError(
                f"transform must make the transform of one axis, got {make!r}; give the class, "
                "such as Monarch, or functools.partial of it"
            )
        made = nn.ModuleList()
        channels = self.out_channels if inverse else self.in_channels
        for axis, (n, modes) in enumerate(zip(self.grid, self.frequencies, strict=True)):
            place = f"{'inverse' if inverse else 'forward'} transform of axis {axis}"
            options = {"inverse": inverse, "norm": "ortho", "modes": modes}
            refuse_replaced(make, options)
            try:
                with torch.device("cpu"):  # where there are values to look at
                    transform = make(n, **options)
            except ValueError as error:
                raise ValueError(
                    f"the {place} cannot be made for basis={self.basis!r}: {error}; the basis must "
                    "be the one that it starts from"
                ) from error
            check_transform(transform, n, modes, self.basis, channels, place)
            made.append(transform)
        return made.to(torch.get_default_device())

    @property
    def n_modes(self) -> list[int]:
        """Kept modes per axis; setting it counts both signs on the last axis too, as neuralop."""
        return self._n_modes

    @n_modes.setter
    def n_modes(self, n_modes: int | Sequence[int]) -> None:
        kept = kept_counts(n_modes, self.real_transform)
        check_kept(kept, self.max_n_modes)
        self._n_modes = kept

    @property
    def weight(self) -> Complex[Tensor, "in_channels out_channels *modes"]:
        """The weight W as neuralop lays it out, to read; `copy_weight` sets it."""
        return torch.complex(*self._complex_weight().movedim((-2, -1), (1, 2)))

    def copy_weight(self, weight: Complex[Tensor, "in_channels out_channels *modes"]) -> None:
        """Take over the weight of a neuralop `SpectralConv`, or the real part if W is real.

        Raises:
            ValueError: for a weight of another shape.
        """
        wanted = (self.in_channels, self.out_channels, *self.max_n_modes)
        if tuple(weight.shape) != wanted or not weight.is_complex():
            raise ValueError(
                f"the weight must be complex (in_channels, out_channels, *modes) of shape {wanted},"
                f" got {weight.dtype} of {tuple(weight.shape)}; take it from a layer of the same "
                "channels and modes"
            )
        with torch.no_grad():
            parts = torch.stack((weight.real, weight.imag))[: len(self.mode_weight)]
            self.mode_weight.copy_(parts.movedim((1, 2), (-2, -1)))

    def _complex_weight(self) -> Tensor:
        """Return W as (real, imaginary)."""
        W = self.mode_weight
        return torch.cat((W, torch.zeros_like(W))) if self.real_transform else W

    def transform(self, x: Tensor, output_shape: Sequence[int] | None = None) -> Tensor:
        """Bring a skip connection to the grid of the output, as neuralop does."""
        return SpectralConv.transform(self, x, output_shape=output_shape)

    def forward(
        self, x: Float[Tensor, "batch in_channels *grid"], output_shape: Sequence[int] | None = None
    ) -> Float[Tensor, "batch out_channels *out_grid"]:
        """Return v of (3) for the real fields x, on a grid of `output_shape` points (None: x's).

        The kept frequencies are those that both grids and the current `n_modes` hold. Under
        autocast the products run in its dtype, double precision apart, as in `torch.nn.Linear`.

        Raises:
            ValueError: for fields of another shape or dtype than the layer is made for, and for
                another grid than its own without a `basis`.
        """
        check_fields(x, self.in_channels, self.order, output_shape)
        check_real(x, weight=self.mode_weight)
        check_dtype(x, weight=self.mode_weight)
        grid = tuple(x.shape[2:])
        out_grid = self._out_grid(grid, output_shape)
        W, A, B = computed_once(
            self, (grid, out_grid, *self.n_modes), lambda: self._weights(grid, out_grid)
        )
        return spectral_product(x, W, self.bias, A, B)

    def _out_grid(self, grid: tuple[int, ...], shape: Sequence[int] | None) -> tuple[int, ...]:
        if shape is not None:
            return tuple(shape)
        if self.resolution_scaling_factor is None:
            return grid
        factors = self.resolution_scaling_factor
        return tuple(round(n * factor) for n, factor in zip(grid, factors, strict=True))

    def _current_modes(
        self, grid: tuple[int, ...], out_grid: tuple[int, ...]
    ) -> tuple[list[slice], Tensor]:
        """Return the slice of the kept frequencies in use on each axis, and s of (3)."""
        slices = []
        for d, (n, n_out) in enumerate(zip(grid, out_grid, strict=True)):
            last = d == self.order - 1 and not self.real_transform
            room = min(n, n_out) // 2 + 1 if last else min(n, n_out)
            count = min(self.n_modes[d], self.max_n_modes[d], room)
            start = 0 if last or self.real_transform else self.max_n_modes[d] // 2 - count // 2
            whole = count == self.max_n_modes[d]
            slices.append(slice(None) if whole else slice(start, start + count))
        f = torch.arange(count, device=self.mode_weight.device)
        once = (f == 0) | (2 * f == out_grid[-1]) | self.real_transform
        return slices, torch.where(once, 1.0, 2.0).to(self.mode_weight.dtype)

    def _weights(
        self, grid: tuple[int, ...], out_grid: tuple[int, ...]
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Return what `spectral_product` takes beside the fields."""
        slices, s = self._current_modes(grid, out_grid)
        A = self._matrices(self.forward_transforms, grid, slices)
        B = self._matrices(self.inverse_transforms, out_grid, slices, s)
        return self._complex_weight()[:, *slices], A, B

    def _matrices(
        self,
        transforms: nn.ModuleList,
        grid: tuple[int, ...],
        slices: list[slice],
        s: Tensor | None = None,
    ) -> list[Tensor]:
        """Return [Re A; Im A] of every axis, or with s those of diag(s) B^H."""
        matrices = []
        inverse = s is not None
        for transform, f, n, kept in zip(transforms, self.frequencies, grid, slices, strict=True):
            assert isinstance(transform, LinearTransform)
            rows = rows_of(transform, inverse).to(self.mode_weight.dtype)
            if n != transform.n:
                rows = self._interpolate(rows, n, f, inverse)
            matrices.append(rows[:, :, kept])
        if s is not None:
            matrices[-1] = s[:, None] * matrices[-1]
        return [torch.cat((re, im), dim=-2) for re, im in matrices]

    def _interpolate(self, rows: Tensor, n_new: int, frequencies: range, inverse: bool) -> Tensor:
        """Return the rows on n_new points."""
        n = rows.shape[-1]
        if self.basis is None:
            raise ValueError(
                f"a layer with basis=None works on the grid it is made for alone, "
                f"{'x'.join(map(str, self.grid))}, got {n_new} points in the place of {n}; bring "
                "the fields to its grid, or use a transform that starts at one of "
                f"{', '.join(BASES)}"
            )
        D = interpolation_matrix(n, n_new, self.basis).to(rows)
        if self.periodic or self.real_transform:
            rows = rows @ D.mT
        else:
            start = basis_rows(n, frequencies, self.basis).unsqueeze(1).to(rows)
            D_cosine = interpolation_matrix(n, n_new, "cosine").to(rows)
            rows = start @ D.mT + (rows - start) @ D_cosine.mT  # (4)
        return rows if inverse else (n / n_new) * rows
