"""The product of a Monarch matrix with few rows, and its gradients, by the kernel, in float32.

Of few rows most of the time goes into the calls of operations and into products that libraries make
for many rows; here are two calls (`few_rows.h`). These functions read memory and trust that they
are given what `takes` has seen.
"""

import ctypes
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from monarch_core.layers.kernel.build import kernel_library as _library
from monarch_core.layers.kernel.operator import is_on

FEW = 15  # rows, above which batched products are faster


def takes(x: Tensor) -> bool:
    """Return whether the kernel is to be had here for such rows, and made for them."""
    return x.dtype == torch.float32 and x.device.type == "cpu" and 0 < len(x) <= FEW and is_on()


def product(x: Tensor, L: Tensor, R: Tensor, bias: Tensor | None, n_out: int) -> list[Tensor]:
    """Return M x + bias as `monarch_product.formula`, and z'."""
    y, z = x.new_empty(len(x), n_out), x.new_empty(len(L), len(x), L.shape[2])
    _call("multiply_few_rows", x, L, R, n_out, x, L, R, bias, z, y)
    return [y, z]


def gradients(
    grad: Tensor, x: Tensor, L: Tensor, R: Tensor, z: Tensor | None, needed: Sequence[bool]
) -> list[Tensor | None]:
    """Return those gradients of x, L, R and the bias that are `needed`; that of L takes z'."""
    n_out = grad.shape[1]
    shapes = (x.shape, L.shape, R.shape, (n_out,))
    found = [x.new_empty(s) if need else None for s, need in zip(shapes, needed, strict=True)]
    _call("gradients_of_few_rows", x, L, R, n_out, grad, x, L, R, z, *found)
    return found


def _call(name: str, x: Tensor, L: Tensor, R: Tensor, n_out: int, *given: Tensor | None) -> None:
    """Call a function of the library with the sizes of `few_rows::Sizes` and pointers."""
    n_rows, n_in = x.shape
    sizes = (ctypes.c_int64 * 7)(n_rows, *L.shape, R.shape[2], n_in, n_out)
    held = [None if t is None else t.contiguous() for t in given]
    pointers = [None if t is None else t.data_ptr() for t in held]
    _function(_library(), name, len(held))(sizes, *pointers, torch.get_num_threads())


@cache
def _function(library: Any, name: str, n_pointers: int) -> Any:
    """Return a function of the library that takes addresses as whole numbers: those are quick."""
    function = library[name]
    function.argtypes = [ctypes.c_void_p] * (1 + n_pointers) + [ctypes.c_int]
    return function
