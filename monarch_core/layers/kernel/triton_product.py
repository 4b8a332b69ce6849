"""A spectral product on two axes of a GPU, and its gradients: `reference` in few launches.

Three kernels compute the product, seven or fewer its gradients, where torch starts some forty; what
lies between the two axes stays on the chip, but for what the gradients of the rows take.
`triton_kernels` has the formulas.
"""

from collections.abc import Sequence
from typing import Any

import torch
import triton
from torch import Tensor

from monarch_core.layers.kernel import triton_kernels as kernels

DTYPES = {
    torch.float32: triton.language.float32,
    torch.bfloat16: triton.language.bfloat16,
    torch.float16: triton.language.float16,
}
MOST_SHARES = 64  # of the sums over all fields, each with a program for every tile


def product(
    x: Tensor, W: Tensor, bias: Tensor | None, *rows: Tensor, keep: bool
) -> tuple[Tensor, ...]:
    """As `reference.product`; between the axes is the level 1, which is empty if not kept."""
    x, W, A1, A2, B1, B2 = (t.contiguous() for t in (x, W, *rows))
    with torch.cuda.device_of(x):
        X, T_x, _ = _analyse(x, A1, A2, keep=keep)
        Y = _mix(X, W)
        y, T_y = _synthesise(Y, B1, B2, bias, keep=keep)
    return y, X, Y, T_x, T_y


def gradients(
    grad: Tensor,
    x: Tensor,
    W: Tensor,
    rows: Sequence[Tensor],
    kept: Sequence[Tensor],
    needed: Sequence[bool],
) -> list[Tensor]:
    """As `reference.gradients`."""
    grad, x, W, A1, A2, B1, B2 = (t.contiguous() for t in (grad, x, W, *rows))
    X, Y, T_x, T_y = kept
    needs_x, needs_W, needs_bias, needs_rows = needed
    found = []
    with torch.cuda.device_of(x):
        dY, T_grad, sums = _analyse(grad, B1, B2, keep=needs_rows, add_up=needs_bias)
        if needs_x:
            dX = _mix(dY, W, second=True)
            dx, T_dx = _synthesise(dX, A1, A2, None, keep=needs_rows)
            found.append(dx)
        if needs_W:
            found.append(_mix(X, dY, first=True))
        if needs_bias:
            found.append(sums.sum(0).to(grad.dtype).view(-1, 1, 1))
        if needs_rows:
            pairs = ((dX, T_x), (T_dx, x), (Y, T_grad), (T_y, grad))
            found += _outer_products((A1, A2, B1, B2), pairs)
    return found


def compile_one() -> None:
    """Compile the smallest kernel for the current GPU without running it, to see that one can."""
    options = {"FIRST": False, "SECOND": False, "R": 16, "D": 16, "N": 16}
    products = _products(torch.float32, num_warps=4, num_stages=3)
    kernels.mix.warmup(*[torch.float32] * 3, *[2] * 4, **options, **products, grid=(1,))


