"""What this machine has: memory and cores, as far as this process may use and keep them."""

import contextlib
import ctypes
import os
from collections.abc import Callable
from pathlib import Path

from monarch_core.runs.processes import processes

# Control groups, version 2 and 1: how much memory a container may take.
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")

# mallopt(3): freed memory of the heap stays with the process, the heap grows by so much at a time,
# and blocks below a size come from it.
_TRIM, _TOP, _MMAP = (-1, 2**31 - 1), (-2, 2**28), (-3, 2**30)
_MMAP_BEFORE = (-3, 2**25)  # what older versions take at most
# The variables by which a user says the same.
_MALLOC = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")


def keep_freed_memory() -> None:
    """Let the C library of Linux, glibc, keep what is freed for the next array.

    By default it gives large blocks back, and each step of a training pays with a page fault for
    every page of them that it asks for again. Nothing changes where the environment has
    settings of `malloc`, or another C library is at work.
    """
    mallopt = _from_c_library("mallopt")
    if mallopt is None or any(name in os.environ for name in _MALLOC):
        return
    if mallopt(*_MMAP) or mallopt(*_MMAP_BEFORE):  # else the other two would freeze it at 128 KiB
        mallopt(*_TRIM)
        mallopt(*_TOP)


def give_back_freed_memory() -> None:
    """Let glibc give back what it has kept, so that resident memory is what is in use."""
    if trim := _from_c_library("malloc_trim"):
        trim(0)


def _from_c_library(name: str) -> Callable[..., int] | None:
    return getattr(ctypes.CDLL(None), name, None) if os.name == "posix" else None


def usable_cores() -> int:
    """Return the cores this process may use: affinity, container quota and sharing respected."""
    n_cores = float(os.cpu_count() or 1)
    if hasattr(os, "sched_getaffinity"):
        n_cores = len(os.sched_getaffinity(0))
    with contextlib.suppress(OSError, ValueError):  # control groups exist on Linux only
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        n_cores = min(n_cores, int(quota) / int(period))
    return max(1, int(n_cores) // processes().n_local)


def memory_bytes() -> int:
    """Return the memory of this machine, or of its largest GPU if that has more.

    All of it is counted, used or not, so that the answer does not depend on the moment.
    """
    import torch  # of `runs`, only this needs it, and only who computes asks

    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in _LIMITS:
        with contextlib.suppress(OSError, ValueError):  # "max" is no limit
            total = min(total, int(Path(path).read_text()))
    gpus = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
    return max([total, *(gpu.total_memory for gpu in gpus)])


def require_memory(needed: dict[str, float], remedy: str) -> None:
    """Raise ValueError when something needs more memory than there is.

    Args:
        needed: bytes that each thing needs at the least, by what it is.
        remedy: what the user may do.
    """
    what = max(needed, key=lambda name: needed[name])
    total = memory_bytes()
    if needed[what] > total:
        raise ValueError(
            f"{what} need at least {needed[what] / 1e9:.3g} GB, and this machine has "
            f"{total / 1e9:.3g} GB of memory; {remedy}"
        )
