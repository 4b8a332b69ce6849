"""Trajectories in a file, whatever its layout."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import scipy.io
from jaxtyping import Float

LAYOUTS = (
    "The Well (t0_fields), PDEBench (tensor, or 0000/data) and MATLAB (u, a and u, or coeff and "
    "sol, classic or v7.3) layouts are known"
)
# What the libraries raise when a file is damaged.
READ_ERRORS = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    EOFError,
    NotImplementedError,
    zlib.error,
    scipy.io.matlab.MatReadError,
)


@dataclass(frozen=True)
class Trajectories:
    """Trajectories in a file, read when asked for.

    Attributes:
        path: file or folder.
        layout: name of the layout, for messages.
        shape: (n_trajectories, n_times, *grid).
        times: time of every frame; 1, 2, ... where the file does not say. What Darcy flow holds
            instead, coefficient and solution, is numbered 0 and 1.
        load: returns the trajectories and times of two slices, in any float type.
        viscosity: of the equation, None where the file does not say.
    """

    path: Path
    layout: str
    shape: tuple[int, ...]
    times: Float[np.ndarray, " time"]
    load: Callable[[slice, slice], np.ndarray]
    viscosity: float | None = None

    def read(
        self, trajectories: slice = slice(None), frames: slice = slice(None)
    ) -> Float[np.ndarray, "trajectory time *grid"]:
        """Return part of the data in float32.

        Raises:
            ValueError: the file is damaged, or what was asked for holds NaN or infinity.
        """
        try:
            values = np.ascontiguousarray(self.load(trajectories, frames), dtype=np.float32)
        except READ_ERRORS as error:
            raise damaged(self.path, error) from error
        finite = np.isfinite(values).all(axis=tuple(range(2, values.ndim)))
        if not finite.all():
            bad = np.argwhere(~finite)
            trajectory, frame = bad[0]
            number = range(self.shape[0])[trajectories][trajectory]
            time = self.times[frames][frame]
            raise ValueError(
                f"{self.path} holds NaN or infinity, first in trajectory {number} at time "
                f"{time:g}; {len(np.unique(bad[:, 0]))} of {len(values)} trajectories are "
                "affected. Remove them or make the file again"
            )
        return values


def damaged(path: Path, error: Exception) -> ValueError:
    """Return the error to raise for a file that cannot be read."""
    return ValueError(
        f"{path} is truncated or damaged ({' '.join(str(error).split())}); "
        "download or make it again"
    )


def stored_times(stored: h5py.Dataset | np.ndarray | None, n_times: int) -> np.ndarray:
    """Return the stored times, or 1, 2, ... if there are none; PDEBench stores one too many."""
    if stored is None:
        return np.arange(1.0, n_times + 1)
    times = np.asarray(stored, dtype=np.float64).reshape(-1)
    return times[:n_times] if len(times) >= n_times else np.arange(1.0, n_times + 1)
