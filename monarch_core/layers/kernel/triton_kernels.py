"""The stages of a spectral product on two axes, written for Triton.

    analyse       T = x A2^T,  X = A1 T                           one field, some of its spectrum
    mix           C = A B, or A^H B, or A B^H                     one frequency
    synthesise    T = B1^H Y,  y = Re(T conj(B2)) + bias          some points of one field
    outer         D[f, n] = sum_k A[f, k] conj(B[k, n])           a share of the sum over k

Arrays lie as in `reference`: fields (batch, channels, n1, n2), what lies between (2, m2, batch,
channels, n1), spectra (2, m1, m2, batch, channels), rows (heads, 2 m, n); the real part is first.
`n_fields` is batch * channels. F1, F2, P1 and P2 are the frequencies and points that a program
holds at a time, powers of two, of which those beyond the sizes are masked.

DOT is the dtype in which products are taken, PRECISION how those of float32 are: "ieee", "tf32", or
"tf32x3", with every number as a sum of two of TF32. Sums are in float32.
"""

from typing import no_type_check

import triton
import triton.language as tl


@triton.jit
@no_type_check
def _load(start, row, row_step, n_rows, column, column_step, n_columns, DOT: tl.constexpr):
    """Return these entries of a matrix, zero where it has none."""
    at = row[:, None] * row_step + column[None, :] * column_step
    inside = (row < n_rows)[:, None] & (column < n_columns)[None, :]
    return tl.load(start + at, inside, 0.0).to(DOT)


@triton.jit
@no_type_check
def _add_product(total, a, b, PRECISION: tl.constexpr):
    return tl.dot(a, b, total, input_precision=PRECISION)


@triton.jit
@no_type_check
def _level(f2, n_fields, field, i, n1):
    """Return where the points i of the frequencies f2 lie between the stages."""
    return (f2[None, :].to(tl.int64) * n_fields + field) * n1 + i[:, None]


@triton.jit
@no_type_check
def _spectrum(f1, f2, m2, n_fields, field):
    """Return where frequencies of a field lie in the spectra."""
    return (f1[:, None] * m2 + f2[None, :]).to(tl.int64) * n_fields + field


