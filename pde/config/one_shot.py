"""What the problems share that map one field to one other field."""

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from data_scripts.pde.generation import OneShotRecipe
from pde.config.base import GeneratedConfig
from pde.dataset.thinning import thin


@dataclass
class OneShotConfig(OneShotRecipe, GeneratedConfig):
    """Options of a problem with one field in and one field out.

    Of the stored fields are taken `grid`, and the coarser and finer grids of an evaluation.
    """

    def __post_init__(self) -> None:
        """Check that the grid is part of what is stored."""
        super().__post_init__()
        if self.path is None:
            try:
                for n, periodic in zip(self.stored_points, self.periodic, strict=True):
                    thin(n, self.grid, periodic=periodic)
            except ValueError as error:
                raise ValueError(f"stored_grid={self.stored_grid}: {error}") from error


@dataclass
class EvolutionConfig(OneShotConfig):
    """Options of a problem whose field out is the field in at a later time.

    The two have scales of their own, since diffusion leaves less of a field than it was.
    """

    @property
    @abstractmethod
    def horizon(self) -> float:
        """Time of the field to predict, from that of the field in; the recipe has it."""

    @property
    def normalization(self) -> str:
        """Of each role its own."""
        return "role"

    def select_frames(self, times: Float[np.ndarray, " time"], path: Path) -> slice:
        """Return the first frame and the one at `horizon`.

        Raises:
            ValueError: the file has no frame at that time, or does not begin at t = 0, and no
                `convention` says that this is meant.
        """
        if times[0] != 0 and self.convention is None:
            raise ValueError(
                f"{path} does not say that its first frame is the initial field: its times begin "
                f"at t = {times[0]:g}, or there are none and frames count as 1, 2, ...; store the "
                "times from 0 on, or, if you mean this frame, set dataset.convention"
            )
        found = np.flatnonzero(np.isclose(times, self.horizon, rtol=1e-4, atol=0))
        if not len(found) or found[0] == 0:
            raise ValueError(
                f"{path} has no frame at final_time={self.horizon:g} after its first one; its "
                f"{len(times)} frames are at {times[0]:g} to {times[-1]:g}, so set final_time to "
                "one of these"
            )
        return slice(0, int(found[0]) + 1, int(found[0]))

    def describe_frames(self, times: tuple[float, ...]) -> str:
        """Return the two times."""
        return f"from t = {times[0]:g} to t = {times[-1]:g}"
