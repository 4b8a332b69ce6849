"""Options of the Burgers data sets."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from data_scripts.pde.burgers import BurgersRecipe
from data_scripts.pde.conventions import OWN, PDEBENCH
from pde.config.one_shot import OneShotConfig


@dataclass
class BurgersConfig(BurgersRecipe, OneShotConfig):
    """The Burgers equation, and the points to learn from.

    Attributes:
        grid: points the model sees: i / grid if periodic, else the cell centres (i + 1/2) / grid.
    """

    grid: int = 1024

    @property
    def conventions(self) -> tuple[str, ...]:
        """PDEBench's is periodic and has another diffusion, on another interval."""
        return (OWN, PDEBENCH) if self.periodic else (OWN,)

    @property
    def normalization(self) -> str:
        """Diffusion leaves little of the initial field: the outputs need a scale of their own."""
        return "role"

    @property
    def quantity(self) -> tuple[str, str]:
        """What is predicted."""
        return "velocity", "length/time"

    def select_frames(self, times: Float[np.ndarray, " time"], path: Path) -> slice:
        """Return the first frame and the one at `final_time`.

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
        found = np.flatnonzero(np.isclose(times, self.final_time, rtol=1e-4, atol=0))
        if not len(found) or found[0] == 0:
            raise ValueError(
                f"{path} has no frame at final_time={self.final_time:g} after its first one; its "
                f"{len(times)} frames are at {times[0]:g} to {times[-1]:g}, so set final_time to "
                "one of these"
            )
        return slice(0, int(found[0]) + 1, int(found[0]))

    def describe_frames(self, times: tuple[float, ...]) -> str:
        """Return the two times."""
        return f"from t = {times[0]:g} to t = {times[-1]:g}"
