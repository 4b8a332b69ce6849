"""The first line of every training script: config, seeds and the run folder."""

import dataclasses
import logging
import os
import random
import shutil
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, open_dict

from monarch_core.experiment.checkpoint import remove_leftovers
from monarch_core.experiment.config import FitConfig
from monarch_core.experiment.devices import (
    choose_accelerator,
    make_fabric,
    processes,
    usable_cores,
)
from monarch_core.experiment.failures import run_folder, user_errors
from monarch_core.experiment.machine import check_threads, warn_of_slow_precision
from monarch_core.experiment.plain_files import read_yaml
from monarch_core.experiment.schema import CONFIG_FILE, load_config, save_config, to_dataclass

__all__ = ["load_config", "run_to_read", "save_config", "start_run", "user_errors"]

log = logging.getLogger(__name__)

T = TypeVar("T")


def start_run(raw: DictConfig, schema: type[T]) -> tuple[T, Path]:
    """Check the config, seed everything, and make the run folder with its `config.yaml`.

    `resume=RUN_DIR` takes the config from that folder instead; `fit` then goes on from its last
    checkpoint, and a finished run is only evaluated again.

    Args:
        raw: what hydra composed. Its keys `resume` and `run_dir` need not be in the schema.
        schema: a dataclass with the field `seed`, and `fit: FitConfig` where something is trained.

    Returns:
        The config as an instance of `schema`, and the run folder: the output folder of hydra, or
        `run_dir` when hydra is not at work. Of several processes, all get that of the first.

    Raises:
        ValueError: a key or value is wrong, other overrides accompany `resume`, or the folder
            holds another run.
    """
    run_dir = run_folder(raw)
    if run_dir is None:
        raise ValueError("no run folder was given; add run_dir=FOLDER to the config")
    if raw.get("resume"):
        _leave_folder_of_hydra(run_dir)
        _refuse_other_overrides()
        config = load_config(run_dir, schema)
        go_to_start(run_dir)
    else:
        config = to_dataclass(_without_folder_keys(raw, schema), schema)
    fit_config = getattr(config, "fit", None)
    if fit_config is not None and not raw.get("resume"):  # a resumed run takes what there is
        check_threads(fit_config)
    seed_everything(config.seed)  # type: ignore[attr-defined]
    torch.set_num_threads(_n_threads(fit_config))
    if processes().rank == 0 and not raw.get("resume"):
        _refuse_other_run(run_dir)
        run_dir.mkdir(parents=True, exist_ok=True)
        remove_leftovers(run_dir)
        save_config(run_dir, config)
    if processes().n > 1:
        assert isinstance(fit_config, FitConfig), "several processes need a field `fit`"
        run_dir = make_fabric(fit_config).broadcast(run_dir)
    _leave_folder_of_hydra(run_dir)
    log.info("run folder: %s", run_dir)
    if fit_config is not None:
        warn_of_slow_precision(fit_config, choose_accelerator(fit_config.accelerator))
    return config, run_dir


def run_to_read(raw: DictConfig) -> Path:
    """Return the folder of the finished run that `run=` names, and go to where it was started.

    The relative paths of its config then lead where they led, from whichever folder this is called.

    Raises:
        ValueError: no folder is given, or there is none of that name.
    """
    if not raw.get("run"):
        raise ValueError("run has no value; give the folder of a run, as in run=runs/pde/NAME")
    run_dir = Path(raw.run).absolute()
    go_to_start(run_dir)
    return run_dir


def go_to_start(run_dir: Path) -> None:
    """Change to the folder that a run was started in, if hydra noted it and it is still there."""
    record = run_dir / ".hydra" / "hydra.yaml"
    stored = read_yaml(record) if record.exists() else {}
    for key in ("hydra", "runtime", "cwd"):
        stored = stored.get(key) if isinstance(stored, dict) else None
    if isinstance(stored, str) and Path(stored).is_dir():
        os.chdir(stored)


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


def _without_folder_keys(raw: DictConfig, schema: Any) -> DictConfig:
    """Drop `resume` and `run_dir` where the schema does not know them."""
    known = [field.name for field in dataclasses.fields(schema)]
    copy = raw.copy()
    with open_dict(copy):
        for key in ("resume", "run_dir"):
            if key in copy and key not in known:
                del copy[key]
    return copy


def _refuse_other_overrides() -> None:
    if not HydraConfig.initialized():
        return
    overrides = [str(item) for item in HydraConfig.get().overrides.task]
    others = [item for item in overrides if not item.lstrip("+").startswith("resume=")]
    if others:
        raise ValueError(
            f"resume continues a run as it was started, so {', '.join(others)} cannot be given "
            "with it; leave that out, or start a new run without resume"
        )


def _refuse_other_run(run_dir: Path) -> None:
    """Refuse a folder with something finished in it; one that failed at once may be used again."""
    finished = [name for name in ("checkpoint.pt", "results.json") if (run_dir / name).exists()]
    if (run_dir / CONFIG_FILE).exists() and finished:
        raise ValueError(
            f"{run_dir} already holds a run ({', '.join(finished)}); go on with it through "
            f"resume={run_dir}, delete it, or choose another folder with hydra.run.dir=FOLDER"
        )


def _leave_folder_of_hydra(run_dir: Path) -> None:
    """Move the log file to the run folder and delete what hydra made for this process elsewhere.

    Hydra makes a folder for every start, also when a run is resumed and for every process of one
    run.
    """
    if not HydraConfig.initialized():
        return
    own = Path(HydraConfig.get().runtime.output_dir)
    if own.resolve() == run_dir.resolve() or not run_dir.is_dir():
        return
    rank = processes().rank
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.FileHandler) and Path(handler.baseFilename).parent == own:
            name = Path(handler.baseFilename)
            handler.close()  # it opens the new file with the next line
            name.unlink(missing_ok=True)
            suffix = f".{rank}" if rank > 0 else ""
            handler.baseFilename = str(run_dir.resolve() / f"{name.name}{suffix}")
    output_subdir = HydraConfig.get().output_subdir
    if output_subdir:
        shutil.rmtree(own / output_subdir, ignore_errors=True)
    if own.is_dir() and not any(own.iterdir()):
        own.rmdir()
