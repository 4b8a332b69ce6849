"""Make waves in a stratified waveguide: `python data_scripts/pde/waveguide.py n_train=100`.

Reads nothing, writes `<data_dir>/waveguide_.../` (layout of The Well, `metadata.yaml`). Killed, it
continues where it stopped when called again. `waveguide.md` describes the data.
"""

import math
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import scipy
from jaxtyping import Complex, Float

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from data_scripts.command_line import run_recipe
from data_scripts.pde.conventions import WELL_FIELDS
from data_scripts.pde.generation import EvolutionRecipe, gather
from data_scripts.pde.layered_solver import InLayers
from data_scripts.pde.smooth_fields import sines
from data_scripts.pde.well_format import write_split, write_statistics
from data_scripts.recipe import require, require_positive
from data_scripts.resumable import Arrays, Batch

FIELD, PERIODIC = WELL_FIELDS["waveguide"]
ABOUT = {
    "equation": "u_tt = div(c(z)^2 grad u)",
    "domain": "(0, 1) x (0, 1): range x, depth z",
    "boundary": "periodic in x, u = 0 at z = 0 and z = 1",
    "units": "length: the domain; time: unit of the equation; c^2: length^2/time^2; u: any",
    "initial_field": "Fourier series in x times sine series in z, Gaussian with deviation "
    "exp(-(k^2 + q^2) l^2 / 2) at the wavenumbers k and q, root mean square 1; at rest",
}


