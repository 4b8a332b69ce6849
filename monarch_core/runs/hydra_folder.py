"""The folder that hydra makes for every start, whether a run stays in it or not."""

import contextlib
import logging
from collections.abc import Sequence
from pathlib import Path

from hydra.core.hydra_config import HydraConfig

from monarch_core.runs.files import remove_link
from monarch_core.runs.folder import RunFolder
from monarch_core.runs.lock import is_in_use, leave, occupied_folder
from monarch_core.runs.overrides import key_of
from monarch_core.runs.processes import processes

_OF_HYDRA = ("config.yaml", "hydra.yaml", "overrides.yaml")  # in its `output_subdir`


def output_folder() -> Path | None:
    """Return the folder that hydra made for this start; None when hydra is not at work."""
    is_at_work = HydraConfig.initialized()
    return Path(HydraConfig.get().runtime.output_dir) if is_at_work else None


def leave_folder_of_hydra(run_dir: Path) -> None:
    """Move the log file to the run folder and delete what hydra made for this process elsewhere.

    Hydra makes a folder for every start, also when a run is resumed, for every process of one run,
    and for a run whose folder was taken; in the last case it is that of another run.
    """
    own = output_folder()
    if own is None or own.resolve() == run_dir.resolve() or not run_dir.is_dir():
        return
    is_shared = is_in_use(own)
    rank = processes().rank
    for handler in _log_files(own):
        name = Path(handler.baseFilename)
        handler.close()  # it opens the new file with the next line
        if not is_shared and name.is_file() and name.stat().st_size == 0:
            name.unlink()  # what another start has written there stays
        suffix = f".{rank}" if rank > 0 else ""
        own_log = run_dir.resolve() / f"{name.name}{suffix}"
        remove_link(own_log)
        handler.baseFilename = str(own_log)
    if is_shared:
        return
    output_subdir = HydraConfig.get().output_subdir
    if output_subdir:
        for file in _OF_HYDRA:
            (own / output_subdir / file).unlink(missing_ok=True)
        _remove_empty(own / output_subdir)
    _remove_empty(own)
    _remove_empty_parents(own)


def empty_logs(run_dir: Path | None) -> list[logging.FileHandler]:
    """Return what writes log files into a folder that hold nothing yet."""
    logs = {} if run_dir is None else {log: Path(log.baseFilename) for log in _log_files(run_dir)}
    return [log for log, path in logs.items() if path.is_file() and path.stat().st_size == 0]


def clear_start(run_dir: Path, logs: Sequence[logging.FileHandler]) -> None:
    """Remove what a refused start has left in a folder, and the folder itself if it is empty then.

    What was there before stays: notes of a start that this process has not made, log files of
    others, a folder that another process or this one works in.

    Args:
        run_dir: where a new run was to be; it is left if this process occupies it.
        logs: write into files that this process has begun (`empty_logs` before the job).
    """
    folder = RunFolder(run_dir)
    is_taken = folder.has_begun or folder.failure.exists() or is_in_use(run_dir)
    if folder.path.resolve() == Path.cwd() or is_taken:
        return
    if occupied_folder() == folder.path.resolve():
        folder.forget_start()
    for handler in logs:
        if handler in _log_files(run_dir):
            handler.close()
            with contextlib.suppress(OSError):
                Path(handler.baseFilename).unlink(missing_ok=True)
    leave(run_dir)
    if output_folder() is not None:
        _remove_empty(run_dir)
        _remove_empty_parents(run_dir)


def folder_was_chosen() -> bool:
    """Tell whether the user named the folder, rather than hydra by the clock."""
    if not HydraConfig.initialized():
        return True
    keys = [key_of(str(item)) for item in HydraConfig.get().overrides.hydra]
    return bool({"hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir"} & set(keys))


def _remove_empty_parents(folder: Path) -> None:
    """Remove the folders above one of ours that have nothing in them, such as `runs/pde`."""
    start = Path(HydraConfig.get().runtime.cwd).resolve()
    if not folder_was_chosen():
        for parent in folder.resolve().parents:
            if start not in parent.parents or not _remove_empty(parent):
                break


def _remove_empty(folder: Path) -> bool:
    """Remove a folder if there is nothing in it; return whether it is gone."""
    with contextlib.suppress(OSError):
        folder.rmdir()
    return not folder.exists()


def _log_files(folder: Path) -> list[logging.FileHandler]:
    """Return what writes log files into a folder."""
    return [
        handler
        for handler in logging.getLogger().handlers
        if isinstance(handler, logging.FileHandler)
        and Path(handler.baseFilename).parent.resolve() == folder.resolve()
    ]
