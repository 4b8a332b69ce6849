"""Make a Burgers data set: `python data_scripts/pde/burgers.py viscosity=0.01 ...`.

Reads nothing, writes `<data_dir>/burgers_.../` (PDEBench layout, `metadata.yaml`);
`name=burgers_dirichlet` is zero at both ends instead of periodic, `name=burgers_stretched` too, on
points refined towards them. Killed, it continues where it stopped when called again. `burgers.md`
describes the data.
"""

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Complex, Float

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from data_scripts.command_line import run_recipe
from data_scripts.pde.burgers_solver import (
    BurgersSolver,
    initial_dirichlet,
    initial_periodic,
    to_grid,
)
from data_scripts.pde.conventions import BURGERS, STRETCHED
from data_scripts.pde.generation import DEVICES, EvolutionRecipe, gather
from data_scripts.pde.pdebench_format import write_lines
from data_scripts.pde.smooth_fields import sines, smooth_amplitudes
from data_scripts.pde.wall_points import STRONGEST, stretched
from data_scripts.recipe import require, require_one_of, require_positive
from data_scripts.resumable import Arrays, Batch

# Intervals of the grid on which the initial field is drawn (Li et al. 2021, arXiv:2010.08895).
INITIAL_GRID = 8192
EQUATION = {
    **BURGERS,
    "convention": "viscosity multiplies u_xx on (0, 1); that of PDEBench's own files divides their "
    "Nu by pi, on (-1, 1)",
    "units": "length: the domain; time: unit of the equation; u: length/time; "
    "viscosity: length^2/time",
}
BOUNDARIES = {
    "burgers": {
        "boundary": "periodic",
        "initial_field": "Gaussian random field N(0, 625 (-Laplace + 25)^-2), zero mean, periodic",
    },
    "burgers_dirichlet": {
        "boundary": "u = 0 at x = 0 and x = 1",
        "initial_field": "Gaussian random field N(0, 625 (-Laplace + 25)^-2), zero at both ends",
    },
    STRETCHED: {
        "boundary": "u = 0 at x = 0 and x = 1",
        "initial_field": "sine series, a_k Gaussian of deviation exp(-(pi k l)^2 / 2), l the "
        "correlation length, root mean square 1",
    },
}
# What is read of burgers_stretched alone.
STRETCHED_OPTIONS = ("stretching", "correlation_length")