@dataclass
class WaveguideRecipe(InLayers, EvolutionRecipe):
    """Waves in a guide whose sound speed depends on depth alone, from t = 0 to `final_time`.

    Lengths are in units of the domain, times in units of the equation; `waveguide.md` describes
    the data.

    Attributes:
        name: "waveguide".
        n_train: samples to learn from.
        n_valid: samples to choose by.
        n_test: samples to report on.
        seed: of the random initial fields.
        stored_grid: intervals per axis of the stored fields, both walls included.
        medium_seed: of the layers, which are the same in all samples and splits.
        n_layers: layers of the medium; 1 is a uniform one.
        contrast: largest possible ratio of c^2 between two layers.
        correlation_length: l of the initial fields, in lengths of the domain.
        final_time: time of the field to predict.
        n_medium_modes: normal modes that the solution is made of, at every wavenumber.
        data_dir: folder below which generated data are kept.
        n_workers: processes that generate; None takes one per available core.
        batch_size: samples computed together; None takes what suits the machine.
    """

    LIBRARIES: ClassVar[tuple[ModuleType, ...]] = (scipy, np)

    name: str = "waveguide"
    stored_grid: int = 128
    n_train: int = 600
    n_valid: int = 150
    n_test: int = 150
    medium_seed: int = 7
    n_layers: int = 7
    contrast: float = 4.0
    correlation_length: float = 0.05
    final_time: float = 0.6
    n_medium_modes: int = 128

    def __post_init__(self) -> None:
        """Check values against each other; raises ValueError naming value and remedy."""
        super().__post_init__()
        require(self.medium_seed >= 0, "medium_seed", self.medium_seed, "at least 0")
        require(1 <= self.n_layers <= 100, "n_layers", self.n_layers, "from 1 to 100")
        require(1 <= self.contrast <= 1e4, "contrast", self.contrast, "from 1 to 10000")
        require_positive("correlation_length", self.correlation_length, "0.05")
        shortest = 6 / (math.pi * self.stored_grid)
        fits = self.correlation_length >= shortest
        wanted = f"at least {shortest:.3g} with stored_grid={self.stored_grid}"
        require(fits, "correlation_length", self.correlation_length, wanted)
        fits = 16 <= self.n_medium_modes <= 1024
        require(fits, "n_medium_modes", self.n_medium_modes, "from 16 to 1024, such as 128")

    @property
    def numbers(self) -> dict[str, Any]:
        """What the stored numbers depend on beside sizes, seed and version."""
        medium = ("medium_seed", "n_layers", "contrast", "n_medium_modes")
        kept = ("stored_grid", "correlation_length", "final_time", *medium)
        return {key: getattr(self, key) for key in kept}

    @property
    def folder_name(self) -> str:
        """Name, layers and stored grid."""
        return f"{self.name}_{self.n_layers}_layers_{self.stored_grid}x{self.stored_grid}"

    @property
    def title(self) -> str:
        """The problem and its layers."""
        return f"Waveguide of {self.n_layers} layers"

    @property
    def periodic(self) -> tuple[bool, bool]:
        """The range is, the depth is not."""
        return PERIODIC

    @property
    def _n_waves(self) -> int:
        """Waves per length along x, half of those in depth, beyond which there is nothing."""
        return math.ceil(3 / (math.pi * self.correlation_length))

    def simulate(self, batch: Batch) -> Arrays:
        """Draw initial fields and propagate them.

        Returns:
            frames: u at t = 0 and at the final time, float32, (sample, 2, x, z).
        """
        amplitudes = self._amplitudes(batch)
        z = np.arange(self.stored_grid + 1) / self.stored_grid
        first = sines(amplitudes, z)
        later = np.empty_like(first)
        for j in range(amplitudes.shape[1]):
            modes = self.modes(self.n_medium_modes, 2 * math.pi * j)
            nodal = sines(amplitudes[:, j], modes.points)
            a = modes.coefficients(nodal.real) + 1j * modes.coefficients(nodal.imag)
            later[:, j] = a * np.cos(modes.frequencies * self.final_time) @ modes.at(z).T
        frames = np.stack([self._along_range(first), self._along_range(later)], axis=1)
        return {"frames": frames.astype(np.float32)}

    def _amplitudes(self, batch: Batch) -> Complex[np.ndarray, "samples k q"]:
        """Return a of u(x, z) = Re sum_k sum_q a_kq exp(2 pi i k x) sin(pi q z), rms 1."""
        n = self._n_waves
        k, q = 2 * math.pi * np.arange(n + 1), math.pi * np.arange(1, 2 * n + 1)
        deviation = np.exp(-0.5 * self.correlation_length**2 * (k[:, None] ** 2 + q**2))
        draws = np.stack(
            [
                np.random.default_rng(key).standard_normal((2, *deviation.shape))
                for key in self.sample_keys(batch)
            ]
        )
        a = (draws[:, 0] + 1j * draws[:, 1]) * deviation
        a[:, 0] = math.sqrt(0.5) * a[:, 0].real  # k = 0 has no phase; its power is as of k and -k
        power = np.square(np.abs(a)).sum(axis=2) @ np.where(k == 0, 0.5, 0.25)
        return a / np.sqrt(power)[:, None, None]

    def _along_range(
        self, u_hat: Complex[np.ndarray, "samples k z"]
    ) -> Float[np.ndarray, "samples x z"]:
        """Return Re sum_k u_hat exp(2 pi i k x) at the stored x."""
        n = self.stored_grid
        turns = np.outer(np.arange(n), np.arange(u_hat.shape[1])) / n
        waves = np.exp(2j * math.pi * turns)
        return waves.real @ u_hat.real - waves.imag @ u_hat.imag

    def assemble(self, parts: Path, dataset: Path) -> dict[str, Any]:
        """Write one file of The Well for each split."""
        n, layers = self.stored_grid, self.medium.as_lists()
        for split, size in self.split_sizes.items():
            write_split(
                dataset / "data" / split / f"waveguide_{split}.hdf5",
                gather(parts, "frames", [split]),
                shape=(size, 2, n, n + 1),
                times=np.array([0.0, self.final_time]),
                points=(np.arange(n) / n, np.arange(n + 1) / n),
                periodic=PERIODIC,
                field=FIELD,
                dataset_name=self.name,
                parameters={},
                attributes={**self.identity(), **ABOUT, **layers, "split": split},
            )
        write_statistics(dataset / "stats.yaml", gather(parts, "frames", ["train"]), FIELD)
        return {
            "field": "u",
            **ABOUT,
            "medium": layers,
            "grid": f"{n} x {n + 1}, points at i / {n}, both walls included",
            "times": f"0 and {self.final_time:g}",
            "layout": f"The Well 1.2.0: data/<split>/*.hdf5, t0_fields/{FIELD} "
            "(trajectory, t, x, z), its y being our z",
            "statistics": "stats.yaml, of the training split",
            "source": "generated by data_scripts/pde/waveguide.py",
        }


if __name__ == "__main__":
    sys.exit(run_recipe(WaveguideRecipe))
