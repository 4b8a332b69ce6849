"""What a machine cannot hold is refused with the numbers, and its cores are shared out."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from monarch_core.runs.machine import memory_bytes, require_memory, usable_cores

READ = Path.read_text


def pretend(monkeypatch, files):
    """Let some files hold what they hold on another machine."""

    def read_text(path, *args, **kwargs):
        return files[str(path)] if str(path) in files else READ(path, *args, **kwargs)

    monkeypatch.setattr(Path, "read_text", read_text)


def test_memory_is_that_of_the_container(monkeypatch):
    total = memory_bytes()
    assert total > 2**28
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    pretend(monkeypatch, {"/sys/fs/cgroup/memory.max": "1000000000\n"})
    assert memory_bytes() == 1e9
    pretend(monkeypatch, {"/sys/fs/cgroup/memory.max": "max\n"})
    assert memory_bytes() >= total
    require_memory({"what fits": 0.5 * total}, "")


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


FAULTS = """
import resource
import torch
from monarch_core.runs.machine import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        torch.ones(2**24)  # 64 MiB: glibc gives so much back, whatever was freed before
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

by_default = faults()
keep_freed_memory()
print(by_default, min(faults() for _ in range(6)))  # the heap has found its size by then
"""


@pytest.mark.skipif(os.uname().sysname != "Linux", reason="of the C library of Linux")
def test_memory_that_is_freed_is_not_asked_for_again():
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_"))}

    def counted(**more):
        command = [sys.executable, "-c", FAULTS]
        done = subprocess.run(
            command, env={**environment, **more}, capture_output=True, text=True, check=True
        )
        return [int(word) for word in done.stdout.split()]

    by_default, kept = counted()
    assert kept < 0.1 * by_default
    _, as_said = counted(MALLOC_MMAP_THRESHOLD_="100000")
    assert as_said > 0.9 * by_default
