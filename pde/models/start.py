"""Where the weights of a run begin: drawn from its seed, or those of another one."""

import copy
import dataclasses
from pathlib import Path
from typing import Any

import torch
from neuralop.layers.spectral_convolution import SpectralConv as NeuralopConv
from torch import nn
from torch.utils.data import Dataset

from monarch_core.adapters.neuralop import MonarchSpectralConv
from monarch_core.adapters.neuralop.exchange import take_weight
from monarch_core.runs.folder import RunFolder
from monarch_core.runs.printable import listed
from monarch_core.runs.schema import load_config
from monarch_core.runs.typed import typed
from monarch_core.training.checkpoint import read_state
from monarch_core.training.origin import (
    check_data_are_named,
    check_options,
    note_origin,
    run_of,
    words_of_data,
)
from monarch_core.training.transfer import Transfer, pair_tensors, take_over
from monarch_core.training.transform_config import CONTROL, TransformConfig
from pde.config.dataset import DatasetConfig, OwnConfig
from pde.config.run import PdeConfig
from pde.models import build_model, load_model
from pde.models.roll_out import RollOut

# Options of a model that say how it is computed, or on which grid it has learned.
_FREE = ("name", "checkpoint_steps", "transform_grid", "domain_padding", "continuation")
# What must be as it was for the weights, and the options that choose it where a data set has them.
_SHARED = {
    "n_input_frames": ("frames in", ("n_input_frames",)),
    "in_channels": ("channels in", ("channels", "constants", "parameters")),
    "out_channels": ("channels out", ("channels",)),
    "n_axes": ("axes", ("axes",)),
}
# Networks whose parameters have the names of neuralop's own.
OF_NEURALOP = ("fno", "fno_neuralop", "uno", "local_no")


def check_start(config: PdeConfig, run_dir: Path) -> None:
    """Check before any data are made that the weights of `config.weights` are there and fit.

    Raises:
        ValueError: there are none, they are of another network or of other frames, or of data that
            a command without the name of any would not mean.
    """
    if config.weights is None or RunFolder(run_dir).can_resume:
        return
    path = Path(config.weights)
    folder = run_of(path)
    if folder is None:
        if not path.is_file():
            raise ValueError(
                f"weights={path} is neither the folder of a run nor a file; give the folder that "
                "train.py printed, or a state dict of neuralop"
            )
        if config.model.architecture not in OF_NEURALOP:
            raise ValueError(
                f"weights={path} is a file, which networks of neuralop read, got model="
                f"{config.model.name}; use model=fno, or give the folder of a run"
            )
        return
    source = load_config(folder.path, PdeConfig)
    _check_data(folder, config.dataset, source.dataset)
    check_options(folder, config.model, source.model, _FREE)


def start_model(
    model: RollOut, train: Dataset[Any], config: PdeConfig, run_dir: Path
) -> Transfer | None:
    """Bring a model to where its training begins, and note in the run folder where that is.

    Without `config.weights` its fields are normalized to the training split. With the folder of a
    run it takes all weights of that run, normalization too unless `config.renormalize` is set. A
    network with learned transforms takes those of the FFT network, and keeps its transforms at
    their start; learned ones stay on their grid, `model.transform_grid`, and are interpolated.
    A file is what `torch.save(network.state_dict(), FILE)` of a network of neuralop leaves; it has
    no normalization.

    Args:
        model: of `config`, changed in place.
        train: training split.
        config: of the run.
        run_dir: the run folder. Where it holds a checkpoint, that is what the run goes on from.

    Returns:
        What was taken and what was left; None where nothing was to be taken.

    Raises:
        ValueError: as `check_start`, or the weights are damaged or do not fit.
    """
    if config.weights is None or RunFolder(run_dir).can_resume:
        model.normalize_to(train)
        return None
    path = Path(config.weights)
    folder = run_of(path)
    file = path if folder is None else folder.weights
    with torch.random.fork_rng(devices=[]):
        old = _from_file(path, config) if folder is None else load_model(folder.path)[0]
    if folder is None or config.renormalize:
        model.normalize_to(train)
        old.load_state_dict(
            {k: v for k, v in model.state_dict().items() if not k.startswith("step.")}, strict=False
        )
    transfer = take_over(model, old, _spectral_layer, f"weights={config.weights}")
    is_new = folder is None or config.renormalize
    note_origin(
        run_dir, path, file, transfer, normalization="of these data" if is_new else "its own"
    )
    return transfer


