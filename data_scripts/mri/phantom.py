"""Make the simulated dual-echo data set of procedural heads and knees (phantom.md)."""

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Complex

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from data_scripts.command_line import run_recipe
from data_scripts.mri.acquisition import (
    acquire,
    echo_phases,
    loop_maps,
    normalise_maps,
)
from data_scripts.mri.anatomy import ANATOMIES, BEADS, Anatomy, random_anatomy
from data_scripts.mri.centred_fft import fft_centred, ifft_centred, resize_centred
from data_scripts.mri.output import ScanJob
from data_scripts.mri.schema import SPLITS, ScanInfo, ScanShape, ScanWriter
from data_scripts.mri.simulation import SimulatedRecipe
from data_scripts.recipe import require_one_of, require_range
from monarch_core.runs.machine import usable_cores

# anatomy is drawn on a grid this much finer and measured only up to the resolution of the scan
_FINER = 2


@dataclass
class PhantomRecipe(SimulatedRecipe):
    """Simulated dual-echo scans of random anatomies, split by scan.

    Attributes:
        n_train: training scans.
        n_valid: validation scans.
        n_test: test scans.
        n_slices: slices per scan.
        n_coils: receive loops.
        echo_times_ms: echo times in ms; one echo each.
        anatomy: head, knee, mixed (the two alternating) or beads (an object to calibrate with,
            whose target is without noise).
        noise: standard deviation of real and imaginary noise, relative to the brightest tissue.
        seed: every number above fixed, another seed gives other scans.
        n_workers: processes; 0 takes one per core, at most 8.
    """

    OF_THE_SET: ClassVar[tuple[str, ...]] = ("n_train", "n_valid", "n_test")

    name: str = "phantom"
    out: str = "data/mri_phantom"
    n_train: int = 12
    n_valid: int = 2
    n_test: int = 4
    n_slices: int = 6
    width: int = 96
    n_coils: int = 6
    echo_times_ms: list[float] = field(default_factory=lambda: [12.0, 48.0])
    anatomy: str = "mixed"
    n_workers: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("n_train", "n_valid", "n_test"):
            require_range(name, getattr(self, name), 1, 100_000, "scans")
        require_range("n_slices", self.n_slices, 1, 100_000, "slices")
        require_range("n_workers", self.n_workers, 0, 1024, "processes")
        require_one_of(self, {"anatomy": (*ANATOMIES, BEADS, "mixed")})
        if not self.echo_times_ms:
            raise ValueError("echo_times_ms must hold one time in ms for each echo, got none")
        for time in self.echo_times_ms:
            require_range("each of echo_times_ms", time, 0, 10_000, "ms")

    def jobs(self) -> Sequence[ScanJob]:
        """Return so many scans of each split."""
        return [
            ScanJob(f"{split}_{number:03d}", split, "CC0-1.0", about=number)
            for split in SPLITS
            for number in range(getattr(self, f"n_{split}"))
        ]

    @property
    def n_processes(self) -> int:
        """How many scans are made at a time."""
        return self.n_workers or min(usable_cores(), 8)

    def details(self, job: ScanJob) -> dict[str, Any]:
        """Return what decides what the scan looks like, beside its split and number."""
        return {"recipe": self.options(("name", *self.PLACES, *self.OF_THE_SET))}

    def description(self) -> dict[str, Any]:
        """Return what is simulated."""
        return {
            "equation": "y_c = E F S_c (PD exp(-TE/T2) exp(i phi)) + n_c",
            "grid": [self.height, self.width],
            "units": "signal relative to a proton density of one, divided by each scan's scale",
            "source": "simulated; procedural anatomy, Biot-Savart coil maps, complex Gaussian "
            "noise",
            "scanner": self.described_scanner(),
            "seed": self.seed,
        }

    def make_scan(self, job: ScanJob, details: dict[str, Any]) -> None:
        """Simulate one scan and write it."""
        number = job.about
        seeds = np.random.SeedSequence([self.seed, SPLITS.index(job.split), number])
        rng = np.random.default_rng(seeds)
        kind = self.anatomy if self.anatomy != "mixed" else ANATOMIES[number % len(ANATOMIES)]
        anatomy = random_anatomy(kind, rng)
        positions = np.linspace(-1, 1, self.n_slices) * rng.uniform(0.25, 0.45) + 0.05
        coil_seed = int(rng.integers(2**31))
        scanner = self.scanner_of(job.name)
        n_echoes = len(self.echo_times_ms)
        info = ScanInfo(
            scan_id=job.name,
            split=job.split,
            source=f"simulated by data_scripts/mri/phantom.py, seed {self.seed}",
            licence=job.licence,
            echo_names=tuple(f"echo{i + 1}" for i in range(n_echoes)),
            target_kind="sense" if scanner.is_ideal and kind != BEADS else "ideal",
            details={
                **details,
                "scanner": dataclasses.asdict(scanner),
                "anatomy": kind,
                "echo_times_ms": self.echo_times_ms,
            },
        )
        shape = ScanShape(self.n_slices, n_echoes, self.n_coils, (self.height, self.width))
        with ScanWriter(self.folder / f"{job.name}.h5", info, shape) as writer:
            for i, x in enumerate(positions):
                images, maps = _coil_images(self, anatomy, float(x), coil_seed, rng)
                acquired = acquire(images, maps, self.noise, scanner, rng)
                known = (maps.conj() * images).sum(-3)  # beads are known, not measured
                writer.write(i, acquired.kspace, maps, known if kind == BEADS else acquired.target)


def _coil_images(
    recipe: PhantomRecipe, anatomy: Anatomy, x: float, coil_seed: int, rng: np.random.Generator
) -> tuple[
    Complex[np.ndarray, "echoes coils y z"],
    Complex[np.ndarray, "coils y z"],
]:
    """Return noise-free coil images at the resolution of the scan, and the coil maps there.

        s_e = PD exp(-TE_e / T2) sqrt(shading) exp(i phi_e)    (1)

    Half of the receive shading is taken to be corrected, as scanners do with a prescan.
    """
    grid = (recipe.height, recipe.width)
    fine = (_FINER * recipe.height, _FINER * recipe.width)
    density, t2 = anatomy.parameters(x, fine)
    times = np.asarray(recipe.echo_times_ms, np.float32)[:, None, None]
    maps, shading = normalise_maps(
        loop_maps(fine, recipe.n_coils, x, np.random.default_rng(coil_seed))
    )
    shading = np.sqrt(shading / np.median(shading))
    phase = echo_phases(fine, recipe.echo_times_ms, rng)
    signal = density * np.exp(-times / t2) * shading * np.exp(1j * phase)  # (1)
    kspace = fft_centred((maps * signal[:, None]).astype(np.complex64))
    measured = resize_centred(kspace, grid) / np.float32(_FINER)
    # the centre of the fine grid becomes that of the scan, on odd grids too
    rows, columns = (slice(_FINER * n // 2 - _FINER * (n // 2), None, _FINER) for n in grid)
    return ifft_centred(measured), maps[:, rows, columns]


if __name__ == "__main__":
    sys.exit(run_recipe(PhantomRecipe))
