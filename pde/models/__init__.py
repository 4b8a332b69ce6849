"""Neural operators, and the networks that they are compared with."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from monarch_core.layers.resample import BASES
from monarch_core.runs.folder import RunFolder
from monarch_core.runs.machine import require_memory
from monarch_core.runs.schema import load_config
from monarch_core.training.checkpoint import load_weights
from monarch_core.training.devices import choose_accelerator
from pde.config.base import GeneratedConfig
from pde.config.model import FourierConfig, UnoConfig
from pde.config.run import PdeConfig
from pde.models.fno import build_fno, build_fno_neuralop, check_fft_grid
from pde.models.fno_3d import build_fno_3d
from pde.models.fno_fast import build_fno_fast
from pde.models.local_no import build_local_no
from pde.models.memory import least_memory
from pde.models.monarch_no import build_monarch_no
from pde.models.resampled import Resampled
from pde.models.resnet import build_resnet
from pde.models.roll_out import RollOut
from pde.models.tf_net import build_tf_net
from pde.models.unet import build_unet
from pde.models.uno import build_uno, check_uno_grid

__all__ = ["RollOut", "build_model", "check_model", "check_periods", "load_model"]

Grid = tuple[int, ...]


def build_model(config: PdeConfig, grid: Grid) -> RollOut:
    """Return the surrogate: a network from frames to frames, rolled out in time.

    Args:
        config: `model` is the network, `transform` what stands where its Fourier transforms are
            (the one thing that differs between two compared runs), `dataset` has the frames.
        grid: points per axis.

    Raises:
        ValueError: when the grid cannot hold the modes, the transform does not fit the grid, an
            option does not suit the data, or a network without a Fourier transform is given
            another transform.
    """
    model, name = config.model, config.transform.name
    if not isinstance(model, FourierConfig) and not config.transform.is_control:
        raise ValueError(
            f"{model.architecture} has no Fourier transform that transform={name}"
            f"{' (the default)' if name == 'monarch' else ''} could replace: add transform=fft to "
            "the command, or choose one of the fno models"
        )
    return RollOut(
        _network(config, grid),
        config.dataset.n_output_frames,
        config.dataset.normalization,
        n_channels=config.dataset.out_channels,
        n_constants=config.dataset.n_constants,
        checkpoint_steps=isinstance(model, FourierConfig) and model.checkpoint_steps,
    )


def _network(config: PdeConfig, grid: Grid) -> nn.Module:
    """Return the network of one step."""
    model, data = config.model, config.dataset
    network = _BUILDERS[model.architecture](model, config, grid)
    if not (isinstance(model, FourierConfig) and model.resample):
        return network
    if data.is_even:
        raise ValueError(
            f"model.resample=true is for uneven points, which {data.name} does not have; leave it "
            "out"
        )
    if config.transform.kind == "nudft":
        raise ValueError(
            f"model.resample=true makes the points even, and transform={config.transform.name} is "
            "for others; leave out one of them"
        )
    for axis, n in enumerate(grid):
        points_of = data.coordinates(axis)
        if points_of is not None:
            network = Resampled(network, points_of(n), axis)
    return network


def load_model(run_dir: str | Path) -> tuple[RollOut, PdeConfig]:
    """Return the model of a run as it was trained, on the CPU, and its config; without its data.

    For code of your own, beside this checkout (on `PYTHONPATH`), whatever the run was trained on:

        model, config = load_model("runs/pde/NAME")
        with torch.no_grad():
            prediction = model(frames)  # (batch, n_input_frames, *grid), in physical units

    The model is in evaluation mode and takes any grid that its transforms can be interpolated to.
    `pde/export.py` writes a file that needs no code of this suite.

    Args:
        run_dir: folder that `pde/train.py` has named.

    Raises:
        ValueError: no run in the folder, or weights that are damaged or of another model.
    """
    run_dir = Path(run_dir)
    config = load_config(run_dir, PdeConfig)
    model = build_model(config, config.dataset.points)
    load_weights(RunFolder(run_dir).weights, model)
    return model.eval(), config


def check_periods(config: PdeConfig) -> None:
    """Check before a training starts that where a network needs a period, the data say it.

    Raises:
        ValueError: they do not, of an axis with uneven points.
    """
    data = config.dataset
    if config.transform.kind != "nudft" and not getattr(config.model, "resample", False):
        return
    for axis, n in enumerate(data.points):
        if not data.knows_period(axis):
            raise ValueError(
                f"the {n} points along axis {axis} are periodic and not even, and nothing says "
                "where the next period begins, which transform=nudft and model.resample=true have "
                "to know; store the first point again behind the last one, or leave these out"
            )


def check_model(config: PdeConfig) -> None:
    """Build the model and forget it: what cannot be trained is said before data are made.

    Raises:
        ValueError: as `build_model`; or the accelerator is missing, there is too little memory, the
            symmetries do not fit the grid, or the model could not be evaluated on one of the grids.
    """
    choose_accelerator(config.fit.accelerator)
    require_memory(least_memory(config), "lower the numbers of the one that is too large")
    data = config.dataset
    if isinstance(data, GeneratedConfig) and data.path is not None:
        return  # its grid is known when it is read
    if data.symmetry is not None and config.augment is not False:
        data.symmetry(torch.zeros(1, *data.points), torch.Generator())
    with torch.random.fork_rng(devices=[]):
        build_model(config, data.points)
    if not isinstance(config.model, FourierConfig):
        return
    bases = {config.transform.basis_of(axis) for axis in range(data.n_axes)}
    trained_on = "x".join(map(str, data.points))
    for n in config.evaluation.grids:
        is_other = data.points_of(n) != data.points
        if config.model.bound_to_its_grid and is_other:
            raise ValueError(
                f"{config.model.bound_to_its_grid} works on the points that it is trained on "
                f"alone, got evaluation.grids={config.evaluation.grids} and a grid of "
                f"{trained_on}; leave the grids out"
            )
        if config.transform.is_control:
            check_fft_grid(data.points_of(n))
            if isinstance(config.model, UnoConfig):
                check_uno_grid(config.model, data.points_of(n))
        elif is_other and not bases <= {*BASES}:
            raise ValueError(
                f"transform={config.transform.name} works on the grid it is made for alone, got "
                f"evaluation.grids={config.evaluation.grids} and a grid of {trained_on}; leave the "
                f"grids out, or start at one of {', '.join(BASES)}"
            )


_BUILDERS: dict[str, Callable[[Any, PdeConfig, Grid], nn.Module]] = {
    "fno": build_fno,
    "fno_fast": build_fno_fast,
    "fno_neuralop": build_fno_neuralop,
    "uno": build_uno,
    "local_no": build_local_no,
    "fno_3d": build_fno_3d,
    "monarch_no": build_monarch_no,
    "unet": build_unet,
    "tf_net": build_tf_net,
    "resnet": build_resnet,
}
