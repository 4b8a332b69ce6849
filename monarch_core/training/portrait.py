"""What the transforms of a model became: their distance from the start, and their rows."""

import torch
from torch import Tensor, nn

from monarch_core.runs.artifacts import Artifact, Curve, Picture, Table
from monarch_core.transforms import LinearTransform


def portray_transforms(model: nn.Module, start: nn.Module) -> list[Artifact]:
    """Return tables and figures of what every learned transform of `model` became.

    Args:
        model: the trained model.
        start: the same model before training, which holds the transforms at their start.

    Returns:
        A table of the relative Frobenius distances ||A - A_0|| / ||A_0||; and, of the transform
        that moved farthest, one row in space beside its start, and the magnitude of all rows in
        frequency, |A F^H| with the unitary DFT F: at a Fourier start, a single one per row.
        Nothing for a model without learnable transforms.
    """
    learned = {
        name: (_first_head(module), _first_head(start.get_submodule(name)))
        for name, module in model.named_modules()
        if isinstance(module, LinearTransform) and any(True for _ in module.parameters())
    }
    if not learned:
        return []
    distances = {name: ((A - A_0).norm() / A_0.norm()).item() for name, (A, A_0) in learned.items()}
    rows: list[list[str | float]] = [[name, distance] for name, distance in distances.items()]
    farthest = max(distances, key=lambda name: distances[name])
    return [
        Table(
            figure="transform_distance",
            title="How far the transforms moved (relative Frobenius distance from their start)",
            columns=["transform", "distance"],
            rows=rows,
        ),
        *_rows_in_space(farthest, *learned[farthest]),
        _rows_in_frequency(farthest, learned[farthest][0]),
    ]


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
            x_label="grid point",
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
