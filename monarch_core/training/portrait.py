"""What the transforms of a model became: their distance from the start, and their rows."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from monarch_core.runs.artifacts import Artifact, Basis, Table
from monarch_core.transforms import LinearTransform

_SHOWN_FREQUENCIES = (1, 2, 4, 8)  # cycles over the points of a row, at the start
_MARGIN = 2  # columns that are drawn, as a multiple of the highest frequency of the start
_LEAST_REACH = 8
_MOST_PIXELS = 256
_MOST_POINTS = 1024


@dataclass(frozen=True)
class Distance:
    """How far a learned transform moved.

        distance = ||A - A_0|| / ||A_0||,   departure = ||A A^H - A_0 A_0^H|| / ||A_0 A_0^H||

    A_0 is its start, the norms are those of Frobenius, and A has the kept frequencies as rows.

    Attributes:
        part: name of the module in the model.
        n: points of its axis.
        distance: from the start, dimensionless; 0 before learning.
        departure: from unitarity where the start is unitary but for a scale, likewise.
    """

    part: str
    n: int
    distance: float
    departure: float


def distances(model: nn.Module, start: nn.Module) -> list[Distance]:
    """Return how far each transform with parameters moved from where it is in `start`."""
    return [
        Distance(name, A.shape[1], _relative(A, A_0), _relative(A @ A.mH, A_0 @ A_0.mH))
        for name, (A, A_0) in learned_matrices(model, start).items()
    ]


def portray_transforms(model: nn.Module, start: nn.Module) -> list[Artifact]:
    """Return tables and figures of what every learned transform of `model` became.

    Args:
        model: the trained model.
        start: the same model before training, which holds the transforms at their start.

    Returns:
        A table of `distances`; and, of the transform that moved farthest, some rows beside those
        of its start, and the magnitude of all rows in frequency, |A F^H| with the unitary DFT F: at
        a Fourier start, a single one per row. Nothing for a model without learnable transforms.
    """
    moved = distances(model, start)
    if not moved:
        return []
    farthest = max(moved, key=lambda d: d.distance)
    A, A_0 = learned_matrices(model, start)[farthest.part]
    name = f"{farthest.part}, {farthest.n} points, moved by {farthest.distance:.0%} of its start"
    return [
        Table(
            figure="transform_distance",
            title="How far the transforms moved (relative Frobenius distance from their start)",
            columns=["transform", "n", "distance", "departure from unitarity"],
            rows=[[d.part, d.n, d.distance, d.departure] for d in moved],
        ),
        _basis(name, A, A_0),
    ]


def learned_matrices(model: nn.Module, start: nn.Module) -> dict[str, tuple[Tensor, Tensor]]:
    """Return the matrices of every transform with parameters, as it is and as it was."""
    return {
        name: (_first_head(module), _first_head(start.get_submodule(name)))
        for name, module in model.named_modules()
        if isinstance(module, LinearTransform) and any(True for _ in module.parameters())
    }


def _relative(A: Tensor, A_0: Tensor) -> float:
    return float((A - A_0).norm() / A_0.norm())


def _first_head(transform: nn.Module) -> Tensor:
    """Return the matrix of the first head as (frequencies, grid), in double precision."""
    assert isinstance(transform, LinearTransform)
    with torch.no_grad():
        A = torch.complex(*transform.matrix()[:, 0].double().cpu())
    return A if len(A) <= A.shape[1] else A.mH


def _basis(name: str, A: Tensor, A_0: Tensor) -> Basis:
    """Return rows of low frequency, which can be followed by eye, and all rows in frequency.

    An inverse DFT without a choice of frequencies is shown as its adjoint, whose rows are waves.
    """
    if _is_inverse(A_0):
        A, A_0 = A.mH, A_0.mH
    n = A.shape[1]
    frequencies = torch.arange(n) - n // 2
    peaks = frequencies[_in_frequency(A_0).argmax(1)]
    wanted = [f for f in _SHOWN_FREQUENCIES if f <= n // 4] or [0]
    shown = list(dict.fromkeys(int((peaks - f).abs().argmin()) for f in wanted))
    reach = max(_LEAST_REACH, _MARGIN * int(peaks.abs().max()))
    inside = frequencies.abs() <= reach
    order = peaks.argsort(stable=True)
    spectrum, start = (_reduced(_in_frequency(B)[order][:, inside]) for B in (A, A_0))
    wide = math.ceil(int(inside.sum()) / _MOST_PIXELS)
    step = math.ceil(n / _MOST_POINTS)
    return Basis(
        figure="learned_basis",
        title=name,
        shown=peaks[shown].double().numpy(),
        rows=A[shown, ::step].real.float().numpy(),
        start_rows=A_0[shown, ::step].real.float().numpy(),
        frequencies=frequencies[inside][::wide].double().numpy(),
        spectrum=spectrum.numpy(),
        start_spectrum=start.numpy(),
    )


def _in_frequency(A: Tensor) -> Tensor:
    """Return |A F^H| with the unitary DFT F, frequency zero in the middle."""
    return torch.fft.fftshift(torch.fft.ifft(A, dim=1, norm="ortho"), dim=1).abs()


def _is_inverse(A_0: Tensor) -> bool:
    """Tell whether the frequency of the rows of a square matrix falls where that of a DFT rises."""
    m, n = A_0.shape
    if m != n or n < 3:
        return False
    peaks = _in_frequency(A_0).argmax(1)
    return bool(((peaks[:-1] - peaks[1:]) % n == 1).all())


def _reduced(image: Tensor) -> Tensor:
    """Return an image of at most so many pixels each way: the largest value of every block."""
    block = [math.ceil(size / _MOST_PIXELS) for size in image.shape]
    return nn.functional.max_pool2d(image[None].float(), block, ceil_mode=True)[0]
