"""The kernel is compiled once, and nothing is loaded that another user can have written."""

import hashlib
import multiprocessing
import os
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from monarch_core import MonarchSpectralConv
from monarch_core.layers.kernel import build
from monarch_core.layers.kernel.operator import available, switched_off

COMPILER = shutil.which("c++") or shutil.which("g++")
needs_compiler = pytest.mark.skipif(
    COMPILER is None or sys.platform != "linux", reason="no C++ compiler on Linux"
)
NOTHING = """
extern "C" int lanes() { return 16; }
"""
PLANTED = f"""{NOTHING}
#include <cstdio>
__attribute__((constructor)) static void run() {{ fclose(fopen("MARKER", "w")); }}
"""


@pytest.fixture
def real_home(tmp_path, monkeypatch):
    """An own home, without a kernel, and nothing loaded yet."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for variable in ("XDG_CACHE_HOME", "MONARCH_FUSED", "CXX"):
        monkeypatch.delenv(variable, raising=False)
    build.kernel_library.cache_clear()
    yield home
    build.kernel_library.cache_clear()


@pytest.fixture
def home(real_home, tmp_path, monkeypatch):
    """An own home, with a kernel that is compiled in no time and does nothing."""
    source = tmp_path / "fused.cpp"
    source.write_text(NOTHING)
    monkeypatch.setattr(build, "KERNEL", build.KERNEL._replace(source=source))
    return real_home


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """A library that leaves a marker when it is loaded, and whether it has."""
    folder = tmp_path_factory.mktemp("planted")
    marker, source = folder / "marker", folder / "planted.cpp"
    source.write_text(PLANTED.replace("MARKER", str(marker)))
    library = folder / "planted.so"
    subprocess.run([COMPILER, "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    return library.read_bytes(), marker


def load_anew():
    build.kernel_library.cache_clear()
    return build.kernel_library()


def cache_folder(home):
    return home / ".cache" / "monarch_core"


def plant(folder, planted, name=None):
    """Put the planted library where the kernel of this machine would be looked for."""
    library, marker = planted
    marker.unlink(missing_ok=True)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    compiler = [os.environ.get("CXX") or shutil.which("g++")]
    digest = hashlib.sha256(library).hexdigest()[:16]
    file = folder / f"{build._kind(build.KERNEL, compiler)}-{digest}.so"
    file.write_bytes(library)
    file.chmod(0o700)
    return file


def computes_what_torch_computes():
    torch.manual_seed(0)
    layer, x = MonarchSpectralConv(2, 3, (4, 4), grid=(8, 10)), torch.randn(2, 2, 8, 10)
    with switched_off():
        expected = layer(x)
    torch.testing.assert_close(layer(x), expected)
    return available(x)


def linked(home, folder, file):
    folder.rename(home / "elsewhere")
    folder.symlink_to(home / "elsewhere")


def linked_file(home, folder, file):
    file.rename(home / file.name)
    file.symlink_to(home / file.name)


def owned_by_another(home, folder, file):
    os.chown(folder, 12345, -1)


def file_of_another(home, folder, file):
    os.chown(file, 12345, -1)


DOORS = {
    "folder writable by all": lambda home, folder, file: folder.chmod(0o777),
    "folder writable by all, sticky": lambda home, folder, file: folder.chmod(0o1777),
    "folder writable by a group": lambda home, folder, file: folder.chmod(0o770),
    "folder is a symbolic link": linked,
    "folder of another user": owned_by_another,
    "file writable by all": lambda home, folder, file: file.chmod(0o777),
    "file is a symbolic link": linked_file,
    "file of another user": file_of_another,
    "file is not what its name says": lambda home, folder, file: file.write_bytes(
        file.read_bytes() + b"\0"
    ),
}


@needs_compiler
@pytest.mark.parametrize("door", DOORS)
def test_what_others_can_have_planted_is_not_loaded(door, home, planted, caplog):
    if "another user" in door and os.geteuid() != 0:
        pytest.skip("only root gives files away")
    file = plant(cache_folder(home), planted)
    DOORS[door](home, cache_folder(home), file)
    assert load_anew() is not None
    assert not planted[1].exists()
    said = [message for message in caplog.messages if "compiled anew in every process" in message]
    assert len(said) == ("folder" in door)
    assert all("\n" not in message and "XDG_CACHE_HOME" in message for message in said)


@needs_compiler
def test_a_planted_library_would_run(home, planted):
    # Else the test above could not fail: in a folder and a file of the user's own, it is loaded.
    plant(cache_folder(home), planted)
    load_anew()
    assert planted[1].exists()


@needs_compiler
def test_the_folder_of_another_user_is_left_alone(home, monkeypatch, caplog):
    assert load_anew() is not None
    before = sorted(cache_folder(home).iterdir())
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert load_anew() is not None
    assert "belongs to another user" in caplog.text
    assert sorted(cache_folder(home).iterdir()) == before


@needs_compiler
def test_it_is_compiled_once_and_kept_for_the_user_alone(real_home, monkeypatch):
    home = real_home
    assert load_anew() is not None
    assert stat.S_IMODE(cache_folder(home).stat().st_mode) == 0o700
    [library] = cache_folder(home).iterdir()
    assert stat.S_IMODE(library.stat().st_mode) & 0o077 == 0
    monkeypatch.setattr(build, "_compile", None)
    assert load_anew() is not None
    assert computes_what_torch_computes()
    assert list(cache_folder(home).iterdir()) == [library]


@needs_compiler
def test_a_cache_home_may_be_a_link_to_where_there_is_room(home, tmp_path):
    (tmp_path / "scratch").mkdir()
    (home / ".cache").symlink_to(tmp_path / "scratch")
    assert load_anew() is not None
    assert len(list((tmp_path / "scratch" / "monarch_core").iterdir())) == 1


@needs_compiler
@pytest.mark.parametrize("value", ["relative", ""])
def test_a_relative_cache_home_is_none(value, home, monkeypatch):
    monkeypatch.chdir(home)
    monkeypatch.setenv("XDG_CACHE_HOME", value)
    assert load_anew() is not None
    assert [path.name for path in home.iterdir()] == [".cache"]


def refuse_to(action):
    def refused(*_, **__):
        raise PermissionError(13, f"Permission denied: {action}")

    return refused


@needs_compiler
def test_where_no_folder_can_be_made_it_is_compiled_for_the_process(real_home, monkeypatch, caplog):
    home = real_home
    with monkeypatch.context() as patched:
        patched.setattr(Path, "mkdir", refuse_to("mkdir"))
        assert load_anew() is not None
        assert build.kernel_library() is not None
    assert computes_what_torch_computes()
    assert not list(home.iterdir())
    assert caplog.text.count("compiled anew in every process") == 1


@needs_compiler
def test_where_nothing_can_be_written_it_is_compiled_for_the_process(home, monkeypatch, caplog):
    cache_folder(home).mkdir(parents=True, mode=0o700)
    real = os.open

    def read_only(path, flags, *arguments, **options):
        if flags & os.O_CREAT and "dir_fd" in options and str(path).startswith(".new"):
            raise OSError(30, "Read-only file system")
        return real(path, flags, *arguments, **options)

    monkeypatch.setattr(os, "open", read_only)
    assert load_anew() is not None
    assert not list(cache_folder(home).iterdir())
    assert "Read-only file system" in caplog.text


@needs_compiler
def test_a_cache_that_can_only_be_read_is_used(home, monkeypatch):
    assert load_anew() is not None
    cache_folder(home).chmod(0o500)
    monkeypatch.setattr(build, "_compile", None)
    assert load_anew() is not None


@needs_compiler
def test_without_a_home_it_is_compiled_for_the_process(home, monkeypatch, caplog):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    assert load_anew() is not None
    assert "Could not determine home directory" in caplog.text


@needs_compiler
@pytest.mark.parametrize(
    "damage", [lambda b: b[:4096], lambda b: bytes(len(b))], ids=["cut", "zero"]
)
def test_a_damaged_library_is_compiled_again(damage, home):
    assert load_anew() is not None
    [library] = cache_folder(home).iterdir()
    whole = library.read_bytes()
    library.unlink()  # the loaded one must not be changed under this process
    library.write_bytes(damage(whole))
    assert load_anew() is not None
    assert library.read_bytes() == whole


@needs_compiler
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_no_library(make, home, planted):
    file = plant(cache_folder(home), planted)
    file.unlink()
    make(file)  # to read a pipe would be to wait for ever
    assert load_anew() is not None
    assert len(list(cache_folder(home).iterdir())) == 2


@needs_compiler
def test_what_a_crash_left_is_no_library(home):
    assert load_anew() is not None
    [library] = cache_folder(home).iterdir()
    library.rename(cache_folder(home) / ".new-0123")
    assert load_anew() is not None
    assert library.exists()


@needs_compiler
def test_another_compiler_or_option_is_another_library(home, monkeypatch):
    assert load_anew() is not None
    monkeypatch.setenv("CXX", f"{COMPILER} -g0")
    assert load_anew() is not None
    assert len(list(cache_folder(home).iterdir())) == 2


@pytest.mark.parametrize(
    ("variable", "value", "warns"),
    [("MONARCH_FUSED", "0", False), ("CXX", "false", True), ("CXX", "no-such-compiler -g", True)],
)
def test_without_the_kernel_torch_takes_over(variable, value, warns, home, monkeypatch, caplog):
    monkeypatch.setenv(variable, value)
    torch.manual_seed(0)
    layer, x = MonarchSpectralConv(2, 3, (4, 4), grid=(8, 10)), torch.randn(2, 2, 8, 10)
    assert not available(x)
    assert layer(x).isfinite().all()
    said = [message for message in caplog.messages if "products of torch" in message]
    assert bool(said) == warns
    assert not any("\n" in message for message in said)


def test_a_compiler_with_an_open_quote_is_refused(home, monkeypatch):
    monkeypatch.setenv("CXX", "g++ '-O2")
    with pytest.raises(ValueError, match=r"CXX must be a command, got .*; close its quotes"):
        build.kernel_library()


@pytest.mark.parametrize("value", ["false", "off", "2"])
def test_a_switch_that_is_neither_on_nor_off_is_refused(value, home, monkeypatch):
    monkeypatch.setenv("MONARCH_FUSED", value)
    with pytest.raises(ValueError, match=f"MONARCH_FUSED must be 0 or 1, got '{value}'; 0 uses"):
        build.kernel_library()


@needs_compiler
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_several_processes_at_once_leave_one_library(home, monkeypatch):
    compiled = home / "compiled"
    compile_or_link = build._output

    def slowly(command):
        with compiled.open("a") as file:
            file.write(("-c" in command and "one ") or "")
        time.sleep(0.1)
        return compile_or_link(command)

    monkeypatch.setattr(build, "_output", slowly)
    fork = multiprocessing.get_context("fork")
    together = fork.Barrier(3)

    def load():
        together.wait()
        assert build.kernel_library().lanes() == 16

    processes = [fork.Process(target=load) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert compiled.read_text().split() == ["one"]
    assert len(list(cache_folder(home).iterdir())) == 1


@needs_compiler
@pytest.mark.parametrize("recipe", [build.KERNEL, build.OPERATOR], ids=lambda r: r.source.stem)
def test_the_sources_have_no_warnings(recipe, tmp_path):
    strict = [*recipe.flags, "-Wall", "-Wextra", "-Werror", "-c", str(recipe.source)]
    command = [COMPILER, *strict, "-o", str(tmp_path / "made.o")]
    run = subprocess.run(command, capture_output=True, text=True, env=os.environ)
    assert run.returncode == 0, run.stderr
