"""Make a Burgers data set: `python data_scripts/pde/burgers.py viscosity=0.01 ...`.

Reads nothing, writes `<data_dir>/burgers_.../` (PDEBench layout, `metadata.yaml`);
`name=burgers_dirichlet` is zero at both ends instead of periodic. Killed, it continues where it
stopped when called again. `burgers.md` describes the data.
"""

import functools
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from data_scripts.command_line import run_script
from data_scripts.pde.burgers_solver import (
    BurgersSolver,
    initial_dirichlet,
    initial_periodic,
    to_grid,
)
from data_scripts.pde.conventions import BURGERS
from data_scripts.pde.generation import (
    choose_device,
    fill_folder,
    gather,
    require_working_memory,
    sample_keys,
    write_metadata,
)
from data_scripts.pde.pdebench_format import write_burgers
from data_scripts.resumable import Arrays, Batch
from pde.config.burgers import INITIAL_GRID
from pde.config.dataset import BurgersConfig

EQUATION = {
    **BURGERS,
    "convention": "viscosity multiplies u_xx on (0, 1); that of PDEBench's own files divides their "
    "Nu by pi, on (-1, 1)",
    "units": "length: the domain; time: unit of the equation; u: length/time; "
    "viscosity: length^2/time",
}
BOUNDARY = {
    "burgers": {
        "boundary": "periodic",
        "initial_field": "Gaussian random field N(0, 625 (-Laplace + 25)^-2), zero mean, periodic",
    },
    "burgers_dirichlet": {
        "boundary": "u = 0 at x = 0 and x = 1",
        "initial_field": "Gaussian random field N(0, 625 (-Laplace + 25)^-2), zero at both ends",
    },
}


def simulate(config: BurgersConfig, batch: Batch) -> Arrays:
    """Draw and integrate the samples of one batch.

    Returns:
        frames: u at t = 0 and at the final time, float32, (sample, 2, x).
        initial_std: standard deviation of each initial field over the stored points.
    """
    keys = sample_keys(config, batch)
    # Nothing is gained by more modes of the initial field than its grid resolves.
    if config.periodic:
        period, initial = 1, initial_periodic(keys, INITIAL_GRID // 2 - 1)
    else:
        period, initial = 2, initial_dirichlet(keys, INITIAL_GRID - 1)
    solver = BurgersSolver(
        config.resolved_solver_grid * period,
        config.viscosity,
        length=float(period),
        device=choose_device(config.device),
    )
    final = solver.advance(initial, config.final_time).cpu()
    # A field with finitely many modes is known everywhere: no interpolation is involved.
    frames = torch.stack([to_grid(u_hat, INITIAL_GRID * period) for u_hat in (initial, final)], 1)
    stride = INITIAL_GRID // config.stored_grid
    stored = frames[..., ::stride][..., : config.n_stored_points]
    return {
        "frames": stored.float().numpy(),
        "initial_std": stored[:, 0].std(dim=-1, correction=0).numpy(),
    }


def generate(config: BurgersConfig, console: Console) -> Path:
    """Make the data set unless it is there, and return its folder.

    Raises:
        OSError: the disk is full or not writable, or a worker process was killed; finished
            batches are kept.
        ValueError: the configuration names a file to read, or a device that is not there, or the
            solver does not fit into memory.
    """
    on_gpu = choose_device(config.device).type == "cuda"
    batch_size = 400 if on_gpu else 50
    require_working_memory(config, batch_size, config.resolved_solver_grid)
    return fill_folder(
        config,
        console,
        simulate=functools.partial(simulate, config),
        assemble=functools.partial(_assemble, config),
        batch_size=batch_size,
        n_workers=1 if on_gpu else None,
        bytes_per_split={
            split: 4 * size * 2 * config.n_stored_points
            for split, size in config.split_sizes.items()
        },
        description=f"Burgers, {BOUNDARY[config.name]['boundary']}, viscosity {config.viscosity:g}",
    )


def _assemble(config: BurgersConfig, parts: Path, dataset: Path) -> None:
    """Put the batches together; `metadata.yaml` comes last and marks the data set complete."""
    stds = np.concatenate(list(gather(parts, "initial_std")))
    measured = {
        "initial_field_std": float(np.sqrt(np.square(stds).mean())),
        "time_integration": "integrating-factor Runge-Kutta of order 4, 2/3 dealiasing",
    }
    equation = {**EQUATION, **BOUNDARY[config.name]}
    file_name = f"1D_Burgers_viscosity{config.viscosity:g}.hdf5"
    write_burgers(
        dataset / file_name,
        gather(parts, "frames"),
        n_samples=sum(config.split_sizes.values()),
        times=np.array([0.0, config.final_time]),
        points=np.arange(config.n_stored_points) / config.stored_grid,
        attributes={**config.recipe, **measured, **equation},
    )
    about = {
        "field": "u",
        **equation,
        "grid": f"{config.n_stored_points} points at i / {config.stored_grid}",
        "times": f"0 and {config.final_time:g}",
        "layout": f"PDEBench 1-D: {file_name}, tensor (sample, t, x); training samples first, "
        "then validation, then test",
        "measured": measured,
        "source": "generated by data_scripts/pde/burgers.py; equation and initial field of "
        "Li et al. 2021, arXiv:2010.08895",
    }
    write_metadata(dataset, config, about, [torch, np])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns its exit status."""
    console = Console(markup=False, highlight=False, soft_wrap=True)
    return run_script(lambda config: generate(config, console), BurgersConfig, arguments)


if __name__ == "__main__":
    sys.exit(main())
