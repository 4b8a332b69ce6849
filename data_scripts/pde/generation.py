"""What every PDE data script does around its own mathematics: folder, lock, restart."""

import contextlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import filelock
import numpy as np
import torch
from omegaconf import OmegaConf
from rich.console import Console

from data_scripts.resumable import (
    Arrays,
    Batch,
    compute_batches,
    finished_batches,
    friendly_disk_errors,
    read_batch,
    require_free_space,
)
from monarch_core.runs.machine import require_memory, usable_cores
from pde.config.dataset import DatasetConfig

# Every split has random numbers of its own: more training data leave the test set as it is.
SPLIT_KEYS = {"train": 0, "valid": 1, "test": 2}


def fill_folder(
    config: DatasetConfig,
    console: Console,
    *,
    simulate: Callable[[Batch], Arrays],
    assemble: Callable[[Path, Path], None],
    batch_size: int,
    n_workers: int | None,
    bytes_per_split: dict[str, int],
    description: str,
) -> Path:
    """Make a data set unless it is there, and return its folder.

    Args:
        config: of the data set.
        console: where progress is shown.
        simulate: computes one batch; picklable.
        assemble: given the folder with the finished batches, writes the data set into a second
            folder; `metadata.yaml` comes last and marks it complete.
        batch_size: samples computed together unless the config says otherwise.
        n_workers: processes unless the config says otherwise; None takes one per core.
        bytes_per_split: size of the arrays of each split.
        description: text in front of the progress bar.

    Raises:
        OSError: the disk is full or not writable, or a worker process was killed; finished
            batches are kept.
        ValueError: the configuration names a file to read, or the folder holds something else.
    """
    if config.path is not None:
        raise ValueError(f"path={config.path} is a file to read, not to generate; leave path away")
    folder, work = config.folder, config.unfinished_folder
    if not config.is_generated:
        _require_room(config, work, bytes_per_split)
    with friendly_disk_errors(folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
    with _only_process(folder, console):
        if config.is_generated:
            shutil.rmtree(work, ignore_errors=True)  # what a kill in the last clean-up left
            console.print(f"{folder} is there already")
            return folder
        shutil.rmtree(work / "dataset", ignore_errors=True)  # half of an earlier attempt
        compute_batches(
            simulate,
            work / "parts",
            config.split_sizes,
            batch_size=config.batch_size or batch_size,
            n_workers=n_workers or config.n_workers or usable_cores(),
            console=console,
            description=description,
        )
        with friendly_disk_errors(work):
            assemble(work / "parts", work / "dataset")
            (work / "dataset").replace(folder)
        shutil.rmtree(work, ignore_errors=True)
    console.print(f"{folder}: {sum(config.split_sizes.values())} samples")
    return folder


def require_working_memory(config: DatasetConfig, batch_size: int, n_points: int) -> None:
    """Refuse a solver whose state does not fit into memory.

    Args:
        config: of the data set; its own batch size takes the place of `batch_size`.
        batch_size: samples computed together unless the config says otherwise.
        n_points: points of the solver's grid, of which a Runge-Kutta step holds eight complex
            fields at least.

    Raises:
        ValueError: it does not fit.
    """
    n_together = min(config.batch_size or batch_size, max(config.split_sizes.values()))
    require_memory(
        {
            f"{n_together} samples on the {n_points} points of the solver": 128.0
            * n_together
            * n_points
        },
        "lower solver_grid or batch_size",
    )


def sample_keys(config: DatasetConfig, batch: Batch) -> list[tuple[int, int, int]]:
    """Return what names the random numbers of each sample of a batch."""
    key = SPLIT_KEYS[batch.split]
    return [(config.seed, key, number) for number in range(batch.start, batch.stop)]


def gather(
    parts: Path, name: str, splits: Sequence[str] = tuple(SPLIT_KEYS)
) -> Iterator[np.ndarray]:
    """Yield the array `name` of every finished batch, split by split, in order."""
    batches = finished_batches(parts)
    for split in splits:
        for batch in batches:
            if batch.split == split:
                yield read_batch(parts, batch, name)


def choose_device(device: str) -> torch.device:
    """Return the device for "auto", "cpu" or "cuda".

    Raises:
        ValueError: there is no GPU.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device=cuda, but torch finds no GPU; use device=cpu or device=auto")
    return torch.device(device)


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


def _require_room(config: DatasetConfig, work: Path, bytes_per_split: dict[str, int]) -> None:
    """Ask, before anything is written, for room for the missing parts and the set made of all.

    Raises:
        OSError: the disk is too small.
        ValueError: the folder to be made holds files of another origin.
    """
    # in this order: a data set that another process finishes meanwhile comes with its metadata
    if config.folder.is_dir() and any(config.folder.iterdir()) and not config.is_generated:
        raise ValueError(
            f"{config.folder} holds files but no metadata.yaml, so it is no finished data set; "
            "delete it, or choose another data_dir"
        )
    sizes = config.split_sizes
    done = finished_batches(work / "parts")
    n_done = {split: sum(b.stop - b.start for b in done if b.split == split) for split in sizes}
    parts = sum(bytes_per_split[split] * (1 - n_done[split] / n) for split, n in sizes.items())
    whole = sum(bytes_per_split.values())
    what = ", ".join(f"n_{split}={size}" for split, size in sizes.items())
    require_free_space(
        work, round(parts + whole), f"a data set of {what}, {whole / 1e9:.3g} GB in memory,"
    )


def write_metadata(
    dataset: Path, config: DatasetConfig, about: dict[str, Any], libraries: Sequence[ModuleType]
) -> None:
    """Write `metadata.yaml`, which marks a data set as complete.

    Args:
        dataset: folder of the data set.
        config: what was asked for; its recipe is recorded.
        about: what the data are: field, equation, units, grid, layout, source and so on.
        libraries: modules whose version may change the last digits.
    """
    metadata = {
        "name": config.name,
        **about,
        "seed": config.seed,
        "recipe": config.recipe,
        "versions": {library.__name__: str(library.__version__) for library in libraries},
    }
    OmegaConf.save(OmegaConf.create(metadata), dataset / "metadata.yaml")
