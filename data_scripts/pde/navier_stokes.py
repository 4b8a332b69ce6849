"""Make the Navier-Stokes data set: `python data_scripts/pde/navier_stokes.py viscosity=1e-4 ...`.

Reads nothing, writes `<data_dir>/navier_stokes_.../` (The Well layout, `metadata.yaml`). Killed,
it continues where it stopped when called again. `navier_stokes.md` describes the data.
"""

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from data_scripts.command_line import run_recipe
from data_scripts.pde.conventions import FORCING_AMPLITUDE, VORTICITY
from data_scripts.pde.generation import DEVICES, PdeRecipe, gather
from data_scripts.pde.navier_stokes_solver import (
    VorticitySolver,
    dealiased_cutoff,
    initial_vorticity,
    record,
)
from data_scripts.pde.well_format import write_split, write_statistics
from data_scripts.recipe import require, require_one_of, require_positive
from data_scripts.resumable import Arrays, Batch

# Time units over which Li et al. 2021 (arXiv:2010.08895) integrate, by viscosity.
PUBLISHED_HORIZON = {1e-3: 50.0, 1e-4: 30.0, 1e-5: 20.0}
AMPLITUDES = ("2020", "2022", "paper")
PRECISIONS = ("float64", "float32")
EQUATION = {
    "equation": "w_t + u . grad w = viscosity Laplace(w) + f, "
    "u = (d psi/dy, -d psi/dx), -Laplace(psi) = w",
    "forcing": f"f = {FORCING_AMPLITUDE} (sin 2 pi (x + y) + cos 2 pi (x + y))",
    "initial_field": "Gaussian random field, zero mean, E |w_hat[k]|^2 = "
    "s^2 (4 pi^2 |k|^2 + 49)^-2.5 with s^2 = 2 * 7^3 (amplitude 2020), 7^3 (2022), 7^1.5 (paper)",
    "boundary": "periodic in x and y",
    "domain": "(0, 1) x (0, 1)",
    "units": "length: side of the box; time: unit of the equation; vorticity: 1/time; "
    "viscosity: length^2/time",
}


