"""Processes, accelerators, cores and memory as the environment has them."""

import os
from pathlib import Path

import pytest
import torch

from monarch_core.training.devices import (
    Processes,
    choose_accelerator,
    describe_device,
    is_main_process,
    make_fabric,
    peak_memory_bytes,
    processes,
    reset_peak_memory,
    synchronize,
    usable_cores,
)

CPU = torch.device("cpu")


def test_a_plain_start_is_one_process():
    assert processes() == Processes(rank=0, n=1, n_local=1)
    assert is_main_process()


@pytest.mark.parametrize(
    "variables",
    [
        {"TORCHELASTIC_RUN_ID": "x", "RANK": "3", "WORLD_SIZE": "6", "LOCAL_WORLD_SIZE": "2"},
        {"SLURM_STEP_ID": "0", "SLURM_PROCID": "3", "SLURM_NTASKS": "6", "SLURM_NNODES": "3"},
    ],
    ids=["torchrun", "srun"],
)
def test_launchers_are_recognised(monkeypatch, variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert processes() == Processes(rank=3, n=6, n_local=2)
    assert not is_main_process()
    assert describe_device(CPU).startswith("6 x ")


def test_a_batch_job_that_starts_python_itself_is_one_process(monkeypatch):
    monkeypatch.setenv("SLURM_NTASKS", "4")
    assert processes().n == 1


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


def test_cores_are_shared_by_the_processes_of_a_node(monkeypatch):
    n = usable_cores()
    assert 1 <= n <= (os.cpu_count() or 1)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(12)), raising=False)
    monkeypatch.setattr("pathlib.Path.read_text", lambda _: "800000 100000")
    assert usable_cores() == 8
    monkeypatch.setattr("pathlib.Path.read_text", lambda _: "max 100000")
    assert usable_cores() == 12
    variables = {"TORCHELASTIC_RUN_ID": "x", "RANK": "0", "WORLD_SIZE": "5"}
    for name, value in {**variables, "LOCAL_WORLD_SIZE": "5"}.items():
        monkeypatch.setenv(name, value)
    assert usable_cores() == 2


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux resets the peak")
def test_peak_memory_starts_anew():
    synchronize(CPU)
    reset_peak_memory(CPU)
    start = peak_memory_bytes(CPU)
    big = torch.ones(25_000_000)
    assert 90e6 < peak_memory_bytes(CPU) - start < 200e6
    del big
    reset_peak_memory(CPU)
    assert peak_memory_bytes(CPU) - start < 50e6


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
