"""Options of the Navier-Stokes data set."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pde.config.base import DatasetConfig, require, require_positive
from pde.dataset.symmetries import random_symmetry

# Part of the identity of a data set: raised whenever the same options give other numbers.
GENERATOR_VERSION = 1
# Time units over which Li et al. 2021 (arXiv:2010.08895) integrate, by viscosity.
PUBLISHED_HORIZON = {1e-3: 50.0, 1e-4: 30.0, 1e-5: 20.0}
AMPLITUDES = ("2020", "2022", "paper")
PRECISIONS = ("float64", "float32")
DEVICES = ("auto", "cpu", "cuda")


@dataclass
class NavierStokesConfig(DatasetConfig):
    """Vorticity of forced two-dimensional flow on the unit torus, and the frames to learn from.

    The defaults are the small preset. Lengths are in units of the box, times in units of the
    equation; `data_scripts/pde/navier_stokes.md` describes the data.

    Attributes:
        name: the data set, part of every result.
        viscosity: nu, in length^2/time.
        grid: points per axis of the stored frames.
        test_grid: points per axis of the stored test frames, a multiple of `grid`, so that a model
            can also be tested on grids finer than its own; None is `grid`.
        solver_grid: points per axis while integrating, a multiple of `grid`; None picks the
            smallest grid known to resolve the viscosity.
        final_time: time of the last record; None takes the published 50, 30 or 20 for a viscosity
            of 1e-3, 1e-4 or 1e-5.
        record_interval: time between stored frames, the first of which is at this time.
        n_input_frames: frames the model sees.
        n_output_frames: frames it predicts; 0 becomes every frame left up to `final_time`.
        first_frame: which stored frame is the first input, counted from 0.
        frame_spacing: stored frames from one used frame to the next.
        amplitude: scale of the initial field; "2020" (std 0.27, the published data), "2022"
            (std 0.19) or "paper" (std 0.044).
        courant: Courant number from which the time step follows.
        precision: "float64" or "float32" while integrating; frames are stored in float32.
        device: where to generate: "auto", "cpu" or "cuda".
    """

    name: str = "navier_stokes"
    grid: int = 32
    n_train: int = 200
    n_valid: int = 50
    n_test: int = 50
    viscosity: float = 1e-3
    test_grid: int | None = None
    solver_grid: int | None = None
    final_time: float | None = 36.0
    record_interval: float = 1.0
    n_input_frames: int = 4
    n_output_frames: int = 5
    first_frame: int = 3
    frame_spacing: int = 4
    amplitude: str = "2020"
    courant: float = 2.0
    precision: str = "float64"
    device: str = "auto"

    def __post_init__(self) -> None:
        """Check values against each other; raises ValueError naming value and remedy."""
        super().__post_init__()
        require(self.name == "navier_stokes", "name", self.name, "navier_stokes")
        require_positive("viscosity", self.viscosity, "1e-3")
        require(self.record_interval > 0, "record_interval", self.record_interval, "positive")
        require(0 < self.courant <= 2.8, "courant", self.courant, "in (0, 2.8], such as 2")
        require(self.n_input_frames >= 1, "n_input_frames", self.n_input_frames, "at least 1")
        require(self.n_output_frames >= 0, "n_output_frames", self.n_output_frames, "at least 0")
        require(self.frame_spacing >= 1, "frame_spacing", self.frame_spacing, "at least 1")
        require(self.first_frame >= 0, "first_frame", self.first_frame, "at least 0")
        for key in ("test_grid", "solver_grid"):
            value = getattr(self, key)
            require(value is None or value >= 4, key, value, "null or at least 4")
        for key, allowed in (
            ("amplitude", AMPLITUDES),
            ("precision", PRECISIONS),
            ("device", DEVICES),
        ):
            require(getattr(self, key) in allowed, key, getattr(self, key), f"one of {allowed}")
        if self.path is None:
            self._check_generated()
        if self.n_output_frames == 0:
            self.n_output_frames = self._frames_left()

    def _check_generated(self) -> None:
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

    def _frames_left(self) -> int:
        n_used = (self.n_records - 1 - self.first_frame) // self.frame_spacing + 1
        if n_used <= self.n_input_frames:
            raise ValueError(
                f"n_output_frames=0 asks for every frame after the {self.n_input_frames} inputs, "
                f"but there is none up to final_time={self.horizon:g}; lower n_input_frames, "
                "frame_spacing or first_frame, or raise final_time"
            )
        return n_used - self.n_input_frames

    def check_frames(self) -> None:
        """Raise ValueError unless the frames to use are among those a generated file holds."""
        if self.frames.stop > self.n_records:
            raise ValueError(
                f"the frames asked for end at stored frame {self.frames.stop}, but final_time="
                f"{self.horizon:g} with record_interval={self.record_interval:g} stores "
                f"{self.n_records}; lower n_output_frames, n_input_frames, frame_spacing or "
                "first_frame, or raise final_time"
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
    def frames(self) -> slice:
        """Stored frames that are used: inputs first, then outputs."""
        n_used = self.n_input_frames + self.n_output_frames
        stop = self.first_frame + self.frame_spacing * (n_used - 1) + 1
        return slice(self.first_frame, stop, self.frame_spacing)

    @property
    def resolved_solver_grid(self) -> int:
        """Points per axis while integrating: `solver_grid`, or what the viscosity asks for.

        At these grids the vorticity agreed with a finer run to a relative L2 of 1e-7, 1e-3 and
        1e-2 or better over the published horizon (`data_scripts/pde/navier_stokes.md`).
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
    def recipe(self) -> dict[str, Any]:
        """Everything the stored numbers depend on, with nothing left to a default."""
        finer = {} if self.test_grid is None else {"test_grid": self.test_grid}
        return {
            "viscosity": self.viscosity,
            "grid": self.grid,
            **finer,
            "solver_grid": self.resolved_solver_grid,
            "final_time": self.horizon,
            "record_interval": self.record_interval,
            **{f"n_{split}": size for split, size in self.split_sizes.items()},
            "amplitude": self.amplitude,
            "seed": self.seed,
            "courant": self.courant,
            "precision": self.precision,
            "generator_version": GENERATOR_VERSION,
        }

    @property
    def folder_name(self) -> str:
        """Equation, viscosity, grid and horizon."""
        return f"{self.name}_nu{self.viscosity:g}_{self.grid}x{self.grid}_T{self.horizon:g}"

    @property
    def generator(self) -> str:
        """Module that makes the data."""
        return "data_scripts.pde.navier_stokes"

    @property
    def n_axes(self) -> int:
        """Two dimensions of space."""
        return 2

    @property
    def periodic(self) -> bool:
        """The torus."""
        return True

    @property
    def normalization(self) -> str:
        """Inputs and outputs are one field, and predictions are fed back."""
        return "field"

    @property
    def symmetry(self) -> Callable[[Tensor, torch.Generator], Tensor] | None:
        """Those of the forcing of Li et al. 2021."""
        return random_symmetry

    @property
    def quantity(self) -> tuple[str, str]:
        """What is predicted."""
        return "vorticity", "1/time"

    def select_frames(self, times: Float[np.ndarray, " time"], path: Path) -> slice:
        """Return the slice `frames`.

        Raises:
            ValueError: the file is too short.
        """
        if self.frames.stop > len(times):
            raise ValueError(
                f"{path} has {len(times)} frames, but the last one asked for is number "
                f"{self.frames.stop} (first_frame={self.first_frame}, then "
                f"{self.n_input_frames} + {self.n_output_frames} frames with frame_spacing="
                f"{self.frame_spacing}); lower one of these"
            )
        return self.frames

    def describe_frames(self, times: tuple[float, ...]) -> str:
        """Return how many frames follow from how many."""
        return (
            f"{self.n_input_frames} frames in, {self.n_output_frames} out, times {times[0]:g} to "
            f"{times[-1]:g}"
        )
