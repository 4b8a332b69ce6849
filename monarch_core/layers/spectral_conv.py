"""A spectral convolution whose transforms can learn: drop-in for neuralop's `SpectralConv`."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Complex, Float
from neuralop.layers.base_spectral_conv import BaseSpectralConv
from neuralop.layers.spectral_convolution import SpectralConv
from torch import Tensor, nn

from monarch_core.layers.resample import interpolation_matrix
from monarch_core.transforms import LinearTransform, Monarch

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

    Everything is real matrix products over the kept frequencies, without an FFT and without
    complex numbers, so that autocast and export work. The transforms belong to the grid `grid`.
    On another grid their rows (columns), which are functions on the grid, are interpolated
    band-limited: at the start that is again the DFT, of the new grid.

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
        complex_data, separable, factorization, fno_block_precision, rank, implementation,
            fixed_rank_modes, decomposition_kwargs: part of neuralop's contract. Complex data,
            separable and factorised weights, and its half precision are not offered: use
            autocast for precision. The last four have no effect without a factorisation.

    Raises:
        ValueError: for an option that is not offered, or modes that the grid cannot hold.
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
    ) -> None:
        super().__init__(device=device)
        _refuse(complex_data, separable, factorization, fno_block_precision)
        if learn not in LEARN:
            raise ValueError(f"learn must be one of {', '.join(LEARN)}, got {learn!r}")
        # The weights are drawn by neuralop's layer, so that one seed gives both layers the same.
        host = SpectralConv(
            in_channels,
            out_channels,
            n_modes,
            max_n_modes=max_n_modes,
            bias=bias,
            resolution_scaling_factor=resolution_scaling_factor,
        )
        self.in_channels, self.out_channels, self.order = in_channels, out_channels, host.order
        self.resolution_scaling_factor = host.resolution_scaling_factor
        self.n_modes = n_modes
        kept = list(host.weight.shape[2:])
        self.max_n_modes = kept
        self.grid = _check_grid(grid, kept, self.order)
        self.frequencies = _kept_frequencies(kept)
        # The layout that the batched product of (2) takes without a copy.
        self.mode_weight = nn.Parameter(torch.empty(*kept, in_channels, 2, out_channels))
        self.copy_weight(host.weight.to_tensor())
        self.bias = host.bias

        def transforms(inverse: bool, learned: bool) -> nn.ModuleList:
            made = nn.ModuleList(
                transform(n, inverse=inverse, norm="ortho", modes=modes)
                for n, modes in zip(self.grid, self.frequencies, strict=True)
            )
            return made if learned else made.requires_grad_(False)

        self.forward_transforms = transforms(inverse=False, learned=learn in ("both", "forward"))
        self.inverse_transforms = transforms(inverse=True, learned=learn in ("both", "inverse"))
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
        modes[-1] = modes[-1] // 2 + 1
        self._n_modes = modes

    @property
    def weight(self) -> Complex[Tensor, "in_channels out_channels *modes"]:
        """The weight W as neuralop lays it out, to read; `copy_weight` sets it."""
        pairs = self.mode_weight.movedim((-3, -2, -1), (0, -1, 1))
        return torch.complex(*pairs.unbind(-1))

    def copy_weight(self, weight: Complex[Tensor, "in_channels out_channels *modes"]) -> None:
        """Take over the weight of a neuralop `SpectralConv` (its `weight.to_tensor()`)."""
        with torch.no_grad():
            pairs = torch.view_as_real(weight)  # in, out, *modes, part
            self.mode_weight.copy_(pairs.movedim((0, -1, 1), (-3, -2, -1)))

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
        slices, signs = self._current_modes(grid, out_grid)
        X_re, X_im = self._analyse(x, slices)
        whole = all(kept == slice(None) for kept in slices)
        W = self.mode_weight if whole else self.mode_weight[tuple(slices)]
        Y_re, Y_im = self._mix(X_re, X_im, W)
        v = self._synthesise(Y_re, Y_im, out_grid, slices, signs)
        return v if self.bias is None else v + self.bias

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
            last = d == self.order - 1
            room = min(n, n_out) // 2 + 1 if last else min(n, n_out)
            count = min(self.n_modes[d], self.max_n_modes[d], room)
            start = 0 if last else self.max_n_modes[d] // 2 - count // 2
            whole = count == self.max_n_modes[d]
            slices.append(slice(None) if whole else slice(start, start + count))
        f = torch.arange(count, device=self.mode_weight.device)
        once = (f == 0) | (2 * f == out_grid[-1])
        return slices, torch.where(once, 1.0, 2.0).to(self.mode_weight.dtype)

    def _matrices(
        self, grid: tuple[int, ...], slices: list[slice], *, inverse: bool
    ) -> list[tuple[Tensor, ...]]:
        """Return, per head and axis, the matrix (2, n_out, n_in) on `grid` of the modes in use."""
        matrices = []
        transforms = self.inverse_transforms if inverse else self.forward_transforms
        for transform, n, kept in zip(transforms, grid, slices, strict=True):
            assert isinstance(transform, LinearTransform)
            matrix = transform.matrix()
            if kept != slice(None):
                matrix = matrix[..., kept] if inverse else matrix[:, :, kept]
            if n != transform.n:
                D = interpolation_matrix(transform.n, n).to(matrix)
                matrix = D @ matrix if inverse else (transform.n / n) * matrix @ D.mT
            matrices.append(matrix)
        return list(zip(*(matrix.unbind(1) for matrix in matrices), strict=True))

    def _analyse(self, x: Tensor, slices: list[slice]) -> tuple[Tensor, Tensor]:
        """Equation (1): X as (f_1 ... f_D, batch, channels), real and imaginary part."""
        grid = tuple(x.shape[2:])
        heads = self._matrices(grid, slices, inverse=False)
        parts = [
            _analyse(group, matrices)
            for group, matrices in zip(_channel_groups(x, 1, len(heads)), heads, strict=True)
        ]
        X_re, X_im = (torch.cat(part, dim=-1) for part in zip(*parts, strict=True))
        return X_re, X_im

    @staticmethod
    def _mix(X_re: Tensor, X_im: Tensor, W: Tensor) -> tuple[Tensor, Tensor]:
        """Equation (2) as one batched real product: rows (re, im) of X by columns (re, im) of W."""
        modes = X_re.shape[:-2]
        X = torch.stack((X_re, X_im), dim=-3).flatten(0, len(modes) - 1).flatten(1, 2)
        P = torch.bmm(X, W.flatten(0, len(modes) - 1).flatten(-2))
        P = P.unflatten(-1, (2, -1)).unflatten(1, (2, -1)).unflatten(0, modes)
        (re_re, re_im), (im_re, im_im) = (part.unbind(-2) for part in P.unbind(-4))
        return re_re - im_im, re_im + im_re

    def _synthesise(
        self,
        Y_re: Tensor,
        Y_im: Tensor,
        out_grid: tuple[int, ...],
        slices: list[slice],
        s: Tensor,
    ) -> Tensor:
        """Equation (3) without the bias."""
        heads = self._matrices(out_grid, slices, inverse=True)
        groups = zip(
            _channel_groups(Y_re, -1, len(heads)),
            _channel_groups(Y_im, -1, len(heads)),
            heads,
            strict=True,
        )
        return torch.cat([_synthesise(*group, s) for group in groups], dim=1)


def neuralop_spectral_conv(grid: Sequence[int]) -> type[SpectralConv]:
    """Return neuralop's `SpectralConv` untouched, the FFT control; it takes any grid."""
    return SpectralConv