def _analyse(
    x: Tensor, A1: Tensor, A2: Tensor, *, keep: bool, add_up: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the spectra of fields, T to `keep`, and the sum of every field to `add_up`."""
    batch, channels, n1, n2 = x.shape
    heads, m1, m2 = len(A1), A1.shape[1] // 2, A2.shape[1] // 2
    X = x.new_empty(2, m1, m2, batch, channels)
    T = x.new_empty((2, m2, batch, channels, n1) if keep else 0)
    sums = x.new_empty((batch, channels) if add_up else 0, dtype=torch.float32)
    F1, F2, P1, P2 = tile(m1, 64), 16, tile(n1, 32), tile(n2, 32)
    grid = batch * channels * triton.cdiv(m2, F2), triton.cdiv(m1, F1)
    kernels.analyse[grid](
        *(x, A1, A2, X, T, sums, batch * channels, channels, heads, n1, n2, m1, m2),
        **{"KEEP": keep, "SUM": add_up, "F1": F1, "F2": F2, "P1": P1, "P2": P2},
        **_products(x.dtype, num_warps=4, num_stages=2),
    )
    return X, T, sums


def _synthesise(
    Y: Tensor, B1: Tensor, B2: Tensor, bias: Tensor | None, *, keep: bool
) -> tuple[Tensor, Tensor]:
    """Return the fields of spectra, and T to `keep`."""
    _, m1, m2, batch, channels = Y.shape
    heads, n1, n2 = len(B1), B1.shape[2], B2.shape[2]
    y = Y.new_empty(batch, channels, n1, n2)
    T = Y.new_empty((2, m2, batch, channels, n1) if keep else 0)
    F1, F2, P1, P2 = 16, 16, tile(n1, 64), tile(n2, 64)
    grid = batch * channels * triton.cdiv(n1, P1), triton.cdiv(n2, P2)
    bias = None if bias is None else bias.contiguous()
    kernels.synthesise[grid](
        *(Y, B1, B2, bias, y, T, batch * channels, channels, heads, n1, n2, m1, m2),
        **{"KEEP": keep, "BIAS": bias is not None, "F1": F1, "F2": F2, "P1": P1, "P2": P2},
        **_products(Y.dtype, num_warps=4, num_stages=2),
    )
    return y, T


def _mix(A: Tensor, B: Tensor, *, first: bool = False, second: bool = False) -> Tensor:
    """Return the complex products A B of all frequencies, or A^H B, or A B^H."""
    _, m1, m2, *_ = A.shape
    n_rows, depth = A.shape[:-3:-1] if first else A.shape[-2:]
    n_columns = B.shape[-2] if second else B.shape[-1]
    C = A.new_empty(2, m1, m2, n_rows, n_columns)
    R, D, N = tile(n_rows, 32), 16, tile(n_columns, 64)
    grid = m1 * m2, triton.cdiv(n_rows, R), triton.cdiv(n_columns, N)
    kernels.mix[grid](
        *(A, B, C, m1 * m2, n_rows, depth, n_columns),
        **{"FIRST": first, "SECOND": second, "R": R, "D": D, "N": N},
        **_products(A.dtype, num_warps=4, num_stages=3),
    )
    return C


def _outer_products(rows: Sequence[Tensor], pairs: Sequence[tuple[Tensor, Tensor]]) -> list[Tensor]:
    """Return the sum over all that is not in the rows of the outer products of each pair.

    The first of a pair is a spectrum, or what lies between the axes, the second what lies between,
    or fields: on the two sides of a step.
    """
    n_sums = [A[0, 0].numel() // len(R) for R, (A, _) in zip(rows, pairs, strict=True)]
    n_shares = min(MOST_SHARES, triton.cdiv(max(n_sums), 64))
    sizes = [R.numel() for R in rows]
    shares = rows[0].new_empty(n_shares, sum(sizes), dtype=torch.float32)
    begin = 0
    for R, n_sum, (A, B) in zip(rows, n_sums, pairs, strict=True):
        heads, m, n = len(R), R.shape[1] // 2, R.shape[2]
        is_complex = B.dim() == 5
        run = B.shape[-2] // heads if is_complex else B[0, :, :, 0].numel() // heads
        F, N = tile(m, 64), tile(n, 64)
        grid = n_shares * triton.cdiv(m, F), triton.cdiv(n, N), heads
        kernels.outer[grid](
            *(A, B, shares[:, begin:], sum(sizes), run, n_sum, m, n),
            **{"COMPLEX": is_complex, "F": F, "K": 16, "N": N},
            **_products(A.dtype, num_warps=4 if F < 64 else 8, num_stages=3),
        )
        begin += R.numel()
    total = shares.sum(0).to(rows[0].dtype).split(sizes)
    return [part.view_as(R) for part, R in zip(total, rows, strict=True)]


def tile(n: int, most: int) -> int:
    """Return a power of two for n numbers; a product on a GPU takes 16 of them at least."""
    return max(16, min(triton.next_power_of_2(n), most))


def _products(dtype: torch.dtype, *, num_warps: int, num_stages: int) -> dict[str, Any]:
    """Return how products are taken, by how many warps, with how many loads ahead.

    Three products in TF32 stand for one in float32, unless TF32 is allowed: float32 has no matrix
    units. Beside the rounding of the sums that leaves out 2^-22 of every product.
    """
    if triton.knobs.runtime.interpret:  # its product of bfloat16 multiplies their bits
        return {"DOT": triton.language.float32, "PRECISION": "ieee"}
    is_tf32 = torch.backends.cuda.matmul.fp32_precision == "tf32"
    return {
        "DOT": DTYPES[dtype],
        "PRECISION": "tf32" if is_tf32 else "tf32x3",
        "num_warps": num_warps,
        "num_stages": num_stages,
    }
