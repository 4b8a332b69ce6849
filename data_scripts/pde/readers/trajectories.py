"""Trajectories in a file, whatever its layout."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float

from data_scripts.hdf5 import REALS, require_kind
from data_scripts.unusable import UnusableFileError, reading
from monarch_core.runs.machine import require_memory

log = logging.getLogger(__name__)

LAYOUTS = (
    "The Well (t0_fields), PDEBench (tensor, or 0000/data) and MATLAB (u, a and u, or coeff and "
    "sol, classic or v7.3) layouts are known"
)
# What to do about a file that is damaged, and about one that holds something else.
AGAIN = "download or make it again"
CORRECT = "store float32 in physical units, or choose the data set that the file belongs to"
# What to do where there is too little memory.
FEWER = "lower n_train, n_valid, n_test, the grid or the number of frames"


@dataclass(frozen=True)
class Statement:
    """What a file says of its fields: by layout, attributes, coordinates and name.

    Attributes:
        problem: the data set whose equation, domain and boundary the fields obey, None where
            nothing tells.
        viscosity: of the equation in the units of that data set, None where nothing tells.
        by_name: whether the viscosity is only in the name of the file.
        doubts: what speaks against that problem, or would have to be said, one clause each.
        unit_square: whether coordinates say that every axis is of length 1.
        stretching: how much the points are refined towards the walls, None where nothing tells.
    """

    problem: str | None = None
    viscosity: float | None = None
    by_name: bool = False
    doubts: tuple[str, ...] = ()
    unit_square: bool = False
    stretching: float | None = None


@dataclass(frozen=True)
class Trajectories:
    """Trajectories in a file, read when asked for.

    Attributes:
        path: file or folder.
        layout: name of the layout, for messages.
        shape: (n_trajectories, n_times, *grid).
        times: time of every frame; 1, 2, ... where the file does not say. What Darcy flow holds
            instead, coefficient and solution, is numbered 0 and 1.
        load: returns the trajectories and times of two slices, in any real type.
        states: what the file says of its fields.
    """

    path: Path
    layout: str
    shape: tuple[int, ...]
    times: Float[np.ndarray, " time"]
    load: Callable[[slice, slice], np.ndarray]
    states: Statement = field(default_factory=Statement)

    def __post_init__(self) -> None:
        """Raise UnusableFileError where there is nothing to read."""
        if 0 in self.shape:
            raise UnusableFileError(
                f"{self.path} is empty: its field has shape {self.shape} (trajectory, time, "
                "space); make the file again"
            )

    @property
    def viscosity(self) -> float | None:
        """That of the equation, None where the file does not say."""
        return self.states.viscosity

    def read(
        self, trajectories: slice = slice(None), frames: slice = slice(None)
    ) -> Float[np.ndarray, "trajectory time *grid"]:
        """Return part of the data in float32.

        Raises:
            ValueError: the file is damaged, what was asked for does not fit into memory, or it
                holds complex numbers, text, NaN, infinity or values beyond float32.
        """
        numbers, times = range(self.shape[0])[trajectories], range(self.shape[1])[frames]
        n_values = len(numbers) * len(times) * int(np.prod(self.shape[2:], dtype=object))
        require_memory({f"{len(numbers)} trajectories of {self.path}": 4.0 * n_values}, FEWER)
        with reading(self.path, AGAIN), np.errstate(over="ignore"):
            loaded = self.load(trajectories, frames)
            require_kind(f"{self.path}: the field", loaded.dtype, REALS, CORRECT)
            if loaded.dtype.kind == "f" and loaded.dtype.itemsize < 4:
                log.warning("%s holds half precision: 3 digits, of the errors too", self.path)
            values = np.ascontiguousarray(loaded, dtype=np.float32)
        finite = np.isfinite(values).all(axis=tuple(range(2, values.ndim)))
        if not finite.all():
            bad = np.argwhere(~finite)
            trajectory, frame = bad[0]
            beyond = np.isfinite(loaded[trajectory, frame]).all()
            raise UnusableFileError(
                f"{self.path} holds {'values beyond float32' if beyond else 'NaN or infinity'}, "
                f"first in {self.place(numbers[trajectory], times[frame])}; "
                f"{len(np.unique(bad[:, 0]))} of {len(values)} trajectories are affected. Remove "
                "them or make the file again"
            )
        return values

    def place(self, trajectory: int, frame: int) -> str:
        """Return the words for a frame, both counted from 0."""
        return f"trajectory {trajectory}, frame {frame} (time {self.times[frame]:g})"
