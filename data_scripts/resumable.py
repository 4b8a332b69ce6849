"""Work that is done in batches, by several processes, and survives being killed.

Every finished batch is one file, written under another name and renamed, so that a file that
exists is complete. Running the same work again computes only what no file holds.
"""

import contextlib
import errno
import multiprocessing
import os
import re
import shutil
import signal
import threading
import zipfile
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

Arrays = dict[str, np.ndarray]
Job = TypeVar("Job")
Result = TypeVar("Result")


@dataclass(frozen=True, order=True)
class Batch:
    """Items `start` to `stop` - 1 of a split."""

    split: str
    start: int
    stop: int

    @property
    def file_name(self) -> str:
        """Name of the file that holds the result."""
        return f"{self.split}_{self.start:06d}_{self.stop:06d}.npz"

    @classmethod
    def from_file_name(cls, name: str) -> "Batch | None":
        """Return the batch a file holds, or None if it is no such file."""
        match = re.fullmatch(r"(\w+)_(\d{6,})_(\d{6,})\.npz", name)
        return cls(match[1], int(match[2]), int(match[3])) if match else None


def finished_batches(folder: Path) -> list[Batch]:
    """Return what is done already, in order; half-written files do not count."""
    names = [path.name for path in folder.glob("*.npz")]
    return sorted(batch for name in names if (batch := Batch.from_file_name(name)) is not None)


def missing_batches(folder: Path, sizes: dict[str, int], batch_size: int) -> list[Batch]:
    """Return batches of at most `batch_size` that cover every item no file in `folder` holds."""
    done = finished_batches(folder)
    missing = []
    for split, size in sizes.items():
        start = 0
        taken = [(batch.start, batch.stop) for batch in done if batch.split == split]
        for begin, end in [*taken, (size, size)]:
            missing += [
                Batch(split, i, min(i + batch_size, begin)) for i in range(start, begin, batch_size)
            ]
            start = end
    return missing


def compute_batches(
    compute: Callable[[Batch], Arrays],
    folder: Path,
    sizes: dict[str, int],
    *,
    batch_size: int,
    n_workers: int,
    console: Console,
    description: str,
) -> None:
    """Fill `folder` with the result of every batch not there yet, showing progress and ETA.

    Args:
        compute: returns named arrays, one entry per item along their first axis; with more than
            one worker it must be picklable.
        folder: where the files go; made if missing.
        sizes: number of items in each split.
        batch_size: items computed together.
        n_workers: processes, each with one thread; 1 computes in this process.
        console: where the progress bar is drawn.
        description: text in front of the bar.

    Raises:
        OSError: a file cannot be written, or a worker process was killed; the batches finished
            before are kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    todo = missing_batches(folder, sizes, batch_size)
    n_items, n_left = sum(sizes.values()), sum(batch.stop - batch.start for batch in todo)
    if n_left < n_items:
        console.print(f"{n_items - n_left} of {n_items} trajectories are there already")
    if not todo:
        return
    with progress_bar(console) as progress:
        bar = progress.add_task(description, total=n_items, completed=n_items - n_left)
        with contextlib.closing(run_jobs(compute, todo, n_workers)) as results:
            for batch, arrays in results:
                with friendly_disk_errors(folder):
                    _write_atomically(folder / batch.file_name, arrays)
                progress.advance(bar, batch.stop - batch.start)


def run_jobs(
    work: Callable[[Job], Result], jobs: Sequence[Job], n_workers: int
) -> Generator[tuple[Job, Result]]:
    """Yield jobs with what came of them, as they are finished.

    Args:
        work: does one job; with more than one worker it must be picklable.
        jobs: what there is to do.
        n_workers: processes, each with one thread; 1 works in this process.

    Raises:
        OSError: a worker process was killed.
    """
    if min(n_workers, len(jobs)) <= 1:
        for job in jobs:
            yield job, work(job)
        return
    pool = ProcessPoolExecutor(
        min(n_workers, len(jobs)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
    )
    try:
        futures: dict[Future[Result], Job] = {pool.submit(work, job): job for job in jobs}
        for future in as_completed(list(futures)):
            yield futures.pop(future), future.result()
    except BrokenProcessPool as error:
        raise ChildProcessError(
            "a worker process was killed, most likely for want of memory; use fewer n_workers, or "
            "a smaller batch_size where there is one. What is finished is kept"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def progress_console() -> Console:
    """Return the console of progress and notes: standard error, without markup."""
    return Console(stderr=True, markup=False, highlight=False, soft_wrap=True)


def progress_bar(console: Console) -> Progress:
    """Return a progress bar that counts, with the time that has passed and what is left."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
        console=console,
    )


def _start_worker() -> None:
    """Use one thread, leave Ctrl-C to the parent, and end when the parent does."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def end_with_parent() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()


def _write_atomically(path: Path, arrays: Arrays) -> None:
    unfinished = path.with_name(f"{path.name}.unfinished")
    try:
        with unfinished.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def read_batch(folder: Path, batch: Batch, name: str) -> np.ndarray:
    """Return the array `name` of a finished batch; raises ValueError if its file is damaged."""
    path = folder / batch.file_name
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            return file[name]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} is damaged ({error}); delete it and run the same command again"
        ) from error


def require_free_space(folder: Path, n_bytes: int, what: str) -> None:
    """Raise OSError if the disk that holds `folder`, or is to hold it, has fewer bytes left."""
    there = next(place for place in (folder, *folder.absolute().parents) if place.is_dir())
    free = shutil.disk_usage(there).free
    if free < n_bytes:
        raise OSError(
            errno.ENOSPC,
            f"{what} needs {n_bytes / 1e9:.3g} GB on disk, but that of {folder} has "
            f"{free / 1e9:.3g} GB left; free some space, choose another data_dir or fewer samples. "
            "Finished batches are kept",
        )


@contextlib.contextmanager
def friendly_disk_errors(folder: Path) -> Iterator[None]:
    """Turn a failed write below `folder` into an OSError that says what to do."""
    try:
        yield
    except (OSError, RuntimeError) as error:  # h5py reports some failed writes as RuntimeError
        code = getattr(error, "errno", None) or errno.EIO
        raise OSError(
            code,
            f"cannot write below {folder}: {error}. Free some space or choose another data_dir, "
            "then run the same command again: finished batches are kept",
        ) from error
