"""Which frequencies a spectral convolution keeps, and the grids that can hold them."""

import math
from collections.abc import Sequence

from monarch_core.transforms.arguments import check_counts

KEPT = "give the kept modes of every axis, both signs counted"


def kept_counts(n_modes: int | Sequence[int], real: bool) -> list[int]:
    """Return how many frequencies every axis keeps; n_modes counts both signs on all of them.

    A Fourier transform of real fields has those f >= 0 on the last axis, a real transform as many
    real ones as the Fourier transform has real numbers.
    """
    modes = [n_modes] if isinstance(n_modes, int) else n_modes
    *others, last = check_counts("n_modes", modes, None, KEPT)
    return [*others, (last // 2 + 1) * (2 if real else 1)]


def kept_frequencies(kept: list[int], real: bool) -> list[range]:
    """Return the frequencies kept on each axis: signed ones but on the last, or places of rows."""
    signed = kept[:0] if real else kept[:-1]
    return [
        *(range(-(m // 2), m - m // 2) for m in signed),
        *(range(m) for m in kept[len(signed) :]),
    ]


def check_grid(grid: Sequence[int] | None, kept: list[int], real: bool) -> tuple[int, ...]:
    """Return the grid of the transforms, or one for None: powers of two of twice the modes.

    Raises:
        ValueError: if it cannot hold the kept frequencies.
    """
    needed = kept if real else [*kept[:-1], 2 * (kept[-1] - 1)]
    if grid is None:
        return tuple(2 ** math.ceil(math.log2(max(2 * m, 2))) for m in needed)
    remedy = "give the points of every axis that n_modes has"
    points = check_counts("grid", grid, len(needed), remedy)
    for axis, (n, m) in enumerate(zip(points, needed, strict=True)):
        if m > n:
            raise ValueError(
                f"a grid of {n} points cannot hold {m} modes on axis {axis}; "
                f"use n_modes of at most {n} there or a finer grid"
            )
    return points


def in_use(n_weights: list[int], counts: list[int], points: list[int], real: bool) -> list[slice]:
    """Return where the frequencies in use stand among those with a weight, axis by axis.

    Args:
        n_weights: frequencies with a weight.
        counts: how many of them are to be used, the lowest ones.
        points: of a grid that is to hold them.
        real: whether the transforms are real, so that they are places of rows.
    """
    slices = []
    for d, (n_all, count, n) in enumerate(zip(n_weights, counts, points, strict=True)):
        last = d == len(points) - 1 and not real
        count = min(count, n_all, n // 2 + 1 if last else n)
        start = 0 if last or real else n_all // 2 - count // 2
        slices.append(slice(None) if count == n_all else slice(start, start + count))
    return slices
