// A layer of a network on the channels of every point: a field is added to a linear map of another one,
// and gelu follows, in one pass over the fields each way.
//
//     v (batch, in, points)    W (out, in)    pre = y + W v (batch, out, points)    gelu(pre)

#pragma once

#include "gelu.h"
#include "tiles.h"

namespace {
namespace skip {

struct Sizes {
    size batch, in, out, points;
};

// Many points in a row, of which a product takes a few lines of the cache at a time: fewer where there
// is no AVX-512, as the second cache is smaller there.
constexpr size POINTS = V == 16 ? 512 : 256;
constexpr tiles::Shape TILE{POINTS, POINTS + 16};

} // namespace skip
} // namespace

extern "C" {

// Sizes: those of skip::Sizes.

// y becomes pre, and `activated`, if it is not null, gelu(pre).
void add_product(const int64_t *sizes, const float *v, const float *W, float *y, float *activated,
                 int threads) {
    const auto &s = *reinterpret_cast<const skip::Sizes *>(sizes);
    skip::TILE.visit(s.batch, s.points, threads, [&](int, size sample, size first, size wide) {
        constexpr size row = skip::TILE.row;
        static thread_local Array memory;
        memory.hold((s.in + s.out) * row);
        float *v_of = memory.data(), *y_of = v_of + s.in * row;
        const size from = sample * s.out * s.points + first;
        skip::TILE.read(v + sample * s.in * s.points + first, s.in, s.points, wide, v_of);
        skip::TILE.read(y + from, s.out, s.points, wide, y_of);
        skip::TILE.apply(s.out, s.in, W, s.in, 1, v_of, y_of, true);
        skip::TILE.write(y_of, s.out, wide, y + from, s.points);
        if (!activated) return;
        for (size i = 0; i < s.out * row; i += V) store(y_of + i, gelu(load(y_of + i)).value);
        skip::TILE.write(y_of, s.out, wide, activated + from, s.points);
    });
}

// The gradients from `grad`, that of gelu(pre), to dpre, or that of pre, where pre and dpre are null.
void add_product_backward(const int64_t *sizes, const float *grad, const float *v, const float *W,
                          const float *pre, float *dpre, float *dv, float *dW, int threads) {
    const auto &s = *reinterpret_cast<const skip::Sizes *>(sizes);
    const size width = round_up(s.in);
    std::vector<Array> sums(threads);
    for (Array &sum : sums) sum.hold(s.out * width);
    skip::TILE.visit(s.batch, s.points, threads, [&](int thread, size sample, size first, size wide) {
        constexpr size row = skip::TILE.row;
        static thread_local Array memory;
        memory.hold((2 * s.in + 2 * s.out + width) * row);
        float *v_of = memory.data(), *g_of = v_of + s.in * row, *pre_of = g_of + s.out * row,
              *dv_of = pre_of + s.out * row, *turned = dv_of + s.in * row;
        const size from = sample * s.out * s.points + first,
                   from_v = sample * s.in * s.points + first;
        skip::TILE.read(v + from_v, s.in, s.points, wide, v_of);
        skip::TILE.read(grad + from, s.out, s.points, wide, g_of);
        if (pre) {
            skip::TILE.read(pre + from, s.out, s.points, wide, pre_of);
            for (size i = 0; i < s.out * row; i += V)
                store(g_of + i, load(g_of + i) * gelu(load(pre_of + i)).slope);
            skip::TILE.write(g_of, s.out, wide, dpre + from, s.points);
        }
        transpose(v_of, s.in, skip::TILE.points, row, turned, width);
        Ahead none;
        float *sum = sums[thread].data();
        multiply({s.out, width, skip::TILE.points, g_of, row, 1, turned, width, sum, width, &none,
                  sum});
        skip::TILE.apply(s.in, s.out, W, 1, s.in, g_of, dv_of);
        skip::TILE.write(dv_of, s.in, wide, dv + from_v, s.points);
    });
    std::fill_n(dW, s.out * s.in, 0.f);
    for (Array &sum : sums)
        for (size i = 0; i < s.out; i++)
            for (size j = 0; j < s.in; j++) dW[i * s.in + j] += sum.data()[i * width + j];
}

} // extern "C"
