"""The steps of a spectral product in one pass over the fields: two axes, float32, on the CPU.

The functions of `reference`, faster: a channel goes through both axes while it is in the cache, and
gradients of the matrices are summed on the way. They are written in C++ (`fused.cpp`), and built and
loaded by `kernel_library`. They read memory: `operator` makes them known to torch.
"""

import ctypes
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from monarch_core.layers.kernel.build import kernel_library as _library
from monarch_core.layers.kernel.reference import Levels, Rows

NOTHING = (None,) * 4  # in the place of what gradients of the rows need


def analyse(
    x: Float[Tensor, "batch channels *grid"], rows: Rows, keep: bool = False
) -> tuple[Float[Tensor, "2 *modes batch channels"], Levels]:
    """Return the spectrum and the levels between, as `reference.analyse` does."""
    X = empty_spectra(x, rows)
    between = empty_between(x, rows) if keep else None
    _run("analyse", x, rows, x, between, X, *NOTHING, None)
    return X, [] if between is None else [between]


def synthesise(
    X: Float[Tensor, "2 *modes batch channels"],
    rows: Rows,
    bias: Float[Tensor, "channels *ones"] | None = None,
    keep: bool = False,
) -> tuple[Float[Tensor, "batch channels *grid"], Levels]:
    """Return the field and the levels between, as `reference.synthesise` does."""
    y = X.new_empty(*X.shape[-2:], *(R.shape[2] for R in rows))
    between = empty_between(y, rows) if keep else None
    _run("synthesise", y, rows, X, between, y, bias, *NOTHING)
    return y, [] if between is None else [between]


def analyse_backward(
    grad: Float[Tensor, "2 *modes batch channels"], rows: Rows, x: Tensor, between: Levels | None
) -> tuple[Float[Tensor, "batch channels *grid"], Levels]:
    """Return the gradients that `reference.analyse_backward` returns."""
    grad_x = empty_like(x)
    learned: Levels = [] if between is None else [x, *between, *map(empty_like, rows)]
    _run("synthesise", grad_x, rows, grad, None, grad_x, None, *(learned or NOTHING))
    return grad_x, learned[2:]


def synthesise_backward(
    grad: Float[Tensor, "batch channels *grid"],
    rows: Rows,
    X: Tensor | None,
    between: Levels | None,
    with_bias: bool,
) -> tuple[Float[Tensor, "2 *modes batch channels"], Float[Tensor, " channels"] | None, Levels]:
    """Return the gradients that `reference.synthesise_backward` returns."""
    grad_X = empty_spectra(grad, rows)
    learned: Levels = [] if between is None or X is None else [X, *between, *map(empty_like, rows)]
    sums = grad.new_empty(grad.shape[:2]) if with_bias else None
    _run("analyse", grad, rows, grad, None, grad_X, *(learned or NOTHING), sums)
    return grad_X, None if sums is None else sums.sum(0), learned[2:]


def mix(a: Tensor, b: Tensor, adjoint: str = "none") -> Tensor:
    """Return the complex products that `reference.mix` returns."""
    a, b = a.contiguous(), b.contiguous()
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


def empty_like(x: Tensor) -> Tensor:
    """Return room for the gradient of x, in the order in which the kernel writes."""
    return torch.empty_like(x, memory_format=torch.contiguous_format)


def empty_spectra(fields: Tensor, rows: Rows) -> Tensor:
    """Return room for the spectra of these fields."""
    return fields.new_empty(2, *(R.shape[1] // 2 for R in rows), *fields.shape[:2])


def empty_between(fields: Tensor, rows: Rows) -> Tensor:
    """Return room for what lies between the spectrum and these fields."""
    one_row = (1, 1, 1, 1, 1, 1, rows[1].shape[1] // 2)
    lanes = _library().between((ctypes.c_int64 * 7)(*one_row))
    return fields.new_empty(*fields.shape[:2], fields.shape[2] * lanes)


def _run(name: str, fields: Tensor, rows: Rows, *arguments: Tensor | None) -> None:
    """Call a function of the library on these fields, with a pointer for every argument."""
    sizes = [*fields.shape[:2], len(rows[0]), *fields.shape[2:], *(R.shape[1] // 2 for R in rows)]
    held = [t if t is None else t.contiguous() for t in (*rows, *arguments)]
    getattr(_library(), name)(
        (ctypes.c_int64 * len(sizes))(*sizes), *map(_pointer, held), torch.get_num_threads()
    )


def _pointer(tensor: Tensor | None) -> Any:
    return None if tensor is None else ctypes.c_void_p(tensor.data_ptr())
