"""Which frequencies a spectral convolution keeps, and the grids that can hold them.

An axis is one of three kinds:

    "real"      rows without a conjugate half, f = 0, 1, ...: cosines, sines, or any real rows
    "half"      the f >= 0 of a Fourier transform of real fields; the last Fourier axis
    "signed"    the f of both signs, on every other Fourier axis
"""

import math
from collections.abc import Sequence

from monarch_core.transforms.arguments import check_counts

KEPT = "give the kept modes of every axis, both signs counted"


def axis_kinds(real: Sequence[bool]) -> tuple[str, ...]:
    """Return the kind of every axis, given which of them have a real transform."""
    last = max((d for d, is_real in enumerate(real) if not is_real), default=None)
    return tuple(
        "real" if is_real else "half" if d == last else "signed" for d, is_real in enumerate(real)
    )


def both_signs(n_modes: int | Sequence[int]) -> tuple[int, ...]:
    """Return n_modes of every axis; raises ValueError for what are no counts."""
    return check_counts("n_modes", [n_modes] if isinstance(n_modes, int) else n_modes, None, KEPT)


def kept_counts(n_modes: Sequence[int], kinds: Sequence[str]) -> list[int]:
    """Return how many frequencies every axis keeps; n_modes counts both signs on all of them.

    In neuralop the last axis keeps f = 0 ... n_modes // 2. A real axis keeps as many real
    rows as the Fourier transform in its place has real numbers: with any kinds, the weights of a
    layer have as many numbers.
    """
    last = len(n_modes) - 1
    kept = []
    for d, (n, kind) in enumerate(zip(n_modes, kinds, strict=True)):
        if d == last:
            kept.append((n // 2 + 1) * (2 if kind == "real" else 1))
        else:
            kept.append((n + 1) // 2 if kind == "half" else n)
    return kept


def kept_frequencies(kept: Sequence[int], kinds: Sequence[str]) -> list[range]:
    """Return the frequencies kept on each axis: of both signs, or from 0 on."""
    return [
        range(-(m // 2), m - m // 2) if kind == "signed" else range(m)
        for m, kind in zip(kept, kinds, strict=True)
    ]


def check_grid(
    grid: Sequence[int] | None, kept: Sequence[int], kinds: Sequence[str]
) -> tuple[int, ...]:
    """Return the grid of the transforms, or one for None: powers of two of twice the modes.

    Raises:
        ValueError: if it cannot hold the kept frequencies.
    """
    needed = [2 * (m - 1) if kind == "half" else m for m, kind in zip(kept, kinds, strict=True)]
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


def in_use(
    n_weights: Sequence[int], counts: Sequence[int], points: Sequence[int], kinds: Sequence[str]
) -> list[slice]:
    """Return where the frequencies in use stand among those with a weight, axis by axis.

    Args:
        n_weights: frequencies with a weight.
        counts: how many of them are to be used, the lowest ones.
        points: of a grid that is to hold them.
        kinds: of the axes.
    """
    slices = []
    for n_all, count, n, kind in zip(n_weights, counts, points, kinds, strict=True):
        count = min(count, n_all, n // 2 + 1 if kind == "half" else n)
        start = n_all // 2 - count // 2 if kind == "signed" else 0
        slices.append(slice(None) if count == n_all else slice(start, start + count))
    return slices
