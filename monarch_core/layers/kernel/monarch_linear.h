// The product of a Monarch matrix with rows, and its gradients, in one call each, in pieces of the
// rows that stay in the cache between the factors. Of few rows what takes the time is to read the
// factors and to write their gradients, once. In the notation of `formula` in monarch_product.py, with
// the blocks of rows side by side in z.

#pragma once

#include "rows.h"
#include "vectors.h"

#include <algorithm>
#include <numeric>

namespace monarch_linear {

struct Sizes {
    int64_t n_rows, N, s, h, a, n_in, n_out;
};

constexpr int64_t PIECE = 384; // rows

// Memory of this thread, kept for the next call: 0 for a block of a factor, 1 for a row, 2 for a piece.
template <int USE> float *own_memory(int64_t count) {
    static thread_local Array memory;
    memory.hold(count);
    return memory.data();
}

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
    float *turned = own_memory<0>(n * m);
    transpose(A, m, n, n, turned, m);
    const auto columns = [&](int64_t j, int64_t count) {
        Ahead none;
        ::multiply({n_rows, count, n, x, n, 1, turned + j, m, out + j, out_row, &none});
    };
    columns(0, m / V * V);
    if (m % V) columns(m - V, V); // overlaps
}

// out[r * out_row + j] = sum_k A[j, k] x[r, k]
inline void multiply(const float *A, int64_t m, int64_t n, const float *x, int64_t n_rows,
                     float *out, int64_t out_row) {
    if (n_rows == 0) return;
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

// dx[r, k] = sum_j g[r, j] A[j, k]
inline void to_rows(const float *A, int64_t m, int64_t n, const float *g, int64_t n_rows,
                    int64_t g_row, float *dx) {
    if (n < V) {
        std::fill_n(dx, n_rows * n, 0.f);
        for (int64_t r = 0; r < n_rows; ++r)
            for (int64_t j = 0; j < m; ++j)
                for (int64_t k = 0; k < n; ++k) dx[r * n + k] += g[r * g_row + j] * A[j * n + k];
        return;
    }
    const auto columns = [&](int64_t k, int64_t count) {
        Ahead none;
        ::multiply({n_rows, count, m, g, g_row, 1, A + k, n, dx + k, n, &none});
    };
    columns(0, n / V * V);
    if (n % V) columns(n - V, V); // overlaps
}

// dA[j, k] = sum_r g[r, j] x[r, k], or so much more than what is there.
inline void to_factor(int64_t m, int64_t n, const float *x, const float *g, int64_t n_rows,
                      int64_t g_row, float *dA, bool add) {
    float *to = add ? own_memory<0>(m * n) : dA;
    if (n < V) {
        std::fill_n(to, m * n, 0.f);
        for (int64_t r = 0; r < n_rows; ++r)
            for (int64_t j = 0; j < m; ++j)
                for (int64_t k = 0; k < n; ++k) to[j * n + k] += g[r * g_row + j] * x[r * n + k];
    } else {
        const auto columns = [&](int64_t k, int64_t count) {
            Ahead none;
            ::multiply({m, count, n_rows, g, 1, g_row, x + k, n, to + k, n, &none});
        };
        columns(0, n / V * V);
        if (n % V) columns(n - V, V); // overlaps
    }
    for (int64_t i = 0; add && i < m * n; ++i) dA[i] += to[i];
}

// sum[i] += sum_r g[r, i], of a piece first, for the digits
inline void add_rows(const float *g, int64_t n_rows, int64_t n, float *piece, float *sum) {
    std::copy_n(g, n, piece);
    for (int64_t r = 1; r < n_rows; ++r)
        for (int64_t i = 0; i < n; ++i) piece[i] += g[r * n + i];
    for (int64_t i = 0; i < n; ++i) sum[i] += piece[i];
}

// Memory of a piece: the blocks of the inputs, of z, once more by the other factor, and of what comes out.
struct Memory {
    float *x, *z, *z_mr, *y;
    explicit Memory(const Sizes &l) {
        const int64_t n = std::min(PIECE, l.n_rows) * l.N;
        x = own_memory<2>(n * (l.a + 2 * l.h + std::max(l.a, l.s)));
        z = x + n * l.a, z_mr = z + n * l.h, y = z_mr + n * l.h;
    }
};

inline float *row_memory(const Sizes &l) { return own_memory<1>(l.N * std::max({l.a, l.h, l.s})); }

inline int threads_for(const Sizes &l, int threads) {
    return l.n_rows * l.N * l.h * (l.a + l.s) < 1 << 20 ? 1 : threads;
}

// Calls body(block, share) within a parallel region for so many parts of every block that each thread has
// as much to do; share(n) are the first of n rows of this part and how many.
template <typename Body> void for_shares(const Sizes &l, int threads, const Body &body) {
    const int64_t parts = threads / std::gcd((int64_t)threads, l.N);
#pragma omp for collapse(2)
    for (int64_t block = 0; block < l.N; ++block)
        for (int64_t part = 0; part < parts; ++part) {
            const auto share = [&](int64_t all) {
                const int64_t first = all * part / parts;
                return std::pair(first, all * (part + 1) / parts - first);
            };
            body(block, share);
        }
}

} // namespace monarch_linear

