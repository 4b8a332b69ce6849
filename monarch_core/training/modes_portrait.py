"""The rows of a learned transform beside the normal modes of the problem, where they are known."""

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn

from monarch_core.runs.artifacts import Artifact, Curve, Picture
from monarch_core.training.portrait import distances, learned_matrices

SHOWN = (0, 2, 5)  # modes that are drawn beside the nearest row


def portray_in_modes(
    model: nn.Module, start: nn.Module, axis: int, modes: Float[Tensor, "n n"]
) -> list[Artifact]:
    """Return figures of the analysis along an axis that moved farthest from its start.

    The cosine of a row a and a mode phi is |<a, phi>| / (||a|| ||phi||).

    Args:
        model: the trained model.
        start: the same model before training.
        axis: whose modes they are.
        modes: orthonormal rows on the grid of the model, lowest first.

    Returns:
        The cosines of all rows and modes, before and after learning, and some modes beside the row
        nearest to each. Nothing where no transform on this grid learns along the axis.
    """
    place = f"forward_transforms.{axis}"
    moved = [d for d in distances(model, start) if d.part.endswith(place) and d.n == len(modes)]
    part = max(moved, key=lambda d: d.distance, default=None)
    if part is None or part.distance == 0:
        return []
    A, A_0 = learned_matrices(model, start)[part.part]
    Phi = modes.to(A)
    shown = min(len(modes), len(A) + len(A) // 4)
    cosines = {"before": _cosines(A_0, Phi), "learned": _cosines(A, Phi)}
    pictures = [
        Picture(
            figure=f"rows_in_modes_{when}",
            title=f"Cosine of rows and normal modes, {when} ({part.part})",
            image=cosine[:, :shown].numpy(),
            x_label="normal mode",
            y_label="row",
        )
        for when, cosine in cosines.items()
    ]
    return [
        *pictures,
        *(c for k in SHOWN if k < shown for c in _nearest(k, A, Phi, cosines["learned"])),
    ]


def _cosines(A: Complex[Tensor, "m n"], Phi: Complex[Tensor, "k n"]) -> Float[Tensor, "m k"]:
    unit = torch.nn.functional.normalize
    return (unit(A, dim=1) @ unit(Phi, dim=1).mH).abs()


def _nearest(
    k: int, A: Complex[Tensor, "m n"], Phi: Complex[Tensor, "k n"], cosine: Float[Tensor, "m k"]
) -> list[Curve]:
    """Return mode k and the row nearest to it, in the phase and of the length of the mode."""
    row, phi = A[int(cosine[:, k].argmax())], Phi[k]
    turned = (row * (row.conj() @ phi)).real
    n = len(phi)
    return [
        Curve(
            figure=f"mode_{k + 1}",
            title=f"Normal mode {k + 1} and the row nearest to it",
            x_label="lengths of the domain",
            y_label="value",
            x=((torch.arange(n, dtype=torch.float64) + 0.5) / n).numpy(),
            y=values.numpy(),
            line=line,
            shared=line == "mode",
        )
        for values, line in (
            (turned / turned.norm(), f"row, cosine {cosine[:, k].max():.2f}"),
            (phi.real / phi.real.norm(), "mode"),
        )
    ]
