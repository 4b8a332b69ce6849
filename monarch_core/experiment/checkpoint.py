"""Files that are either complete or absent: atomic writes, weights and training states.

Everything is read with `torch.load(weights_only=True)`, so opening somebody else's run folder
cannot execute code.
"""

import contextlib
import errno
import io
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor, nn

FORMAT = 1  # version of the layout of checkpoint.pt


def atomic_write(path: Path, writer: Callable[[IO[bytes]], object]) -> None:
    """Write a file so that a reader, or a kill at any moment, sees the old or the new one.

    The bytes go to a temporary file in the same folder, reach the disk, and only then replace
    `path`.

    Args:
        path: the file to write; its folder is made when missing.
        writer: called once with the temporary file, open for writing bytes.

    Raises:
        OSError: the disk is full or the folder cannot be written; `path` is as it was before.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            writer(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise OSError(write_failure(path, error)) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Delete the temporary files that a killed process left in a folder."""
    for leftover in folder.glob(".*.tmp"):
        leftover.unlink()


def write_text(path: Path, text: str) -> None:
    """Write text as UTF-8 through `atomic_write`."""
    atomic_write(path, lambda file: file.write(text.encode()))


def write_failure(path: Path, error: OSError) -> str:
    """Return one paragraph on a file that could not be written: where, why, and what to do."""
    reason = error.strerror or str(error)
    message = f"could not write {path}: {reason}"
    with contextlib.suppress(OSError):
        free = shutil.disk_usage(path.parent).free
        message += f"; {free / 1e6:.0f} MB are free there"
    remedy = "check that the folder exists and is writable"
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        remedy = "free some space or choose a folder on another disk"
    return f"{message}. What was finished before is kept; {remedy}, then start again."


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a nested dict of tensors, numbers, strings and tuples atomically.

    The state is serialised in memory first, so that a full disk is reported as such.
    """
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, **state}, buffer)
    atomic_write(path, lambda file: file.write(buffer.getbuffer()))


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read what `save_checkpoint` wrote, onto the CPU.

    Raises:
        ValueError: the file is missing, damaged, or of an unknown format.
    """
    state = _read(path)
    if state.get("format") != FORMAT:
        raise ValueError(
            f"{path} has checkpoint format {state.get('format')!r}, this version reads {FORMAT}; "
            "continue the run with the version that started it, or start a new run."
        )
    return state


def save_weights(path: Path, model: nn.Module) -> None:
    """Write the tensors of a model (and nothing else) atomically."""
    buffer = io.BytesIO()
    torch.save(model_state(model), buffer)
    atomic_write(path, lambda file: file.write(buffer.getbuffer()))


def load_weights(path: Path, model: nn.Module) -> None:
    """Load what `save_weights` wrote into a model of the same structure.

    Raises:
        ValueError: the file is missing or damaged, or belongs to another model.
    """
    restore_model(model, _read(path), path)


def model_state(model: nn.Module) -> dict[str, Tensor]:
    """Return parameters and persistent buffers by name, detached, without extra entries.

    Some libraries put constructor arguments (functions among them) in the state dict of their
    models, which `weights_only=True` rightly refuses to read.
    """
    state = model.state_dict()
    return {name: value for name, value in state.items() if isinstance(value, Tensor)}


def restore_model(model: nn.Module, state: dict[str, Tensor], source: Path) -> None:
    """Copy a state into a model after checking every name and shape.

    Args:
        model: receives the values, on the device where it is.
        state: what `model_state` returned.
        source: the file it came from, for the message.

    Raises:
        ValueError: names, shapes or kinds of numbers differ; the model is left as it was.
    """
    own = model_state(model)
    missing = sorted(own.keys() - state.keys())
    unknown = sorted(state.keys() - own.keys())
    different = [
        f"{name} is {_kind(state[name])} in the file and {_kind(own[name])} in the model"
        for name in sorted(own.keys() & state.keys())
        if _kind(own[name]) != _kind(state[name])
    ]
    problems = [
        f"{label}: {_first(names)}"
        for label, names in [
            ("missing in the file", missing),
            ("unknown to the model", unknown),
            ("of another shape", different),
        ]
        if names
    ]
    if problems:
        raise ValueError(
            f"{source} belongs to another model ({'; '.join(problems)}); build the model from the "
            f"config.yaml beside the file, or start a new run."
        )
    nn.Module.load_state_dict(model, state)


def _kind(tensor: Tensor) -> str:
    return f"{'complex ' if tensor.is_complex() else ''}{tuple(tensor.shape)}"


def _first(names: list[str], n_shown: int = 3) -> str:
    rest = len(names) - n_shown
    return ", ".join(names[:n_shown]) + (f" and {rest} more" if rest > 0 else "")


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ValueError(
            f"{path} does not exist; check the path, or train first: the file appears at the end "
            "of the first epoch."
        )
    try:
        with zipfile.ZipFile(path) as archive:  # torch itself does not compare the checksums
            damaged = archive.testzip()
        if damaged is not None:
            raise zipfile.BadZipFile(f"the checksum of {damaged} is wrong")
        state = torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # torch raises one of many types, depending on the damaged byte
        raise ValueError(
            f"{path} is damaged or is no checkpoint ({path.stat().st_size} bytes, "
            f"{type(error).__name__} while reading it); restore it from a copy, or delete it and "
            "train again."
        ) from error
    if not isinstance(state, dict):
        raise ValueError(
            f"{path} holds a {type(state).__name__} where a dict was expected; restore it from a "
            "copy, or delete it and train again."
        )
    return state
