"""Make waves or heat in a fixed layered medium: `python data_scripts/pde/layered.py n_train=100`.

Reads nothing, writes `<data_dir>/wave_layered_.../` (PDEBench layout, `metadata.yaml`);
`name=heat_layered` is heat instead of waves. Killed, it continues where it stopped when called
again. `layered.md` describes the data.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import scipy
from jaxtyping import Float

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from data_scripts.command_line import run_recipe
from data_scripts.pde.conventions import EQUATIONS
from data_scripts.pde.generation import OneShotRecipe, gather
from data_scripts.pde.layered_solver import InLayers
from data_scripts.pde.pdebench_format import write_lines
from data_scripts.pde.smooth_fields import sines, smooth_amplitudes
from data_scripts.recipe import require, require_positive
from data_scripts.resumable import Arrays, Batch

UNITS = {
    "wave_layered": "length: the domain; time: unit of the equation; c^2: length^2/time^2; u: any",
    "heat_layered": "length: the domain; time: unit of the equation; c^2: length^2/time; u: any",
}
TIMES = {"wave_layered": 1.0, "heat_layered": 0.002}


@dataclass
class LayeredRecipe(InLayers, OneShotRecipe):
    """A field between two walls in one fixed layered medium, from t = 0 to `final_time`.

    Lengths are in units of the domain, times in units of the equation; `layered.md` describes the
    data.

    Attributes:
        name: "wave_layered", u_tt = (c^2 u_x)_x, at rest at first; or "heat_layered",
            u_t = (c^2 u_x)_x.
        n_train: samples to learn from.
        n_valid: samples to choose by.
        n_test: samples to report on.
        seed: of the random initial fields.
        stored_grid: intervals of the stored fields, both ends included.
        medium_seed: of the layers, which are the same in all samples and splits.
        n_layers: layers of the medium; 1 is a uniform one.
        contrast: largest possible ratio of c^2 between two layers.
        correlation_length: of the initial fields, in lengths of the domain.
        final_time: time of the field to predict; None is 1 for waves, which is about once through
            the medium, and 0.002 for heat.
        n_medium_modes: normal modes of the medium that the solution is made of.
        data_dir: folder below which generated data are kept.
        n_workers: processes that generate; None takes one per available core.
        batch_size: samples computed together; None takes what suits the machine.
    """

    LIBRARIES: ClassVar[tuple[ModuleType, ...]] = (scipy, np)
    NAMES: ClassVar[tuple[str, ...]] = tuple(UNITS)

    name: str = "wave_layered"
    stored_grid: int = 4096
    n_valid: int = 200
    n_test: int = 200
    medium_seed: int = 7
    n_layers: int = 12
    contrast: float = 4.0
    correlation_length: float = 0.06
    final_time: float | None = None
    n_medium_modes: int = 512

    def __post_init__(self) -> None:
        """Check values against each other; raises ValueError naming value and remedy."""
        super().__post_init__()
        require(self.medium_seed >= 0, "medium_seed", self.medium_seed, "at least 0")
        require(1 <= self.n_layers <= 200, "n_layers", self.n_layers, "from 1 to 200")
        require(1 <= self.contrast <= 1e4, "contrast", self.contrast, "from 1 to 10000")
        require_positive("correlation_length", self.correlation_length, "0.06")
        fits = self.correlation_length >= 0.005
        require(fits, "correlation_length", self.correlation_length, "at least 0.005")
        require_positive("final_time", self.horizon, f"{TIMES[self.name]:g}")
        fits = 16 <= self.n_medium_modes <= 4096
        require(fits, "n_medium_modes", self.n_medium_modes, "from 16 to 4096, such as 512")

    @property
    def horizon(self) -> float:
        """Time of the field to predict."""
        return TIMES[self.name] if self.final_time is None else self.final_time

    @property
    def numbers(self) -> dict[str, Any]:
        """What the stored numbers depend on beside sizes, seed and version."""
        medium = ("medium_seed", "n_layers", "contrast", "n_medium_modes")
        kept = ("name", "stored_grid", "correlation_length", *medium)
        return {**{key: getattr(self, key) for key in kept}, "final_time": self.horizon}

    @property
    def folder_name(self) -> str:
        """Name, layers and stored grid."""
        return f"{self.name}_{self.n_layers}_layers_{self.stored_grid}"

    @property
    def title(self) -> str:
        """The problem and its layers."""
        return f"{self.name.partition('_')[0].capitalize()} in {self.n_layers} layers"

    @property
    def periodic(self) -> tuple[bool]:
        """The field vanishes at both walls."""
        return (False,)

    def simulate(self, batch: Batch) -> Arrays:
        """Draw initial fields and propagate them.

        Returns:
            frames: u at t = 0 and at the final time, float32, (sample, 2, x).
        """
        modes = self.modes(self.n_medium_modes)
        amplitudes = smooth_amplitudes(self.sample_keys(batch), self.correlation_length)
        points = np.arange(self.stored_grid + 1) / self.stored_grid
        later = modes.coefficients(sines(amplitudes, modes.points))
        later *= self._propagator(modes.frequencies)
        frames = np.stack([sines(amplitudes, points), later @ modes.at(points).T], axis=1)
        return {"frames": frames.astype(np.float32)}

    def _propagator(self, omega: Float[np.ndarray, " modes"]) -> Float[np.ndarray, " modes"]:
        """Return what becomes of a mode of amplitude 1."""
        if self.name == "heat_layered":
            return np.exp(-np.square(omega) * self.horizon)
        return np.cos(omega * self.horizon)

    def assemble(self, parts: Path, dataset: Path) -> dict[str, Any]:
        """Write one file in PDEBench's layout of one dimension."""
        layers, file_name = self.medium.as_lists(), f"1D_{self.name}.hdf5"
        about = {
            **EQUATIONS[self.name],
            "boundary": "u = 0 at x = 0 and x = 1",
            "units": UNITS[self.name],
            "initial_field": "sine series, a_k Gaussian of deviation exp(-(pi k l)^2 / 2), root "
            "mean square 1; at rest",
        }
        write_lines(
            dataset / file_name,
            gather(parts, "frames"),
            n_samples=sum(self.split_sizes.values()),
            times=np.array([0.0, self.horizon]),
            points=np.arange(self.stored_grid + 1) / self.stored_grid,
            attributes={**self.identity(), **about, **layers},
        )
        return {
            "field": "u",
            **about,
            "medium": layers,
            "grid": f"{self.stored_grid + 1} points at i / {self.stored_grid}",
            "times": f"0 and {self.horizon:g}",
            "layout": f"PDEBench 1-D: {file_name}, tensor (sample, t, x); training samples first, "
            "then validation, then test",
            "source": "generated by data_scripts/pde/layered.py",
        }


if __name__ == "__main__":
    sys.exit(run_recipe(LayeredRecipe))
