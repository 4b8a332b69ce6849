"""The rows of a learnable Monarch transform, made of its factors in one pass each way.

A spectral convolution needs them in every training step. `formula` makes them in operations of
torch, obvious and differentiable in any mode; `monarch_rows` returns the same by the kernel where
it is to be had.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd import Function

from monarch_core.layers.derivatives import (
    backward_needs_formula,
    formula_gradients,
    formula_is_needed,
)
from monarch_core.layers.kernel import factors
from monarch_core.transforms import LinearTransform, Monarch


def formula(
    P: Float[Tensor, "heads m p_blocks rank 2"],
    Q: Float[Tensor, "heads n q_blocks rank 2"],
    b: Int[Tensor, " n"],
    k: Int[Tensor, " m"],
    conjugate: bool,
    doubled: tuple[int, int],
) -> Float[Tensor, "2 heads m n"]:
    """Return the real and the imaginary part of s(i) M[i, c], or of its conjugate.

        M[i, c] = sum_r P[i, b(c), r] Q[c, k(i), r]

    With L, R, b and k of `Monarch` these are the rows of a forward transform A; with R, L, k and b,
    and the conjugate, those of B^H for an inverse one.

    Args:
        P: factor of the m kept frequencies, complex numbers as pairs, dimensionless.
        Q: factor of the n points of the grid.
        b: block of P that a point belongs to.
        k: block of Q that a frequency belongs to.
        conjugate: return that of M.
        doubled: s = 2 from the first of these rows on, up to before the second; else s = 1.
    """
    P_of, Q_of = torch.view_as_complex(P)[:, :, b], torch.view_as_complex(Q)[:, :, k]
    M = (P_of * Q_of.transpose(1, 2)).sum(-1)
    s = P.new_ones(len(k))
    s[slice(*doubled)] = 2
    M = s[:, None] * (M.conj() if conjugate else M)
    return torch.stack((M.real, M.imag))


def monarch_rows(
    transform: LinearTransform, *, inverse: bool, doubled: tuple[int, int]
) -> Float[Tensor, "2 heads m n"] | None:
    """Return the rows of A, or those of B^H for an inverse B, times s; None: not by the kernel."""
    if not isinstance(transform, Monarch) or transform.made("matrix") is not None:
        return None
    L, R, b, k = transform.L, transform.R, transform.b, transform.k
    if not factors.takes(L, R) or formula_is_needed(L, R):
        return None
    if inverse:
        return _Rows.apply(R, L, k, b, True, doubled)
    return _Rows.apply(L, R, b, k, False, doubled)


class _Rows(Function):
    @staticmethod
    def forward(ctx: Any, P: Tensor, Q: Tensor, *options: Any) -> Tensor:
        ctx.options = options
        ctx.save_for_backward(P, Q)
        return factors.rows(P, Q, *options)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        P, Q = ctx.saved_tensors
        if backward_needs_formula(grad, P, Q):

            def plain(P: Tensor, Q: Tensor) -> Tensor:
                return formula(P, Q, *ctx.options)

            found = formula_gradients(plain, (P, Q), ctx.needs_input_grad[:2], grad)
        else:
            found = list(factors.gradients(grad.resolve_neg(), P, Q, *ctx.options))
        return *found, *[None] * len(ctx.options)
