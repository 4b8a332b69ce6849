"""Make the channel data set: `python data_scripts/pde/channel.py viscosity=2e-3 ...`.

Reads nothing, writes `<data_dir>/navier_stokes_channel_.../` (layout of The Well, `metadata.yaml`).
Killed, it continues where it stopped when called again. `channel.md` describes the data.
"""

import math
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import scipy
import torch
from jaxtyping import Float

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from data_scripts.command_line import run_recipe
from data_scripts.pde.channel_solver import ChannelSolver, initial_perturbation, initial_size
from data_scripts.pde.conventions import WELL_FIELDS
from data_scripts.pde.generation import EvolutionRecipe, gather
from data_scripts.pde.wall_points import chebyshev
from data_scripts.pde.well_format import write_split, write_statistics
from data_scripts.recipe import require, require_positive
from data_scripts.resumable import Arrays, Batch

FIELD, PERIODIC = WELL_FIELDS["navier_stokes_channel"]
ABOUT = {
    "equation": "w_t + u . grad w = viscosity Laplace(w), u = (d psi/dy, -d psi/dx), "
    "-Laplace(psi) = w",
    "forcing": "pressure gradient 8 viscosity, that of Poiseuille flow u = 4 y (1 - y)",
    "domain": "(0, 1) x (0, 1): x along the channel, y across",
    "boundary": "periodic in x, u = 0 at y = 0 and y = 1",
    "units": "length: width of the channel; velocity: of Poiseuille flow on the centre line; "
    "vorticity: 1/time; viscosity: length^2/time, its inverse is the Reynolds number",
    "initial_field": "Poiseuille flow and Stokes modes, Gaussian with deviation "
    "exp(-rate l^2 / 2), rate their decay at viscosity 1, of which the velocity has the root mean "
    "square initial_speed",
}


