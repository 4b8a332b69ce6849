"""Accelerators, threads, names and memory of devices, as the environment has them."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from monarch_core.training.config import FitConfig
from monarch_core.training.devices import (
    check_threads,
    choose_accelerator,
    describe_device,
    make_fabric,
    peak_memory_bytes,
    reset_peak_memory,
    slow_precision,
    synchronize,
)

CPU = torch.device("cpu")


def test_a_device_of_several_processes_is_counted(monkeypatch):
    for name, value in {"RANK": "3", "WORLD_SIZE": "6", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    assert describe_device(CPU).startswith("6 x ")


def test_missing_accelerators_are_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_accelerator("auto") == "cpu"
    with pytest.raises(ValueError, match=r"fit\.accelerator=cuda was asked for, but this"):
        choose_accelerator("cuda")


def test_several_devices_need_a_launcher(fit_config):
    with pytest.raises(ValueError, match="torchrun --nproc-per-node=3"):
        make_fabric(fit_config(devices=3))


def test_more_processes_than_gpus_are_refused(monkeypatch, fit_config):
    variables = {"TORCHELASTIC_RUN_ID": "x", "RANK": "0", "WORLD_SIZE": "2"}
    for name, value in {**variables, "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ValueError, match=r"2 processes .* which has 1 GPUs"):
        make_fabric(fit_config(accelerator="cuda"))


@pytest.mark.parametrize("n", [1, 3, 64])
def test_threads_of_any_sound_number_are_taken(monkeypatch, n):
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    check_threads(FitConfig(n_threads=n, num_workers=n))
    check_threads(FitConfig(n_threads=None))


@pytest.mark.parametrize(
    ("instructions", "slow"),
    [
        ({"avx2": True}, True),
        ({"avx2": True, "avx512_f": True, "avx512_bf16": False, "amx_bf16": False}, True),
        ({"neon": True, "bf16": False}, True),
        ({"avx512_f": True, "avx512_bf16": True}, False),
        ({"avx512_f": True, "avx512_bf16": False, "amx_bf16": True}, False),
        ({"neon": True, "bf16": True}, False),
    ],
)
def test_bfloat16_is_slow_without_its_instructions(monkeypatch, instructions, slow):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: instructions)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for accelerator in ("cpu", "auto"):
        said = slow_precision(FitConfig(precision="bf16-mixed", accelerator=accelerator))
        assert (said is not None) == slow
    assert slow_precision(FitConfig(precision="32-true")) is None
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert slow_precision(FitConfig(precision="bf16-mixed")) is None


@pytest.mark.skipif(
    platform.machine() != "x86_64" or sys.platform != "linux", reason="Linux lists them on x86"
)
def test_torch_knows_the_instructions_that_linux_lists():
    flags = Path("/proc/cpuinfo").read_text().split()
    for name in ("avx2", "avx512_bf16", "amx_bf16"):
        assert torch.cpu.get_capabilities()[name] == (name in flags)


PEAKS = """
import sys
import torch
from monarch_core.runs.machine import keep_freed_memory
from monarch_core.training.devices import peak_memory_bytes, reset_peak_memory

def peak(n):
    reset_peak_memory(cpu)
    torch.ones(n)
    return peak_memory_bytes(cpu)

cpu = torch.device("cpu")
if sys.argv[1] == "kept":
    keep_freed_memory()
print(peak(1), peak(75_000_000), peak(25_000_000), peak(1))
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux resets the peak")
@pytest.mark.parametrize("freed_memory", ["given_back", "kept"])
def test_peak_memory_starts_anew(freed_memory):
    command = [sys.executable, "-c", PEAKS, freed_memory]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    start, *peaks = [int(word) for word in done.stdout.split()]
    assert [peak - start for peak in peaks] == pytest.approx([300e6, 100e6, 0], abs=20e6)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_peak_memory_of_a_gpu_counts_allocations():
    device = torch.device("cuda:0")
    reset_peak_memory(device)
    start = peak_memory_bytes(device)
    torch.ones(25_000_000, device=device)
    assert peak_memory_bytes(device) - start == pytest.approx(100e6, rel=0.01)
    synchronize(device)
    assert describe_device(device) == torch.cuda.get_device_name(device)
