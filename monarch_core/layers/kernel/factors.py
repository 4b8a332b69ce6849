"""The rows of a Monarch matrix from its factors, and their gradients, by the kernel, in float32.

In operations of torch each is a dozen passes over the rows; here it is one (`factors.h`), on a GPU
one launch for the rows and one for the gradient of each factor (`triton_factors`). These functions
read memory and trust that they are given what `takes` has seen.
"""

import torch
from torch import Tensor

from monarch_core.layers.kernel.call import call
from monarch_core.layers.kernel.operator import is_on, is_on_gpu, is_plain


def takes(*factors: Tensor) -> bool:
    """Return whether the kernel is to be had here for such factors."""
    first = factors[0]
    if not all(
        t.dtype is torch.float32 and t.device == first.device and is_plain(t) for t in factors
    ):
        return False
    return (first.is_cpu and is_on()) or (first.is_cuda and is_on_gpu())


def rows(
    P: Tensor, Q: Tensor, b: Tensor, k: Tensor, conjugate: bool, doubled: tuple[int, int]
) -> Tensor:
    """Return the rows as `monarch_rows.formula`."""
    if P.is_cuda:
        from monarch_core.layers.kernel import triton_factors

        return triton_factors.rows(P, Q, b, k, conjugate, doubled)
    M = P.new_empty(P.shape[0], 2 * P.shape[1], Q.shape[1])
    call("rows_of_factors", _sizes(P, Q, conjugate, doubled), P, Q, b, k, M)
    return M


def gradients(
    grad: Tensor,
    P: Tensor,
    Q: Tensor,
    b: Tensor,
    k: Tensor,
    conjugate: bool,
    doubled: tuple[int, int],
) -> tuple[Tensor, Tensor]:
    """Return the gradients of P and Q from that of the rows."""
    if P.is_cuda:
        from monarch_core.layers.kernel import triton_factors

        return triton_factors.gradients(grad, P, Q, b, k, conjugate, doubled)
    found = torch.empty_like(P), torch.empty_like(Q)
    sizes = _sizes(P, Q, conjugate, doubled)
    call("gradients_of_factors", sizes, P, Q, b, k, grad, *found)
    return found


def _sizes(P: Tensor, Q: Tensor, conjugate: bool, doubled: tuple[int, int]) -> tuple[int, ...]:
    (heads, m, p_blocks, rank, _), (_, n, q_blocks, _, _) = P.shape, Q.shape
    return heads, m, n, p_blocks, q_blocks, rank, int(conjugate), *doubled