extern "C" {

// Sizes: those of monarch_linear::Sizes. kept is z' (N, n_rows, h), for the gradients; it and the bias may
// be null.
void multiply_rows(const int64_t *sizes, const float *x, const float *L, const float *R,
                   const float *bias, float *kept, float *y, int threads) {
    using namespace monarch_linear;
    const auto &l = *reinterpret_cast<const Sizes *>(sizes);
    const int64_t width = l.N * l.h;
    const Memory own(l);
    threads = threads_for(l, threads);
#pragma omp parallel num_threads(threads) if (threads > 1)
    for (int64_t first = 0; first < l.n_rows; first += PIECE) {
        const int64_t n = std::min(PIECE, l.n_rows - first);
        const int64_t each = kept ? l.n_rows * l.h : n * l.h; // from a block of z' to the next
        float *z_mr = kept ? kept + first * l.h : own.z_mr;
#pragma omp for
        for (int64_t r = 0; r < n; ++r)
            rows::split(l.N, x + (first + r) * l.n_in, l.n_in, own.x + r * l.a, n * l.a,
                        row_memory(l));
        for_shares(l, threads, [&](int64_t b, const auto &share) {
            const auto [r, count] = share(n);
            multiply(R + b * l.h * l.a, l.h, l.a, own.x + (b * n + r) * l.a, count,
                     own.z + r * width + b * l.h, width);
        });
#pragma omp for
        for (int64_t r = 0; r < n; ++r)
            rows::split(l.N, own.z + r * width, width, z_mr + r * l.h, each, row_memory(l));
        for_shares(l, threads, [&](int64_t m, const auto &share) {
            const auto [r, count] = share(n);
            multiply(L + m * l.s * l.h, l.s, l.h, z_mr + m * each + r * l.h, count,
                     own.y + (m * n + r) * l.s, l.s);
        });
#pragma omp for
        for (int64_t r = 0; r < n; ++r) {
            float *y_r = y + (first + r) * l.n_out;
            rows::merge(l.N, own.y + r * l.s, l.n_out, y_r, n * l.s, row_memory(l));
            for (int64_t i = 0; bias && i < l.n_out; ++i) y_r[i] += bias[i];
        }
    }
}

// The gradients from g, that of y, to all that is not null.
void gradients_of_rows(const int64_t *sizes, const float *g, const float *x, const float *L,
                       const float *R, const float *kept, float *dx, float *dL, float *dR,
                       float *dbias, int threads) {
    using namespace monarch_linear;
    const auto &l = *reinterpret_cast<const Sizes *>(sizes);
    const int64_t width = l.N * l.h, each = l.n_rows * l.h;
    const Memory own(l);
    if (dbias) std::fill_n(dbias, l.n_out, 0.f);
    threads = threads_for(l, threads);
#pragma omp parallel num_threads(threads) if (threads > 1)
    for (int64_t first = 0; first < l.n_rows; first += PIECE) {
        const int64_t n = std::min(PIECE, l.n_rows - first);
        if (dbias) {
#pragma omp single
            add_rows(g + first * l.n_out, n, l.n_out, row_memory(l), dbias);
        }
        if (!(dx || dL || dR)) continue;
#pragma omp for
        for (int64_t r = 0; r < n; ++r)
            rows::split(l.N, g + (first + r) * l.n_out, l.n_out, own.y + r * l.s, n * l.s,
                        row_memory(l));
        for_shares(l, threads, [&](int64_t m, const auto &share) {
            const float *g_m = own.y + m * n * l.s;
            if (dL) {
                const auto [j, count] = share(l.s);
                to_factor(count, l.h, kept + m * each + first * l.h, g_m + j, n, l.s,
                          dL + (m * l.s + j) * l.h, first > 0);
            }
            if (dx || dR) {
                const auto [r, count] = share(n);
                to_rows(L + m * l.s * l.h, l.s, l.h, g_m + r * l.s, count, l.s,
                        own.z_mr + (m * n + r) * l.h);
            }
        });
        if (!(dx || dR)) continue;
#pragma omp for
        for (int64_t r = 0; r < n; ++r) {
            rows::merge(l.N, own.z_mr + r * l.h, width, own.z + r * width, n * l.h,
                        row_memory(l));
            if (dR)
                rows::split(l.N, x + (first + r) * l.n_in, l.n_in, own.x + r * l.a, n * l.a,
                            row_memory(l));
        }
        for_shares(l, threads, [&](int64_t b, const auto &share) {
            if (dR) {
                const auto [j, count] = share(l.h);
                to_factor(count, l.a, own.x + b * n * l.a, own.z + b * l.h + j, n, width,
                          dR + (b * l.h + j) * l.a, first > 0);
            }
            if (dx) { // of g no more is read
                const auto [r, count] = share(n);
                to_rows(R + b * l.h * l.a, l.h, l.a, own.z + r * width + b * l.h, count, width,
                        own.y + (b * n + r) * l.a);
            }
        });
        if (!dx) continue;
#pragma omp for
        for (int64_t r = 0; r < n; ++r)
            rows::merge(l.N, own.y + r * l.a, l.n_in, dx + (first + r) * l.n_in, n * l.a,
                        row_memory(l));
    }
}

} // extern "C"
