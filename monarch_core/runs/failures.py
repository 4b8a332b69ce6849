"""How an entry script fails: one paragraph for the user, the whole story in `failure.txt`."""

import functools
import logging
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException
from hydra.types import RunMode
from omegaconf import DictConfig

from monarch_core.extras import MissingExtraError
from monarch_core.runs.folder import RunFolder
from monarch_core.runs.hydra_folder import clear_start, empty_logs, output_folder
from monarch_core.runs.lock import is_in_use, leave_all, occupied_folder
from monarch_core.runs.printable import paragraph
from monarch_core.runs.processes import is_main_process, processes, start_processes_as_usual
from monarch_core.runs.signals import StopSignalError, stop_signals_raise
from monarch_core.runs.typed import typed

log = logging.getLogger(__name__)

INTERRUPTED = 130  # what shells report for a program ended by Ctrl-C

Job = Callable[[DictConfig], Any]


class JobFailedError(CompactHydraException):
    """A job of a sweep failed; hydra goes on, prints this at the end and exits with 1."""


class AlreadyFinishedError(Exception):
    """The folder of a job holds the run that was asked for, with its results."""

    def __init__(self, run_dir: Path) -> None:
        super().__init__(f"{run_dir} holds this run, and it is finished: skipped")


def user_errors(job: Job) -> Job:
    """Turn errors that users can mend into one paragraph; to be put under `@hydra.main`.

    A job whose run is finished already says so in one line and counts as done.
    A ValueError or OSError inside the job, or an extra that is not installed, prints its message
    without a traceback. A single run then exits with 1; a sweep goes on with its next job and exits
    with 1 in the end. An interrupt says how to go on, ends a sweep too, and exits with 130; so do
    SIGTERM, with 143, and SIGHUP, with 129. Any other exception is a defect and passes through.
    Each of them leaves its traceback in `failure.txt` in the run folder (unless the run was
    finished before, or another process works there), and training that succeeds removes that file.
    A run that users have to mend before it has finished an epoch is none: its folder is removed, or
    in a sweep holds `refused.txt` instead until it starts again.
    With HYDRA_FULL_ERROR=1, or when hydra is not at work, everything passes through.
    """

    @functools.wraps(job)
    def guarded(raw: DictConfig) -> Any:
        here, logs = Path.cwd(), empty_logs(output_folder())
        start_processes_as_usual()
        with stop_signals_raise():
            try:
                result = job(raw)
            except AlreadyFinishedError as finished:
                log.info("%s", finished)
                return None
            except KeyboardInterrupt as interrupt:
                _record_failure(raw)
                by = f" by {interrupt.name}" if isinstance(interrupt, StopSignalError) else ""
                _tell(f"Interrupted{by}. {_how_to_go_on(raw)}")
                sys.exit(getattr(interrupt, "exit_code", INTERRUPTED))
            except (ValueError, OSError, MissingExtraError) as error:
                failure = _record_failure(raw, refused_logs=logs)
                if os.environ.get("HYDRA_FULL_ERROR") == "1" or not HydraConfig.initialized():
                    raise
                details = (
                    f"details: {failure}" if failure else "HYDRA_FULL_ERROR=1 shows the details"
                )
                message = f"{paragraph(error)} ({details})"
                _tell(f"Error: {message}")
                if HydraConfig.get().mode == RunMode.MULTIRUN:
                    raise JobFailedError(message) from None
                sys.exit(1)
            except Exception:
                _record_failure(raw)
                raise
            else:
                _forget_failure(raw)
                return result
            finally:
                leave_all()
                os.chdir(here)  # for the next job of a sweep

    return guarded


def run_folder(raw: DictConfig) -> Path | None:
    """Return the folder of a job: `resume`, `run` (to evaluate), that of hydra, or `run_dir`."""
    for key in ("resume", "run"):
        if raw.get(key):
            return Path(str(raw.get(key))).absolute()  # the job may change to another folder
    given = Path(str(raw.get("run_dir"))) if raw.get("run_dir") else None
    return output_folder() or given


def _own_folder(raw: DictConfig) -> RunFolder | None:
    """Return the folder that this job works in, or would have: never that of another process."""
    folder = occupied_folder() or run_folder(raw)
    if folder is None or not folder.is_dir() or is_in_use(folder):
        return None
    return RunFolder(folder)


def _record_failure(
    raw: DictConfig, *, refused_logs: Sequence[logging.FileHandler] | None = None
) -> Path | None:
    """Write the traceback of the current exception; never hide that exception by another.

    A run that was to begin and is refused leaves nothing; that of a sweep, which others look at, a
    file that makes no run of the folder. The run of another command is not marked as failed, nor is
    one that is only read, nor a folder that was taken for a run and is none.
    """
    if not is_main_process():
        return None
    output = output_folder()
    in_sweep = output is not None and HydraConfig.get().mode == RunMode.MULTIRUN
    if raw.get("resume") and output is not None:
        clear_start(output, logs=refused_logs or ())
    folder = _own_folder(raw)
    if folder is None or raw.get("run") or folder.path.resolve() == Path.cwd():
        return None
    story = traceback.format_exc()
    is_new = not (folder.has_begun or raw.get("resume"))
    if is_new and refused_logs is not None:
        clear_start(folder.path, logs=() if in_sweep else refused_logs)
        return folder.mark_refused(story) if in_sweep else None
    if is_new or occupied_folder() is not None:
        return folder.mark_failed(story)
    return folder.mark_refused(story) if in_sweep and not folder.is_finished else None


def _forget_failure(raw: DictConfig) -> None:
    """Remove the mark of an earlier failure; evaluating a run does not mend its training."""
    folder = _own_folder(raw)
    if folder is not None and is_main_process() and not raw.get("run"):
        folder.forget_failure()


def _how_to_go_on(raw: DictConfig) -> str:
    if raw.get("run"):
        return "The run is as it was; start the same command again."
    folder = _own_folder(raw)
    if folder is not None and folder.can_resume:
        return f"Finished epochs are kept; go on with {typed('resume', str(folder.path))}"
    return "No epoch was finished; start the same command again."


def _tell(paragraph: str) -> None:
    group = processes()
    prefix = f"[process {group.rank}] " if group.n > 1 else ""
    sys.stderr.write(f"{prefix}{paragraph}\n")
    sys.stderr.flush()
