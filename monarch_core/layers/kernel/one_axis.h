// A spectral product on one axis: products of matrices that are long and thin, a panel of the axis at
// a time, so that it is in the cache. The formulas are those of reference.py, in float32.
//
//     field     x  (batch, channels, n)         spectrum  X  (2 m, batch, channels)
//     matrix    R  (heads, 2 m, n)              [Re; Im]
//
//     analysis  X = R x^T       synthesis  x = X^T R + bias       gradient  dR = X x
//
// Each head serves its own group of channels.

#pragma once

#include "mix.h"
#include "vectors.h"

namespace one_axis {

struct Axis {
    size batch, channels, heads, n, m;

    size rows() const { return batch * channels; }
};

// Rows of fields that share a matrix and follow each other: all, or those of one head in one sample.
struct Group {
    size first, count, head;
};

inline std::vector<Group> groups(const Axis &s) {
    if (s.heads == 1) return {{0, s.rows(), 0}};
    std::vector<Group> found;
    const size count = s.channels / s.heads;
    for (size i = 0; i < s.batch * s.heads; i++) found.push_back({i * count, count, i % s.heads});
    return found;
}

constexpr size PANEL = 64; // numbers of the axis: four lines of the cache

// to (rows x wide) = columns of from, and zeros up to PANEL; the next panel is asked for meanwhile, as
// lines that lie as far apart as the fields are long are not foreseen by the machine.
inline void copy_panel(const float *from, size rows, size from_row, size wide, float *to) {
    for (size i = 0; i < rows; i++) {
        std::memcpy(to + i * PANEL, from + i * from_row, 4 * wide);
        for (size k = 0; k < PANEL; k += 16)
            __builtin_prefetch(from + i * from_row + PANEL + k, 0, 2);
        std::fill(to + i * PANEL + wide, to + (i + 1) * PANEL, 0.f);
    }
}

// Calls body(c, wide) for every panel, which begins at c.
template <typename Body> void for_panels(size n, int threads, const Body &body) {
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (size c = 0; c < n; c += PANEL) body(c, std::min(PANEL, n - c));
}

// X = R x^T. Of DEPTH numbers of at most MOST fields the transpose is in the cache, and one sum.
inline void analyse(const Axis &s, const float *R, const float *x, float *X, int threads) {
    constexpr size MOST = 64, DEPTH = 256;
    for (const Group &group : groups(s)) {
        const float *R_h = R + group.head * 2 * s.m * s.n;
        const size each = std::min(MOST, round_up((group.count + threads - 1) / threads));
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
        for (size i = 0; i < group.count; i += each) {
            const size rows = std::min(each, group.count - i), width = round_up(rows);
            static thread_local Array memory;
            memory.hold((DEPTH + 2 * s.m) * width);
            float *turned = memory.data(), *sum = turned + DEPTH * width;
            const float *x_i = x + (group.first + i) * s.n;
            for (size c = 0; c < s.n; c += DEPTH) {
                const size depth = std::min(DEPTH, s.n - c);
                transpose(x_i + c, rows, depth, s.n, turned, width);
                Ahead none;
                multiply({2 * s.m, width, depth, R_h + c, s.n, 1, turned, width, sum, width, &none,
                          c > 0 ? sum : nullptr});
            }
            for (size f = 0; f < 2 * s.m; f++)
                std::memcpy(X + f * s.rows() + group.first + i, sum + f * width, 4 * rows);
        }
    }
}

// x = X^T R + bias, if it is not null: that is one more row of X, and ones below R.
inline void synthesise(const Axis &s, const float *R, const float *X, const float *bias, float *x,
                       int threads) {
    const size depth = 2 * s.m + (bias ? 1 : 0), rows = s.rows();
    std::vector<float> longer(bias ? depth * rows : 0);
    if (bias) {
        std::memcpy(longer.data(), X, 4 * 2 * s.m * rows);
        for (size i = 0; i < rows; i++) longer[2 * s.m * rows + i] = bias[i % s.channels];
        X = longer.data();
    }
    const auto all = groups(s);
    for_panels(s.n, threads, [&](size c, size wide) {
        static thread_local Array memory;
        memory.hold((depth + all[0].count) * PANEL);
        float *panel = memory.data(), *out = panel + depth * PANEL;
        std::fill_n(panel + 2 * s.m * PANEL, (depth - 2 * s.m) * PANEL, 1.f);
        for (size head = 0; head < s.heads; head++) {
            copy_panel(R + head * 2 * s.m * s.n + c, 2 * s.m, s.n, wide, panel);
            for (size g = head; g < (size)all.size(); g += s.heads) {
                const size first = all[g].first, count = all[g].count;
                float *to = x + first * s.n + c;
                const bool whole = wide == PANEL;
                Ahead none;
                multiply({count, whole ? PANEL : round_up(wide), depth, X + first, 1, rows, panel,
                          PANEL, whole ? to : out, whole ? s.n : PANEL, &none});
                for (size i = 0; i < count && !whole; i++)
                    std::memcpy(to + i * s.n, out + i * PANEL, 4 * wide);
            }
        }
    });
}

// dR = X x, summed over the batch.
inline void differentiate(const Axis &s, const float *X, const float *x, float *dR, int threads) {
    const auto all = groups(s);
    for_panels(s.n, threads, [&](size c, size wide) {
        static thread_local Array memory;
        memory.hold((all[0].count + s.heads * 2 * s.m) * PANEL);
        float *panel = memory.data(), *sums = panel + all[0].count * PANEL;
        for (size g = 0; g < (size)all.size(); g++) {
            const auto [first, count, head] = all[g];
            copy_panel(x + first * s.n + c, count, s.n, wide, panel);
            Ahead none;
            float *sum = sums + head * 2 * s.m * PANEL;
            multiply({2 * s.m, round_up(wide), count, X + first, s.rows(), 1, panel, PANEL, sum,
                      PANEL, &none, g >= s.heads ? sum : nullptr});
        }
        for (size f = 0; f < s.heads * 2 * s.m; f++)
            std::memcpy(dR + f * s.n + c, sums + f * PANEL, 4 * wide);
    });
}

} // namespace one_axis

