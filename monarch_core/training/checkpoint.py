"""Files that are either complete or absent: atomic writes, weights and training states.

Everything is read with `torch.load(weights_only=True)`, so opening somebody else's run folder
cannot execute code.
"""

import io
import reprlib
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

from monarch_core.runs.files import atomic_write

FORMAT = 2  # version of the layout of a checkpoint


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a nested dict of tensors, numbers, strings and tuples atomically."""
    _write(path, {"format": FORMAT, **state})


def read_state(path: Path) -> dict[str, Any]:
    """Read a state dict that somebody saved with `torch.save`, onto the CPU.

    Names of classes and functions in it, such as neuralop notes beside its tensors, stand for
    nothing: whatever the file holds, none of them is looked up or called.

    Raises:
        ValueError: the file is missing or damaged, or holds no dict.
    """
    return _read(path, ignore_globals=True)


class _Ignored:
    """What stands where a file names a class or a function."""

    def __init__(self, *args: object, **options: object) -> None:
        pass


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read what `save_checkpoint` wrote, onto the CPU.

    Raises:
        ValueError: the file is missing, damaged, or of an unknown format.
    """
    state = _read(path)
    found = state.get("format")
    if found != FORMAT:
        raise ValueError(
            f"{path} has checkpoint format {reprlib.repr(found)}, this version reads {FORMAT}; "
            "continue the run with the version that started it, or start a new run."
        )
    return state


def save_weights(path: Path, model: nn.Module) -> None:
    """Write the tensors of a model (and nothing else) atomically."""
    _write(path, model_state(model))


def load_weights(path: Path, model: nn.Module) -> None:
    """Load what `save_weights` wrote into a model of the same structure.

    Raises:
        ValueError: the file is missing or damaged, or belongs to another model.
    """
    restore_model(model, _read(path), path)


def check_weights(path: Path, model: nn.Module) -> None:
    """Raise ValueError unless `load_weights` would load this file into this model."""
    check_model_state(model, _read(path), path)


def model_state(model: nn.Module) -> dict[str, Tensor]:
    """Return parameters and persistent buffers by name, detached, without extra entries.

    Some libraries put constructor arguments (functions among them) in the state dict of their
    models, which `weights_only=True` rightly refuses to read.
    """
    state = model.state_dict()
    return {name: value for name, value in state.items() if isinstance(value, Tensor)}


def restore_model(model: nn.Module, state: Mapping[str, Any], source: Path) -> None:
    """Copy a state into a model after checking it.

    Args:
        model: receives the values, on the device where it is.
        state: what `model_state` returned.
        source: the file it came from, for the message.

    Raises:
        ValueError: as `check_model_state`; the model is left as it was.
    """
    check_model_state(model, state, source)
    nn.Module.load_state_dict(model, dict(state))


def check_model_state(model: nn.Module, state: Any, source: Path) -> None:
    """Check every name, shape, kind and number of a state that is to go into a model.

    Raises:
        ValueError: names, shapes or kinds of numbers differ, or a number is not finite; infinity is
            allowed in buffers, where masks may hold it.
    """
    own = model_state(model)
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise ValueError(
            f"{source} holds no tensors by name; restore it from a copy, or train again."
        )
    problems = {
        "missing in the file": sorted(own.keys() - state.keys()),
        "unknown to the model": sorted(state.keys() - own.keys()),
        "of another shape": [
            f"{name} is {kind(state[name])} in the file and {kind(own[name])} in the model"
            for name in sorted(own.keys() & state.keys())
            if kind(own[name]) != kind(state[name])
        ],
    }
    words = [f"{label}: {_first(names)}" for label, names in problems.items() if names]
    if words:
        raise ValueError(
            f"{source} belongs to another model ({'; '.join(words)}); build the model from the "
            f"config.yaml beside the file, or start a new run."
        )
    parameters = {name for name, _ in model.named_parameters()}
    spoilt = [
        name
        for name, value in state.items()
        if (not value.isfinite().all() if name in parameters else value.isnan().any())
    ]
    if spoilt:
        raise ValueError(
            f"{source} holds NaN or infinite weights ({_first(spoilt)}), with which the model "
            "predicts nothing; restore it from a copy, or train again with a lower learning rate."
        )


def kind(value: Any) -> str:
    """Return in words what distinguishes tensors that cannot take each other's place."""
    if not isinstance(value, Tensor):
        return f"a {type(value).__name__}"
    plain = value.layout == torch.strided and not (value.is_nested or value.is_quantized)
    if not plain or value.device.type == "meta":
        return "a tensor without plain numbers"
    if value.is_complex():
        number = "complex "
    elif value.is_floating_point():
        number = ""
    else:
        number = "boolean " if value.dtype == torch.bool else "whole "
    return f"{number}{tuple(value.shape)}"


def _first(names: list[str], n_shown: int = 3) -> str:
    rest = len(names) - n_shown
    return ", ".join(names[:n_shown]) + (f" and {rest} more" if rest > 0 else "")


def _write(path: Path, state: dict[str, Any]) -> None:
    """Serialise in memory first, so that a full disk is reported as such."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    atomic_write(path, lambda file: file.write(buffer.getbuffer()))


def _read(path: Path, *, ignore_globals: bool = False) -> dict[str, Any]:
    if not path.is_file():
        raise ValueError(
            f"{path} does not exist; check the path, or train first: the file appears at the end "
            "of the first epoch."
        )
    size = path.stat().st_size
    try:
        with zipfile.ZipFile(path) as archive:
            _refuse_bomb(archive, size)
            damaged = archive.testzip()  # torch itself does not compare the checksums
        if damaged is not None:
            raise zipfile.BadZipFile(f"the checksum of {damaged} is wrong")
        names = get_unsafe_globals_in_checkpoint(path) if ignore_globals else []
        with warnings.catch_warnings(), safe_globals([(_Ignored, name) for name in names]):
            warnings.simplefilter("ignore")  # of kinds of tensors that are refused afterwards
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises one of many types, depending on the damaged byte
        reason = " ".join(str(error).split())[:120] if isinstance(error, OversizedError) else ""
        raise ValueError(
            f"{path} is damaged or is no checkpoint ({size} bytes, {type(error).__name__} while "
            f"reading it{': ' * bool(reason)}{reason}); restore it from a copy, or delete it and "
            "train again."
        ) from error
    if not isinstance(state, dict):
        raise ValueError(
            f"{path} holds a {type(state).__name__} where a dict was expected; restore it from a "
            "copy, or delete it and train again."
        )
    return state


class OversizedError(ValueError):
    """An archive would take far more memory than its file."""


def _refuse_bomb(archive: zipfile.ZipFile, size: int) -> None:
    """Refuse members that are compressed, or claim more bytes than the file has.

    Torch stores its tensors uncompressed, so the file is as large as what is in it.
    """
    members = archive.infolist()
    claimed = sum(member.file_size for member in members)
    if claimed > size:
        raise OversizedError(f"its members claim {claimed} bytes")
    for member in members:
        if member.compress_type != zipfile.ZIP_STORED:
            raise OversizedError(f"{member.filename} is compressed, which torch does not write")
