"""What this machine has, against what a config asks of it: memory, cores, instructions."""

import contextlib
import logging
import os
from pathlib import Path

import torch

from monarch_core.training.config import FitConfig

log = logging.getLogger(__name__)

# Control groups, version 2 and 1: how much memory a container may take.
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}  # as /proc/cpuinfo calls them, on x86 and on Arm
THREADS_PER_CORE, ALWAYS_ALLOWED = 8, 64


def memory_bytes() -> int:
    """Return the memory of this machine, or of its largest GPU if that has more.

    All of it is counted, used or not, so that the answer does not depend on the moment.
    """
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


def check_threads(config: FitConfig) -> None:
    """Raise ValueError for more threads or processes than this machine has any use for."""
    cores = os.cpu_count() or 1
    most = max(ALWAYS_ALLOWED, THREADS_PER_CORE * cores)
    for key, value in (("n_threads", config.n_threads), ("num_workers", config.num_workers)):
        if value is not None and value > most:
            raise ValueError(
                f"fit.{key} is {value}, but this machine has {cores} cores; use at most {most}, "
                "one for each core as a rule"
            )


def warn_of_slow_precision(config: FitConfig, accelerator: str) -> None:
    """Log a warning where bfloat16 is slow: on a processor without instructions for it.

    The times are those of a training step of this suite's networks against float32, on one core:
    with the instructions of a processor held back, and on one that lacks them.
    """
    if config.precision != "bf16-mixed" or accelerator != "cpu":
        return
    with contextlib.suppress(OSError):  # only Linux tells
        if _BFLOAT16.intersection(Path("/proc/cpuinfo").read_text().split()):
            return
        wide = torch.backends.cpu.get_cpu_capability() == "AVX512"
        log.warning(
            "fit.precision=bf16-mixed: this processor has no instructions for bfloat16, which made "
            "training %s times slower than float32 when measured; use fit.precision=32-true or a "
            "GPU",
            "1.4 to 2" if wide else "5 to 20",
        )
