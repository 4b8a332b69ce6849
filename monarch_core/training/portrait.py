"""What the transforms of a model became: their distance from the start, and their rows."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from monarch_core.runs.artifacts import Artifact, Curve, Picture, Table
from monarch_core.transforms import LinearTransform


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
        A table of `distances`; and, of the transform that moved farthest, one row in space beside
        its start, and the magnitude of all rows in frequency, |A F^H| with the unitary DFT F: at a
        Fourier start, a single one per row. Nothing for a model without learnable transforms.
    """
    moved = distances(model, start)
    if not moved:
        return []
    farthest = max(moved, key=lambda d: d.distance).part
    A, A_0 = learned_matrices(model, start)[farthest]
    return [
        Table(
            figure="transform_distance",
            title="How far the transforms moved (relative Frobenius distance from their start)",
            columns=["transform", "n", "distance", "departure from unitarity"],
            rows=[[d.part, d.n, d.distance, d.departure] for d in moved],
        ),
        *_rows_in_space(farthest, A, A_0),
        _rows_in_frequency(farthest, A),
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


def _rows_in_space(name: str, A: Tensor, A_0: Tensor) -> list[Curve]:
    moved = int((A - A_0).norm(dim=1).argmax())
    x = torch.arange(float(A.shape[1])).numpy()
    return [
        Curve(
            figure="transform_row",
            title=f"The row that moved most, real part ({name})",
            x_label="place in the row",
            y_label="value",
            x=x,
            y=matrix[moved].real.numpy(),
            line=line,
            shared=False,
        )
        for matrix, line in ((A, "learned"), (A_0, "start"))
    ]


def _rows_in_frequency(name: str, A: Tensor) -> Picture:
    spectrum = torch.fft.fftshift(torch.fft.ifft(A, dim=1, norm="ortho"), dim=1).abs()
    return Picture(
        figure="transform_spectrum",
        title=f"Rows in frequency, magnitude ({name})",
        image=spectrum.numpy(),
        x_label="frequency, zero in the middle",
        y_label="row",
        unit="",
    )
