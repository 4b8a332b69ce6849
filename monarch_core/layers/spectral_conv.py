"""A spectral convolution whose transforms can learn: drop-in for neuralop's `SpectralConv`."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Complex, Float
from neuralop.layers.base_spectral_conv import BaseSpectralConv
from neuralop.layers.spectral_convolution import SpectralConv
from torch import Tensor, nn

from monarch_core.layers.resample import BASES, interpolation_matrix
from monarch_core.layers.spectral_product import spectral_product
from monarch_core.transforms import Fourier, LinearTransform, Monarch, computed_once

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

    A transform that is real before learning has no conjugate half: with the basis cosine or sine,
    f_d = 0, 1, ... on every axis, s = 1, and W is real. On each axis there are as many f_d as
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
    `FNO(..., conv_module=MonarchSpectralConv.configured(grid=(64, 64)))`.

    Args:
        in_channels, out_channels, n_modes, max_n_modes, bias, resolution_scaling_factor: as in
            neuralop's `SpectralConv` (n_modes counts both signs of a frequency).
        grid: points per axis that the transforms are learned on; None: on each axis the smallest
            power of two that is at least twice n_modes.
        transform: makes the transform of one axis; called with n, inverse, norm and modes.
            Bind its other options with `functools.partial(Monarch, heads=4)`.
        learn: which transforms learn: "both", "forward", "inverse" or "none".
        basis: what the rows of `transform` are before learning, and are interpolated in:
            "fourier", "cosine" or "sine".
        periodic: whether the fields are periodic; it matters for the Fourier basis on another grid
            than `grid`, by (4).
        complex_data, separable, factorization, fno_block_precision, rank, implementation,
            fixed_rank_modes, decomposition_kwargs: part of neuralop's contract. Complex data,
            separable and factorised weights, and its half precision are not offered: use
            autocast for precision. The last four have no effect without a factorisation.

    Raises:
        ValueError: for an option that is not offered, modes that the grid cannot hold, or a
            `basis` that `transform` does not have.
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
        basis: str = "fourier",
        periodic: bool = True,
    ) -> None:
        super().__init__(device=device)
        _refuse(complex_data, separable, factorization, fno_block_precision)
        if learn not in LEARN:
            raise ValueError(f"learn must be one of {', '.join(LEARN)}, got {learn!r}")
        if basis not in BASES:
            raise ValueError(f"basis must be one of {', '.join(BASES)}, got {basis!r}")
        self.basis, self.periodic = basis, periodic
        self.real_transform = real_transform = basis != "fourier"
        self.n_modes = n_modes
        # The weights are drawn by neuralop's layer, so that one seed gives both layers the same.
        host = SpectralConv(
            in_channels,
            out_channels,
            _real_modes(n_modes) if real_transform else n_modes,
            max_n_modes=max_n_modes
            if max_n_modes is None or not real_transform
            else _real_modes(max_n_modes),
            bias=bias,
            resolution_scaling_factor=resolution_scaling_factor,
        )
        self.in_channels, self.out_channels, self.order = in_channels, out_channels, host.order
        self.resolution_scaling_factor = host.resolution_scaling_factor
        kept = list(host.weight.shape[2:])
        self.max_n_modes = kept
        both_signs = kept if real_transform else [*kept[:-1], 2 * (kept[-1] - 1)]
        self.grid = _check_grid(grid, both_signs, self.order)
        self.frequencies = [range(m) for m in kept] if real_transform else _kept_frequencies(kept)
        # The layout that the batched product of (2) takes without a copy; real part first.
        self.mode_weight = nn.Parameter(
            torch.empty(2 - real_transform, *kept, in_channels, out_channels)
        )
        # A real weight takes the variance of both parts of the complex one.
        self.copy_weight(host.weight.to_tensor() * (math.sqrt(2.0) if real_transform else 1.0))
        self.bias = host.bias

        def transforms(inverse: bool, learned: bool) -> nn.ModuleList:
            made = nn.ModuleList(
                transform(n, inverse=inverse, norm="ortho", modes=modes)
                for n, modes in zip(self.grid, self.frequencies, strict=True)
            )
            return made if learned else made.requires_grad_(False)

        self.forward_transforms = transforms(inverse=False, learned=learn in ("both", "forward"))
        self.inverse_transforms = transforms(inverse=True, learned=learn in ("both", "inverse"))
        self._check_real()
        self.to(device)

    @classmethod
    def configured(cls, **options: Any) -> type["MonarchSpectralConv"]:
        """Return this layer with options bound, as a class, which is what neuralop's FNO takes."""

        def init(self: MonarchSpectralConv, *args: Any, **kwargs: Any) -> None:
            cls.__init__(self, *args, **{**kwargs, **options})

        return type(cls.__name__, (cls,), {"__init__": init, "__doc__": cls.__doc__})

    @property
    def n_modes(self) -> list[int]:
        """Kept modes per axis; setting it counts both signs on the last axis too, as neuralop."""
        return self._n_modes

    @n_modes.setter
    def n_modes(self, n_modes: int | Sequence[int]) -> None:
        modes = [n_modes] if isinstance(n_modes, int) else list(n_modes)
        modes[-1] = (modes[-1] // 2 + 1) * (2 if self.real_transform else 1)
        self._n_modes = modes

    @property
    def weight(self) -> Complex[Tensor, "in_channels out_channels *modes"]:
        """The weight W as neuralop lays it out, to read; `copy_weight` sets it."""
        return torch.complex(*self._complex_weight().movedim((-2, -1), (1, 2)))

    def copy_weight(self, weight: Complex[Tensor, "in_channels out_channels *modes"]) -> None:
        """Take over the weight of a neuralop `SpectralConv`, or the real part if W is real."""
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

        The kept frequencies are those that both grids and the current `n_modes` hold.
        """
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
            rows = _rows(transform, inverse).to(self.mode_weight.dtype)
            if n != transform.n:
                rows = self._interpolate(rows, n, f, inverse)
            matrices.append(rows[:, :, kept])
        if s is not None:
            matrices[-1] = s[:, None] * matrices[-1]
        return [torch.cat((re, im), dim=-2) for re, im in matrices]

    def _interpolate(self, rows: Tensor, n_new: int, frequencies: range, inverse: bool) -> Tensor:
        """Return the rows on n_new points."""
        n = rows.shape[-1]
        D = interpolation_matrix(n, n_new, self.basis).to(rows)
        if self.periodic or self.real_transform:
            rows = rows @ D.mT
        else:
            dft = Fourier(n, inverse=inverse, norm="ortho", modes=frequencies)
            start = _rows(dft, inverse).to(rows)
            D_cosine = interpolation_matrix(n, n_new, "cosine").to(rows)
            rows = start @ D.mT + (rows - start) @ D_cosine.mT  # (4)
        return rows if inverse else (n / n_new) * rows

    def _check_real(self) -> None:
        """Raise ValueError unless the transforms are real before learning where `basis` is."""
        axes = zip(self.grid, self.frequencies, self.forward_transforms, strict=True)
        imaginary = any(t.matrix()[1].any() for _, _, t in axes)  # type: ignore[operator]
        telling = any(
            n > 2 and len(f) > 1 for n, f in zip(self.grid, self.frequencies, strict=True)
        )
        if telling and imaginary == self.real_transform:
            raise ValueError(
                f"these transforms are {'complex' if imaginary else 'real'} before learning, got "
                f"basis={self.basis!r}; use {'fourier' if imaginary else 'cosine or sine'}"
            )


def neuralop_spectral_conv(grid: Sequence[int], periodic: bool = True) -> type[SpectralConv]:
    """Return neuralop's `SpectralConv` untouched, the FFT control; it takes any grid and field."""
    return SpectralConv


def _rows(transform: LinearTransform, inverse: bool) -> Float[Tensor, "2 heads modes n"]:
    """Return A, or of an inverse transform B^H, whose rows are functions on the grid."""
    matrix = transform.matrix()
    return torch.stack((matrix[0].mT, -matrix[1].mT)) if inverse else matrix


def _real_modes(n_modes: int | Sequence[int]) -> list[int]:
    """Return n_modes that make neuralop's layer keep twice as many modes on the last axis."""
    modes = [n_modes] if isinstance(n_modes, int) else list(n_modes)
    return [*modes[:-1], 2 * (2 * (modes[-1] // 2 + 1) - 1)]


def _kept_frequencies(kept: list[int]) -> list[range]:
    """Return the signed frequencies kept on each axis; the last one holds f >= 0 only."""
    signed = [range(-(m // 2), m - m // 2) for m in kept[:-1]]
    return [*signed, range(kept[-1])]


def _check_grid(grid: Sequence[int] | None, both_signs: list[int], order: int) -> tuple[int, ...]:
    """Return the grid of the transforms; raise ValueError if it cannot hold the kept modes."""
    if grid is None:
        return tuple(2 ** math.ceil(math.log2(max(2 * m, 2))) for m in both_signs)
    if len(grid) != order:
        raise ValueError(f"grid must have {order} axes as n_modes has, got grid={tuple(grid)}")
    for axis, (n, m) in enumerate(zip(grid, both_signs, strict=True)):
        if m > n:
            raise ValueError(
                f"a grid of {n} points cannot hold {m} modes on axis {axis}; "
                f"use n_modes of at most {n} there or a finer grid"
            )
    return tuple(grid)


def _refuse(
    complex_data: bool, separable: bool, factorization: str | None, fno_block_precision: str
) -> None:
    """Raise ValueError for the options of neuralop's layer that this one does not offer."""
    dense = factorization is None or factorization.lower() in ("dense", "complexdense")
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