def _check_data(folder: RunFolder, here: DatasetConfig, there: DatasetConfig) -> None:
    """Raise ValueError where nobody said that other data are meant, or where they do not fit.

    Args:
        folder: of the run that has the weights.
        here: data to learn from.
        there: those that the weights come from.
    """
    is_own = isinstance(there, OwnConfig)
    same = words_of_data(folder, PdeConfig) or (
        f"dataset.path={there.path}" if is_own else f"dataset={there.name}"
    )
    check_data_are_named(
        folder,
        same,
        f"dataset={here.name}",
        place="dataset.path",
        is_default=here.name == there.name,
    )
    options = {field.name for field in dataclasses.fields(here)}
    for key, (words, chosen_by) in _SHARED.items():
        if getattr(here, key) != getattr(there, key):
            known = [f"dataset.{name}" for name in chosen_by if name in options]
            remedy = f"others in {' or '.join(known)}" if known else f"other data, such as {same}"
            raise ValueError(
                f"weights={folder.path} has {getattr(there, key)} {words}, and this run "
                f"{getattr(here, key)}; choose {remedy}"
            )
    for key in ("channels", "constants"):
        mine, theirs = (getattr(data, key, []) for data in (here, there))
        if mine != theirs and sorted(mine) == sorted(theirs):
            raise ValueError(
                f"weights={folder.path} has the {key} {listed(theirs)} in this order, and this run "
                f"{listed(mine)}; say {typed(f'dataset.{key}', theirs)}"
            )


def _from_file(path: Path, config: PdeConfig) -> RollOut:
    """Return the network of a config with the FFT, and the weights of a file of neuralop in it."""
    twin = copy.deepcopy(config)
    twin.transform = TransformConfig(CONTROL, kind="fourier")
    if hasattr(twin.model, "transform_grid"):
        twin.model.transform_grid = None
    even = tuple(n + n % 2 for n in config.dataset.points)  # the weights know no grid
    model = build_model(twin, even)
    own = model.step.state_dict()
    names = {name.replace("fno_blocks.blocks.", "fno_blocks."): name for name in own}
    state = read_state(path)
    tensors = {name: value for name, value in state.items() if isinstance(value, torch.Tensor)}
    wanted = {name: own[key] for name, key in names.items() if isinstance(own[key], torch.Tensor)}
    differing = [
        f"{name} is {tuple(tensors[name].shape) if name in tensors else 'not there'} in the file "
        f"and {tuple(wanted[name].shape) if name in wanted else 'not there'} in the model"
        for name in sorted({*tensors, *wanted})
        if name not in tensors or name not in wanted or tensors[name].shape != wanted[name].shape
    ]
    if differing:
        raise ValueError(
            f"weights={path} is of another network than model={config.model.name}: "
            f"{'; '.join(differing[:3])}{' ...' * (len(differing) > 3)}; give its options"
        )
    nn.Module.load_state_dict(
        model.step, {names[name]: tensors[name] for name in wanted}, strict=False
    )
    return model


def _spectral_layer(name: str, new: nn.Module, old: nn.Module, transfer: Transfer) -> bool:
    """Say what a learnable spectral convolution takes from another one, or from neuralop's."""
    if not isinstance(new, MonarchSpectralConv):
        return False
    if isinstance(old, NeuralopConv):
        transfer.actions.append(lambda: take_weight(new, old.weight))
        if new.bias is not None:
            transfer.tensors.append((f"{name}.bias", new.bias, old.bias))
        transfer.left.append(f"{name}: its transforms, which begin at their start")
        return True
    if not isinstance(old, MonarchSpectralConv):
        return False
    for part in ("mode_weight", "bias"):
        mine, other = getattr(new, part), getattr(old, part)
        if isinstance(mine, nn.Module):
            pair_tensors(f"{name}.{part}", mine, other, transfer)
        elif mine is not None:
            _pair_one(f"{name}.{part}", mine, other, transfer)
    for part in ("forward_transforms", "inverse_transforms"):
        for axis, (mine, other) in enumerate(
            zip(getattr(new, part), getattr(old, part), strict=True)
        ):
            path = f"{name}.{part}.{axis}"
            if not any(p.requires_grad for p in other.parameters()):
                transfer.left.append(f"{path}, which has learned nothing")
            elif mine.n != other.n:
                transfer.problems.append(
                    f"{path} has learned on {other.n} points, and this one learns on {mine.n} (set "
                    f"model.transform_grid={[t.n for t in getattr(old, part)]}, and it is "
                    "interpolated)"
                )
            else:
                pair_tensors(path, mine, other, transfer)
    return True


def _pair_one(name: str, mine: torch.Tensor, other: Any, transfer: Transfer) -> None:
    if not isinstance(other, torch.Tensor) or mine.shape != other.shape:
        there = tuple(other.shape) if isinstance(other, torch.Tensor) else "of another form"
        transfer.problems.append(f"{name} is {tuple(mine.shape)} here and {there} there")
    else:
        transfer.tensors.append((name, mine, other))
