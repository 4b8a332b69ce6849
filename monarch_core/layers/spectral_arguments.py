"""What the arguments of a spectral convolution mean, and which of them are refused."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from monarch_core.layers.resample import basis_rows
from monarch_core.transforms import LinearTransform
from monarch_core.transforms.arguments import check_counts

# Relative: far above what single precision rounds, far below the distance of any two bases.
SAME_ROWS = 1e-2
KEPT = "give the kept modes of every axis, both signs counted"


def refuse_unoffered(
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


def kept_counts(n_modes: int | Sequence[int], real: bool) -> list[int]:
    """Return how many frequencies every axis keeps; n_modes counts both signs on all of them.

    A Fourier transform of real fields has those f >= 0 on the last axis, a real transform as many
    real ones as the Fourier transform has real numbers.
    """
    modes = [n_modes] if isinstance(n_modes, int) else n_modes
    *others, last = check_counts("n_modes", modes, None, KEPT)
    return [*others, (last // 2 + 1) * (2 if real else 1)]


def most_counts(max_n_modes: int | Sequence[int] | None, kept: list[int], real: bool) -> list[int]:
    """Return how many frequencies of every axis have a weight: those kept, or max_n_modes.

    As neuralop reads it, the last number of max_n_modes counts the f >= 0 only.
    """
    if max_n_modes is None:
        return kept
    modes = [max_n_modes] if isinstance(max_n_modes, int) else max_n_modes
    *others, last = check_counts("max_n_modes", modes, len(kept), KEPT)
    return [*others, last * (2 if real else 1)]


def check_kept(kept: list[int], most: list[int]) -> None:
    """Raise ValueError where more frequencies are to be kept than have a weight."""
    if len(kept) != len(most) or any(m > limit for m, limit in zip(kept, most, strict=True)):
        raise ValueError(
            f"n_modes keeps {kept} frequencies per axis, and the layer has weights for {most}; "
            "keep fewer, or make the layer with a larger max_n_modes"
        )


def both_signs(kept: list[int], real: bool) -> list[int]:
    """Return how many points every axis needs at least to hold these frequencies."""
    return kept if real else [*kept[:-1], 2 * (kept[-1] - 1)]


def kept_frequencies(kept: list[int], real: bool) -> list[range]:
    """Return the frequencies kept on each axis: signed ones but on the last, or places of rows."""
    signed = kept[:0] if real else kept[:-1]
    return [
        *(range(-(m // 2), m - m // 2) for m in signed),
        *(range(m) for m in kept[len(signed) :]),
    ]


def check_grid(grid: Sequence[int] | None, needed: list[int]) -> tuple[int, ...]:
    """Return the grid of the transforms; raise ValueError if it cannot hold the kept modes."""
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


def check_fields(
    x: Tensor,
    channels: int,
    order: int,
    output_shape: Sequence[int] | None,
) -> None:
    """Raise ValueError for fields of a shape that a layer does not take."""
    shape = tuple(x.shape)
    if len(shape) != order + 2 or shape[1] != channels or 0 in shape[2:]:
        raise ValueError(
            f"the fields must be (batch, {channels} channels, {order} axes of at least one point), "
            f"got shape {shape}; bring the axes into this order"
        )
    if output_shape is None:
        return
    points = output_shape if isinstance(output_shape, Sequence) else ()
    if len(points) != order or any(isinstance(n, float) or n < 1 for n in points):
        raise ValueError(
            f"output_shape must be {order} numbers of points, got {output_shape}; give those of "
            "every axis of the grid"
        )


def check_scaling(given: Any, factors: list[float] | None, order: int) -> list[float] | None:
    """Return the factors that neuralop read from what was given, if it read them all.

    Raises:
        ValueError: for factors that it leaves out without a word, as a tuple, or that are not above
            zero.
    """
    if given is None:
        return None
    numbers = [f for f in factors or [] if isinstance(f, float) and 0 < f < math.inf]
    if factors is None or len(numbers) != len(factors) or len(numbers) != order:
        raise ValueError(
            f"resolution_scaling_factor must be a number above 0 or a list of {order}, one for "
            f"every axis, got {given!r}; give a list of floats"
        )
    return numbers


def rows_of(transform: LinearTransform, inverse: bool) -> Tensor:
    """Return A, or of an inverse transform B^H, whose rows are functions on the grid.

    Shape (2, heads, modes, n), the real and the imaginary part first.
    """
    matrix = transform.matrix()
    return torch.stack((matrix[0].mT, -matrix[1].mT)) if inverse else matrix


def check_transform(
    transform: LinearTransform,
    n: int,
    frequencies: range,
    basis: str | None,
    channels: int,
    place: str,
) -> None:
    """Raise ValueError unless a transform has these rows of its basis, on n points, by any heads.

    Args:
        transform: before learning, with values to look at.
        n: points of its grid.
        frequencies: rows that it is to have.
        basis: of `resample`, or None where the rows may be any.
        channels: number that its heads share.
        place: which transform it is, in words.
    """
    if not isinstance(transform, LinearTransform):
        raise ValueError(
            f"the {place} must be a LinearTransform, got one of {type(transform).__name__}; give a "
            "class such as Monarch, or functools.partial of one"
        )
    inverse = place.startswith("inverse")
    sizes = (len(frequencies), n) if inverse else (n, len(frequencies))
    if (transform.n_in, transform.n_out) != sizes:
        raise ValueError(
            f"the {place} must take {sizes[0]} values to {sizes[1]}, got {transform.n_in} to "
            f"{transform.n_out}; transform must use n, inverse and modes as it is called with"
        )
    if channels % transform.heads:
        raise ValueError(
            f"heads must divide the number of channels, got heads={transform.heads} and "
            f"{channels} channels of the {place}; change one of them"
        )
    if basis is None:
        return
    with torch.no_grad():
        wanted = basis_rows(n, frequencies, basis).unsqueeze(1)
        rows = rows_of(transform, inverse).to(wanted)
        distance = ((rows - wanted).norm() / wanted.expand_as(rows).norm()).item()
    if not distance < SAME_ROWS:
        raise ValueError(
            f"the {place} is not that of basis={basis!r} before learning: its rows are "
            f"{distance:.0%} off; name the basis that it starts from, or basis=None for a layer "
            "that works on the grid it is made for alone"
        )
