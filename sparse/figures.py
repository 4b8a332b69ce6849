"""What the report shows of a network: its loss along a window, or which classes it confuses."""

import numpy as np

from monarch_core.runs.artifacts import Artifact, Curve, Picture
from sparse.metrics.measure import Measured


def draw(measured: Measured) -> list[Artifact]:
    """Return the figures of a run."""
    if measured.confusion is not None:
        wrong = measured.confusion.astype(np.float64)
        np.fill_diagonal(wrong, 0)
        return [
            Picture(
                figure="confusion",
                title="Test samples of a class (row) that were taken for another (column)",
                image=wrong,
                x_label="predicted class",
                y_label="class",
                unit="samples",
            )
        ]
    counts = np.isfinite(measured.losses).sum(0)
    sums = np.nansum(measured.losses, 0, dtype=np.float64)
    positions = np.arange(1.0, len(counts) + 1)
    return [
        Curve(
            figure="loss_along_window",
            title="Test loss along the window",
            x_label="position of the token",
            y_label="loss (nats per token)",
            x=positions,
            y=np.where(counts > 0, sums / np.maximum(counts, 1), np.nan),
            x_scale="log",
        )
    ]
