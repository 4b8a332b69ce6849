"""Calls of the compiled library, with addresses as whole numbers: those are quick."""

import ctypes
from functools import cache
from typing import Any

import torch
from torch import Tensor

from monarch_core.layers.kernel.build import kernel_library


def call(name: str, sizes: tuple[int, ...], *given: Tensor | None) -> None:
    """Call a function of the library with sizes, pointers to tensors and the number of threads.

    Args:
        name: of the function.
        sizes: whole numbers, which it reads only.
        given: what it reads, in any layout, and what it fills, contiguous; None: a null pointer.
    """
    held = [_in_memory(t) if t is not None and t.numel() else None for t in given]
    pointers = [None if t is None else t.data_ptr() for t in held]
    function = _function(kernel_library(), name, len(pointers))
    function(_array(sizes), *pointers, torch.get_num_threads())


def _in_memory(t: Tensor) -> Tensor:
    """Return a tensor whose numbers lie in memory, one after the other and as they are."""
    if t.is_neg() or t._is_zerotensor():
        return t.clone(memory_format=torch.contiguous_format)
    return t.contiguous()


@cache
def _array(sizes: tuple[int, ...]) -> Any:
    return (ctypes.c_int64 * len(sizes))(*sizes)


@cache
def _function(library: Any, name: str, n_pointers: int) -> Any:
    function = library[name]
    function.argtypes = [ctypes.c_void_p] * (1 + n_pointers) + [ctypes.c_int]
    return function
