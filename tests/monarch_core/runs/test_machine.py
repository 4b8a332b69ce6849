"""What a machine cannot hold is refused with the numbers, and its cores are shared out."""

import os
from pathlib import Path

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
