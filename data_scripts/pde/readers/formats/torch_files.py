"""Files of torch.save that hold tensors, read without running anything that they bring along."""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from data_scripts.pde.readers.stored import Contents, Stored, defective
from data_scripts.unusable import UnusableFileError

_REMEDY = (
    "store one tensor or a dictionary of tensors, for example torch.save({'u': u}, path), or .npy"
)


def torch_contents(path: Path) -> Contents:
    """Return the tensors of a file: one, or those in dictionaries and lists of any depth.

    The values of files of torch >= 1.6 are mapped into memory.

    Raises:
        UnusableFileError: the file is damaged, or holds other things than tensors.
    """
    try:
        loaded = torch.load(
            path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
        )
    except Exception as error:
        # what torch raises depends on the byte at which a file goes wrong
        raise UnusableFileError(
            f"{path} is truncated or damaged, or holds other things than tensors, which are never "
            f"unpickled; {_REMEDY}"
        ) from error
    arrays = {name: _stored(path, name, tensor) for name, tensor in _tensors("", loaded, depth=0)}
    if not arrays:
        raise UnusableFileError(f"{path} holds no tensor but {type(loaded).__name__}; {_REMEDY}")
    return Contents("PyTorch file", arrays)


def _tensors(prefix: str, item: Any, depth: int) -> Iterator[tuple[str, Tensor]]:
    if isinstance(item, Tensor):
        yield prefix, item
    elif isinstance(item, dict | list | tuple) and depth < _DEPTH:
        pairs = item.items() if isinstance(item, dict) else enumerate(item)
        for name, part in pairs:
            yield from _tensors(f"{prefix}/{name}".lstrip("/"), part, depth + 1)


_DEPTH = 8


def _stored(path: Path, name: str, tensor: Tensor) -> Stored:
    shape, dtype = tuple(tensor.shape), _dtype(tensor)
    if dtype is None:
        kind = f"{tensor.dtype}, {tensor.layout}"
        return defective(
            name, shape, np.dtype(object), f"{path}: {name} is {kind}, not dense real numbers"
        )

    def load(index: tuple[slice, ...]) -> np.ndarray:
        part = tensor.detach()[index]
        return (part.float() if part.dtype == torch.bfloat16 else part).numpy()

    return Stored(name, shape, dtype, load)


def _dtype(tensor: Tensor) -> np.dtype | None:
    """Return NumPy's type of the values, None where it has none."""
    if tensor.layout != torch.strided or tensor.is_quantized:
        return None
    if tensor.dtype == torch.bfloat16:
        return np.dtype(np.float32)
    try:
        return torch.empty(0, dtype=tensor.dtype).numpy().dtype
    except TypeError:
        return None