def _analyse(x: Tensor, matrices: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Transform the axes of x (batch, channels, n_1 ... n_D), the last first.

    Each step multiplies from the left by the transposed data, so that the new frequency axis comes
    first and the next grid axis is already last: no axis is ever moved in memory.
    """
    X = x.unsqueeze(0)  # part, batch, channels, n_1 ... n_D
    for A in reversed(matrices):
        rest, n = X.shape[:-1], X.shape[-1]
        Z = A.flatten(0, 1) @ X.reshape(-1, n).mT
        Z = Z.unflatten(0, (2, -1)).unflatten(-1, rest)  # part of A, f, part of X, ...
        if len(X) == 1:
            X_re, X_im = Z.squeeze(2).unbind()
        else:
            (re_re, re_im), (im_re, im_im) = (part.unbind(1) for part in Z.unbind())
            X_re, X_im = re_re - im_im, re_im + im_re
        X = torch.stack((X_re, X_im)) if len(rest) > 3 else X
    return X_re, X_im


def _synthesise(Y_re: Tensor, Y_im: Tensor, matrices: Sequence[Tensor], s: Tensor) -> Tensor:
    """Transform the axes of Y (f_1 ... f_D, batch, channels), the first first; keep the real part.

    The mirror image of `_analyse`: the frequency axis in front is contracted, the new grid axis
    comes last, and the field ends as (batch, channels, n_1 ... n_D).
    """
    for B in matrices[:-1]:
        Y = torch.stack((Y_re, Y_im), dim=1)  # f, part, rest
        Z = Y.flatten(1).mT @ B.flatten(0, 1).mT
        Z = Z.unflatten(-1, (2, -1)).unflatten(0, Y.shape[1:])  # part of Y, rest, part of B, n
        (re_re, re_im), (im_re, im_im) = (part.unbind(-2) for part in Z.unbind())
        Y_re, Y_im = re_re - im_im, re_im + im_re
    Y = torch.stack((Y_re, Y_im))
    B_re, B_im = matrices[-1]
    real_part = torch.cat((B_re * s, -B_im * s), dim=-1)
    return (Y.flatten(0, 1).flatten(1).mT @ real_part.mT).unflatten(0, Y.shape[2:])


def _channel_groups(x: Tensor, dim: int, heads: int) -> tuple[Tensor, ...]:
    """Return the channels of x group by group, one for each head."""
    if x.shape[dim] % heads:
        raise ValueError(
            f"heads must divide the number of channels, got heads={heads} and {x.shape[dim]} "
            "channels; change one of them"
        )
    return x.chunk(heads, dim=dim)


def _kept_frequencies(kept: list[int]) -> list[range]:
    """Return the signed frequencies kept on each axis; the last one holds f >= 0 only."""
    signed = [range(-(m // 2), m - m // 2) for m in kept[:-1]]
    return [*signed, range(kept[-1])]


def _check_grid(grid: Sequence[int] | None, kept: list[int], order: int) -> tuple[int, ...]:
    """Return the grid of the transforms; raise ValueError if it cannot hold the kept modes."""
    both_signs = [*kept[:-1], 2 * (kept[-1] - 1)]
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
