"""Make the Navier-Stokes data set: `python data_scripts/pde/navier_stokes.py viscosity=1e-4 ...`.

Reads nothing, writes `<data_dir>/navier_stokes_.../` (The Well layout, `metadata.yaml`). Killed,
it continues where it stopped when called again. `navier_stokes.md` describes the data.
"""

import functools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from data_scripts.command_line import run_script
from data_scripts.pde.conventions import FORCING_AMPLITUDE, VORTICITY
from data_scripts.pde.generation import (
    choose_device,
    fill_folder,
    gather,
    require_working_memory,
    sample_keys,
    write_metadata,
)
from data_scripts.pde.navier_stokes_solver import (
    VorticitySolver,
    dealiased_cutoff,
    initial_vorticity,
    record,
)
from data_scripts.pde.well_format import FieldStatistics, write_split, write_statistics
from data_scripts.resumable import Arrays, Batch
from pde.config.dataset import NavierStokesConfig

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


def simulate(config: NavierStokesConfig, batch: Batch) -> Arrays:
    """Integrate the trajectories of one batch.

    Returns:
        frames: vorticity, float32, (trajectory, time, x, y).
        initial_std: standard deviation of each initial field over the box.
        dt_min, dt_max: smallest and largest time step of each trajectory.
    """
    solver = VorticitySolver(
        config.resolved_solver_grid,
        config.viscosity,
        forcing_amplitude=FORCING_AMPLITUDE,
        courant=config.courant,
        dtype=getattr(torch, config.precision),
        device=choose_device(config.device),
    )
    w_hat = initial_vorticity(sample_keys(config, batch), solver.grid, amplitude=config.amplitude)
    w_hat = w_hat.to(solver.device, solver.dtype.to_complex())
    try:
        recording = record(
            solver,
            w_hat,
            n_records=config.n_records,
            record_interval=config.record_interval,
            grid=_stored_grid(config, batch.split),
        )
    except FloatingPointError as error:
        raise FloatingPointError(f"{batch.split} {batch.start} to {batch.stop}: {error}") from error
    arrays = {
        "frames": recording.frames.float(),
        "initial_std": solver.to_grid(w_hat).std(dim=(-2, -1), correction=0),
        "dt_min": recording.dt_min,
        "dt_max": recording.dt_max,
    }
    return {name: array.cpu().numpy() for name, array in arrays.items()}


def generate(config: NavierStokesConfig, console: Console) -> Path:
    """Make the data set unless it is there, and return its folder.

    Raises:
        OSError: the disk is full or not writable, or a worker process was killed; finished
            batches are kept.
        FloatingPointError: a trajectory became unstable.
        ValueError: the configuration names a file to read, or a device that is not there, or the
            solver does not fit into memory.
    """
    on_gpu = choose_device(config.device).type == "cuda"
    batch_size = 128 if on_gpu else _cached_batch(config)
    require_working_memory(config, batch_size, config.resolved_solver_grid**2)
    return fill_folder(
        config,
        console,
        simulate=functools.partial(simulate, config),
        assemble=functools.partial(_assemble, config),
        batch_size=batch_size,
        n_workers=1 if on_gpu else None,
        bytes_per_split={
            split: 4 * size * config.n_records * _stored_grid(config, split) ** 2
            for split, size in config.split_sizes.items()
        },
        description=f"Navier-Stokes, viscosity {config.viscosity:g}",
    )


def _cached_batch(config: NavierStokesConfig) -> int:
    """Return how many trajectories fit into the cache of a core, where they run fastest."""
    return max(1, 8 * 64**2 // config.resolved_solver_grid**2)


def _stored_grid(config: NavierStokesConfig, split: str) -> int:
    return config.resolved_test_grid if split == "test" else config.grid


def _assemble(config: NavierStokesConfig, parts: Path, dataset: Path) -> None:
    """Put the batches together; `metadata.yaml` comes last and marks the data set complete."""

    def over_all(name: str, reduce: Callable[[np.ndarray], Any]) -> float:
        return float(reduce(np.concatenate(list(gather(parts, name)))))

    measured = {
        "initial_field_std": over_all("initial_std", np.mean),
        "dt_min": over_all("dt_min", np.min),
        "dt_max": over_all("dt_max", np.max),
        "dealiasing": f"2/3 rule per axis: |k| <= {dealiased_cutoff(config.resolved_solver_grid)}",
        "time_integration": "integrating-factor Runge-Kutta of order 4, step from courant",
    }
    statistics = FieldStatistics()

    for frames in gather(parts, "frames", ["train"]):
        statistics.update(frames)
    for split, size in config.split_sizes.items():
        grid = _stored_grid(config, split)
        write_split(
            dataset / "data" / split / f"navier_stokes_{split}.hdf5",
            gather(parts, "frames", [split]),
            shape=(size, config.n_records, grid, grid),
            times=config.record_interval * np.arange(1, config.n_records + 1),
            field=VORTICITY,
            dataset_name="navier_stokes",
            parameters={"viscosity": config.viscosity, "forcing_amplitude": FORCING_AMPLITUDE},
            attributes={**config.recipe, **measured, **EQUATION, "split": split},
        )
    write_statistics(dataset / "stats.yaml", statistics, VORTICITY)
    about = {
        "field": VORTICITY,
        **EQUATION,
        "grid": f"{config.grid} x {config.grid}, points at i / {config.grid}; test split "
        f"{config.resolved_test_grid} x {config.resolved_test_grid}",
        "times": f"{config.n_records} frames, every {config.record_interval:g} from "
        f"{config.record_interval:g} to {config.horizon:g}",
        "layout": "The Well 1.2.0: data/<split>/*.hdf5, t0_fields/vorticity (trajectory, t, x, y)",
        "statistics": "stats.yaml, of the training split",
        "measured": measured,
        "source": "generated by data_scripts/pde/navier_stokes.py; equation and forcing of "
        "Li et al. 2021, arXiv:2010.08895",
    }
    write_metadata(dataset, config, about, [torch, np])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns its exit status."""
    console = Console(markup=False, highlight=False, soft_wrap=True)
    return run_script(lambda config: generate(config, console), NavierStokesConfig, arguments)


if __name__ == "__main__":
    sys.exit(main())
