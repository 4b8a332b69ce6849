"""Make the simulated dual-echo data set of procedural heads and knees (phantom.md)."""

import dataclasses
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from jaxtyping import Complex

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from data_scripts.command_line import run_script
from data_scripts.mri.acquisition import (
    Imperfections,
    acquire,
    echo_phases,
    loop_maps,
    normalise_maps,
)
from data_scripts.mri.anatomy import ANATOMIES, Anatomy, random_anatomy
from data_scripts.mri.centred_fft import fft_centred, ifft_centred, resize_centred
from data_scripts.mri.output import finish_dataset, is_done, progress_bar, start_dataset
from data_scripts.mri.schema import SPLITS, ScanInfo, ScanShape, ScanWriter
from data_scripts.mri.simulation import check_acquisition, check_range
from monarch_core.runs.machine import usable_cores

# anatomy is drawn on a grid this much finer and measured only up to the resolution of the scan
_FINER = 2


@dataclass
class PhantomConfig:
    """Simulated dual-echo scans of random anatomies, split by scan.

    Attributes:
        out: folder to make.
        n_train: training scans.
        n_valid: validation scans.
        n_test: test scans.
        n_slices: slices per scan.
        height: pixels along ky.
        width: pixels along kz.
        n_coils: receive loops.
        echo_times_ms: echo times in ms; one echo each.
        anatomy: head, knee or mixed (alternating).
        noise: standard deviation of real and imaginary noise, relative to the brightest tissue.
        trajectory: imperfection of the encoding: displaced ky lines, in samples.
        epi_ghost: imperfection: phase between even and odd lines, in radians.
        b0_hz: imperfection: off-resonance, in Hz.
        seed: every number above fixed, another seed gives other scans.
        n_workers: processes; 0 takes one per core, at most 8.
    """

    out: str = "data/mri_phantom"
    n_train: int = 12
    n_valid: int = 2
    n_test: int = 4
    n_slices: int = 6
    height: int = 128
    width: int = 96
    n_coils: int = 6
    echo_times_ms: list[float] = field(default_factory=lambda: [12.0, 48.0])
    anatomy: str = "mixed"
    noise: float = 0.01
    trajectory: float = 0.0
    epi_ghost: float = 0.0
    b0_hz: float = 0.0
    seed: int = 0
    n_workers: int = 0

    def __post_init__(self) -> None:
        for name in ("n_train", "n_valid", "n_test"):
            check_range(name, getattr(self, name), 1, 100_000, "scans")
        check_range("n_slices", self.n_slices, 1, 100_000, "slices")
        check_range("n_workers", self.n_workers, 0, 1024, "processes")
        check_acquisition(self)
        if self.anatomy not in (*ANATOMIES, "mixed"):
            raise ValueError(
                f"anatomy must be one of {(*ANATOMIES, 'mixed')}, got {self.anatomy!r}"
            )
        if not self.echo_times_ms:
            raise ValueError("echo_times_ms must hold one time in ms for each echo, got none")
        for time in self.echo_times_ms:
            check_range("each of echo_times_ms", time, 0, 10_000, "ms")


def main(config: PhantomConfig) -> None:
    """Make the scans that are missing, several at a time, then the metadata."""
    out = Path(config.out)
    jobs = [(split, index) for split in SPLITS for index in range(getattr(config, f"n_{split}"))]
    start_dataset(out, [_name(*job) for job in jobs])
    n_workers = min(config.n_workers or min(usable_cores(), 8), len(jobs))
    with progress_bar() as progress:
        task = progress.add_task(f"simulating {len(jobs)} scans into {out}", total=len(jobs))
        for _ in _make_all(config, jobs, n_workers):
            progress.advance(task)
    finish_dataset(out, config, _description(config))


def _make_all(config: PhantomConfig, jobs: list[tuple[str, int]], n_workers: int) -> Iterator[None]:
    if n_workers == 1:
        for split, index in jobs:
            make_scan(config, split, index)
            yield
        return
    try:
        with ProcessPoolExecutor(n_workers, mp_context=get_context("spawn")) as pool:
            running = [pool.submit(make_scan, config, split, index) for split, index in jobs]
            for finished in as_completed(running):
                yield finished.result()
    except BrokenProcessPool as error:
        raise ValueError(
            f"one of {n_workers} processes was ended from outside, as when memory runs out; what "
            "is finished is kept: start again with n_workers=1"
        ) from error


