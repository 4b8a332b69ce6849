"""Analysis and synthesis in one pass over the fields: two axes, float32, on the CPU.

The functions of `axis_products`, faster: a channel goes through both axes while it is in the cache,
and gradients of the matrices are summed on the way. They are written in C++ (`fused.cpp`), compiled
and loaded by `kernel_library`; where it has none, the products of torch take over.
"""

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils._python_dispatch import _get_current_dispatch_mode

from monarch_core.layers.kernel.axis_products import Levels, Rows
from monarch_core.layers.kernel.library import kernel_library as _library

NOTHING = (None,) * 4  # in the place of what gradients of the rows need


class _Thread(threading.local):
    switched_off = False


_thread = _Thread()


def available(*tensors: Tensor | None) -> bool:
    """Return whether these functions take such tensors here, the fields being the first of them.

    They read memory: of what has none yet, torch's products are taken.
    """
    if _thread.switched_off:
        return False
    given = [t for t in tensors if t is not None]
    plain = all(
        t.dtype == torch.float32
        and t.device.type == "cpu"
        and type(t) in (Tensor, torch.nn.Parameter)
        and not t._is_zerotensor()
        for t in given
    )
    suits = plain and given[0].dim() == 4 and all(t.numel() > 0 for t in given)
    return suits and _get_current_dispatch_mode() is None and _library() is not None


@contextmanager
def switched_off() -> Iterator[None]:
    """Compute with the products of torch what this thread calls within this block, to compare.

    A backward pass follows the forward pass that it belongs to.
    """
    before, _thread.switched_off = _thread.switched_off, True
    try:
        yield
    finally:
        _thread.switched_off = before


def analyse(
    x: Float[Tensor, "batch channels *grid"], rows: Rows, keep: bool = False
) -> tuple[Float[Tensor, "2 *modes batch channels"], Levels]:
    """Return the spectrum and the levels between, as `axis_products.analyse` does."""
    x = x.contiguous()
    X = x.new_empty(2, *(R.shape[1] // 2 for R in rows), *x.shape[:2])
    between = _between(x, rows) if keep else None
    _run("analyse", x, rows, x, between, X, *NOTHING, None)
    return X, [] if between is None else [between]


def synthesise(
    X: Float[Tensor, "2 *modes batch channels"],
    rows: Rows,
    bias: Float[Tensor, "channels *ones"] | None = None,
    keep: bool = False,
) -> tuple[Float[Tensor, "batch channels *grid"], Levels]:
    """Return the field and the levels between, as `axis_products.synthesise` does."""
    y = X.new_empty(*X.shape[-2:], *(R.shape[2] for R in rows))
    between = _between(y, rows) if keep else None
    _run("synthesise", y, rows, X, between, y, bias, *NOTHING)
    return y, [] if between is None else [between]


def analyse_backward(
    grad: Float[Tensor, "2 *modes batch channels"], rows: Rows, x: Tensor, between: Levels | None
) -> tuple[Float[Tensor, "batch channels *grid"], Levels]:
    """Return the gradients that `axis_products.analyse_backward` returns."""
    grad_x = _like(x)
    learned: Levels = [] if between is None else [x, *between, *map(_like, rows)]
    _run("synthesise", grad_x, rows, grad, None, grad_x, None, *(learned or NOTHING))
    return grad_x, learned[2:]


def synthesise_backward(
    grad: Float[Tensor, "batch channels *grid"],
    rows: Rows,
    X: Tensor,
    between: Levels | None,
    with_bias: bool,
) -> tuple[Float[Tensor, "2 *modes batch channels"], Float[Tensor, " channels"] | None, Levels]:
    """Return the gradients that `axis_products.synthesise_backward` returns."""
    grad_X = _like(X)
    learned: Levels = [] if between is None else [X, *between, *map(_like, rows)]
    sums = grad.new_empty(grad.shape[:2]) if with_bias else None
    _run("analyse", grad, rows, grad, None, grad_X, *(learned or NOTHING), sums)
    return grad_X, None if sums is None else sums.sum(0), learned[2:]


def mix(a: Tensor, b: Tensor, adjoint: str = "none") -> Tensor:
    """Return the complex products that `axis_products.mix` returns."""
    a, b = _in_memory(a), _in_memory(b)
    rows, depth = a.shape[-2:] if adjoint != "first" else a.shape[:-3:-1]
    cols = b.shape[-2 if adjoint == "second" else -1]
    c = a.new_empty(*a.shape[:-2], rows, cols)
    sizes = (a.shape[1:-2].numel(), rows, depth, cols)
    _library().mix(
        *map(ctypes.c_int64, sizes),
        int(adjoint == "first"),
        int(adjoint == "second"),
        *map(_pointer, (a, b, c)),
        torch.get_num_threads(),
    )
    return c


def _like(x: Tensor) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


def _between(fields: Tensor, rows: Rows) -> Tensor:
    """Return room for what lies between the spectrum and these fields."""
    return fields.new_empty(*fields.shape[:2], _library().between(_sizes(fields, rows)))


def _sizes(fields: Tensor, rows: Rows) -> Any:
    numbers = [*fields.shape[:2], len(rows[0]), *fields.shape[2:], *(R.shape[1] // 2 for R in rows)]
    return (ctypes.c_int64 * len(numbers))(*numbers)


def _run(name: str, fields: Tensor, rows: Rows, *arguments: Tensor | None) -> None:
    """Call a function of the library on these fields, with a pointer for every argument."""
    function = getattr(_library(), name)
    held = [t if t is None else _in_memory(t) for t in (*rows, *arguments)]
    function(_sizes(fields, rows), *map(_pointer, held), torch.get_num_threads())


def _in_memory(tensor: Tensor) -> Tensor:
    """Return a tensor whose memory holds its numbers in order: itself if it is so."""
    if tensor._is_zerotensor():
        return torch.zeros(tensor.shape)
    return tensor.resolve_neg().contiguous()


def _pointer(tensor: Tensor | None) -> Any:
    return None if tensor is None else ctypes.c_void_p(tensor.data_ptr())
