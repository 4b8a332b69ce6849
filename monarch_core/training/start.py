"""The first line of every training script: config, seeds, threads and the run folder."""

import logging
import random
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from omegaconf import DictConfig

from monarch_core.runs.failures import AlreadyFinishedError
from monarch_core.runs.folder import RunFolder
from monarch_core.runs.hydra_folder import leave_folder_of_hydra
from monarch_core.runs.machine import keep_freed_memory, usable_cores
from monarch_core.runs.processes import is_main_process, processes
from monarch_core.runs.schema import load_config
from monarch_core.runs.start import (
    change_config,
    go_to_start,
    read_start,
    take_folder,
)
from monarch_core.training.config import FitConfig
from monarch_core.training.devices import check_threads, make_fabric, slow_precision
from monarch_core.training.recipe import LENGTH

log = logging.getLogger(__name__)

T = TypeVar("T")

# What may be given with `resume`: more epochs, and what says where a run happens.
CHANGEABLE = (
    "fit.epochs",
    "fit.accelerator",
    "fit.devices",
    "fit.num_workers",
    "fit.n_threads",
    "fit.checkpoint_every",
)


def start_run(raw: DictConfig, schema: type[T]) -> tuple[T, Path]:
    """Check the config, take the run folder, note the config in it, and seed everything.

    The process keeps the memory that it frees from then on (`keep_freed_memory`).

    The folder belongs to this run until it ends: another run, or an evaluation, is refused. Runs
    that a time stamp of one second sends to the same folder get folders of their own, `NAME-2` and
    so on.

    `resume=RUN_DIR` takes the config from that folder instead; `fit` then goes on from its last
    checkpoint, and a finished run is only evaluated again. `resume=RUN_DIR fit.epochs=N` trains it
    on (`trained_on`); `CHANGEABLE` has what else may be given then, and `fit` notes it in the
    folder once the run goes on. A folder with a run of the same overrides is gone on with in the
    same way, unless it is finished.

    Args:
        raw: what hydra composed. Its keys `resume` and `run_dir` need not be in the schema.
        schema: a dataclass with the field `seed`, and `fit: FitConfig` where something is trained.

    Returns:
        The config as an instance of `schema`, and the run folder: the output folder of hydra, or
        `run_dir` when hydra is not at work. Of several processes, all get that of the first.

    Raises:
        AlreadyFinishedError: the folder holds this run, and it is finished.
        ValueError: a key or value is wrong, other overrides accompany `resume`, the folder holds
            another run or is in use, or a new run would train in bfloat16 on a processor without
            instructions for it.
    """
    is_resumed = bool(raw.get("resume"))
    config, run_dir, changes = read_start(raw, schema, CHANGEABLE)
    if changes:
        config = trained_on(config, changes)
    fit_config = getattr(config, "fit", None)
    too_slow = slow_precision(fit_config) if fit_config is not None else None
    if fit_config is not None and not is_resumed:  # a resumed run takes what there is
        check_threads(fit_config)
        if too_slow:
            raise ValueError(too_slow)
    taken = take_folder(run_dir, config, is_resumed=is_resumed) if is_main_process() else None
    if processes().n > 1:
        assert isinstance(fit_config, FitConfig), "several processes need a field `fit`"
        taken = make_fabric(fit_config).broadcast(taken)
    assert taken is not None
    run_dir, state = taken
    leave_folder_of_hydra(run_dir)
    if state == "finished":
        raise AlreadyFinishedError(run_dir)
    if state == "unfinished" and not is_resumed:
        config = load_config(run_dir, schema)
        go_to_start(run_dir)
        fit_config = getattr(config, "fit", None)
    seed_everything(config.seed)  # type: ignore[attr-defined]
    torch.set_num_threads(_n_threads(fit_config))
    keep_freed_memory()
    log.info("run folder: %s", run_dir)
    if too_slow:
        log.warning(too_slow)
    return config, run_dir


def trained_on(config: T, changes: dict[str, Any]) -> T:
    """Return the config of a run that is gone on with.

    More epochs are a further cycle of the schedule, behind the epochs that the run was started
    with, whether it has finished them or not: `fit.restarts` has their number. The run is then, bit
    for bit on the CPU, the one that these values start.

    Raises:
        ValueError: the epochs are fewer than those of the run.
    """
    fit_config: FitConfig = config.fit  # type: ignore[attr-defined]
    epochs = changes.get("fit.epochs", fit_config.epochs)
    if epochs < fit_config.epochs:
        raise ValueError(
            f"resume trains on, and fit.epochs={epochs} is below the {fit_config.epochs} epochs "
            "that the run was started with; give more, or start a new run"
        )
    if epochs > fit_config.epochs:
        changes = {**changes, "fit.restarts": [*fit_config.restarts, fit_config.epochs]}
    values = {key.removeprefix("fit."): value for key, value in changes.items()}
    return replace(config, fit=replace(fit_config, **values))  # type: ignore[type-var]


def note_changes(folder: RunFolder, fit_config: FitConfig) -> None:
    """Note what a resumed run goes on with in its folder, once nothing stands against it.

    Its results are those of fewer epochs where it gets more, and are removed only then.

    Args:
        folder: of the run; where it holds no config that can be read, nothing is noted.
        fit_config: of the run as it is now.
    """
    try:
        noted = folder.read_config()
    except ValueError:
        return
    if not isinstance(noted, dict) or not isinstance(noted.get("fit"), dict):
        return
    before, now = {**asdict(FitConfig()), **noted["fit"]}, asdict(fit_config)
    names = [key.removeprefix("fit.") for key in (*CHANGEABLE, *LENGTH)]
    changes = {f"fit.{name}": now[name] for name in names if now[name] != before[name]}
    longer = {key: value for key, value in changes.items() if key in LENGTH}
    if changes:
        change_config(folder, changes, longer)
    if longer:
        folder.forget_results()


def seed_everything(seed: int) -> None:
    """Seed the global generators of Python, NumPy and PyTorch.

    Raises:
        ValueError: the seed does not fit in 32 bits.
    """
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed must be from 0 to 4294967295, got {seed}")
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def _n_threads(fit_config: FitConfig | None) -> int:
    """Return the threads asked for; else the usable cores, never above what torch chose."""
    if fit_config is not None and fit_config.n_threads is not None:
        return fit_config.n_threads
    return min(torch.get_num_threads(), usable_cores())
