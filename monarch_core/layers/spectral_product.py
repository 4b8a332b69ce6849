"""The arithmetic of a spectral convolution: real matrix products over the kept frequencies.

The axes stay in an order in which every product is one large matrix product without a copy: a step
of the analysis contracts the last axis of the grid and puts the new frequency axis in front, a step
of the synthesis contracts the frequency axis in front and puts the new grid axis last. In 2-D:

    level 2   x  (1,         batch, channels, n_1, n_2)        fields, real
    level 1      (2, f_2,    batch, channels, n_1)
    level 0   X  (2, f_1, f_2, batch, channels)                spectrum

The analysis goes down, the synthesis up. The first axis is (real, imaginary). The step between the
levels d and d-1 belongs to grid axis d and is given by real matrices M (parts, 2 m, n):

    contract   X = sum_p M[p] Z[p]^T           expand   Z[p] = X^T M[p]

each the adjoint of the other. A complex matrix A (m x n) is contracted with M[0] = [Re A; Im A]
and M[1] = [-Im A; Re A]; B (n x m) is expanded with those of B^H. The last grid axis holds real
data and has M[0] only, which takes the real part on the way up.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable


def _onednn_multiplies() -> bool:
    """Return whether this torch has the product that `matrix_product` takes, not a public one."""
    one = torch.ones(1, 1)
    try:
        torch.ops.mkldnn._linear_pointwise(one, one, None, "none", [], "")
    except (AttributeError, RuntimeError):
        return False
    return True


_ONEDNN = torch.backends.mkldnn.is_available() and _onednn_multiplies()


def step_matrices(
    matrices: Sequence[Float[Tensor, "2 heads _m _n"]],
) -> list[Float[Tensor, "heads _parts _two_m _n"]]:
    """Return M of every grid axis, for complex matrices A given as (real, imaginary)."""
    first = [torch.cat((re, im), dim=-2) for re, im in matrices]
    second = [torch.cat((-im, re), dim=-2) for re, im in matrices[:-1]]
    pairs = [torch.stack(M, dim=1) for M in zip(first[:-1], second, strict=True)]
    return [*pairs, first[-1].unsqueeze(1)]


def spectral_product(
    x: Float[Tensor, "batch in_channels *grid"],
    W: Float[Tensor, "2 *modes in_channels out_channels"],
    bias: Float[Tensor, "out_channels *ones"] | None,
    down: Sequence[Float[Tensor, "heads _parts _two_m _n"]],
    up: Sequence[Float[Tensor, "heads _parts _two_m _n_out"]],
) -> Float[Tensor, "batch out_channels *out_grid"]:
    """Return the analysis of x, times W at every frequency, synthesised, plus bias.

    Each head serves its own group of channels. The backward pass is written out, and differentiates
    once. Under autocast the products run in its dtype, and so does the result.

    Args:
        x: real fields.
        W: complex weight of every frequency, (real, imaginary) first.
        bias: one number per channel, with an axis of length 1 for every axis of the grid.
        down: `step_matrices` of A per grid axis, for the analysis.
        up: `step_matrices` of B^H per grid axis, for the synthesis.

    Raises:
        ValueError: if the heads do not divide the channels.
    """
    for channels, matrices in ((W.shape[-2], down), (W.shape[-1], up)):
        if channels % len(matrices[0]):
            raise ValueError(
                "heads must divide the number of channels, got "
                f"heads={len(matrices[0])} and {channels} channels; change one of them"
            )
    tensors = [x, W, bias, *down, *up]
    device = x.device.type
    if not torch.is_autocast_enabled(device):
        return _SpectralProduct.apply(*tensors)
    dtype = torch.get_autocast_dtype(device)
    with torch.autocast(device, enabled=False):
        return _SpectralProduct.apply(*(t if t is None else t.to(dtype) for t in tensors))


def matrix_product(
    a: Float[Tensor, "rows inner"], b: Float[Tensor, "inner columns"]
) -> Float[Tensor, "rows columns"]:
    """Return a b, by oneDNN in float32 on a CPU: faster than MKL for few rows and many columns.

    The compiler, which chooses by itself, gets the plain product.
    """
    on_cpu = a.device.type == "cpu" and a.dtype == torch.float32
    if not (on_cpu and _ONEDNN) or torch.compiler.is_compiling():
        return a @ b
    return torch.ops.mkldnn._linear_pointwise(a, b.mT, None, "none", [], "")


class _SpectralProduct(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, W: Tensor, bias: Tensor | None, *matrices: Tensor) -> Tensor:
        order = len(matrices) // 2
        fields = _analyse_heads(x, matrices[:order])
        X = _join(fields, 0, dim=-1)
        Y = _complex_bmm(X, W)
        coefficients = _synthesise_heads(Y, matrices[order:])
        # The levels between spectrum and field serve the gradient of the matrices only.
        learned = any(ctx.needs_input_grad[3:])
        between = [L for levels in (*fields, *coefficients) for L in levels[1:-1]]
        ctx.save_for_backward(x, W, X, Y, *matrices, *(between if learned else []))
        y = _join(coefficients, -1, dim=2)[0]
        if bias is not None:
            y += bias
        # No view in the eyes of autograd, so that what follows may add to y in place.
        return torch.ops.aten._unsafe_view(y, y.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        order = grad.dim() - 2
        x, W, X, Y, *rest = ctx.saved_tensors
        down, up, between = rest[:order], rest[order : 2 * order], iter(rest[2 * order :])
        needs_x, needs_W, needs_bias, *needs_M = ctx.needs_input_grad

        grad_fields = _analyse_heads(grad, up)
        grad_Y = _join(grad_fields, 0, dim=-1)
        grad_W = _complex_bmm(X, grad_Y, adjoint="first") if needs_W else None
        per_channel = (0, *range(2, grad.dim()))
        grad_bias = grad.sum(per_channel, keepdim=True)[0] if needs_bias else None
        if not (needs_x or any(needs_M)):
            return None, grad_W, grad_bias, *[None] * len(needs_M)
        grad_coefficients = _synthesise_heads(_complex_bmm(grad_Y, W, adjoint="second"), down)
        grad_x = _join(grad_coefficients, -1, dim=2)[0] if needs_x else None
        if not any(needs_M):
            return grad_x, grad_W, grad_bias, *[None] * len(needs_M)

        # Each head's levels; the gradient needs neither the lowest field nor the top coefficient.
        fields = [
            [None, *(next(between) for _ in down[1:]), field]
            for field in _split(x.unsqueeze(0), 2, len(down[0]))
        ]
        coefficients = [
            [spectrum, *(next(between) for _ in up[1:]), None]
            for spectrum in _split(Y, -1, len(up[0]))
        ]
        grad_M = [*_gradients(grad_coefficients, fields), *_gradients(coefficients, grad_fields)]
        needed = (g if n else None for g, n in zip(grad_M, needs_M, strict=True))
        return grad_x, grad_W, grad_bias, *needed


def _split(x: Tensor, dim: int, heads: int) -> list[Tensor]:
    return [x] if heads == 1 else [part.contiguous() for part in x.chunk(heads, dim)]


def _join(heads: list[list[Tensor]], level: int, dim: int) -> Tensor:
    parts = [levels[level] for levels in heads]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim)


def _analyse_heads(x: Tensor, matrices: Sequence[Tensor]) -> list[list[Tensor]]:
    """Return the levels 0 to D of a field for every head."""
    groups = _split(x.unsqueeze(0), 2, len(matrices[0]))
    return [_analyse(group, [M[h] for M in matrices]) for h, group in enumerate(groups)]


def _synthesise_heads(X: Tensor, matrices: Sequence[Tensor]) -> list[list[Tensor]]:
    """Return the levels 0 to D of a spectrum for every head."""
    groups = _split(X, -1, len(matrices[0]))
    return [_synthesise(group, [M[h] for M in matrices]) for h, group in enumerate(groups)]


def _gradients(coefficients: list[list[Any]], fields: list[list[Any]]) -> list[Tensor]:
    """Return the gradient of M of every axis, from the levels on its two sides, for all heads."""
    return [
        torch.stack([_outer(X[d], Z[d + 1]) for X, Z in zip(coefficients, fields, strict=True)])
        for d in range(len(fields[0]) - 1)
    ]


def _analyse(x: Tensor, matrices: Sequence[Tensor]) -> list[Tensor]:
    """Return the levels 0 to D of a field, from the spectrum to the field itself."""
    levels = [x]
    for M in reversed(matrices):
        Z = levels[0]
        n = Z.shape[-1]
        X = matrix_product(M[0], Z[0].reshape(-1, n).mT)
        if len(M) == 2:
            X.addmm_(M[1], Z[1].reshape(-1, n).mT)
        levels.insert(0, X.view(2, -1, *Z.shape[1:-1]))
    return levels


def _synthesise(X: Tensor, matrices: Sequence[Tensor]) -> list[Tensor]:
    """Return the levels 0 to D of a spectrum, from the spectrum itself to the field."""
    levels = [X]
    for M in matrices:
        X = levels[-1]
        flat = _view(X, (M.shape[1], X.numel() // M.shape[1])).mT
        Z = flat @ M[0] if len(M) == 1 else torch.bmm(flat.expand(2, -1, -1), M)
        levels.append(Z.view(len(M), *X.shape[2:], -1))
    return levels


def _view(x: Tensor, shape: Sequence[int | torch.SymInt]) -> Tensor:
    """Return a contiguous tensor in another shape.

    As `view` does, which in torch 2.11 compares strides that hold the size of the batch, so that no
    program for every size can be exported.
    """
    assert torch.compiler.is_compiling() or x.is_contiguous()
    strides: list[int | torch.SymInt] = [1]
    for n in reversed(shape[1:]):
        strides.insert(0, strides[0] * n)
    return x.as_strided(shape, strides)


def _outer(X: Tensor, Z: Tensor) -> Tensor:
    """Return the gradient of M, for the coefficients X and the fields Z on its two sides."""
    flat = X.reshape(X.shape[0] * X.shape[1], -1)
    return torch.stack([matrix_product(flat, part.reshape(-1, part.shape[-1])) for part in Z])


def _complex_bmm(a: Tensor, b: Tensor, adjoint: str = "none") -> Tensor:
    """Return a b, a^H b or a b^H for every frequency; parts first, matrices last."""
    modes = a.shape[1:-2]
    a_re, a_im = _view(a, (2, modes.numel(), *a.shape[-2:])).unbind()
    b_re, b_im = b.flatten(1, -3).unbind()
    sign_a = sign_b = 1.0
    if adjoint == "first":
        a_re, a_im, sign_a = a_re.mT, a_im.mT, -1.0
    if adjoint == "second":
        b_re, b_im, sign_b = b_re.mT, b_im.mT, -1.0
    re = torch.bmm(a_re, b_re).baddbmm_(a_im, b_im, alpha=-sign_a * sign_b)
    im = torch.bmm(a_im, b_re).baddbmm_(a_re, b_im, beta=sign_a, alpha=sign_b)
    return torch.stack((re, im)).unflatten(1, modes)