@dataclass
class NavierStokesRecipe(PdeRecipe):
    """Vorticity of forced two-dimensional flow on the unit torus.

    Lengths are in units of the box, times in units of the equation; `navier_stokes.md` describes
    the data.

    Attributes:
        name: "navier_stokes".
        n_train: trajectories to learn from.
        n_valid: trajectories to choose by.
        n_test: trajectories to report on.
        seed: of the random fields.
        viscosity: nu, in length^2/time.
        grid: points per axis of the stored frames.
        test_grid: points per axis of the stored test frames, a multiple of `grid`, so that a model
            can also be tested on grids finer than its own; None is `grid`.
        solver_grid: points per axis while integrating, a multiple of `grid`; None picks the
            smallest grid known to resolve the viscosity.
        final_time: time of the last record; None takes the published 50, 30 or 20 for a viscosity
            of 1e-3, 1e-4 or 1e-5.
        record_interval: time between stored frames, the first of which is at this time.
        amplitude: scale of the initial field; "2020" (std 0.27, the published data), "2022"
            (std 0.19) or "paper" (std 0.044).
        courant: Courant number from which the time step follows.
        precision: "float64" or "float32" while integrating; frames are stored in float32.
        data_dir: folder below which generated data are kept.
        n_workers: processes that generate on the CPU; None takes one per available core.
        batch_size: trajectories computed together; None takes what suits the machine.
        device: where to generate: "auto", "cpu" or "cuda".
    """

    name: str = "navier_stokes"
    n_train: int = 200
    n_valid: int = 50
    n_test: int = 50
    viscosity: float = 1e-3
    grid: int = 32
    test_grid: int | None = None
    solver_grid: int | None = None
    final_time: float | None = 36.0
    record_interval: float = 1.0
    amplitude: str = "2020"
    courant: float = 2.0
    precision: str = "float64"
    device: str = "auto"

    def __post_init__(self) -> None:
        """Check values against each other; raises ValueError naming value and remedy."""
        super().__post_init__()
        require(self.grid >= 4, "grid", self.grid, "at least 4, such as 32 or 64")
        require_positive("viscosity", self.viscosity, "1e-3")
        require(self.record_interval > 0, "record_interval", self.record_interval, "positive")
        require(0 < self.courant <= 2.8, "courant", self.courant, "in (0, 2.8], such as 2")
        for key in ("test_grid", "solver_grid"):
            value = getattr(self, key)
            require(value is None or value >= 4, key, value, "null or at least 4")
        words = {"amplitude": AMPLITUDES, "precision": PRECISIONS, "device": DEVICES}
        require_one_of(self, words)
        self.check_grids()

    def check_grids(self) -> None:
        """Raise ValueError unless the grids are multiples of each other, and so the times."""
        solver_grid = self.resolved_solver_grid
        if solver_grid % self.grid:
            raise ValueError(
                f"solver_grid must be a multiple of grid, got solver_grid={solver_grid} and grid="
                f"{self.grid}; use solver_grid={self.grid * math.ceil(solver_grid / self.grid)}"
            )
        fine = self.resolved_test_grid
        if fine % self.grid or max(fine, solver_grid) % min(fine, solver_grid):
            raise ValueError(
                f"test_grid must be a multiple of grid, and a multiple or a divisor of solver_grid,"
                f" got {fine} with grid={self.grid} and solver_grid={solver_grid}; use "
                f"test_grid={solver_grid}"
            )
        records = self.horizon / self.record_interval
        if abs(records - round(records)) > 1e-6 * records or round(records) < 1:
            raise ValueError(
                f"final_time must be a multiple of record_interval, got {self.horizon:g} and "
                f"{self.record_interval:g}"
            )

    @property
    def horizon(self) -> float:
        """Time of the last record: `final_time`, or the published one for this viscosity."""
        if self.final_time is not None:
            return self.final_time
        for viscosity, horizon in PUBLISHED_HORIZON.items():
            if math.isclose(viscosity, self.viscosity):
                return horizon
        raise ValueError(
            f"final_time=null takes the published horizon, which exists for a viscosity of "
            f"{', '.join(f'{v:g}' for v in PUBLISHED_HORIZON)}, got {self.viscosity:g}; "
            "give final_time"
        )

    @property
    def n_records(self) -> int:
        """Frames stored per generated trajectory."""
        return round(self.horizon / self.record_interval)

    @property
    def resolved_solver_grid(self) -> int:
        """Points per axis while integrating: `solver_grid`, or what the viscosity asks for.

        At these grids the vorticity agreed with a finer run to a relative L2 of 1e-7, 1e-3 and
        1e-2 or better over the published horizon (`navier_stokes.md`).
        """
        if self.solver_grid is not None:
            return self.solver_grid
        needed = 64 if self.viscosity >= 5e-4 else 128 if self.viscosity >= 5e-5 else 256
        return self.grid * math.ceil(needed / self.grid)

    @property
    def resolved_test_grid(self) -> int:
        """Points per axis of the stored test frames."""
        return self.grid if self.test_grid is None else self.test_grid

    @property
    def numbers(self) -> dict[str, Any]:
        """What the stored numbers depend on beside sizes, seed and version."""
        finer = {} if self.test_grid is None else {"test_grid": self.test_grid}
        return {
            "viscosity": self.viscosity,
            "grid": self.grid,
            **finer,
            "solver_grid": self.resolved_solver_grid,
            "final_time": self.horizon,
            "record_interval": self.record_interval,
            "amplitude": self.amplitude,
            "courant": self.courant,
            "precision": self.precision,
        }

    @property
    def folder_name(self) -> str:
        """Equation, viscosity, grid and horizon."""
        return f"{self.name}_nu{self.viscosity:g}_{self.grid}x{self.grid}_T{self.horizon:g}"

    @property
    def title(self) -> str:
        """Equation and viscosity."""
        return f"Navier-Stokes, viscosity {self.viscosity:g}"

    @property
    def solver_points(self) -> int:
        """Points of the solver's grid."""
        return self.resolved_solver_grid**2

    @property
    def suitable_batch_size(self) -> int:
        """How many trajectories fit into the cache of a core, where they run fastest."""
        return 128 if self.uses_gpu else max(1, 8 * 64**2 // self.solver_points)

    def stored_grid_of(self, split: str) -> int:
        """Return the points per axis of the stored frames of a split."""
        return self.resolved_test_grid if split == "test" else self.grid

    def values_per_sample(self, split: str) -> int:
        """Return how many numbers the frames of a trajectory have."""
        return self.n_records * self.stored_grid_of(split) ** 2

    def simulate(self, batch: Batch) -> Arrays:
        """Integrate the trajectories of one batch.

        Returns:
            frames: vorticity, float32, (trajectory, time, x, y).
            initial_std: standard deviation of each initial field over the box.
            dt_min, dt_max: smallest and largest time step of each trajectory.
        """
        solver = VorticitySolver(
            self.resolved_solver_grid,
            self.viscosity,
            forcing_amplitude=FORCING_AMPLITUDE,
            courant=self.courant,
            dtype=getattr(torch, self.precision),
            device=self.device_used,
        )
        w_hat = initial_vorticity(self.sample_keys(batch), solver.grid, amplitude=self.amplitude)
        w_hat = w_hat.to(solver.device, solver.dtype.to_complex())
        try:
            recording = record(
                solver,
                w_hat,
                n_records=self.n_records,
                record_interval=self.record_interval,
                grid=self.stored_grid_of(batch.split),
            )
        except FloatingPointError as error:
            place = f"{batch.split} {batch.start} to {batch.stop}"
            raise FloatingPointError(f"{place}: {error}") from error
        arrays = {
            "frames": recording.frames.float(),
            "initial_std": solver.to_grid(w_hat).std(dim=(-2, -1), correction=0),
            "dt_min": recording.dt_min,
            "dt_max": recording.dt_max,
        }
        return {name: array.cpu().numpy() for name, array in arrays.items()}

    def assemble(self, parts: Path, dataset: Path) -> dict[str, Any]:
        """Write one file of The Well for each split."""

        def over_all(name: str, reduce: Callable[[np.ndarray], Any]) -> float:
            return float(reduce(np.concatenate(list(gather(parts, name)))))

        measured = {
            "initial_field_std": over_all("initial_std", np.mean),
            "dt_min": over_all("dt_min", np.min),
            "dt_max": over_all("dt_max", np.max),
            "dealiasing": "2/3 rule per axis: |k| <= "
            f"{dealiased_cutoff(self.resolved_solver_grid)}",
            "time_integration": "integrating-factor Runge-Kutta of order 4, step from courant",
        }
        for split, size in self.split_sizes.items():
            grid = self.stored_grid_of(split)
            write_split(
                dataset / "data" / split / f"navier_stokes_{split}.hdf5",
                gather(parts, "frames", [split]),
                shape=(size, self.n_records, grid, grid),
                times=self.record_interval * np.arange(1, self.n_records + 1),
                points=(np.arange(grid) / grid, np.arange(grid) / grid),
                periodic=(True, True),
                field=VORTICITY,
                dataset_name="navier_stokes",
                parameters={"viscosity": self.viscosity, "forcing_amplitude": FORCING_AMPLITUDE},
                attributes={**self.identity(), **measured, **EQUATION, "split": split},
            )
        write_statistics(dataset / "stats.yaml", gather(parts, "frames", ["train"]), VORTICITY)
        fine = self.resolved_test_grid
        return {
            "field": VORTICITY,
            **EQUATION,
            "grid": f"{self.grid} x {self.grid}, points at i / {self.grid}; test split "
            f"{fine} x {fine}",
            "times": f"{self.n_records} frames, every {self.record_interval:g} from "
            f"{self.record_interval:g} to {self.horizon:g}",
            "layout": "The Well 1.2.0: data/<split>/*.hdf5, t0_fields/vorticity "
            "(trajectory, t, x, y)",
            "statistics": "stats.yaml, of the training split",
            "measured": measured,
            "source": "generated by data_scripts/pde/navier_stokes.py; equation and forcing of "
            "Li et al. 2021, arXiv:2010.08895",
        }


if __name__ == "__main__":
    sys.exit(run_recipe(NavierStokesRecipe))
