"""The folder that hydra makes for every start, whether a run stays in it or not."""

import contextlib
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

from hydra.core.hydra_config import HydraConfig

from monarch_core.runs.files import remove_link
from monarch_core.runs.folder import RunFolder
from monarch_core.runs.lock import is_in_use, leave, occupied_folder
from monarch_core.runs.processes import processes


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
        with contextlib.suppress(OSError):  # there is more in it
            run_dir.rmdir()


def _log_files(folder: Path) -> list[logging.FileHandler]:
    """Return what writes log files into a folder."""
    return [
        handler
        for handler in logging.getLogger().handlers
        if isinstance(handler, logging.FileHandler)
        and Path(handler.baseFilename).parent.resolve() == folder.resolve()
    ]
