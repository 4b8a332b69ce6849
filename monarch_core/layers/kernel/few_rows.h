// The product of a Monarch matrix with few rows, and its gradients, in one call each: what takes the
// time is to read the factors and to write their gradients, once. In the notation of `formula` in
// monarch_product.py, with the blocks of rows side by side in z.

#pragma once

#include "rows.h"
#include "vectors.h"

#include <algorithm>

namespace few_rows {

struct Sizes {
    int64_t n_rows, N, s, h, a, n_in, n_out;
};

// The vector that ends at x, zero but for the last `rest` numbers.
inline vec last(const float *x, int rest) {
    static const std::int32_t lane[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return *(const mask *)lane >= V - rest ? load(x - V) : vec{};
}

constexpr int64_t TURNED_PER_ROW = 5; // columns of A that one more row of x is worth
constexpr int64_t DEPTH = 384; // numbers of V rows that stay in the first cache

// out[r * out_row + j] = sum_k A[j, k] x[r, k] for n >= V and V rows of A
inline void multiply_tile(const float *A, int64_t n, const float *x, int64_t n_rows, float *out,
                          int64_t out_row) {
    for (int64_t start = 0; start < n; start += DEPTH) {
        const int64_t end = n - start < DEPTH + V ? n : start + DEPTH; // the last one has V or more
        const int rest = (end - start) % V;
        for (int64_t r = 0; r < n_rows; ++r) {
            const float *x_r = x + r * n;
            float *y = out + r * out_row;
            vec sums[V] = {};
            for (int64_t k = start; k + V <= end; k += V) {
                const vec x_k = load(x_r + k);
#pragma GCC unroll 16
                for (int j = 0; j < V; ++j) sums[j] += load(A + j * n + k) * x_k;
            }
            if (rest) {
                const vec x_k = last(x_r + end, rest);
#pragma GCC unroll 16
                for (int j = 0; j < V; ++j) sums[j] += last(A + j * n + end, rest) * x_k;
            }
            transpose(sums);
#pragma GCC unroll 16
            for (int k = 1; k < V; ++k) sums[0] += sums[k];
            store(y, start ? load(y) + sums[0] : sums[0]);
        }
        if (end == n) return;
    }
}

// The same for all m >= V rows of A, by columns: A is turned once, and no sum is.
inline void multiply_turned(const float *A, int64_t m, int64_t n, const float *x, int64_t n_rows,
                            float *out, int64_t out_row) {
    static thread_local Array memory;
    memory.hold(n * m);
    transpose(A, m, n, n, memory.data(), m);
    const auto columns = [&](int64_t j, int64_t count) {
        Ahead none;
        ::multiply({n_rows, count, n, x, n, 1, memory.data() + j, m, out + j, out_row, &none});
    };
    columns(0, m / V * V);
    if (m % V) columns(m - V, V); // overlaps
}

// out[r * out_row + j] = sum_k A[j, k] x[r, k]
inline void multiply(const float *A, int64_t m, int64_t n, const float *x, int64_t n_rows,
                     float *out, int64_t out_row) {
    if (m >= V && n_rows * TURNED_PER_ROW >= n)
        return multiply_turned(A, m, n, x, n_rows, out, out_row);
    if (m >= V && n >= V) {
        int64_t j = 0;
        for (; j + V <= m; j += V) multiply_tile(A + j * n, n, x, n_rows, out + j, out_row);
        if (j < m) // overlaps
            multiply_tile(A + (m - V) * n, n, x, n_rows, out + m - V, out_row);
        return;
    }
    for (int64_t j = 0; j < m; ++j)
        for (int64_t r = 0; r < n_rows; ++r) {
            float y = 0;
#pragma omp simd reduction(+ : y)
            for (int64_t k = 0; k < n; ++k) y += A[j * n + k] * x[r * n + k];
            out[r * out_row + j] = y;
        }
}

// From g, the gradient of what `multiply` returns: dx[r, k] and dA[j, k], if they are not null.
inline void gradients(const float *A, int64_t m, int64_t n, const float *x, int64_t n_rows,
                      const float *g, int64_t g_row, float *dx, float *dA) {
    const auto columns = [&](int64_t k, int64_t count) {
        Ahead none;
        if (dx) ::multiply({n_rows, count, m, g, g_row, 1, A + k, n, dx + k, n, &none});
        if (dA) ::multiply({m, count, n_rows, g, 1, g_row, x + k, n, dA + k, n, &none});
    };
    if (n >= V) {
        columns(0, n / V * V);
        if (n % V) columns(n - V, V); // overlaps
        return;
    }
    if (dx) std::fill_n(dx, n_rows * n, 0.f);
    if (dA) std::fill_n(dA, m * n, 0.f);
    for (int64_t j = 0; j < m; ++j)
        for (int64_t r = 0; r < n_rows; ++r) {
            const float g_rj = g[r * g_row + j];
            for (int64_t k = 0; dx && k < n; ++k) dx[r * n + k] += g_rj * A[j * n + k];
            for (int64_t k = 0; dA && k < n; ++k) dA[j * n + k] += g_rj * x[r * n + k];
        }
}

// Memory for the blocks of the inputs, of z and of the outputs, and for one row.
struct Memory {
    std::vector<float> x, z, y, row;
    explicit Memory(const Sizes &l)
        : x(l.n_rows * l.N * l.a), z(l.n_rows * l.N * l.h), y(l.n_rows * l.N * l.s),
          row(l.N * std::max({l.a, l.h, l.s})) {}
};

} // namespace few_rows

extern "C" {

// Sizes: those of few_rows::Sizes. z_mr is z' (N, n_rows, h), kept for the gradients; it and the bias
// may be null.
void multiply_few_rows(const int64_t *sizes, const float *x, const float *L, const float *R,
                       const float *bias, float *z_mr, float *y, int threads) {
    const auto &l = *reinterpret_cast<const few_rows::Sizes *>(sizes);
    few_rows::Memory own(l);
    const int64_t n = l.n_rows, width = l.N * l.h;
    std::vector<float> own_mr(z_mr ? 0 : n * width);
    if (!z_mr) z_mr = own_mr.data();
    for (int64_t r = 0; r < n; ++r)
        rows::split(l.N, x + r * l.n_in, l.n_in, &own.x[r * l.a], n * l.a, own.row.data());
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (int64_t b = 0; b < l.N; ++b)
        few_rows::multiply(R + b * l.h * l.a, l.h, l.a, &own.x[b * n * l.a], n, &own.z[b * l.h],
                           width);
    for (int64_t r = 0; r < n; ++r)
        rows::split(l.N, &own.z[r * width], width, z_mr + r * l.h, n * l.h, own.row.data());
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (int64_t m = 0; m < l.N; ++m)
        few_rows::multiply(L + m * l.s * l.h, l.s, l.h, z_mr + m * n * l.h, n,
                           &own.y[m * n * l.s], l.s);
    for (int64_t r = 0; r < n; ++r, y += l.n_out) {
        rows::merge(l.N, &own.y[r * l.s], l.n_out, y, n * l.s, own.row.data());
        rows::add_bias(bias, l.n_out, y);
    }
}

// The gradients from g, that of y, to all that is not null.
void gradients_of_few_rows(const int64_t *sizes, const float *g, const float *x, const float *L,
                           const float *R, const float *z_mr, float *dx, float *dL, float *dR,
                           float *dbias, int threads) {
    const auto &l = *reinterpret_cast<const few_rows::Sizes *>(sizes);
    few_rows::Memory own(l);
    const int64_t n = l.n_rows, width = l.N * l.h;
    const bool to_first = dx || dR;
    std::vector<float> dz_mr(to_first ? n * width : 0), dx_ba(dx ? own.x.size() : 0);
    for (int64_t r = 0; r < n; ++r) {
        const float *g_r = g + r * l.n_out;
        rows::split(l.N, g_r, l.n_out, &own.y[r * l.s], n * l.s, own.row.data());
        rows::split(l.N, x + r * l.n_in, l.n_in, &own.x[r * l.a], n * l.a, own.row.data());
        for (int64_t i = 0; dbias && i < l.n_out; ++i) dbias[i] = (r ? dbias[i] : 0) + g_r[i];
    }
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (int64_t m = 0; m < l.N; ++m)
        few_rows::gradients(L + m * l.s * l.h, l.s, l.h, z_mr ? z_mr + m * n * l.h : nullptr, n,
                            &own.y[m * n * l.s], l.s,
                            to_first ? &dz_mr[m * n * l.h] : nullptr,
                            dL ? dL + m * l.s * l.h : nullptr);
    if (!to_first) return;
    for (int64_t r = 0; r < n; ++r)
        rows::merge(l.N, &dz_mr[r * l.h], width, &own.z[r * width], n * l.h, own.row.data());
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (int64_t b = 0; b < l.N; ++b)
        few_rows::gradients(R + b * l.h * l.a, l.h, l.a, &own.x[b * n * l.a], n, &own.z[b * l.h],
                            width, dx ? &dx_ba[b * n * l.a] : nullptr,
                            dR ? dR + b * l.h * l.a : nullptr);
    for (int64_t r = 0; dx && r < n; ++r)
        rows::merge(l.N, &dx_ba[r * l.a], l.n_in, dx + r * l.n_in, n * l.a, own.row.data());
}

} // extern "C"
