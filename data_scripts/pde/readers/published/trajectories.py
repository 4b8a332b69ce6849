"""Trajectories of one field, as the data sets with a name have them."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32

from data_scripts.pde.readers.fields import Fields
from data_scripts.pde.readers.statement import Statement
from data_scripts.pde.readers.stored import WHOLE


def trajectories_of(fields: Fields) -> "Trajectories":
    """Return fields of one channel as trajectories, at times 1, 2, ... where the file says none."""
    if fields.constant:
        return Trajectories(fields, np.arange(2.0))
    times = np.arange(1.0, fields.shape[1] + 1) if fields.times is None else fields.times
    return Trajectories(replace(fields, times=times), times)


@dataclass(frozen=True)
class Trajectories:
    """Fields of one channel, and the times at which they are.

    Where a sample is one field in and one field out, such as the coefficient and the solution of
    Darcy flow, these take the place of two times, which are numbered 0 and 1.

    Attributes:
        fields: with one channel and times, or one channel and one static field.
        times: time of every frame.
    """

    fields: Fields
    times: Float[np.ndarray, " time"]

    @property
    def path(self) -> Path:
        """File or folder."""
        return self.fields.path

    @property
    def layout(self) -> str:
        """Name of the layout, for messages."""
        return self.fields.layout

    @property
    def states(self) -> Statement:
        """What the file says of its fields."""
        return self.fields.statement

    @property
    def viscosity(self) -> float | None:
        """That of the equation, None where the file does not say."""
        return self.states.viscosity

    @property
    def _is_pair(self) -> bool:
        return bool(self.fields.constant)

    @property
    def shape(self) -> tuple[int, ...]:
        """(n_trajectories, n_times, *grid)."""
        n, n_times, _, *grid = self.fields.shape
        return (n, n_times + self._is_pair, *grid)

    def read(
        self,
        trajectories: slice = WHOLE,
        frames: slice = WHOLE,
        points: tuple[slice, ...] | None = None,
    ) -> Float32[np.ndarray, "trajectory time *grid"]:
        """Return part of the data.

        Raises:
            ValueError: the file is damaged, what was asked for does not fit into memory, or it
                holds complex numbers, text, NaN, infinity or values beyond float32.
        """
        if not self._is_pair:
            return self.fields.read(trajectories, frames, points)[:, :, 0]
        roles = (self.fields.read_constants, lambda n, p: self.fields.read(n, WHOLE, p)[:, 0])
        wanted = range(2)[frames]
        return np.concatenate([roles[role](trajectories, points) for role in wanted], axis=1)

    def place(self, trajectory: int, frame: int) -> str:
        """Return the words for a frame, both counted from 0."""
        return f"trajectory {trajectory}, frame {frame} (time {self.times[frame]:g})"
