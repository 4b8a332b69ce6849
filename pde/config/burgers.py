"""Options of the Burgers data sets."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from data_scripts.pde.conventions import OWN, PDEBENCH
from pde.config.base import require, require_positive
from pde.config.one_shot import OneShotConfig

# Part of the identity of a data set: raised whenever the same options give other numbers.
GENERATOR_VERSION = 1
# Intervals of the grid on which the initial field is drawn (Li et al. 2021, arXiv:2010.08895).
INITIAL_GRID = 8192
NAMES = ("burgers", "burgers_dirichlet")
DEVICES = ("auto", "cpu", "cuda")


@dataclass
class BurgersConfig(OneShotConfig):
    """One-dimensional Burgers equation on (0, 1): from the field at t = 0 to that at `final_time`.

    Lengths are in units of the domain, times in units of the equation; the data are described in
    `data_scripts/pde/burgers.md`.

    Attributes:
        name: "burgers" is periodic; "burgers_dirichlet" is zero at both ends.
        grid: points the model sees: i / grid if periodic, else the cell centres (i + 1/2) / grid.
        stored_grid: intervals of the stored fields, a divisor of 8192.
        viscosity: nu, in length^2/time.
        final_time: time of the field to predict.
        solver_grid: points per unit length while integrating; None picks the smallest power of two
            known to resolve the viscosity.
        device: where to generate: "auto", "cpu" or "cuda".
    """

    name: str = "burgers"
    grid: int = 1024
    stored_grid: int = INITIAL_GRID
    viscosity: float = 0.1
    final_time: float = 1.0
    solver_grid: int | None = None
    device: str = "auto"

    def __post_init__(self) -> None:
        """Check values against each other; raises ValueError naming value and remedy."""
        require(self.name in NAMES, "name", self.name, f"one of {NAMES}")
        super().__post_init__()
        require_positive("viscosity", self.viscosity, "0.1")
        require_positive("final_time", self.final_time, "1")
        require(
            INITIAL_GRID % self.stored_grid == 0,
            "stored_grid",
            self.stored_grid,
            f"a divisor of {INITIAL_GRID}",
        )
        require(
            self.solver_grid is None or self.solver_grid >= 8,
            "solver_grid",
            self.solver_grid,
            "null or at least 8, such as 256",
        )
        require(self.device in DEVICES, "device", self.device, f"one of {DEVICES}")

    @property
    def resolved_solver_grid(self) -> int:
        """Points per unit length while integrating: `solver_grid`, or what the viscosity asks for.

        `data_scripts/pde/burgers.md` has the errors that were measured at these grids.
        """
        if self.solver_grid is not None:
            return self.solver_grid
        return max(256, 2 ** math.ceil(math.log2(1 / self.viscosity)))

    @property
    def recipe(self) -> dict[str, Any]:
        """Everything the stored numbers depend on, with nothing left to a default."""
        return {
            "name": self.name,
            "viscosity": self.viscosity,
            "stored_grid": self.stored_grid,
            "solver_grid": self.resolved_solver_grid,
            "final_time": self.final_time,
            **{f"n_{split}": size for split, size in self.split_sizes.items()},
            "seed": self.seed,
            "generator_version": GENERATOR_VERSION,
        }

    @property
    def folder_name(self) -> str:
        """Name, viscosity and stored grid."""
        return f"{self.name}_nu{self.viscosity:g}_{self.stored_grid}"

    @property
    def generator(self) -> str:
        """Module that makes the data."""
        return "data_scripts.pde.burgers"

    @property
    def n_axes(self) -> int:
        """One dimension of space."""
        return 1

    @property
    def periodic(self) -> bool:
        """Whether the ends of the interval are one point."""
        return self.name == "burgers"

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
