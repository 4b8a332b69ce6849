"""The first line of every training script: config, seeds and the run folder."""

import dataclasses
import itertools
import logging
import os
import random
import shutil
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict

from monarch_core.runs.failures import run_folder, user_errors
from monarch_core.runs.files import remove_link, write_text
from monarch_core.runs.lock import FolderInUseError, is_in_use, leave, occupy
from monarch_core.runs.plain_files import read_yaml
from monarch_core.runs.schema import CONFIG_FILE, load_config, save_config, to_dataclass
from monarch_core.training.checkpoint import CHECKPOINT_FILE
from monarch_core.training.config import FitConfig
from monarch_core.training.devices import (
    choose_accelerator,
    is_main_process,
    make_fabric,
    processes,
    usable_cores,
)
from monarch_core.training.machine import check_threads, warn_of_slow_precision

__all__ = ["load_config", "run_to_read", "start_run", "user_errors"]

log = logging.getLogger(__name__)

T = TypeVar("T")


def start_run(raw: DictConfig, schema: type[T]) -> tuple[T, Path]:
    """Check the config, seed everything, and make the run folder with its `config.yaml`.

    The folder belongs to this run until it ends: another run, or an evaluation, is refused. Runs
    that a time stamp of one second sends to the same folder get folders of their own, `NAME-2` and
    so on.

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
            holds another run or is in use.
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
    if is_main_process():
        run_dir = _take_folder(run_dir, config, is_new=not raw.get("resume"))
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


def _take_folder(run_dir: Path, config: Any, *, is_new: bool) -> Path:
    """Occupy the run folder and write into a new one how the run was started."""
    if not is_new:
        occupy(run_dir)
        return run_dir
    run_dir = _occupy_new(run_dir)
    try:
        _refuse_other_run(run_dir)
        save_config(run_dir, config)
        if HydraConfig.initialized():
            _save_start(run_dir)
    except BaseException:
        leave(run_dir)
        raise
    return run_dir


def _save_start(run_dir: Path) -> None:
    """Write what hydra would, before it is known that the folder belongs to this run."""
    overrides = OmegaConf.create(list(HydraConfig.get().overrides.task))
    write_text(run_dir / ".hydra" / "overrides.yaml", OmegaConf.to_yaml(overrides))
    write_text(run_dir / ".hydra" / "hydra.yaml", OmegaConf.to_yaml(HydraConfig.instance().cfg))


def _occupy_new(run_dir: Path) -> Path:
    """Make and occupy a folder; where its name was not the user's choice, another if need be."""
    candidate = run_dir
    for number in itertools.count(2):
        candidate.mkdir(parents=True, exist_ok=True)
        try:
            occupy(candidate)
        except FolderInUseError:
            if _folder_was_chosen():
                raise
            candidate = run_dir.with_name(f"{run_dir.name}-{number}")
        else:
            break
    return candidate


def _folder_was_chosen() -> bool:
    """Tell whether the user named the folder, rather than hydra by the clock."""
    if not HydraConfig.initialized():
        return True
    keys = [str(item).lstrip("+").partition("=")[0] for item in HydraConfig.get().overrides.hydra]
    return bool({"hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir"} & set(keys))


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
    finished = [name for name in (CHECKPOINT_FILE, "results.json") if (run_dir / name).exists()]
    if (run_dir / CONFIG_FILE).exists() and finished:
        raise ValueError(
            f"{run_dir} already holds a run ({', '.join(finished)}); go on with it through "
            f"resume={run_dir}, delete it, or choose another folder with hydra.run.dir=FOLDER"
        )


def _leave_folder_of_hydra(run_dir: Path) -> None:
    """Move the log file to the run folder and delete what hydra made for this process elsewhere.

    Hydra makes a folder for every start, also when a run is resumed, for every process of one run,
    and for a run whose folder was taken; in the last case it is that of another run.
    """
    if not HydraConfig.initialized():
        return
    own = Path(HydraConfig.get().runtime.output_dir)
    if own.resolve() == run_dir.resolve() or not run_dir.is_dir():
        return
    is_shared = is_in_use(own)
    rank = processes().rank
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.FileHandler) and Path(handler.baseFilename).parent == own:
            name = Path(handler.baseFilename)
            handler.close()  # it opens the new file with the next line
            if not is_shared:
                name.unlink(missing_ok=True)
            suffix = f".{rank}" if rank > 0 else ""
            own_log = run_dir.resolve() / f"{name.name}{suffix}"
            remove_link(own_log)
            handler.baseFilename = str(own_log)
    if is_shared:
        return
    output_subdir = HydraConfig.get().output_subdir
    if output_subdir:
        shutil.rmtree(own / output_subdir, ignore_errors=True)
    if own.is_dir() and not any(own.iterdir()):
        own.rmdir()
