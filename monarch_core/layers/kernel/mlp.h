// A network of one hidden layer on the channels of every point, and its gradients: of a tile of points
// the hidden layer is in the cache from the first product to the last. The formula is that of
// pointwise.py, in float32.
//
//     x (batch, in, points)    W1 (hidden, in)    W2 (out, hidden)    y (batch, out, points)

#pragma once

#include "gelu.h"
#include "tiles.h"

namespace {
namespace mlp {

struct Sizes {
    size batch, in, hidden, out, points;
};

// Of so few points the hidden layer is in the first cache.
constexpr size T = V * (V == 16 ? 4 : 6);
constexpr tiles::Shape TILE{T, T};

// The sums of a thread over all its tiles: dW1 with rows in whole vectors, and a vector for each
// number of db1, dW2 (out, hidden) and db2, of whose lanes the sum is taken in the end.
struct Sums {
    const Sizes &s;
    size width; // of a row of dW1
    Array memory;

    explicit Sums(const Sizes &s) : s(s), width(round_up(s.in)) {
        memory.hold(s.hidden * width + V * (s.hidden + s.out * s.hidden + s.out));
    }
    float *dW1() { return memory.data(); }
    float *db1() { return dW1() + s.hidden * width; }
    float *dW2() { return db1() + V * s.hidden; }
    float *db2() { return dW2() + V * s.out * s.hidden; }
    void add_to(float *to_W1, float *to_b1, float *to_W2, float *to_b2) {
        for (size i = 0; i < s.hidden; i++)
            for (size j = 0; j < s.in; j++) to_W1[i * s.in + j] += dW1()[i * width + j];
        for (size i = 0; i < s.hidden; i++) to_b1[i] += total(db1() + i * V, V);
        for (size i = 0; i < s.out * s.hidden; i++) to_W2[i] += total(dW2() + i * V, V);
        for (size i = 0; i < s.out; i++) to_b2[i] += total(db2() + i * V, V);
    }
};

inline void add(float *sum, vec v) { store(sum, load(sum) + v); }

} // namespace mlp
} // namespace

extern "C" {

// Sizes: those of mlp::Sizes.

void pointwise_mlp(const int64_t *sizes, const float *x, const float *W1, const float *b1,
                   const float *W2, const float *b2, float *y, int threads) {
    const auto &s = *reinterpret_cast<const mlp::Sizes *>(sizes);
    mlp::TILE.visit(s.batch, s.points, threads, [&](int, size sample, size first, size wide) {
        static thread_local Array memory;
        memory.hold((s.in + s.hidden + s.out) * mlp::T);
        float *x_of = memory.data(), *hidden = x_of + s.in * mlp::T,
              *y_of = hidden + s.hidden * mlp::T;
        mlp::TILE.read(x + sample * s.in * s.points + first, s.in, s.points, wide, x_of);
        mlp::TILE.apply(s.hidden, s.in, W1, s.in, 1, x_of, hidden);
        for (size i = 0; i < s.hidden; i++)
            for (size k = 0; k < mlp::T; k += V) {
                float *h = hidden + i * mlp::T + k;
                store(h, gelu(load(h) + b1[i]).value);
            }
        mlp::TILE.apply(s.out, s.hidden, W2, s.hidden, 1, hidden, y_of);
        for (size i = 0; i < s.out; i++)
            for (size k = 0; k < mlp::T; k++) y_of[i * mlp::T + k] += b2[i];
        mlp::TILE.write(y_of, s.out, wide, y + sample * s.out * s.points + first, s.points);
    });
}

// The gradients from g, that of y.
void pointwise_mlp_backward(const int64_t *sizes, const float *g, const float *x, const float *W1,
                            const float *b1, const float *W2, float *dx, float *dW1, float *db1,
                            float *dW2, float *db2, int threads) {
    const auto &s = *reinterpret_cast<const mlp::Sizes *>(sizes);
    std::vector<mlp::Sums> sums;
    sums.reserve(threads);
    for (int t = 0; t < threads; t++) sums.emplace_back(s);
    mlp::TILE.visit(s.batch, s.points, threads, [&](int thread, size sample, size first, size wide) {
        constexpr size T = mlp::T;
        mlp::Sums &sum = sums[thread];
        static thread_local Array memory;
        memory.hold((2 * s.in + 2 * s.hidden + s.out) * T + T * sum.width);
        float *x_of = memory.data(), *g_of = x_of + s.in * T, *hidden = g_of + s.out * T,
              *dh = hidden + s.hidden * T, *dx_of = dh + s.hidden * T, *turned = dx_of + s.in * T;
        mlp::TILE.read(x + sample * s.in * s.points + first, s.in, s.points, wide, x_of);
        mlp::TILE.read(g + sample * s.out * s.points + first, s.out, s.points, wide, g_of);
        mlp::TILE.apply(s.hidden, s.in, W1, s.in, 1, x_of, hidden);
        mlp::TILE.apply(s.hidden, s.out, W2, 1, s.hidden, g_of, dh);
        for (size i = 0; i < s.hidden; i++) {
            vec db = {};
            for (size k = 0; k < T; k += V) {
                float *h = hidden + i * T + k, *d = dh + i * T + k;
                const Gelu found = gelu(load(h) + b1[i]);
                const vec to_h = load(d) * found.slope;
                store(h, found.value);
                store(d, to_h);
                db += to_h;
            }
            mlp::add(sum.db1() + i * V, db);
        }
        for (size o = 0; o < s.out; o++) {
            vec db = {};
            for (size k = 0; k < T; k += V) db += load(g_of + o * T + k);
            mlp::add(sum.db2() + o * V, db);
            for (size i = 0; i < s.hidden; i++) {
                vec dW = {};
                for (size k = 0; k < T; k += V)
                    dW += load(g_of + o * T + k) * load(hidden + i * T + k);
                mlp::add(sum.dW2() + (o * s.hidden + i) * V, dW);
            }
        }
        transpose(x_of, s.in, T, T, turned, sum.width);
        Ahead none;
        multiply({s.hidden, sum.width, T, dh, T, 1, turned, sum.width, sum.dW1(), sum.width, &none,
                  sum.dW1()});
        mlp::TILE.apply(s.in, s.hidden, W1, 1, s.in, dh, dx_of);
        mlp::TILE.write(dx_of, s.in, wide, dx + sample * s.in * s.points + first, s.points);
    });
    std::fill_n(dW1, s.hidden * s.in, 0.f);
    std::fill_n(db1, s.hidden, 0.f);
    std::fill_n(dW2, s.out * s.hidden, 0.f);
    std::fill_n(db2, s.out, 0.f);
    for (mlp::Sums &sum : sums) sum.add_to(dW1, db1, dW2, db2);
}

} // extern "C"
