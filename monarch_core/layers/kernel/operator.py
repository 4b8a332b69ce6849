"""The spectral product and its gradients: as operators of torch where the kernel takes them.

    monarch::spectral_product             two axes, float32, on the CPU: one pass over the fields
    monarch::spectral_product_backward    its gradients

Both are opaque to torch, which knows from their rules for tensors without memory what they return:
compilers, tracers, `torch.func` and the modes that see every operation take them as any operator.
Everything else, and everything where there is no compiler, is products of torch (`reference`).
Their own derivatives are those of `monarch_core.layers.spectral_product`.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from monarch_core.layers.kernel import fused, reference
from monarch_core.layers.kernel.build import kernel_library
from monarch_core.layers.kernel.reference import Levels, Rows


class Needed(NamedTuple):
    """Which gradients of a spectral product are computed."""

    x: bool
    W: bool
    bias: bool
    rows: bool

    def each(self, n_rows: int) -> tuple[bool, ...]:
        """Return the same for every tensor: all rows or none."""
        return self.x, self.W, self.bias, *[self.rows] * n_rows


class _Thread(threading.local):
    switched_off = False


_thread = _Thread()


def available(*tensors: Tensor | None) -> bool:
    """Return whether the kernel takes such tensors here, the fields being the first of them."""
    given = [t for t in tensors if t is not None]
    plain = all(t.dtype == torch.float32 and t.device.type == "cpu" for t in given)
    suits = plain and given[0].dim() == 4 and all(t.numel() > 0 for t in given)
    return suits and not _thread.switched_off and kernel_library() is not None


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


def product(
    in_one_pass: bool, keep: bool, x: Tensor, W: Tensor, bias: Tensor | None, *rows: Tensor
) -> tuple[Tensor, ...]:
    """Return the spectral product y and what its gradients take: X, Y and the levels between.

    Args:
        in_one_pass: by the kernel.
        keep: whether to return the levels between, which the gradients of the rows take.
        x: fields.
        W: weight of every frequency.
        bias: one number per channel.
        rows: of every axis for the analysis, then those for the synthesis.
    """
    if not in_one_pass:
        return _product(reference, keep, x, W, bias, rows)
    y, X, Y, *between = torch.ops.monarch.spectral_product(x, W, bias, *rows, keep)
    return y, X, Y, *(between if keep else ())


def gradients(
    in_one_pass: bool, needed: Needed, grad: Tensor, x: Tensor, W: Tensor, *others: Tensor
) -> tuple[Tensor, ...]:
    """Return the needed gradients of `product`, those of all rows if any, from that of y.

    Args:
        in_one_pass: by the kernel.
        needed: which.
        grad: gradient of y.
        x: fields.
        W: weight of every frequency.
        others: the rows, then what `product` returned with y; what is missing is computed again.
    """
    if not in_one_pass:
        return tuple(_gradients(reference, needed, grad, x, W, *others))
    missing = _nothing(x, 8 - len(others))
    found = torch.ops.monarch.spectral_product_backward(grad, x, W, *others, *missing, *needed)
    return tuple(g for g, want in zip(found, needed.each(4), strict=True) if want)


def _product(
    steps: ModuleType, keep: bool, x: Tensor, W: Tensor, bias: Tensor | None, rows: Rows
) -> tuple[Tensor, ...]:
    order = len(rows) // 2
    X, fields = steps.analyse(x, rows[:order], keep)
    Y = steps.mix(X, W)
    y, coefficients = steps.synthesise(Y, rows[order:], bias, keep)
    return y, X, Y, *fields, *coefficients


def _gradients(
    steps: ModuleType, needed: Needed, grad: Tensor, x: Tensor, W: Tensor, *others: Tensor
) -> Levels:
    order = x.dim() - 2
    down, up, kept = others[:order], others[order : 2 * order], others[2 * order :]
    X = Y = fields = coefficients = None
    if needed.W or needed.rows:
        if len(kept) < (3 if needed.rows and order > 1 else 2):
            _, *kept = _product(steps, needed.rows, x, W, None, (*down, *up))
        X, Y, *between = kept
    if needed.rows:
        fields, coefficients = between[: len(between) // 2], between[len(between) // 2 :]

    grad_Y, grad_bias, grad_up = steps.synthesise_backward(grad, up, Y, coefficients, needed.bias)
    found = []
    if needed.x or needed.rows:
        grad_X = steps.mix(grad_Y, W, adjoint="second")
        grad_x, grad_down = steps.analyse_backward(grad_X, down, x, fields)
        found = [grad_x] if needed.x else []
    if needed.W:
        found.append(steps.mix(X, grad_Y, adjoint="first"))
    if grad_bias is not None:
        found.append(grad_bias.reshape(grad.shape[1], *[1] * order))
    return [*found, *grad_down, *grad_up] if needed.rows else found


_TAG = torch.Tag.pt2_compliant_tag
_MATRICES = "Tensor A1, Tensor A2, Tensor B1, Tensor B2"
_KEPT = "Tensor X, Tensor Y, Tensor T_x, Tensor T_y"
torch.library.define(
    "monarch::spectral_product",
    f"(Tensor x, Tensor W, Tensor? bias, {_MATRICES}, bool keep) -> (Tensor y, {_KEPT})",
    tags=_TAG,
)
torch.library.define(
    "monarch::spectral_product_backward",
    f"(Tensor grad, Tensor x, Tensor W, {_MATRICES}, {_KEPT}, bool needs_x, bool needs_W, "
    "bool needs_bias, bool needs_rows) -> (Tensor x, Tensor W, Tensor bias, "
    f"{_MATRICES})",
    tags=_TAG,
)


@torch.library.impl("monarch::spectral_product", "cpu")
def _multiply(
    x: Tensor, W: Tensor, bias: Tensor | None, *rows_and_keep: Any
) -> tuple[Tensor, ...]:
    *rows, keep = rows_and_keep
    y, X, Y, *between = _product(fused, keep, x, W, bias, rows)
    return y, X, Y, *(between or _nothing(x, 2))


@torch.library.register_fake("monarch::spectral_product")
def _shape(x: Tensor, W: Tensor, bias: Tensor | None, *rows_and_keep: Any) -> tuple[Tensor, ...]:
    *rows, keep = rows_and_keep
    down, up = rows[:2], rows[2:]
    y = x.new_empty(x.shape[0], W.shape[-1], *(R.shape[2] for R in up))
    X, Y = fused.empty_spectra(x, down), fused.empty_spectra(y, up)
    between = (fused.empty_between(x, down), fused.empty_between(y, up))
    return y, X, Y, *(between if keep else _nothing(x, 2))


@torch.library.impl("monarch::spectral_product_backward", "cpu")
def _multiply_backward(grad: Tensor, x: Tensor, W: Tensor, *others: Any) -> tuple[Tensor, ...]:
    needed = Needed(*others[8:])
    given = [t for t in others[:8] if t.numel()]
    found = iter(_gradients(fused, needed, grad, x, W, *given))
    return tuple(next(found) if want else x.new_empty(0) for want in needed.each(4))


@torch.library.register_fake("monarch::spectral_product_backward")
def _shape_backward(grad: Tensor, x: Tensor, W: Tensor, *others: Any) -> tuple[Tensor, ...]:
    bias = grad.new_empty(grad.shape[1], 1, 1)
    shapes = map(fused.empty_like, (x, W, bias, *others[:4]))
    wanted = Needed(*others[8:]).each(4)
    return tuple(t if want else x.new_empty(0) for t, want in zip(shapes, wanted, strict=True))


def _nothing(x: Tensor, count: int) -> list[Tensor]:
    """Return tensors in the place of what an operator has no use for."""
    return [x.new_empty(0) for _ in range(count)]
