"""Machines that the kernel is compiled for; what is compiled is kept and linked anew."""

import hashlib
import platform
import shutil
from pathlib import Path

import pytest
import torch

from monarch_core.layers.kernel import build
from monarch_core.layers.kernel.operator import available


@pytest.fixture(scope="session")
def _objects(tmp_path_factory):
    return tmp_path_factory.mktemp("objects")


@pytest.fixture(autouse=True)
def _keep_what_is_compiled(_objects, monkeypatch):
    compile_or_link = build._output

    def output(command):
        if "-c" not in command:
            return compile_or_link(command)
        *words, out = command
        paths = (build.KERNEL.source, *build.KERNEL.headers, build.OPERATOR.source)
        content = [path.read_bytes() for path in paths]
        kept = _objects / hashlib.sha256(repr((words, content)).encode()).hexdigest()
        said = "" if kept.exists() else compile_or_link(command)
        shutil.copy(*((kept, out) if kept.exists() else (out, kept)))
        return said

    monkeypatch.setattr(build, "_output", output)


@pytest.fixture(scope="session")
def cache_home(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def clean_cache(cache_home, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))
    build.kernel_library.cache_clear()
    yield
    build.kernel_library.cache_clear()


@pytest.fixture(params=["native", "haswell"])
def machine(request, monkeypatch, clean_cache):
    """Compile for this machine, and for one with vectors of eight numbers where it is one too."""
    if request.param == "haswell":
        if platform.machine() != "x86_64" or "avx2" not in _cpu_flags():
            pytest.skip("no AVX2")
        flags = tuple(flag.replace("native", "haswell") for flag in build.KERNEL.flags)
        monkeypatch.setattr(build, "KERNEL", build.KERNEL._replace(flags=flags))
    assert available(torch.zeros(1, 1, 2, 2))


def _cpu_flags():
    return Path("/proc/cpuinfo").read_text()
