"""Where the weights of a reconstruction begin: drawn from its seed, or those of another run."""

from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from monarch_core.runs.folder import RunFolder
from monarch_core.runs.schema import load_config
from monarch_core.training.checkpoint import read_state, restore_model
from monarch_core.training.origin import (
    check_data_are_named,
    check_options,
    note_origin,
    run_of,
    words_of_data,
)
from monarch_core.training.transfer import (
    LayerRule,
    Transfer,
    pair_tensors,
    plan_transfer,
    take_over,
)
from monarch_core.training.transform_config import CONTROL, KNOWN, TransformConfig
from mri.config.run import MriConfig
from mri.grids import loading_for
from mri.models import model_of
from mri.physics.axis_transforms import AxisTransforms

# Options of a model that its weights do not depend on.
_FREE = ("candidates", "n_iterations")
_AXES = ("along_height", "along_width")

Grid = tuple[int, int]


def check_start(config: MriConfig, run_dir: Path) -> None:
    """Check before any data are read that the weights of `config.weights` are there and fit.

    Where the scans do not come from a recipe that says their grid, shapes are left to
    `start_model`.

    Raises:
        ValueError: no such run, one without weights, of another model or of another grid, or of
            data that a command without the name of any would not mean.
    """
    if config.weights is None or RunFolder(run_dir).can_resume:
        return
    folder = _source(config)
    there = load_config(folder.path, MriConfig)
    here, others = config.dataset, there.dataset
    check_data_are_named(
        folder,
        words_of_data(folder, MriConfig) or f"dataset.root={others.root}",
        f"dataset={here.name}",
        place="dataset.root",
        is_default=(here.name, here.root) == (others.name, others.root),
    )
    check_options(folder, config.model, there.model, _FREE)
    grid = _grid_of_recipe(config)
    if grid is not None:
        with torch.random.fork_rng(devices=[]):
            model = model_of(_without_known(config), grid)
        source = f"weights={config.weights}"
        plan_transfer(model, _old(folder, there, grid), _rule(config, there), source)


def start_model(model: nn.Module, config: MriConfig, grid: Grid, run_dir: Path) -> Transfer | None:
    """Give a model the weights of `config.weights`, if that is a run, and note it in the folder.

    Transforms are taken where those of the run have parameters. Where they have none, as the FFT,
    or began at the encoding of its scans, and where there is a `calibration`, the model keeps its
    own.

    Args:
        model: of `config`, changed in place.
        config: of the run.
        grid: height and width of the scans, in pixels.
        run_dir: the run folder. Where it holds a checkpoint, that is what the run goes on from.

    Returns:
        What was taken and what was left; None where nothing was to be taken.

    Raises:
        ValueError: as `check_start`, or the weights are damaged.
    """
    if config.weights is None or RunFolder(run_dir).can_resume:
        return None
    folder, source = _source(config), f"weights={config.weights}"
    there = load_config(folder.path, MriConfig)
    transfer = take_over(model, _old(folder, there, grid), _rule(config, there), source)
    note_origin(run_dir, Path(config.weights), folder.weights, transfer)
    return transfer


def _source(config: MriConfig) -> RunFolder:
    assert config.weights is not None
    folder = run_of(Path(config.weights))
    if folder is None:
        raise ValueError(
            f"weights={config.weights} is not the folder of a run; give the folder that "
            "mri/train.py printed"
        )
    return folder


def _grid_of_recipe(config: MriConfig) -> Grid | None:
    recipe = config.dataset.recipe
    height, width = (getattr(recipe, key, None) for key in ("height", "width"))
    return None if height is None or width is None else (height, width)


def _without_known(config: MriConfig) -> MriConfig:
    """Return a config with the FFT, which is there on any grid, for a transform made of scans."""
    if config.transform.kind not in KNOWN:
        return config
    return replace(config, transform=TransformConfig(CONTROL, kind="fourier"))


def _old(folder: RunFolder, there: MriConfig, grid: Grid) -> nn.Module:
    """Return the model of a run on a grid, without what its scans made; errors as `start_model`.

    `model_of_run` has that too, on the grid of the run alone.
    """
    state = read_state(folder.weights)
    if there.transform.kind in KNOWN:
        state = {name: value for name, value in state.items() if not {*name.split(".")} & {*_AXES}}
    with torch.random.fork_rng(devices=[]), loading_for(folder.path, grid):
        model = model_of(_without_known(there), grid)
        if not model.state_dict():
            raise ValueError(
                f"weights={folder.path} is a run of model={there.model.name} transform="
                f"{there.transform.name}, which has no weights to start from; leave it out"
            )
        restore_model(model, state, folder.weights)
    return model


def _rule(config: MriConfig, there: MriConfig) -> LayerRule:
    """Return what the transforms of a model take from those of another run."""

    def take_transforms(name: str, new: nn.Module, old: nn.Module, transfer: Transfer) -> bool:
        if not isinstance(new, AxisTransforms) or not isinstance(old, AxisTransforms):
            return False
        for axis in _AXES:
            path, mine, other = f"{name}.{axis}", getattr(new, axis), getattr(old, axis)
            if config.calibration is not None:
                transfer.left.append(f"{path}, which begins at the calibration")
            elif there.transform.kind in KNOWN:
                transfer.left.append(f"{path}, which began at the encoding of the scans there")
            elif not other.state_dict():
                if mine.state_dict():
                    transfer.left.append(f"{path}, which has nothing learned there")
            elif type(mine) is not type(other):
                transfer.problems.append(
                    f"{path} is a {type(mine).__name__} here and a {type(other).__name__} there"
                )
            else:
                pair_tensors(path, mine, other, transfer)
        return True

    return take_transforms
