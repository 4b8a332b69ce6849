"""What a machine cannot hold or use is refused with the numbers; what it can is not."""

import logging
from pathlib import Path

import pytest
import torch

from monarch_core.training.config import FitConfig
from monarch_core.training.machine import (
    check_threads,
    memory_bytes,
    require_memory,
    warn_of_slow_precision,
)

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


@pytest.mark.parametrize("n", [1, 3, 64])
def test_threads_of_any_sound_number_are_taken(monkeypatch, n):
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    check_threads(FitConfig(n_threads=n, num_workers=n))
    check_threads(FitConfig(n_threads=None))


@pytest.mark.parametrize(
    ("flags", "capability", "precision", "accelerator", "says"),
    [
        ("fpu avx2", "AVX2", "bf16-mixed", "cpu", "5 to 20 times"),
        ("fpu avx2 avx512f", "AVX512", "bf16-mixed", "cpu", "1.4 to 2 times"),
        ("fpu avx512f avx512_bf16", "AVX512", "bf16-mixed", "cpu", None),
        ("fpu avx512f amx_bf16", "AVX512", "bf16-mixed", "cpu", None),
        ("asimd bf16", "DEFAULT", "bf16-mixed", "cpu", None),
        ("fpu avx2", "AVX2", "bf16-mixed", "cuda", None),
        ("fpu avx2", "AVX2", "32-true", "cpu", None),
    ],
)
def test_slow_bfloat16_is_said(
    monkeypatch, caplog, flags, capability, precision, accelerator, says
):
    pretend(monkeypatch, {"/proc/cpuinfo": f"model name : x\nflags : {flags}\n"})
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    with caplog.at_level(logging.WARNING):
        warn_of_slow_precision(FitConfig(precision=precision), accelerator)
    if says is None:
        assert not caplog.records
    else:
        assert says in caplog.text
        assert "fit.precision=32-true" in caplog.text