@dataclass
class BurgersRecipe(EvolutionRecipe):
    """One-dimensional Burgers equation on (0, 1): from the field at t = 0 to that at `final_time`.

    Lengths are in units of the domain, times in units of the equation; `burgers.md` describes the
    data.

    Attributes:
        name: "burgers" is periodic; "burgers_dirichlet" is zero at both ends; "burgers_stretched"
            too, with the points refined towards them.
        n_train: samples to learn from.
        n_valid: samples to choose by.
        n_test: samples to report on.
        seed: of the random fields.
        stored_grid: intervals of the stored fields, a divisor of 8192; any of burgers_stretched.
        viscosity: nu, in length^2/time.
        final_time: time of the field to predict.
        solver_grid: points per unit length while integrating; None picks the smallest power of two
            known to resolve the viscosity.
        stretching: of burgers_stretched: b of the map from even points to those stored
            (`wall_points.py`).
        correlation_length: of burgers_stretched: of the initial fields, in lengths of the domain.
        data_dir: folder below which generated data are kept.
        n_workers: processes that generate on the CPU; None takes one per available core.
        batch_size: samples computed together; None takes what suits the machine.
        device: where to generate: "auto", "cpu" or "cuda".
    """

    NAMES: ClassVar[tuple[str, ...]] = tuple(BOUNDARIES)

    name: str = "burgers"
    stored_grid: int = INITIAL_GRID
    viscosity: float = 0.1
    final_time: float = 1.0
    solver_grid: int | None = None
    stretching: float = 2.0
    correlation_length: float = 0.06
    device: str = "auto"

    def __post_init__(self) -> None:
        """Check values against each other; raises ValueError naming value and remedy."""
        super().__post_init__()
        require_positive("viscosity", self.viscosity, "0.1")
        divides = self.is_stretched or INITIAL_GRID % self.stored_grid == 0
        require(divides, "stored_grid", self.stored_grid, f"a divisor of {INITIAL_GRID}")
        fits = self.solver_grid is None or self.solver_grid >= 8
        require(fits, "solver_grid", self.solver_grid, "null or at least 8, such as 256")
        require_one_of(self, {"device": DEVICES})
        for key in () if self.is_stretched else STRETCHED_OPTIONS:
            default = getattr(BurgersRecipe, key)
            wanted = f"left at {default} with name={self.name}, which does not read it"
            require(getattr(self, key) == default, key, getattr(self, key), wanted)
        fits = 0 < self.stretching <= STRONGEST
        require(fits, "stretching", self.stretching, f"above 0 and at most {STRONGEST:g}")
        fits = 0.02 <= self.correlation_length <= 1
        require(fits, "correlation_length", self.correlation_length, "from 0.02 to 1")

    @property
    def resolved_solver_grid(self) -> int:
        """Points per unit length while integrating: `solver_grid`, or what the viscosity asks for.

        `burgers.md` has the errors that were measured at these grids.
        """
        if self.solver_grid is not None:
            return self.solver_grid
        return max(256, 2 ** math.ceil(math.log2(1 / self.viscosity)))

    @property
    def numbers(self) -> dict[str, Any]:
        """What the stored numbers depend on beside sizes, seed and version."""
        read = STRETCHED_OPTIONS if self.is_stretched else ()
        return {
            "name": self.name,
            "viscosity": self.viscosity,
            "stored_grid": self.stored_grid,
            "solver_grid": self.resolved_solver_grid,
            "final_time": self.final_time,
            **{key: getattr(self, key) for key in read},
        }

    @property
    def folder_name(self) -> str:
        """Name, viscosity and stored grid."""
        return f"{self.name}_nu{self.viscosity:g}_{self.stored_grid}"

    @property
    def title(self) -> str:
        """Equation, boundary and viscosity."""
        return f"Burgers, {BOUNDARIES[self.name]['boundary']}, viscosity {self.viscosity:g}"

    @property
    def periodic(self) -> tuple[bool]:
        """Whether the ends of the interval are one point."""
        return (self.name == "burgers",)

    @property
    def is_stretched(self) -> bool:
        """Whether the points are refined towards the walls."""
        return self.name == STRETCHED

    @property
    def stored_coordinates(self) -> Float[np.ndarray, " points"]:
        """Where the fields are stored, in lengths of the domain."""
        s = np.arange(self.stored_points[0]) / self.stored_grid
        return stretched(s, self.stretching) if self.is_stretched else s

    @property
    def solver_points(self) -> int:
        """Points of the solver's grid."""
        return self.resolved_solver_grid

    @property
    def suitable_batch_size(self) -> int:
        """Samples computed together unless `batch_size` says otherwise."""
        return 400 if self.uses_gpu else 50

    def simulate(self, batch: Batch) -> Arrays:
        """Draw and integrate the samples of one batch.

        Returns:
            frames: u at t = 0 and at the final time, float32, (sample, 2, x).
            initial_std: standard deviation of each initial field over the stored points.
        """
        keys = self.sample_keys(batch)
        if self.is_stretched:
            return self._simulate_stretched(keys)
        # Nothing is gained by more modes of the initial field than its grid resolves.
        if all(self.periodic):
            period, initial = 1, initial_periodic(keys, INITIAL_GRID // 2 - 1)
        else:
            period, initial = 2, initial_dirichlet(keys, INITIAL_GRID - 1)
        final = self._advance(initial, period)
        # A field with finitely many modes is known everywhere: no interpolation is involved.
        frames = torch.stack([to_grid(u, INITIAL_GRID * period) for u in (initial, final)], 1)
        stored = frames[..., :: INITIAL_GRID // self.stored_grid][..., : self.stored_points[0]]
        return {
            "frames": stored.float().numpy(),
            "initial_std": stored[:, 0].std(dim=-1, correction=0).numpy(),
        }

    def _simulate_stretched(self, keys: Sequence[tuple[int, ...]]) -> Arrays:
        """Return what `simulate` does: sums of sines, which are known at every point."""
        amplitudes = smooth_amplitudes(keys, self.correlation_length)
        initial = torch.from_numpy(np.pad(-0.5j * amplitudes, ((0, 0), (1, 0))))
        final = -2 * self._advance(initial, 2).imag.numpy()[:, 1:]
        x = self.stored_coordinates
        frames = np.stack([sines(amplitudes, x), sines(final, x)], axis=1)
        frames[..., [0, -1]] = 0.0  # where a sine of a multiple of pi is rounded
        return {"frames": frames.astype(np.float32), "initial_std": frames[:, 0].std(axis=-1)}

    def _advance(
        self, initial: Complex[torch.Tensor, "batch modes"], period: int
    ) -> Complex[torch.Tensor, "batch kept_modes"]:
        """Return the coefficients at the final time."""
        solver = BurgersSolver(
            self.resolved_solver_grid * period,
            self.viscosity,
            length=float(period),
            device=self.device_used,
        )
        return solver.advance(initial, self.final_time).cpu()

    def assemble(self, parts: Path, dataset: Path) -> dict[str, Any]:
        """Write one PDEBench file."""
        stds = np.concatenate(list(gather(parts, "initial_std")))
        measured = {
            "initial_field_std": float(np.sqrt(np.square(stds).mean())),
            "time_integration": "integrating-factor Runge-Kutta of order 4, 2/3 dealiasing",
        }
        equation = {**EQUATION, **BOUNDARIES[self.name]}
        file_name = f"1D_Burgers_viscosity{self.viscosity:g}.hdf5"
        write_lines(
            dataset / file_name,
            gather(parts, "frames"),
            n_samples=sum(self.split_sizes.values()),
            times=np.array([0.0, self.final_time]),
            points=self.stored_coordinates,
            attributes={**self.identity(), **measured, **equation},
        )
        at, theirs = "i / {}", "equation and initial field"
        if self.is_stretched:
            at, theirs = "x(i / {}), x(s) of data_scripts/pde/wall_points.py", "equation"
        return {
            "field": "u",
            **equation,
            "grid": f"{self.stored_points[0]} points at {at.format(self.stored_grid)}",
            "times": f"0 and {self.final_time:g}",
            "layout": f"PDEBench 1-D: {file_name}, tensor (sample, t, x); training samples first, "
            "then validation, then test",
            "measured": measured,
            "source": f"generated by data_scripts/pde/burgers.py; {theirs} of "
            "Li et al. 2021, arXiv:2010.08895",
        }


if __name__ == "__main__":
    sys.exit(run_recipe(BurgersRecipe))