@dataclass
class ChannelRecipe(EvolutionRecipe):
    """Vorticity of flow between two walls, from t = 0 to `final_time`.

    Lengths are in units of the width of the channel, velocities in units of the laminar flow on
    the centre line; `channel.md` describes the data.

    Attributes:
        name: "navier_stokes_channel".
        n_train: samples to learn from.
        n_valid: samples to choose by.
        n_test: samples to report on.
        seed: of the random initial fields.
        stored_grid: intervals per axis of the stored fields, both walls included; across the
            channel they are even in s, where y = (1 - cos pi s) / 2.
        viscosity: nu, in length^2/time; 1 / nu is the Reynolds number.
        correlation_length: l of the initial fields.
        initial_speed: root mean square of the velocity that is added to the laminar flow.
        final_time: time of the field to predict.
        n_waves: largest wavenumber of the solver along the channel, in waves per length.
        n_modes: Stokes modes of the solver for each wavenumber.
        time_step: longest step of the solver.
        data_dir: folder below which generated data are kept.
        n_workers: processes that generate; None takes one per available core.
        batch_size: samples computed together; None takes what suits the machine.
    """

    LIBRARIES: ClassVar[tuple[ModuleType, ...]] = (scipy, torch, np)

    name: str = "navier_stokes_channel"
    stored_grid: int = 96
    n_train: int = 600
    n_valid: int = 150
    n_test: int = 150
    viscosity: float = 2e-3
    correlation_length: float = 0.15
    initial_speed: float = 0.5
    final_time: float = 0.3
    n_waves: int = 20
    n_modes: int = 48
    time_step: float = 0.005

    def __post_init__(self) -> None:
        """Check values against each other; raises ValueError naming value and remedy."""
        super().__post_init__()
        require_positive("viscosity", self.viscosity, "2e-3")
        require_positive("initial_speed", self.initial_speed, "0.5")
        require_positive("time_step", self.time_step, "0.005")
        require_positive("correlation_length", self.correlation_length, "0.15")
        require(1 <= self.n_waves <= 1024, "n_waves", self.n_waves, "from 1 to 1024, such as 20")
        require(4 <= self.n_modes <= 1024, "n_modes", self.n_modes, "from 4 to 1024, such as 48")
        n_waves, n_modes = initial_size(self.correlation_length, 1.0)
        for key, needed in (("n_waves", n_waves), ("n_modes", 2 * n_modes)):
            wanted = f"at least {needed} with correlation_length={self.correlation_length:g}"
            require(getattr(self, key) >= needed, key, getattr(self, key), wanted)

    @property
    def numbers(self) -> dict[str, Any]:
        """What the stored numbers depend on beside sizes, seed and version."""
        physics = ("viscosity", "correlation_length", "initial_speed", "final_time")
        kept = ("stored_grid", *physics, "n_waves", "n_modes", "time_step")
        return {key: getattr(self, key) for key in kept}

    @property
    def folder_name(self) -> str:
        """Name, viscosity and stored grid."""
        return f"{self.name}_nu{self.viscosity:g}_{self.stored_grid}x{self.stored_grid}"

    @property
    def title(self) -> str:
        """The problem and its viscosity."""
        return f"Channel flow, viscosity {self.viscosity:g}"

    @property
    def periodic(self) -> tuple[bool, bool]:
        """The flow is along the channel, not across."""
        return PERIODIC

    @property
    def solver_points(self) -> int:
        """Points on which the solver takes products, about."""
        return math.ceil(4.5 * self.n_waves * (self.n_modes + 3))

    def simulate(self, batch: Batch) -> Arrays:
        """Draw initial flows and integrate them.

        Returns:
            frames: vorticity at t = 0 and at the final time, float32, (sample, 2, x, y).

        Raises:
            FloatingPointError: a flow is too fast for the time step.
        """
        solver = ChannelSolver(self.n_waves, self.n_modes, self.viscosity)
        first = solver.poiseuille + initial_perturbation(
            self.sample_keys(batch),
            solver,
            correlation_length=self.correlation_length,
            speed=self.initial_speed,
        )
        try:
            n_steps = math.ceil(self.final_time / self.time_step)
            later = solver.advance(first, self.final_time, n_steps=n_steps)
        except FloatingPointError as error:
            place = f"{batch.split} {batch.start} to {batch.stop}"
            raise FloatingPointError(f"{place}: {error}") from error
        frames = torch.stack(
            [solver.vorticity(a, *self.stored_coordinates) for a in (first, later)], dim=1
        )
        return {"frames": frames.float().numpy()}

    @property
    def stored_coordinates(self) -> tuple[Float[np.ndarray, " x"], Float[np.ndarray, " y"]]:
        """Where the fields are stored, in widths of the channel."""
        n = self.stored_grid
        return np.arange(n) / n, chebyshev(np.arange(n + 1) / n)

    def assemble(self, parts: Path, dataset: Path) -> dict[str, Any]:
        """Write one file of The Well for each split."""
        n = self.stored_grid
        for split, size in self.split_sizes.items():
            write_split(
                dataset / "data" / split / f"{self.name}_{split}.hdf5",
                gather(parts, "frames", [split]),
                shape=(size, 2, n, n + 1),
                times=np.array([0.0, self.final_time]),
                points=self.stored_coordinates,
                periodic=PERIODIC,
                field=FIELD,
                dataset_name=self.name,
                parameters={"viscosity": self.viscosity},
                attributes={**self.identity(), **ABOUT, "split": split},
            )
        write_statistics(dataset / "stats.yaml", gather(parts, "frames", ["train"]), FIELD)
        return {
            "field": FIELD,
            **ABOUT,
            "grid": f"{n} x {n + 1}: x = i / {n}, y = (1 - cos(pi j / {n})) / 2, walls included",
            "times": f"0 and {self.final_time:g}",
            "layout": f"The Well 1.2.0: data/<split>/*.hdf5, t0_fields/{FIELD} "
            "(trajectory, t, x, y)",
            "statistics": "stats.yaml, of the training split",
            "source": "generated by data_scripts/pde/channel.py",
        }


if __name__ == "__main__":
    sys.exit(run_recipe(ChannelRecipe))
