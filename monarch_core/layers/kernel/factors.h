// The rows of a Monarch matrix from its factors, and the gradients of the factors. Of the formula (1) in
// monarch.py, with the axis of the m rows short and that of the n columns long:
//
//     M[i, c] = sum_r P[i, b(c), r] Q[c, k(i), r]
//
// for complex P (m, p_blocks, rank) and Q (n, q_blocks, rank), as pairs of numbers. What comes out is
// s(i) Re M and s(i) Im M, or its conjugate. A piece of the columns at a time: its numbers of Q are
// transposed, so that a vector holds one number of V columns.

#pragma once

#include "vectors.h"

#include <omp.h>

namespace {
namespace factors {

struct Sizes {
    size heads, m, n, p_blocks, q_blocks, rank;
    size conjugate, doubled, end; // s = 2 from row `doubled` on, up to `end`

    size p_row() const { return p_blocks * rank * 2; }
    size q_row() const { return q_blocks * rank * 2; }
    float re(size i) const { return i >= doubled && i < end ? 2 : 1; }
    float im(size i) const { return conjugate ? -re(i) : re(i); }
    size extended() const { return p_blocks + V; } // blocks of P and, once more, the first ones
};

// P[i, b, r] of one head at (i, r, part, b), where V blocks in a row go on at the first one; or sums
// of as many numbers that go back into P.
class Short {
    const Sizes &s;
    Array memory;

public:
    explicit Short(const Sizes &s) : s(s) { memory.hold(s.m * s.rank * 2 * s.extended()); }
    float *at(size i, size r, int part) {
        return memory.data() + ((i * s.rank + r) * 2 + part) * s.extended();
    }
    template <typename Move> void visit(const Move &move) {
        for (size i = 0; i < s.m; i++)
            for (size r = 0; r < s.rank; r++)
                for (size b = 0, from = 0; b < s.extended(); b++, from++) {
                    if (from == s.p_blocks) from = 0;
                    const size pair = ((i * s.p_blocks + from) * s.rank + r) * 2;
                    move(pair, at(i, r, 0)[b]);
                    move(pair + 1, at(i, r, 1)[b]);
                }
    }
    void read(const float *P) {
        visit([&](size from, float &to) { to = P[from]; });
    }
    void clear() { std::fill_n(memory.data(), s.m * s.rank * 2 * s.extended(), 0.f); }
    void add_to(float *P) {
        visit([&](size to, float from) { P[to] += from; });
    }
};

// `count` columns from c on.
struct Piece {
    const Sizes &s;
    size c;
    int count;
    const std::int64_t *b;
    bool in_order; // b(c), b(c) + 1, ..., the first after the last

    Piece(const Sizes &s, size c, const std::int64_t *b_of)
        : s(s), c(c), count((int)std::min<size>(V, s.n - c)), b(b_of + c), in_order(true) {
        for (int l = 1; l < count; l++)
            in_order &= b[l] == (b[l - 1] + 1 == s.p_blocks ? 0 : b[l - 1] + 1);
    }
    vec read(const float *P) const {
        if (in_order) return load(P + b[0]);
        vec v = {};
        for (int l = 0; l < count; l++) v[l] = P[b[l]];
        return v;
    }
    void add(float *P, vec v) const {
        if (in_order && count == V) return store(P + b[0], load(P + b[0]) + v);
        for (int l = 0; l < count; l++) P[b[l]] += v[l];
    }
};

// Numbers (k, r, part) of Q of V columns, one vector for each.
class Long {
    const Sizes &s;
    Array memory;

    // Calls move(f, wide) for numbers f to f + wide of a row; the last ones overlap.
    template <typename Move> void tiles(const Move &move) const {
        const int wide = (int)std::min<size>(V, s.q_row());
        for (size f = 0; f < s.q_row(); f += V) move(std::min(f, s.q_row() - wide), wide);
    }

public:
    explicit Long(const Sizes &s) : s(s) { memory.hold((s.q_row() + V) * V); }
    float *at(size k, size r, int part) {
        return memory.data() + ((k * s.rank + r) * 2 + part) * V;
    }
    void clear() { std::fill_n(memory.data(), s.q_row() * V, 0.f); }
    void read(const Piece &piece, const float *Q) {
        tiles([&](size f, int wide) {
            vec v[V];
            for (int l = 0; l < V; l++)
                v[l] = l < piece.count ? load(Q + (piece.c + l) * s.q_row() + f, wide) : vec{};
            transpose(v);
            for (int j = 0; j < V; j++) store(memory.data() + (f + j) * V, v[j]);
        });
    }
    void write(const Piece &piece, float *Q) {
        tiles([&](size f, int wide) {
            vec v[V];
            for (int j = 0; j < V; j++) v[j] = load(memory.data() + (f + j) * V);
            transpose(v);
            for (int l = 0; l < piece.count; l++)
                store(Q + (piece.c + l) * s.q_row() + f, v[l], wide);
        });
    }
};

inline int threads_for(const Sizes &s, int threads) {
    return s.m * s.n < 1 << 16 ? 1 : (int)std::min<size>(threads, s.n / V);
}

} // namespace factors
} // namespace

