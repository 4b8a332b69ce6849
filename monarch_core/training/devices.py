"""The devices of a run: which take part, how many threads, what they are called and cost."""

import contextlib
import os
import platform
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import (
    ClusterEnvironment,
    LightningEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)

from monarch_core.runs.machine import give_back_freed_memory
from monarch_core.runs.processes import processes
from monarch_core.training.config import FitConfig

_BFLOAT16 = ("avx512_bf16", "amx_bf16", "bf16")  # the instructions, two of x86 and that of Arm
THREADS_PER_CORE, ALWAYS_ALLOWED = 8, 64


def choose_accelerator(name: str) -> str:
    """Return "cpu", "cuda" or "mps" for a value of `FitConfig.accelerator`.

    "auto" never takes "mps", which lacks parts of the complex arithmetic of Fourier layers.

    Raises:
        ValueError: the accelerator is not there.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    available = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if not available[name]:
        raise ValueError(
            f"fit.accelerator={name} was asked for, but this machine (or this build of torch) has "
            "none; use fit.accelerator=auto or cpu."
        )
    return name


def make_fabric(config: FitConfig) -> Fabric:
    """Join the processes of the run and choose their devices.

    Raises:
        ValueError: several devices are asked for without a launcher, or there are too few.
    """
    accelerator = choose_accelerator(config.accelerator)
    group = processes()
    if config.devices > 1 and group.n == 1:
        raise ValueError(
            f"fit.devices={config.devices} needs one process per device; start the script with "
            f"torchrun --nproc-per-node={config.devices} in place of python."
        )
    if accelerator == "cuda" and group.n_local > torch.cuda.device_count():
        raise ValueError(
            f"{group.n_local} processes were started on this node, which has "
            f"{torch.cuda.device_count()} GPUs; start as many processes as GPUs, or use "
            "fit.accelerator=cpu."
        )
    fabric = Fabric(
        accelerator=accelerator,
        strategy="ddp" if group.n > 1 else "auto",
        devices=group.n_local,
        num_nodes=group.n // group.n_local,
        plugins=_environment(),  # named, since Fabric takes any Slurm allocation for its own
    )
    fabric.launch()
    return fabric


def _environment() -> ClusterEnvironment:
    if processes().n == 1:
        return LightningEnvironment()
    is_torchrun = "TORCHELASTIC_RUN_ID" in os.environ
    return TorchElasticEnvironment() if is_torchrun else SLURMEnvironment()


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


def slow_precision(config: FitConfig) -> str | None:
    """Return what is wrong with bfloat16 on a processor without instructions for it, else None.

    The times are those of a training step of this suite's networks against float32, on one core:
    with the instructions of a processor held back, and on one that lacks them.

    Raises:
        ValueError: the accelerator is not there.
    """
    if config.precision != "bf16-mixed" or choose_accelerator(config.accelerator) != "cpu":
        return None
    has = torch.cpu.get_capabilities()
    if any(has.get(instructions, False) for instructions in _BFLOAT16):
        return None
    return (
        "fit.precision=bf16-mixed: training would be on a processor without instructions for "
        "bfloat16, where it was 1.4 to 2 times slower than in float32 with AVX-512 and 5 to 20 "
        "times with AVX2; use fit.precision=32-true, or a GPU"
    )


def describe_device(device: torch.device) -> str:
    """Return the name of the hardware, as in "2 x NVIDIA H200" or "AMD EPYC 7B12 (2 threads)"."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    elif device.type == "cpu":
        name = f"{_cpu_name()} ({torch.get_num_threads()} threads)"
    else:
        name = device.type
    n = processes().n
    return f"{n} x {name}" if n > 1 else name


def synchronize(device: torch.device) -> None:
    """Wait until everything queued on the device is done, so that a clock can be read."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def reset_peak_memory(device: torch.device) -> None:
    """Start a new measurement, so that runs in one process (a sweep) do not share a peak.

    On Linux the kernel resets the high-water mark of resident memory when asked; elsewhere the
    peak stays that of the process. Memory that was freed and kept is given back first.
    """
    give_back_freed_memory()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory_bytes(device: torch.device) -> int:
    """Return the peak since the last reset: allocated on a GPU, resident in the process on a CPU.

    The CPU figure holds everything in the process, libraries and data included.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # kilobytes except on macOS


def _cpu_name() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


@contextlib.contextmanager
def tf32_products(*, allowed: bool) -> Iterator[None]:
    """Say whether float32 matrix products may be rounded to TF32, where a device has it."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if allowed else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
