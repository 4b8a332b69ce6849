"""Make the Navier-Stokes data set: `python data_scripts/navier_stokes.py viscosity=1e-4 ...`.

Reads nothing, writes `<data_dir>/navier_stokes_.../` (The Well layout, `metadata.yaml`). Killed,
it continues where it stopped when called again. `navier_stokes.md` describes the data.
"""

import contextlib
import functools
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import torch
from omegaconf import OmegaConf
from rich.console import Console

from data_scripts.command_line import config_from_arguments
from data_scripts.navier_stokes_solver import (
    VorticitySolver,
    dealiased_cutoff,
    initial_vorticity,
    record,
)
from data_scripts.resumable import (
    Arrays,
    Batch,
    available_cores,
    compute_batches,
    finished_batches,
    friendly_disk_errors,
    missing_batches,
    read_batch,
    require_free_space,
)
from data_scripts.well_format import FieldStatistics, write_split, write_statistics
from pde.dataset_config import NavierStokesConfig

FIELD = "vorticity"
FORCING_AMPLITUDE = 0.1
# Every split has random numbers of its own: more training data leave the test set as it is.
SPLIT_KEYS = {"train": 0, "valid": 1, "test": 2}
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
        device=_device(config),
    )
    keys = [
        (config.seed, SPLIT_KEYS[batch.split], number) for number in range(batch.start, batch.stop)
    ]
    w_hat = initial_vorticity(keys, solver.grid, amplitude=config.amplitude)
    w_hat = w_hat.to(solver.device, solver.dtype.to_complex())
    try:
        recording = record(
            solver,
            w_hat,
            n_records=config.n_records,
            record_interval=config.record_interval,
            grid=config.grid,
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
        ValueError: the configuration names a file to read, or a device that is not there.
    """
    if config.path is not None:
        raise ValueError(f"path={config.path} is a file to read, not to generate; leave path away")
    folder = config.folder
    with friendly_disk_errors(folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
    with _only_process(folder, console):
        if (folder / "metadata.yaml").is_file():
            console.print(f"{folder} is there already")
            return folder
        work = folder.with_name(f"{folder.name}.partial")
        shutil.rmtree(work / "dataset", ignore_errors=True)  # half of an earlier attempt
        _require_space(config, work)
        on_gpu = _device(config).type == "cuda"
        compute_batches(
            functools.partial(simulate, config),
            work / "parts",
            config.split_sizes,
            batch_size=config.batch_size or (128 if on_gpu else _cached_batch(config)),
            n_workers=1 if on_gpu else config.n_workers or available_cores(),
            console=console,
            description=f"Navier-Stokes, viscosity {config.viscosity:g}",
        )
        with friendly_disk_errors(work):
            _assemble(config, work / "parts", work / "dataset")
            (work / "dataset").replace(folder)
        shutil.rmtree(work)
    console.print(f"{folder}: {sum(config.split_sizes.values())} trajectories")
    return folder


def _cached_batch(config: NavierStokesConfig) -> int:
    """Return how many trajectories fit into the cache of a core, where they run fastest."""
    return max(1, 8 * 64**2 // config.resolved_solver_grid**2)


def _device(config: NavierStokesConfig) -> torch.device:
    if config.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if config.device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device=cuda, but torch finds no GPU; use device=cpu or device=auto")
    return torch.device(config.device)


@contextlib.contextmanager
def _only_process(folder: Path, console: Console) -> Iterator[None]:
    """Let one process at a time make `folder`; a killed process holds nobody up."""
    lock = filelock.FileLock(folder.with_name(f".{folder.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        console.print(f"another process is making {folder}; waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _require_space(config: NavierStokesConfig, work: Path) -> None:
    missing = missing_batches(work / "parts", config.split_sizes, 1)
    n_trajectories = len(missing) + sum(config.split_sizes.values())  # parts, then the data set
    require_free_space(work, n_trajectories * config.n_records * config.grid**2 * 4)


def _assemble(config: NavierStokesConfig, parts: Path, dataset: Path) -> None:
    """Put the batches together; `metadata.yaml` comes last and marks the data set complete."""
    batches = finished_batches(parts)
    measured = {
        "initial_field_std": _gather(parts, batches, "initial_std", np.mean),
        "dt_min": _gather(parts, batches, "dt_min", np.min),
        "dt_max": _gather(parts, batches, "dt_max", np.max),
        "dealiasing": f"2/3 rule per axis: |k| <= {dealiased_cutoff(config.resolved_solver_grid)}",
        "time_integration": "integrating-factor Runge-Kutta of order 4, step from courant",
    }
    statistics = FieldStatistics()

    def trajectories(split: str) -> Iterator[np.ndarray]:
        for batch in batches:
            if batch.split == split:
                frames = read_batch(parts, batch, "frames")
                if split == "train":
                    statistics.update(frames)
                yield frames

    for split, size in config.split_sizes.items():
        write_split(
            dataset / "data" / split / f"navier_stokes_{split}.hdf5",
            trajectories(split),
            shape=(size, config.n_records, config.grid, config.grid),
            times=config.record_interval * np.arange(1, config.n_records + 1),
            field=FIELD,
            dataset_name="navier_stokes",
            parameters={"viscosity": config.viscosity, "forcing_amplitude": FORCING_AMPLITUDE},
            attributes={**config.recipe, **measured, **EQUATION, "split": split},
        )
    write_statistics(dataset / "stats.yaml", statistics, FIELD)
    metadata: dict[str, Any] = {
        "name": config.name,
        "field": FIELD,
        **EQUATION,
        "grid": f"{config.grid} x {config.grid}, points at i / {config.grid}",
        "times": f"{config.n_records} frames, every {config.record_interval:g} from "
        f"{config.record_interval:g} to {config.horizon:g}",
        "layout": "The Well 1.2.0: data/<split>/*.hdf5, t0_fields/vorticity (trajectory, t, x, y)",
        "statistics": "stats.yaml, of the training split",
        "seed": config.seed,
        "recipe": config.recipe,
        "measured": measured,
        "versions": {"torch": str(torch.__version__), "numpy": np.__version__},
        "source": "generated by data_scripts/navier_stokes.py; equation and forcing of "
        "Li et al. 2021, arXiv:2010.08895",
    }
    OmegaConf.save(OmegaConf.create(metadata), dataset / "metadata.yaml")


def _gather(parts: Path, batches: list[Batch], name: str, reduce: Any) -> float:
    return float(reduce(np.concatenate([read_batch(parts, batch, name) for batch in batches])))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns 0, or 1 after an error that was explained in one paragraph."""
    console = Console(markup=False, highlight=False, soft_wrap=True)
    try:
        generate(config_from_arguments(NavierStokesConfig, arguments, __doc__ or ""), console)
    except KeyboardInterrupt:
        console.print("stopped; the same command continues after the last finished batch")
        return 130
    except (ValueError, OSError, FloatingPointError) as error:
        Console(stderr=True, markup=False, highlight=False, soft_wrap=True).print(f"error: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
