"""One run at a time works in a run folder; what holds it is gone when its process is."""

import contextlib
import errno
import fcntl
import os
import platform
from collections.abc import Iterator
from pathlib import Path

from monarch_core.runs.files import remove_leftovers, remove_link
from monarch_core.runs.folder import RunFolder
from monarch_core.runs.processes import is_main_process

_TAKEN = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)

# Folders that this process works in, and what keeps them locked; None where nothing can.
_held: dict[Path, int | None] = {}


class FolderInUseError(ValueError):
    """Another process works in the folder."""


def occupy(run_dir: Path) -> bool:
    """Keep other processes from working in a folder until `leave`, or the end of this process.

    The lock is the kernel's (flock), on a file that says who holds it. Of the processes of one run
    only the first takes it. Where nothing can be written, or the file system has no locks, there
    is none. Whoever gets it removes the temporary files that a killed process left.

    Returns:
        False when this process worked there already.

    Raises:
        FolderInUseError: another process works there.
    """
    folder = run_dir.resolve()
    if folder in _held or not is_main_process():
        return False
    descriptor = _held[folder] = _lock(folder)
    if descriptor is not None:
        remove_leftovers(folder)
    return True


def leave(run_dir: Path) -> None:
    """Let others work in a folder, if this process does."""
    folder = run_dir.resolve()
    if folder in _held:
        _unlock(folder, _held.pop(folder))


def leave_all() -> None:
    """Let others work in every folder that this process occupies."""
    for folder in list(_held):
        leave(folder)


def occupied_folder() -> Path | None:
    """Return the folder that this process occupied last, if there is one."""
    return next(reversed(_held), None)


def is_in_use(run_dir: Path) -> bool:
    """Tell whether another process works in a folder."""
    folder = run_dir.resolve()
    if folder in _held:
        return False
    try:
        descriptor = _lock(folder)
    except FolderInUseError:
        return True
    _unlock(folder, descriptor)
    return False


@contextlib.contextmanager
def occupied(run_dir: Path) -> Iterator[None]:
    """Occupy a folder for as long as the block lasts, or longer if this process did before."""
    is_new = occupy(run_dir)
    try:
        yield
    finally:
        if is_new:
            leave(run_dir)


def _lock(folder: Path) -> int | None:
    """Return the descriptor of the locked file, or None where there can be no lock."""
    path = RunFolder(folder).lock
    remove_link(path)
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        except OSError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno not in _TAKEN:
                return None
            raise FolderInUseError(
                f"{folder} is in use by {_holder(path)}; wait until it has ended, or choose "
                "another folder (a new run: hydra.run.dir=FOLDER)"
            ) from error
        if os.fstat(descriptor).st_nlink > 0:
            break
        os.close(descriptor)  # whoever left the folder took the file away in between
    with contextlib.suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"process {os.getpid()} on {platform.node()}".encode())
    return descriptor


def _unlock(folder: Path, descriptor: int | None) -> None:
    if descriptor is None:
        return
    with contextlib.suppress(OSError):
        RunFolder(folder).lock.unlink()
    os.close(descriptor)


def _holder(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text(errors="replace")[:80].strip() or "another process"
    return "another process"


def _forget() -> None:
    """Leave the locks to the parent: a forked worker that outlives it must not hold them."""
    for descriptor in _held.values():
        if descriptor is not None:
            os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_forget)
