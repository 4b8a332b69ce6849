"""Fourier continuation: padding that makes a field periodic, by neuralop's own."""

from collections.abc import Sequence
from functools import cache

import torch
from jaxtyping import Float
from neuralop.layers.fourier_continuation import FCLegendre
from neuralop.layers.padding import DomainPadding
from torch import Tensor

N_JOINED = 5  # values at each end that the continuation goes through; neuralop's default


class ContinuedPadding(DomainPadding):
    """neuralop's padding with a polynomial in the place of its zeros.

    Behind the last value of an axis with n points, as of a ring of n + N, comes the polynomial of
    degree 2 d - 1 through the last d values and the first d, up to the first value again. Half of
    the N points are put in front. A field that is smooth on its axis is so on the ring.

    Args:
        padding: fraction of its length that every axis gets on both sides.
        grid: points per axis.

    Raises:
        ValueError: there is no padding, or an axis has fewer than 2 d points.
    """

    def __init__(self, padding: Sequence[float], grid: Sequence[int]) -> None:
        if not any(padding):
            raise ValueError(
                "model.continuation=true fills the padding of a domain, and there is none; set "
                "model.domain_padding, as in 0.125"
            )
        if min(n for n, part in zip(grid, padding, strict=True) if part) < 2 * N_JOINED:
            raise ValueError(
                f"a Fourier continuation joins {N_JOINED} points of each end, got a grid of "
                f"{'x'.join(map(str, grid))}; use at least {2 * N_JOINED}, or "
                "model.continuation=false"
            )
        super().__init__(list(padding))
        self.pad(torch.zeros(1, 1, *grid))  # its matrices are made before any tracing

    def pad(
        self, x: Float[Tensor, "batch channels *grid"], verbose: bool = False
    ) -> Float[Tensor, "batch channels *padded"]:
        """Return x within its continuation; `unpad` is the way back."""
        padded = super().pad(x, verbose).shape
        for axis, (n, n_padded) in enumerate(zip(x.shape, padded, strict=True)):
            if n_padded > n:
                x = _continuation(n_padded - n).extend(x, (axis,))
        return x.contiguous()


@cache
def _continuation(n_points: int) -> FCLegendre:
    """Return what adds a number of points to an axis."""
    return FCLegendre(d=N_JOINED, n_additional_pts=n_points)