def make_scan(config: PhantomConfig, split: str, index: int) -> None:
    """Simulate one scan and write it, unless it is there already."""
    path = Path(config.out) / f"{_name(split, index)}.h5"
    recipe = _recipe(config)
    if is_done(path, recipe):
        return
    seeds = np.random.SeedSequence([config.seed, SPLITS.index(split), index])
    rng = np.random.default_rng(seeds)
    kind = config.anatomy if config.anatomy != "mixed" else ANATOMIES[index % len(ANATOMIES)]
    anatomy = random_anatomy(kind, rng)
    positions = np.linspace(-1, 1, config.n_slices) * rng.uniform(0.25, 0.45) + 0.05
    coil_seed = int(rng.integers(2**31))
    imperfections = Imperfections(config.trajectory, config.epi_ghost, config.b0_hz)
    info = ScanInfo(
        scan_id=_name(split, index),
        split=split,
        source=f"simulated by data_scripts/mri/phantom.py, seed {config.seed}",
        licence="CC0-1.0",
        echo_names=tuple(f"echo{i + 1}" for i in range(len(config.echo_times_ms))),
        target_kind="sense" if imperfections.none else "ideal",
        details={"recipe": recipe, "anatomy": kind, "echo_times_ms": config.echo_times_ms},
    )
    grid = (config.height, config.width)
    shape = ScanShape(config.n_slices, len(config.echo_times_ms), config.n_coils, grid)
    with ScanWriter(path, info, shape) as writer:
        for i, x in enumerate(positions):
            images, maps = _coil_images(config, anatomy, float(x), coil_seed, rng)
            acquired = acquire(images, maps, config.noise, imperfections, rng)
            writer.write(i, acquired.kspace, maps, acquired.target)


def _coil_images(
    config: PhantomConfig, anatomy: Anatomy, x: float, coil_seed: int, rng: np.random.Generator
) -> tuple[
    Complex[np.ndarray, "echoes coils y z"],
    Complex[np.ndarray, "coils y z"],
]:
    """Return noise-free coil images at the resolution of the scan, and the coil maps there.

        s_e = PD exp(-TE_e / T2) sqrt(shading) exp(i phi_e)    (1)

    Half of the receive shading is taken to be corrected, as scanners do with a prescan.
    """
    grid = (config.height, config.width)
    fine = (_FINER * config.height, _FINER * config.width)
    density, t2 = anatomy.parameters(x, fine)
    times = np.asarray(config.echo_times_ms, np.float32)[:, None, None]
    maps, shading = normalise_maps(
        loop_maps(fine, config.n_coils, x, np.random.default_rng(coil_seed))
    )
    shading = np.sqrt(shading / np.median(shading))
    phase = echo_phases(fine, config.echo_times_ms, rng)
    signal = density * np.exp(-times / t2) * shading * np.exp(1j * phase)  # (1)
    kspace = fft_centred((maps * signal[:, None]).astype(np.complex64))
    measured = resize_centred(kspace, grid) / np.float32(_FINER)
    return ifft_centred(measured), maps[:, ::_FINER, ::_FINER]


def _name(split: str, index: int) -> str:
    return f"{split}_{index:03d}"


def _recipe(config: PhantomConfig) -> dict[str, object]:
    """Return the options that decide what one scan looks like."""
    other = ("out", "n_train", "n_valid", "n_test", "n_workers")
    return {k: v for k, v in dataclasses.asdict(config).items() if k not in other}


def _description(config: PhantomConfig) -> dict[str, object]:
    return {
        "name": "mri_phantom",
        "equation": "y_c = E F S_c (PD exp(-TE/T2) exp(i phi)) + n_c",
        "grid": [config.height, config.width],
        "units": "signal relative to a proton density of one, divided by each scan's scale",
        "source": "simulated; procedural anatomy, Biot-Savart coil maps, complex Gaussian noise",
        "licence": "CC0-1.0",
        "seed": config.seed,
    }


if __name__ == "__main__":
    sys.exit(run_script(main, PhantomConfig))