@triton.jit
@no_type_check
def analyse(
    fields,
    A1,
    A2,
    X,
    T,
    sums,
    n_fields,
    channels,
    heads,
    n1,
    n2,
    m1,
    m2,
    KEEP: tl.constexpr,
    SUM: tl.constexpr,
    F1: tl.constexpr,
    F2: tl.constexpr,
    P1: tl.constexpr,
    P2: tl.constexpr,
    DOT: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Programs: (fields * tiles of m2, tiles of m1). KEEP: write T. SUM: write those of fields."""
    tiles = tl.cdiv(m2, F2)
    field = tl.program_id(0) // tiles
    f2 = (tl.program_id(0) % tiles) * F2 + tl.arange(0, F2)
    f1 = tl.program_id(1) * F1 + tl.arange(0, F1)
    head = (field % channels) * heads // channels
    x = fields + field.to(tl.int64) * n1 * n2
    A1 += head * 2 * m1 * n1
    A2 += head * 2 * m2 * n2
    X_re = tl.zeros((F1, F2), tl.float32)
    X_im = tl.zeros((F1, F2), tl.float32)
    total = tl.zeros((P1,), tl.float32)
    for i0 in range(0, n1, P1):
        i = i0 + tl.arange(0, P1)
        T_re = tl.zeros((P1, F2), tl.float32)
        T_im = tl.zeros((P1, F2), tl.float32)
        for j0 in range(0, n2, P2):
            j = j0 + tl.arange(0, P2)
            x_ij = _load(x, i, n2, n1, j, 1, n2, DOT)
            re = _load(A2, j, 1, n2, f2, n2, m2, DOT)
            im = _load(A2 + m2 * n2, j, 1, n2, f2, n2, m2, DOT)
            T_re = _add_product(T_re, x_ij, re, PRECISION)
            T_im = _add_product(T_im, x_ij, im, PRECISION)
            if SUM:
                total += tl.sum(x_ij.to(tl.float32), 1)
        T_re = T_re.to(X.dtype.element_ty).to(DOT)
        T_im = T_im.to(X.dtype.element_ty).to(DOT)
        if KEEP and tl.program_id(1) == 0:
            inside = (i < n1)[:, None] & (f2 < m2)[None, :]
            tl.store(T + _level(f2, n_fields, field, i, n1), T_re, inside)
            tl.store(T + _level(f2 + m2, n_fields, field, i, n1), T_im, inside)
        re = _load(A1, f1, n1, m1, i, 1, n1, DOT)
        im = _load(A1 + m1 * n1, f1, n1, m1, i, 1, n1, DOT)
        X_re = _add_product(X_re, re, T_re, PRECISION)
        X_re = _add_product(X_re, -im, T_im, PRECISION)
        X_im = _add_product(X_im, re, T_im, PRECISION)
        X_im = _add_product(X_im, im, T_re, PRECISION)
    inside = (f1 < m1)[:, None] & (f2 < m2)[None, :]
    tl.store(X + _spectrum(f1, f2, m2, n_fields, field), X_re, inside)
    tl.store(X + _spectrum(f1 + m1, f2, m2, n_fields, field), X_im, inside)
    if SUM:
        tl.store(sums + field, tl.sum(total, 0), tl.program_id(0) % tiles + tl.program_id(1) == 0)


@triton.jit
@no_type_check
def synthesise(
    Y,
    B1,
    B2,
    bias,
    fields,
    T,
    n_fields,
    channels,
    heads,
    n1,
    n2,
    m1,
    m2,
    KEEP: tl.constexpr,
    BIAS: tl.constexpr,
    F1: tl.constexpr,
    F2: tl.constexpr,
    P1: tl.constexpr,
    P2: tl.constexpr,
    DOT: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Programs: (fields * tiles of n1, tiles of n2). KEEP: write T. BIAS: add it."""
    tiles = tl.cdiv(n1, P1)
    field = tl.program_id(0) // tiles
    i = (tl.program_id(0) % tiles) * P1 + tl.arange(0, P1)
    j = tl.program_id(1) * P2 + tl.arange(0, P2)
    channel = field % channels
    head = channel * heads // channels
    B1 += head * 2 * m1 * n1
    B2 += head * 2 * m2 * n2
    y = tl.zeros((P1, P2), tl.float32)
    for g in range(0, m2, F2):
        f2 = g + tl.arange(0, F2)
        T_re = tl.zeros((P1, F2), tl.float32)
        T_im = tl.zeros((P1, F2), tl.float32)
        for f in range(0, m1, F1):
            f1 = f + tl.arange(0, F1)
            inside = (f1 < m1)[:, None] & (f2 < m2)[None, :]
            Y_re = tl.load(Y + _spectrum(f1, f2, m2, n_fields, field), inside, 0.0).to(DOT)
            Y_im = tl.load(Y + _spectrum(f1 + m1, f2, m2, n_fields, field), inside, 0.0).to(DOT)
            re = _load(B1, i, 1, n1, f1, n1, m1, DOT)
            im = _load(B1 + m1 * n1, i, 1, n1, f1, n1, m1, DOT)
            T_re = _add_product(T_re, re, Y_re, PRECISION)
            T_re = _add_product(T_re, im, Y_im, PRECISION)
            T_im = _add_product(T_im, re, Y_im, PRECISION)
            T_im = _add_product(T_im, -im, Y_re, PRECISION)
        T_re = T_re.to(Y.dtype.element_ty).to(DOT)
        T_im = T_im.to(Y.dtype.element_ty).to(DOT)
        if KEEP and tl.program_id(1) == 0:
            inside = (i < n1)[:, None] & (f2 < m2)[None, :]
            tl.store(T + _level(f2, n_fields, field, i, n1), T_re, inside)
            tl.store(T + _level(f2 + m2, n_fields, field, i, n1), T_im, inside)
        re = _load(B2, f2, n2, m2, j, 1, n2, DOT)
        im = _load(B2 + m2 * n2, f2, n2, m2, j, 1, n2, DOT)
        y = _add_product(y, T_re, re, PRECISION)
        y = _add_product(y, T_im, im, PRECISION)
    if BIAS:
        y += tl.load(bias + channel).to(tl.float32)
    inside = (i < n1)[:, None] & (j < n2)[None, :]
    to = fields + field.to(tl.int64) * n1 * n2
    tl.store(to + i[:, None] * n2 + j[None, :], y, inside)


@triton.jit
@no_type_check
def mix(
    A,
    B,
    C,
    n_frequencies,
    n_rows,
    depth,
    n_columns,
    FIRST: tl.constexpr,
    SECOND: tl.constexpr,
    R: tl.constexpr,
    D: tl.constexpr,
    N: tl.constexpr,
    DOT: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Programs: (frequencies, tiles of rows, of columns). FIRST: A^H; SECOND: B^H.

    A, B and C are (2, frequencies, ...), C with matrices of n_rows x n_columns.
    """
    frequency = tl.program_id(0).to(tl.int64)
    row = tl.program_id(1) * R + tl.arange(0, R)
    column = tl.program_id(2) * N + tl.arange(0, N)
    A_re, A_im = A + frequency * n_rows * depth, A + (frequency + n_frequencies) * n_rows * depth
    B_re = B + frequency * depth * n_columns
    B_im = B + (frequency + n_frequencies) * depth * n_columns
    re = tl.zeros((R, N), tl.float32)
    im = tl.zeros((R, N), tl.float32)
    for d in range(0, depth, D):
        k = d + tl.arange(0, D)
        if FIRST:
            a_re = _load(A_re, row, 1, n_rows, k, n_rows, depth, DOT)
            a_im = -_load(A_im, row, 1, n_rows, k, n_rows, depth, DOT)
        else:
            a_re = _load(A_re, row, depth, n_rows, k, 1, depth, DOT)
            a_im = _load(A_im, row, depth, n_rows, k, 1, depth, DOT)
        if SECOND:
            b_re = _load(B_re, k, 1, depth, column, depth, n_columns, DOT)
            b_im = -_load(B_im, k, 1, depth, column, depth, n_columns, DOT)
        else:
            b_re = _load(B_re, k, n_columns, depth, column, 1, n_columns, DOT)
            b_im = _load(B_im, k, n_columns, depth, column, 1, n_columns, DOT)
        re = _add_product(re, a_re, b_re, PRECISION)
        re = _add_product(re, -a_im, b_im, PRECISION)
        im = _add_product(im, a_re, b_im, PRECISION)
        im = _add_product(im, a_im, b_re, PRECISION)
    inside = (row < n_rows)[:, None] & (column < n_columns)[None, :]
    to = C + frequency * n_rows * n_columns + row[:, None] * n_columns + column[None, :]
    tl.store(to, re, inside)
    to = C + (frequency + n_frequencies) * n_rows * n_columns
    tl.store(to + row[:, None] * n_columns + column[None, :], im, inside)


@triton.jit
@no_type_check
def outer(
    A,
    B,
    shares,
    share_size,
    run,
    n_sum,
    m,
    n,
    COMPLEX: tl.constexpr,
    F: tl.constexpr,
    K: tl.constexpr,
    N: tl.constexpr,
    DOT: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Programs: (shares * tiles of m, tiles of n, heads). COMPLEX: B is, else it is real.

    A is (2, m, all k) and B (2 or 1, all k, n); of all k those of a head are in runs of `run`, one
    for each run of the other heads, `n_sum` in all. Every share of the sum over them is written on
    its own, as rows (heads, 2 m, n), `share_size` numbers after that before it.
    """
    tiles = tl.cdiv(m, F)
    share = tl.program_id(0) // tiles
    f = (tl.program_id(0) % tiles) * F + tl.arange(0, F)
    column = tl.program_id(1) * N + tl.arange(0, N)
    head = tl.program_id(2)
    heads = tl.num_programs(2)
    n_shares = tl.num_programs(0) // tiles
    length = tl.cdiv(tl.cdiv(n_sum, n_shares), K) * K
    re = tl.zeros((F, N), tl.float32)
    im = tl.zeros((F, N), tl.float32)
    n_all = (heads * run).to(tl.int64) * (n_sum // run)
    for k0 in range(share * length, tl.minimum(share * length + length, n_sum), K):
        k = k0 + tl.arange(0, K)
        at = ((k // run) * heads + head).to(tl.int64) * run + k % run
        in_A = (f < m)[:, None] & (k < n_sum)[None, :]
        a = A + f[:, None].to(tl.int64) * n_all + at[None, :]
        a_re = tl.load(a, in_A, 0.0).to(DOT)
        a_im = tl.load(a + m * n_all, in_A, 0.0).to(DOT)
        in_B = (k < n_sum)[:, None] & (column < n)[None, :]
        b = B + at[:, None] * n + column[None, :]
        b_re = tl.load(b, in_B, 0.0).to(DOT)
        re = _add_product(re, a_re, b_re, PRECISION)
        im = _add_product(im, a_im, b_re, PRECISION)
        if COMPLEX:
            b_im = tl.load(b + n_all * n, in_B, 0.0).to(DOT)
            re = _add_product(re, a_im, b_im, PRECISION)
            im = _add_product(im, -a_re, b_im, PRECISION)
    to = shares + share.to(tl.int64) * share_size + head * 2 * m * n
    inside = (f < m)[:, None] & (column < n)[None, :]
    at = f[:, None] * n + column[None, :]
    tl.store(to + at, re, inside)
    tl.store(to + m * n + at, im, inside)
