"""The compiled libraries: built for the machine at hand, kept for the user, loaded if it is safe.

GCC compiles on Linux, each when it is first needed, the kernel (`fused.cpp`, some seconds) and the
operator that calls it without Python (`linear_operator.cpp`, some ten seconds, for the headers of
torch). That is done once: libraries are kept in the cache folder of the user. To load a library is
to run it, so nothing is loaded that anyone else can have put there: the folder and the file must
belong to the user, be writable by nobody else and be no symbolic links, and what is checked is what
is loaded, through one descriptor. Where such a folder is not to be had, the library is compiled
anew for each process.

| environment variable | says |
| --- | --- |
| `MONARCH_FUSED` | 1 (default): use the kernel; 0: use the products of torch |
| `CXX` | the compiler and its options, in place of `g++` |
| `XDG_CACHE_HOME` | absolute path; the library is kept in its `monarch_core`, default `~/.cache` |
"""

import ctypes
import hashlib
import logging
import os
import secrets
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import torch


class Recipe(NamedTuple):
    """What a library is made of."""

    source: Path
    headers: tuple[Path, ...]
    flags: tuple[str, ...]  # of the compiler
    without: str  # what is done where it cannot be had
    libraries: tuple[str, ...] = ()  # that it is linked with


_FOLDER, _TORCH = Path(__file__).parent, Path(torch.__file__).parent
# Linked without -fopenmp: its functions are those of torch's runtime, with one pool of threads for
# both.
KERNEL = Recipe(
    _FOLDER / "fused.cpp",
    tuple(sorted(_FOLDER.glob("*.h"))),
    ("-O3", "-march=native", "-std=c++17", "-fPIC", "-fopenmp", "-Wno-psabi"),
    "layers use the products of torch, which MONARCH_FUSED=0 does without this warning",
)
OPERATOR = Recipe(
    _FOLDER / "linear_operator.cpp",
    (),
    (
        *("-O1", "-std=c++20", "-fPIC", "-isystem", str(_TORCH / "include")),
        f"-D_GLIBCXX_USE_CXX11_ABI={int(torch.compiled_with_cxx11_abi())}",
        f"-DFOR_TORCH={torch.__version__}_{torch.version.git_version}",
    ),
    "dense layers use the products of torch, and all other layers their kernel",
    (f"-L{_TORCH / 'lib'}", "-lc10", "-ltorch_cpu"),
)
_log = logging.getLogger(__name__)


@cache
def kernel_library() -> Any:
    """Return the kernel, or None where there is none to be had, which is logged once.

    Raises:
        ValueError: for a value of MONARCH_FUSED that is neither 0 nor 1, or a CXX that no shell
            could read.
    """
    return _library(KERNEL)


@cache
def operator_library() -> Any:
    """Return the operator of dense layers, as `kernel_library`."""
    return _library(OPERATOR)


def _library(recipe: Recipe) -> Any:
    """Return a library, or None where there is none to be had, which is logged.

    Raises:
        ValueError: for a value of MONARCH_FUSED that is neither 0 nor 1, or a CXX that no shell
            could read.
    """
    wanted, compiler = is_wanted(), _compiler()
    if not wanted or sys.platform != "linux" or not compiler[0]:
        _log.info("layers use the products of torch, not the kernel")
        return None
    try:
        return _load(recipe, compiler)
    except (OSError, subprocess.CalledProcessError) as error:
        said = f"{getattr(error, 'stderr', '') or ''}".splitlines()
        reason = next((line.strip() for line in said if "error" in line), "")
        _log.warning(
            "%s could not be compiled or loaded (%s); %s",
            recipe.source.name,
            " ".join(f"{error} {reason}".split()),
            recipe.without,
        )
        return None


def is_wanted() -> bool:
    """Return what MONARCH_FUSED says, of the kernels for a GPU too.

    Raises:
        ValueError: if it is neither 0 nor 1.
    """
    wanted = os.environ.get("MONARCH_FUSED") or "1"
    if wanted not in ("0", "1"):
        raise ValueError(
            f"the environment variable MONARCH_FUSED must be 0 or 1, got {wanted!r}; 0 uses the "
            "products of torch in place of the kernel"
        )
    return wanted == "1"


def _compiler() -> list[str]:
    """Return the command of the compiler, an empty word where there is none."""
    command = os.environ.get("CXX", "")
    try:
        return shlex.split(command) or [shutil.which("g++") or ""]
    except ValueError as error:
        raise ValueError(
            f"the environment variable CXX must be a command, got {command!r} ({error}); close its "
            "quotes, or leave it out for g++"
        ) from None