extern "C" {

// Sizes: those of factors::Sizes. M is (heads, 2, m, n).

void rows_of_factors(const int64_t *sizes, const float *P, const float *Q, const int64_t *b,
                     const int64_t *k, float *M, int threads) {
    const auto &s = *reinterpret_cast<const factors::Sizes *>(sizes);
    threads = factors::threads_for(s, threads);
    for (size h = 0; h < s.heads; h++, P += s.m * s.p_row(), Q += s.n * s.q_row()) {
        factors::Short P_of(s);
        P_of.read(P);
#pragma omp parallel num_threads(threads) if (threads > 1)
        {
            factors::Long Q_of(s);
#pragma omp for schedule(static)
            for (size c = 0; c < s.n; c += V) {
                const factors::Piece piece(s, c, b);
                Q_of.read(piece, Q);
                for (size i = 0; i < s.m; i++) {
                    vec re = {}, im = {};
                    for (size r = 0; r < s.rank; r++) {
                        const vec p_re = piece.read(P_of.at(i, r, 0));
                        const vec p_im = piece.read(P_of.at(i, r, 1));
                        const vec q_re = load(Q_of.at(k[i], r, 0));
                        const vec q_im = load(Q_of.at(k[i], r, 1));
                        re += p_re * q_re - p_im * q_im;
                        im += p_re * q_im + p_im * q_re;
                    }
                    float *to = M + (2 * h * s.m + i) * s.n + c;
                    store(to, s.re(i) * re, piece.count);
                    store(to + s.m * s.n, s.im(i) * im, piece.count);
                }
            }
        }
    }
}

// The gradients from dM, that of M, to all that is not null.
void gradients_of_factors(const int64_t *sizes, const float *P, const float *Q, const int64_t *b,
                          const int64_t *k, const float *dM, float *dP, float *dQ, int threads) {
    const auto &s = *reinterpret_cast<const factors::Sizes *>(sizes);
    threads = factors::threads_for(s, threads);
    if (dP) std::fill_n(dP, s.heads * s.m * s.p_row(), 0.f);
    for (size h = 0; h < s.heads; h++) {
        factors::Short P_of(s);
        P_of.read(P + h * s.m * s.p_row());
        std::vector<factors::Short> sums;
        for (int t = 0; t < threads; t++) sums.emplace_back(s);
#pragma omp parallel num_threads(threads) if (threads > 1)
        {
            factors::Short &sum = sums[omp_get_thread_num()];
            sum.clear();
            factors::Long Q_of(s), dQ_of(s);
#pragma omp for schedule(static)
            for (size c = 0; c < s.n; c += V) {
                const factors::Piece piece(s, c, b);
                Q_of.read(piece, Q + h * s.n * s.q_row());
                dQ_of.clear();
                for (size i = 0; i < s.m; i++) {
                    const float *from = dM + (2 * h * s.m + i) * s.n + c;
                    __builtin_prefetch(from + 4 * V, 0, 2); // rows lie far apart
                    __builtin_prefetch(from + s.m * s.n + 4 * V, 0, 2);
                    const vec re = s.re(i) * load(from, piece.count);
                    const vec im = s.im(i) * load(from + s.m * s.n, piece.count);
                    for (size r = 0; r < s.rank; r++) {
                        const vec p_re = piece.read(P_of.at(i, r, 0));
                        const vec p_im = piece.read(P_of.at(i, r, 1));
                        const vec q_re = load(Q_of.at(k[i], r, 0));
                        const vec q_im = load(Q_of.at(k[i], r, 1));
                        float *to_re = dQ_of.at(k[i], r, 0), *to_im = dQ_of.at(k[i], r, 1);
                        store(to_re, load(to_re) + re * p_re + im * p_im);
                        store(to_im, load(to_im) + im * p_re - re * p_im);
                        piece.add(sum.at(i, r, 0), re * q_re + im * q_im);
                        piece.add(sum.at(i, r, 1), im * q_re - re * q_im);
                    }
                }
                if (dQ) dQ_of.write(piece, dQ + h * s.n * s.q_row());
            }
        }
        for (factors::Short &sum : sums)
            if (dP) sum.add_to(dP + h * s.m * s.p_row());
    }
}

} // extern "C"
