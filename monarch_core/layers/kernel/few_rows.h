// The product of a Monarch matrix with few rows, and its gradients, in one call each: what takes the
// time is to read the factors and to write their gradients, once. In the notation of `formula` in
// monarch_product.py, with the blocks of rows side by side in z.

#pragma once

#include "rows.h"

#include <algorithm>

namespace few_rows {

struct Sizes {
    int64_t n_rows, N, s, h, a, n_in, n_out;
};

// out[r * out_row + j] = sum_k A[j, k] x[r, k], four rows at a time
inline void multiply(const float *A, int64_t m, int64_t n, const float *x, int64_t n_rows,
                     float *out, int64_t out_row) {
    for (int64_t j = 0; j < m; ++j) {
        const float *row = A + j * n;
        int64_t r = 0;
        for (; r + 4 <= n_rows; r += 4) {
            const float *x_0 = x + r * n, *x_1 = x_0 + n, *x_2 = x_1 + n, *x_3 = x_2 + n;
            float y_0 = 0, y_1 = 0, y_2 = 0, y_3 = 0;
#pragma omp simd reduction(+ : y_0, y_1, y_2, y_3)
            for (int64_t k = 0; k < n; ++k) {
                y_0 += row[k] * x_0[k];
                y_1 += row[k] * x_1[k];
                y_2 += row[k] * x_2[k];
                y_3 += row[k] * x_3[k];
            }
            float *y = out + r * out_row + j;
            y[0] = y_0, y[out_row] = y_1, y[2 * out_row] = y_2, y[3 * out_row] = y_3;
        }
        for (; r < n_rows; ++r) {
            float y = 0;
#pragma omp simd reduction(+ : y)
            for (int64_t k = 0; k < n; ++k) y += row[k] * x[r * n + k];
            out[r * out_row + j] = y;
        }
    }
}

// From g, the gradient of what `multiply` returns: dx[r, k] and dA[j, k], if they are not null.
inline void gradients(const float *A, int64_t m, int64_t n, const float *x, int64_t n_rows,
                      const float *g, int64_t g_row, float *dx, float *dA) {
    if (dx) std::fill_n(dx, n_rows * n, 0.f);
    for (int64_t j = 0; j < m; ++j)
        for (int64_t r = 0; r < n_rows; ++r) {
            const float g_rj = g[r * g_row + j];
            const float *row = A + j * n, *x_r = x + r * n;
            float *dx_r = dx + r * n, *dA_j = dA + j * n;
            if (dx)
#pragma omp simd
                for (int64_t k = 0; k < n; ++k) dx_r[k] += g_rj * row[k];
            if (dA && r == 0)
#pragma omp simd
                for (int64_t k = 0; k < n; ++k) dA_j[k] = g_rj * x_r[k];
            else if (dA)
#pragma omp simd
                for (int64_t k = 0; k < n; ++k) dA_j[k] += g_rj * x_r[k];
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

// Sizes: those of few_rows::Sizes. z_mr is z' (N, n_rows, h), kept for the gradients; the bias may be
// null.
void multiply_few_rows(const int64_t *sizes, const float *x, const float *L, const float *R,
                       const float *bias, float *z_mr, float *y, int threads) {
    const auto &l = *reinterpret_cast<const few_rows::Sizes *>(sizes);
    few_rows::Memory own(l);
    const int64_t n = l.n_rows, width = l.N * l.h;
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
    for (int64_t r = 0; r < n; ++r)
        rows::merge(l.N, &own.y[r * l.s], l.n_out, bias, y + r * l.n_out, n * l.s,
                    own.row.data());
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
        rows::merge(l.N, &dz_mr[r * l.h], width, nullptr, &own.z[r * width], n * l.h,
                    own.row.data());
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (int64_t b = 0; b < l.N; ++b)
        few_rows::gradients(R + b * l.h * l.a, l.h, l.a, &own.x[b * n * l.a], n, &own.z[b * l.h],
                            width, dx ? &dx_ba[b * n * l.a] : nullptr,
                            dR ? dR + b * l.h * l.a : nullptr);
    for (int64_t r = 0; dx && r < n; ++r)
        rows::merge(l.N, &dx_ba[r * l.a], l.n_in, nullptr, dx + r * l.n_in, n * l.a,
                    own.row.data());
}

} // extern "C"