def _load(recipe: Recipe, compiler: Sequence[str]) -> Any:
    """Return the library of the cache folder, compiled into it if it is not there."""
    import fcntl  # not on Windows, where nothing is compiled

    kind = _kind(recipe, compiler)
    try:
        folder = _open_folder(_cache_folder())
    except (OSError, RuntimeError) as error:
        _log.warning(
            "what is compiled cannot be kept (%s); it is compiled anew in every process: let "
            "XDG_CACHE_HOME name a folder where that is possible",
            error,
        )
        return _compile(recipe, compiler, kind, None)
    try:
        kept = _load_kept(folder, kind)
        if kept is not None:
            return kept
        with suppress(OSError):  # not on every file system; then each process compiles
            fcntl.flock(folder, fcntl.LOCK_EX)
        kept = _load_kept(folder, kind)
        return _compile(recipe, compiler, kind, folder) if kept is None else kept
    finally:
        with suppress(OSError):  # a child forked meanwhile would hold it on
            fcntl.flock(folder, fcntl.LOCK_UN)
        os.close(folder)


def _cache_folder() -> Path:
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The standard of these folders says that a relative path is no path.
    return (base if base.is_absolute() else Path.home() / ".cache") / "monarch_core"


def _open_folder(path: Path) -> int:
    """Return a descriptor of the folder, made if it is not there.

    Raises:
        OSError: if it cannot be made, or is not the user's alone.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=0o700, exist_ok=True)
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except NotADirectoryError:
        raise PermissionError(f"{path} is a symbolic link, not a folder; remove it") from None
    if not _is_private(folder):
        os.close(folder)
        raise PermissionError(
            f"{path} belongs to another user or can be written by others, who could put their code "
            f"there; make it yours with chown and chmod 700, or remove it"
        )
    return folder


def _is_private(descriptor: int) -> bool:
    """Return whether only this user can have written what lies there."""
    status = os.fstat(descriptor)
    return status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _load_kept(folder: int, kind: str) -> Any:
    """Return the library of that kind in the folder, or None if it has none that is whole."""
    for name in os.listdir(folder):
        if not name.startswith(f"{kind}-"):
            continue
        try:
            # a pipe would be waited for
            file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
        except OSError:  # a symbolic link, or not to be read
            continue
        path = Path(f"/proc/self/fd/{file}")
        plain = stat.S_ISREG(os.fstat(file).st_mode) and _is_private(file)
        if plain and name == _file_name(kind, path.read_bytes()):
            # The loader knows a library by its name: the descriptor stays open, so that no other
            # library ever has this one.
            return ctypes.CDLL(str(path))
        os.close(file)
    return None


def _compile(recipe: Recipe, compiler: Sequence[str], kind: str, folder: int | None) -> Any:
    """Return the library, compiled in a folder of its own and put into the cache folder, if any."""
    _log.info("compiling %s, once for this machine and version", recipe.source.name)
    with tempfile.TemporaryDirectory() as scratch:
        compiled, linked = Path(scratch, "made.o"), Path(scratch, "made.so")
        _output([*compiler, *recipe.flags, "-c", str(recipe.source), "-o", str(compiled)])
        _output([*compiler, "-shared", str(compiled), *recipe.libraries, "-o", str(linked)])
        kept = None
        if folder is not None:
            _keep(folder, kind, linked.read_bytes())
            kept = _load_kept(folder, kind)
        return ctypes.CDLL(str(linked)) if kept is None else kept


def _keep(folder: int, kind: str, library: bytes) -> None:
    """Write the library into the folder, whole or not at all."""
    new = f".new-{secrets.token_hex(8)}"
    exclusive = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    try:
        with os.fdopen(os.open(new, exclusive, 0o700, dir_fd=folder), "wb") as file:
            file.write(library)
        name = _file_name(kind, library)
        os.rename(new, name, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError as error:
        with suppress(OSError):
            os.unlink(new, dir_fd=folder)
        _log.warning(
            "what is compiled cannot be kept (%s); it is compiled anew in every process: make "
            "the cache folder writable, or let XDG_CACHE_HOME name another",
            error,
        )


def _file_name(kind: str, library: bytes) -> str:
    """Return the name of a library, which a damaged one does not have."""
    return f"{kind}-{hashlib.sha256(library).hexdigest()[:16]}.so"


def _kind(recipe: Recipe, compiler: Sequence[str]) -> str:
    """Return the name of the source and a digest of all that the library is made of.

    The macros of the compiler say its version and which instructions this CPU has.
    """
    macros = _output([*compiler, *recipe.flags, "-dM", "-E", "-x", "c++", os.devnull])
    command = shlex.join([*compiler, *recipe.flags, *recipe.libraries])
    sources = [path.read_bytes() for path in (recipe.source, *recipe.headers)]
    parts = (*sources, macros.encode(), command.encode())
    digests = b"".join(hashlib.sha256(part).digest() for part in parts)
    return f"{recipe.source.stem}-{hashlib.sha256(digests).hexdigest()[:16]}"


def _output(command: Sequence[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