extern "C" {

// As the functions for two axes in fused.cpp, without a T. Sizes: batch, channels, heads, n, m of x,
// then of y.

void spectral_product_1d(const size *sizes, const float *x, const float *W, const float *bias,
                         const float *A, const float *B, float *y, float *X, float *Y,
                         int threads) {
    const auto *s = reinterpret_cast<const one_axis::Axis *>(sizes);
    one_axis::analyse(s[0], A, x, X, threads);
    mix(s->m, s->batch, s->channels, s[1].channels, false, false, X, W, Y, threads);
    one_axis::synthesise(s[1], B, Y, bias, y, threads);
}

void spectral_product_backward_1d(const size *sizes, const float *grad, const float *x,
                                  const float *W, const float *A, const float *B, const float *X,
                                  const float *Y, float *dX, float *dY, float *dx, float *dW,
                                  float *sums, float *dA, float *dB, int threads) {
    const auto *s = reinterpret_cast<const one_axis::Axis *>(sizes);
    const size in = s[0].channels, out = s[1].channels;
    one_axis::analyse(s[1], B, grad, dY, threads);
    for (size i = 0; sums && i < s[1].rows(); i++) sums[i] = total(grad + i * s[1].n, s[1].n);
    if (dB) one_axis::differentiate(s[1], Y, grad, dB, threads);
    if (dW) mix(s->m, in, s->batch, out, true, false, X, dY, dW, threads);
    if (!dx) return;
    mix(s->m, s->batch, out, in, false, true, dY, W, dX, threads);
    one_axis::synthesise(s[0], A, dX, nullptr, dx, threads);
    if (dA) one_axis::differentiate(s[0], dX, x, dA, threads);
}
}
