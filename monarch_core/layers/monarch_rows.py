"""The rows of a learnable Monarch transform, made of its factors in one pass each way.

A spectral convolution needs them in every training step. `formula` makes them in operations of
torch, obvious and differentiable in any mode; `monarch_rows` returns the same by the kernel where
it is to be had.
"""

from collections.abc import Sequence
from functools import partial
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

Doubled = tuple[int, tuple[int, int]] | None


def formula(
    P: Float[Tensor, "heads m p_blocks rank 2"],
    Q: Float[Tensor, "heads n q_blocks rank 2"],
    job: tuple[Int[Tensor, " n"], Int[Tensor, " m"], bool, tuple[int, int]],
) -> Float[Tensor, "heads two_m n"]:
    """Return the real and below it the imaginary part of s(i) M[i, c], or of its conjugate.

        M[i, c] = sum_r P[i, b(c), r] Q[c, k(i), r]

    With L, R, b and k of `Monarch` these are the rows of a forward transform A; with R, L, k and b,
    and the conjugate, those of B^H for an inverse one.

    Args:
        P: factor of the m kept frequencies, complex numbers as pairs, dimensionless.
        Q: factor of the n points of the grid.
        job: the block of P that every point belongs to, b, the block of Q that every frequency
            belongs to, k, whether the conjugate is wanted, and the first and after the last of the
            rows with s = 2, which is else 1.
    """
    b, k, conjugate, doubled = job
    P_of, Q_of = torch.view_as_complex(P)[:, :, b], torch.view_as_complex(Q)[:, :, k]
    M = (P_of * Q_of.transpose(1, 2)).sum(-1)
    s = P.new_ones(len(k))
    s[slice(*doubled)] = 2
    M = s[:, None] * (M.conj() if conjugate else M)
    return torch.cat((M.real, M.imag), dim=1)


def monarch_rows(transforms: Sequence[LinearTransform], doubled: Doubled) -> list[Tensor] | None:
    """Return [Re; Im] of the rows of some transforms, all by one call of the kernel each.

    They are those of A for the first half of the transforms, and those of B^H, times s, for the
    inverse ones that follow. None: not by the kernel.

    Args:
        transforms: of every axis, forward, then inverse.
        doubled: the inverse axis and the rows there with s = 2, as of `formula`; None: nowhere.
    """
    jobs, parameters = [], []
    half = len(transforms) // 2
    for i, transform in enumerate(transforms):
        if not isinstance(transform, Monarch) or transform.made("matrix") is not None:
            return None
        twice = doubled[1] if doubled is not None and i == half + doubled[0] else (0, 0)
        L, R, b, k = transform.L, transform.R, transform.b, transform.k
        jobs.append((k, b, True, twice) if i >= half else (b, k, False, twice))
        parameters += [R, L] if i >= half else [L, R]
    if not factors.takes(*parameters) or formula_is_needed(*parameters):
        return None
    return list(_Rows.apply(jobs, *parameters))


class _Rows(Function):
    @staticmethod
    def forward(ctx: Any, jobs: Sequence[Any], *parameters: Tensor) -> tuple[Tensor, ...]:
        ctx.jobs = jobs
        ctx.save_for_backward(*parameters)
        ctx.set_materialize_grads(False)
        pairs = zip(parameters[::2], parameters[1::2], jobs, strict=True)
        return tuple(factors.rows(P, Q, *job) for P, Q, job in pairs)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        parameters, needed = ctx.saved_tensors, ctx.needs_input_grad[1:]
        found: list[Tensor | None] = []
        for i, (grad, job) in enumerate(zip(grads, ctx.jobs, strict=True)):
            pair, needs = parameters[2 * i : 2 * i + 2], needed[2 * i : 2 * i + 2]
            if grad is None or not any(needs):
                found += [None, None]
            elif backward_needs_formula(grad, *pair):
                found += formula_gradients(partial(formula, job=job), pair, needs, grad)
            else:
                found += factors.gradients(grad, *pair, *job)
        return None, *found
