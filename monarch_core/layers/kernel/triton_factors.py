"""The rows of a Monarch matrix from its factors, and their gradients, on a GPU: a launch for each.

    M[i, c] = sum_r P[i, b(c), r] Q[c, k(i), r]

Rows are (heads, 2 m, n), s(i) Re M and below it s(i) Im M, or of its conjugate; s = 2 from row
`doubled` on up to `end`, else 1. Of the factors P is (heads, m, p_blocks, rank, 2) and Q (heads, n,
q_blocks, rank, 2). In operations of torch each is a dozen launches, and a layer has four of them.
"""

from typing import no_type_check

import torch
import triton
import triton.language as tl
from torch import Tensor

COLUMNS = 128  # points of the grid that a program holds
BLOCKS = 16  # blocks, or rows, at a time


@triton.jit
@no_type_check
def _scale(i, conjugate, doubled, end):
    """Return s(i), and by what the imaginary part is multiplied."""
    s = tl.where((i >= doubled) & (i < end), 2.0, 1.0)
    return s, tl.where(conjugate != 0, -s, s)


@triton.jit
@no_type_check
def _rows(P, Q, b, k, M, m, n, p_blocks, q_blocks, rank, conjugate, doubled, end, N: tl.constexpr):
    """Programs: (rows, tiles of columns, heads)."""
    i, head = tl.program_id(0), tl.program_id(2)
    c = tl.program_id(1) * N + tl.arange(0, N)
    inside = c < n
    of_P = P + (((head * m + i) * p_blocks + tl.load(b + c, inside, 0)) * rank) * 2
    of_Q = Q + (((head * n + c) * q_blocks + tl.load(k + i)) * rank) * 2
    re = tl.zeros((N,), tl.float32)
    im = tl.zeros((N,), tl.float32)
    for r in range(rank):
        p_re = tl.load(of_P + 2 * r, inside, 0.0)
        p_im = tl.load(of_P + 2 * r + 1, inside, 0.0)
        q_re = tl.load(of_Q + 2 * r, inside, 0.0)
        q_im = tl.load(of_Q + 2 * r + 1, inside, 0.0)
        re += p_re * q_re - p_im * q_im
        im += p_re * q_im + p_im * q_re
    s_re, s_im = _scale(i, conjugate, doubled, end)
    to = M + (2 * head * m + i) * n + c
    tl.store(to, s_re * re, inside)
    tl.store(to + m * n, s_im * im, inside)


@triton.jit
@no_type_check
def _gradient_of_P(
    G, Q, b, k, dP, m, n, p_blocks, q_blocks, rank, conjugate, doubled, end,
    N: tl.constexpr, B: tl.constexpr,
):  # fmt: skip
    """Programs: (rows, tiles of blocks * rank, heads). G is the gradient of the rows."""
    i, head = tl.program_id(0), tl.program_id(2)
    block = tl.program_id(1) // rank * B + tl.arange(0, B)
    r = tl.program_id(1) % rank
    s_re, s_im = _scale(i, conjugate, doubled, end)
    re = tl.zeros((B,), tl.float32)
    im = tl.zeros((B,), tl.float32)
    for c0 in range(0, n, N):
        c = c0 + tl.arange(0, N)
        inside = c < n
        of_G = G + (2 * head * m + i) * n + c
        g_re = s_re * tl.load(of_G, inside, 0.0)
        g_im = s_im * tl.load(of_G + m * n, inside, 0.0)
        of_Q = Q + (((head * n + c) * q_blocks + tl.load(k + i)) * rank + r) * 2
        q_re = tl.load(of_Q, inside, 0.0)
        q_im = tl.load(of_Q + 1, inside, 0.0)
        belongs = tl.load(b + c, inside, -1)[None, :] == block[:, None]
        re += tl.sum(tl.where(belongs, (g_re * q_re + g_im * q_im)[None, :], 0.0), 1)
        im += tl.sum(tl.where(belongs, (g_im * q_re - g_re * q_im)[None, :], 0.0), 1)
    to = dP + (((head * m + i) * p_blocks + block) * rank + r) * 2
    tl.store(to, re, block < p_blocks)
    tl.store(to + 1, im, block < p_blocks)


@triton.jit
@no_type_check
def _gradient_of_Q(
    G, P, b, k, dQ, m, n, p_blocks, q_blocks, rank, conjugate, doubled, end,
    N: tl.constexpr, B: tl.constexpr,
):  # fmt: skip
    """Programs: (tiles of columns, blocks * rank, heads)."""
    head, block = tl.program_id(2), tl.program_id(1) // rank
    c = tl.program_id(0) * N + tl.arange(0, N)
    r = tl.program_id(1) % rank
    of_b = tl.load(b + c, c < n, 0)
    re = tl.zeros((N,), tl.float32)
    im = tl.zeros((N,), tl.float32)
    for i0 in range(0, m, B):
        i = i0 + tl.arange(0, B)
        belongs = tl.load(k + i, i < m, -1) == block
        inside = belongs[:, None] & (c < n)[None, :]
        s_re, s_im = _scale(i, conjugate, doubled, end)
        of_G = G + (2 * head * m + i)[:, None] * n + c[None, :]
        g_re = s_re[:, None] * tl.load(of_G, inside, 0.0)
        g_im = s_im[:, None] * tl.load(of_G + m * n, inside, 0.0)
        of_P = P + (((head * m + i)[:, None] * p_blocks + of_b[None, :]) * rank + r) * 2
        p_re = tl.load(of_P, inside, 0.0)
        p_im = tl.load(of_P + 1, inside, 0.0)
        re += tl.sum(g_re * p_re + g_im * p_im, 0)
        im += tl.sum(g_im * p_re - g_re * p_im, 0)
    to = dQ + (((head * n + c) * q_blocks + block) * rank + r) * 2
    tl.store(to, re, c < n)
    tl.store(to + 1, im, c < n)


def rows(
    P: Tensor, Q: Tensor, b: Tensor, k: Tensor, conjugate: bool, doubled: tuple[int, int]
) -> Tensor:
    """Return the rows."""
    heads, m, n = P.shape[0], P.shape[1], Q.shape[1]
    M = P.new_empty(heads, 2 * m, n)
    grid = m, triton.cdiv(n, COLUMNS), heads
    with torch.cuda.device_of(P):
        given = (P.contiguous(), Q.contiguous(), b, k, M)
        _rows[grid](*given, *_sizes(P, Q), int(conjugate), *doubled, N=COLUMNS)
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
    grad, P, Q = grad.contiguous(), P.contiguous(), Q.contiguous()
    dP, dQ = torch.empty_like(P), torch.empty_like(Q)
    m, n, p_blocks, q_blocks, rank = sizes = _sizes(P, Q)
    last = (*sizes, int(conjugate), *doubled)
    of_P = m, triton.cdiv(p_blocks, BLOCKS) * rank, len(P)
    of_Q = triton.cdiv(n, COLUMNS), q_blocks * rank, len(P)
    with torch.cuda.device_of(P):
        _gradient_of_P[of_P](grad, Q, b, k, dP, *last, N=COLUMNS, B=BLOCKS)
        _gradient_of_Q[of_Q](grad, P, b, k, dQ, *last, N=COLUMNS, B=BLOCKS)
    return dP, dQ


def _sizes(P: Tensor, Q: Tensor) -> tuple[int, ...]:
    return P.shape[1], Q.shape[1], P.shape[2], Q.shape[2], P.shape[3]
