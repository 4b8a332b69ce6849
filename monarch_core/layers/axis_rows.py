"""The transforms of a spectral convolution, one per axis, by their rows: functions on the grid."""

from collections.abc import Callable
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor, nn

from monarch_core.layers.resample import BASES, basis_rows, resample_rows
from monarch_core.transforms import Fourier, LinearTransform
from monarch_core.transforms.arguments import check_not_replaced

# Relative: far above what single precision rounds, far below the distance of any two bases.
SAME_ROWS = 1e-2


def make_transform(
    make: Callable[..., LinearTransform],
    n: int,
    frequencies: range,
    basis: str | None,
    channels: int,
    *,
    inverse: bool,
    axis: int,
) -> LinearTransform:
    """Return the transform of an axis on the CPU, where there are values to look at.

    Args:
        make: called with n, inverse, norm and modes.
        n: points of its grid.
        frequencies: rows that it is to have.
        basis: of `resample`, or None or "complex" where the rows may be any.
        channels: number that its heads share.
        inverse: whether it leads from frequencies to the grid.
        axis: of the grid, for messages.

    Raises:
        ValueError: unless it has these rows of its basis, on n points, by any heads.
    """
    if not callable(make) or isinstance(make, nn.Module):
        raise ValueError(
            f"transform must make the transform of one axis, got {make!r}; give the class, "
            "such as Monarch, or functools.partial of it"
        )
    place = f"{'inverse' if inverse else 'forward'} transform of axis {axis}"
    options = {"inverse": inverse, "norm": "ortho", "modes": frequencies}
    check_not_replaced(make, options)
    try:
        with torch.device("cpu"):
            transform = make(n, **options)
    except ValueError as error:
        raise ValueError(
            f"the {place} cannot be made for basis={basis!r}: {error}; the basis must "
            "be the one that it starts from"
        ) from error
    if not isinstance(transform, LinearTransform):
        raise ValueError(
            f"the {place} must be a LinearTransform, got one of {type(transform).__name__}; give a "
            "class such as Monarch, or functools.partial of one"
        )
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
    if basis in BASES:
        _check_basis(transform, frequencies, basis, place, inverse)
    return transform


def _check_basis(
    transform: LinearTransform, frequencies: range, basis: str, place: str, inverse: bool
) -> None:
    with torch.no_grad():
        wanted = basis_rows(transform.n, frequencies, basis).unsqueeze(1)
        rows = _rows_of(transform, inverse).to(wanted)
        distance = ((rows - wanted).norm() / wanted.expand_as(rows).norm()).item()
    if not distance < SAME_ROWS:
        raise ValueError(
            f"the {place} is not that of basis={basis!r} before learning: its rows are "
            f"{distance:.0%} off; name the basis that it starts from, or basis=None for a layer "
            "that works on the grid it is made for alone"
        )


def rows_on(
    n: int,
    transform: LinearTransform,
    frequencies: range,
    basis: str | None,
    dtype: torch.dtype,
    device: torch.device,
    *,
    inverse: bool,
    periodic: bool,
) -> Float[Tensor, "2 heads modes n"]:
    """Return the rows of a transform on a grid of n points, real and imaginary part first.

    They are those of A, or of an inverse transform B of B^H; on another grid than its own they are
    interpolated (`resample_rows`), and scaled so that sums over the grid stay what they are.

    Raises:
        ValueError: for another grid without a basis.
    """
    if isinstance(transform, Fourier) and basis == "fourier":
        rows = _fourier_rows(transform.n, frequencies).to(dtype=dtype, device=device)
    else:
        rows = _rows_of(transform, inverse).to(dtype)
    if n == transform.n:
        return rows
    if basis not in BASES:
        raise ValueError(
            f"a layer with basis={basis!r} works on the grid it is made for alone, "
            f"got {n} points in the place of {transform.n}; bring the fields to its grid, or use a "
            f"transform that starts at one of {', '.join(BASES)}"
        )
    rows = resample_rows(rows, n, frequencies, basis, periodic)
    return rows if inverse else (transform.n / n) * rows


def _rows_of(transform: LinearTransform, inverse: bool) -> Tensor:
    matrix = transform.matrix()
    return torch.stack((matrix[0].mT, -matrix[1].mT)) if inverse else matrix


def _fourier_rows(n: int, frequencies: range) -> Float[Tensor, "2 1 modes n"]:
    """Return those of the unitary DFT, forward or inverse, made once."""
    # A tensor that a compiler traces, or one without numbers, serves no other call.
    if torch.compiler.is_compiling() or type(torch.empty(0, device="cpu")) is not Tensor:
        return basis_rows(n, frequencies, "fourier").unsqueeze(1)
    return _known_fourier_rows(n, frequencies).clone()


@lru_cache(maxsize=16)
def _known_fourier_rows(n: int, frequencies: range) -> Tensor:
    with torch.inference_mode(False):  # whose tensors would serve inference alone
        return basis_rows(n, frequencies, "fourier").unsqueeze(1)
