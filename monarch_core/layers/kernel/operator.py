"""The kernels as operators of torch: a spectral product on one axis or two, on the CPU or a GPU.

    monarch::spectral_product             y, and what the gradients take
    monarch::spectral_product_1d          the same on one axis
    monarch::spectral_product_backward    the gradients

They compute what `reference` computes, faster: channels go through both axes while they are in the
cache, and gradients of the matrices are summed on the way (`fused.cpp`); of one axis all is done
panel by panel (`one_axis.h`). The code is C++, compiled and loaded by `build`, in float32; on a GPU
it is Triton (`triton_product`), for two axes, in the dtype of the fields. Where there is none, the
products of torch take over. Compilers and tracers know from their rules for tensors without memory
what they return, and leave them as they are. Their derivatives are those of
`monarch_core.layers.spectral_product`, which also checks the shapes: the operators read memory and
trust that these fit.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor

from monarch_core.layers.kernel.build import kernel_library as _library
from monarch_core.layers.kernel.call import call
from monarch_core.layers.kernel.triton_build import gpu_kernels

ON_GPU = (torch.float32, torch.bfloat16, torch.float16)


class _Thread(threading.local):
    switched_off = False


_thread = _Thread()


def available(*tensors: Tensor | None) -> bool:
    """Return whether a kernel takes such tensors here, the fields being the first of them.

    Subclasses of tensors may know the operators of torch only, whose products are taken for them.
    """
    given = [t for t in tensors if t is not None]
    if given[0].is_cuda:
        return _available_on_gpu(given)
    return (
        given[0].dim() in (3, 4)
        and all(
            t.dtype is torch.float32 and t.is_cpu and is_plain(t) and t.numel() > 0 for t in given
        )
        and is_on()
    )


def is_plain(x: Tensor) -> bool:
    """Return whether this is a tensor of torch itself, not one of a subclass."""
    return type(x) in (Tensor, torch.nn.Parameter)


def _available_on_gpu(given: Sequence[Tensor]) -> bool:
    device, dtype = given[0].device, given[0].dtype
    plain = all(
        t.dtype is dtype and t.device == device and is_plain(t) and t.numel() > 0 for t in given
    )
    return plain and dtype in ON_GPU and given[0].dim() == 4 and is_on_gpu()


@torch.compiler.assume_constant_result
def is_on() -> bool:
    """Return whether the library is to be had, and not switched off in this thread."""
    return not _thread.switched_off and _library() is not None


@torch.compiler.assume_constant_result
def is_on_gpu() -> bool:
    """Return the same of the kernels for a GPU."""
    return not _thread.switched_off and gpu_kernels() is not None


@contextmanager
def switched_off() -> Iterator[None]:
    """Compute with the products of torch what this thread calls within this block, to compare.

    A backward pass follows the forward pass that it belongs to, and a compiled program what was
    true when it was compiled.
    """
    before, _thread.switched_off = _thread.switched_off, True
    try:
        yield
    finally:
        _thread.switched_off = before


# Without lists of tensors, for which `torch.vmap` would have no fallback.
for _name, _rows in (
    ("spectral_product", "Tensor A1, Tensor A2, Tensor B1, Tensor B2"),
    ("spectral_product_1d", "Tensor A, Tensor B"),
):
    torch.library.define(
        f"monarch::{_name}",
        f"(Tensor x, Tensor W, Tensor? bias, {_rows}, *, bool keep)"
        " -> (Tensor y, Tensor X, Tensor Y, Tensor T_x, Tensor T_y)",
        tags=torch.Tag.pt2_compliant_tag,
    )
torch.library.define(
    "monarch::spectral_product_backward",
    "(Tensor grad, Tensor x, Tensor W, Tensor[] rows, Tensor[] kept, bool[] needed) -> Tensor[]",
    tags=torch.Tag.pt2_compliant_tag,
)


@torch.library.register_fake("monarch::spectral_product")
@torch.library.register_fake("monarch::spectral_product_1d")
def _room(
    x: Tensor, W: Tensor, bias: Tensor | None, *rows: Tensor, keep: bool
) -> tuple[Tensor, ...]:
    """Return tensors like those of `reference.product`, of any content; T is empty if not kept."""
    order, modes = x.dim() - 2, W.shape[1:-2]
    y = x.new_empty(x.shape[0], W.shape[-1], *(R.shape[-1] for R in rows[order:]))
    spectra = [x.new_empty(2, *modes, *field.shape[:2]) for field in (x, y)]
    if not keep or order == 1:
        return y, *spectra, x.new_empty(0), x.new_empty(0)
    if x.is_cuda:
        return y, *spectra, *(x.new_empty(2, modes[-1], *field.shape[:3]) for field in (x, y))
    lanes = _library().lanes()
    padded = (2 * modes[-1] + lanes - 1) // lanes * lanes
    return y, *spectra, *(x.new_empty(*field.shape[:3], padded) for field in (x, y))


def _compute(
    x: Tensor, W: Tensor, bias: Tensor | None, *rows: Tensor, keep: bool
) -> tuple[Tensor, ...]:
    found = _room(x, W, bias, *rows, keep=keep)
    _call("spectral_product", x, found[0], rows, x, W, bias, *rows, *_of_order(x, found))
    return found


@torch.library.register_fake("monarch::spectral_product_backward")
def _room_for_gradients(
    grad: Tensor,
    x: Tensor,
    W: Tensor,
    rows: Sequence[Tensor],
    kept: Sequence[Tensor],
    needed: Sequence[bool],
) -> list[Tensor]:
    """Return tensors like those of `reference.gradients`, of any content."""
    bias = grad.new_empty(W.shape[-1], *[1] * (grad.dim() - 2))
    groups = ([x], [W], [bias], rows)
    wanted = [t for group, need in zip(groups, needed, strict=True) if need for t in group]
    return [torch.empty_like(t, memory_format=torch.contiguous_format) for t in wanted]


def _compute_gradients(
    grad: Tensor,
    x: Tensor,
    W: Tensor,
    rows: Sequence[Tensor],
    kept: Sequence[Tensor],
    needed: Sequence[bool],
) -> list[Tensor]:
    found = _room_for_gradients(grad, x, W, rows, kept, needed)
    left = iter(found)
    each = (*needed[:3], *[needed[3]] * len(rows))
    dx, dW, dbias, *drows = [next(left) if need else None for need in each]
    X, Y, *_ = kept
    sums = None if dbias is None else grad.new_empty(grad.shape[:2])
    _call(
        "spectral_product_backward",
        *(x, grad, rows),
        *(grad, x, W, *rows, *_of_order(x, kept)),
        *(torch.empty_like(X), torch.empty_like(Y), dx, dW, sums, *drows),
    )
    if dbias is not None and sums is not None:
        torch.sum(sums, 0, out=dbias.view(-1))
    return found


def _of_order(x: Tensor, kept: Sequence[Tensor]) -> Sequence[Tensor]:
    """Return what there is of these on the axes of x: on one axis nothing lies between."""
    return kept if x.dim() == 4 else kept[:-2]


def _call(name: str, x: Tensor, y: Tensor, rows: Sequence[Tensor], *given: Tensor | None) -> None:
    """Call a function of the library with the sizes of x and y, and pointers to what is given."""
    order = len(rows) // 2
    sizes = [
        n
        for field, of_field in ((x, rows[:order]), (y, rows[order:]))
        for n in (
            *field.shape[:2],
            len(of_field[0]),
            *field.shape[2:],
            *(R.shape[1] // 2 for R in of_field),
        )
    ]
    call(name if order == 2 else f"{name}_1d", tuple(sizes), *given)


def _compute_on_gpu(*given: Any, keep: bool) -> tuple[Tensor, ...]:
    found: tuple[Tensor, ...] = cast(Any, gpu_kernels()).product(*given, keep=keep)
    return found


def _compute_gradients_on_gpu(*given: Any) -> list[Tensor]:
    found: list[Tensor] = cast(Any, gpu_kernels()).gradients(*given)
    return found


torch.library.impl("monarch::spectral_product", "cpu", _compute)
torch.library.impl("monarch::spectral_product_1d", "cpu", _compute)
torch.library.impl("monarch::spectral_product_backward", "cpu", _compute_gradients)
torch.library.impl("monarch::spectral_product", "cuda", _compute_on_gpu)
torch.library.impl("monarch::spectral_product_backward", "cuda", _compute_gradients_on_gpu)
