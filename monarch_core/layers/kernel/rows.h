// Numbers of rows sorted into N blocks and back, as the products of a Monarch matrix need them:
//
//     split  blocks[b][k] = row[k N + b]       merge  row[k N + b] = blocks[b][k], plus a bias
//
// A row may come in pieces that are sorted one by one, into parts of the blocks that follow each other;
// only a row in one piece has a bias.
// Where its length is no multiple of N, the last number of the last blocks is zero. That is a
// transposition: of vectors for whole vectors of blocks; for fewer blocks, known to the compiler, the
// loops are permutations of vectors, and two by 4 and by 2 are faster than one by 8.

#pragma once

#include "vectors.h"

#include <vector>

namespace rows {

struct Layout {
    int64_t n_rows, n_pieces, length;      // length of a piece
    int64_t row, piece;                    // strides of whole rows
    int64_t block, block_row, block_piece; // strides of blocks
};

template <int N> void split(const float *row, int64_t length, float *blocks, int64_t block) {
    for (int64_t k = 0; k < length / N; ++k)
        for (int b = 0; b < N; ++b) blocks[b * block + k] = row[k * N + b];
}

template <int N> void merge(const float *blocks, int64_t length, float *row, int64_t block) {
    for (int64_t k = 0; k < length / N; ++k)
        for (int b = 0; b < N; ++b) row[k * N + b] = blocks[b * block + k];
}

template <int A, int B>
void split(const float *row, int64_t length, float *blocks, int64_t block, float *between) {
    const int64_t part = length / A;
    split<A>(row, length, between, part);
    for (int c = 0; c < A; ++c) split<B>(between + c * part, part, blocks + c * block, A * block);
}

template <int A, int B>
void merge(const float *blocks, int64_t length, float *row, int64_t block, float *between) {
    const int64_t part = length / A;
    for (int c = 0; c < A; ++c) merge<B>(blocks + c * block, part, between + c * part, A * block);
    merge<A>(between, length, row, part);
}

// Whether `turn` takes a row of so many pieces.
inline bool turns(int64_t n, int64_t n_pieces, int64_t length) {
    return n % V == 0 && length % n == 0 && n_pieces * (length / n) >= V;
}

// Sorts all pieces of a row, whose numbers are the rows of a matrix of n columns, into blocks (SPLIT)
// or back, by transpositions of vectors; the last ones overlap.
template <bool SPLIT, typename Row, typename Blocks>
void turn(int64_t n, int64_t n_pieces, int64_t length, int64_t piece, Row *row, Blocks *blocks,
          int64_t block) {
    const int64_t each = length / n, count = n_pieces * each;
    for (int64_t k = 0; k < count; k += V) {
        const int64_t first = std::min(k, count - V);
        Row *at[V];
        for (int i = 0; i < V; ++i)
            at[i] = row + (first + i) / each * piece + (first + i) % each * n;
        for (int64_t b = 0; b < n; b += V) {
            vec v[V];
            for (int i = 0; i < V; ++i)
                v[i] = load(SPLIT ? at[i] + b : blocks + (b + i) * block + first);
            transpose(v);
            for (int i = 0; i < V; ++i)
                if constexpr (SPLIT)
                    store(blocks + (b + i) * block + first, v[i]);
                else
                    store(at[i] + b, v[i]);
        }
    }
}

inline void split_any(int64_t n, const float *row, int64_t length, float *blocks, int64_t block) {
    const int64_t whole = length / n, rest = length % n;
    for (int64_t b = 0; b < n; ++b)
        for (int64_t k = 0; k < whole; ++k) blocks[b * block + k] = row[k * n + b];
    for (int64_t b = 0; rest && b < n; ++b)
        blocks[b * block + whole] = b < rest ? row[whole * n + b] : 0.f;
}

inline void merge_any(int64_t n, const float *blocks, int64_t length, float *row, int64_t block) {
    const int64_t whole = length / n, rest = length % n;
    for (int64_t b = 0; b < n; ++b)
        for (int64_t k = 0; k < whole; ++k) row[k * n + b] = blocks[b * block + k];
    for (int64_t b = 0; b < rest; ++b) row[whole * n + b] = blocks[b * block + whole];
}

// `between` is memory for `length` numbers.
inline void split(int64_t n, const float *row, int64_t length, float *blocks, int64_t block,
                  float *between) {
    if (turns(n, 1, length)) return turn<true>(n, 1, length, 0, row, blocks, block);
    switch (length % n ? 0 : n) {
    case 2: return split<2>(row, length, blocks, block);
    case 4: return split<4>(row, length, blocks, block);
    case 8: return split<4, 2>(row, length, blocks, block, between);
    default: return split_any(n, row, length, blocks, block);
    }
}

inline void merge(int64_t n, const float *blocks, int64_t length, float *row, int64_t block,
                  float *between) {
    if (turns(n, 1, length)) return turn<false>(n, 1, length, 0, row, blocks, block);
    switch (length % n ? 0 : n) {
    case 2: return merge<2>(blocks, length, row, block);
    case 4: return merge<4>(blocks, length, row, block);
    case 8: return merge<4, 2>(blocks, length, row, block, between);
    default: return merge_any(n, blocks, length, row, block);
    }
}

// The bias may be null.
inline void add_bias(const float *bias, int64_t length, float *row) {
    for (int64_t i = 0; bias && i < length; ++i) row[i] += bias[i];
}

// Calls all(row) for every row if `turn` takes it, else one(row, piece, memory for a piece) for every
// piece.
template <typename All, typename One>
void for_rows(const Layout &l, int64_t n, int threads, All all, One one) {
    const bool turned = turns(n, l.n_pieces, l.length);
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        std::vector<float> between(l.length);
#pragma omp for
        for (int64_t r = 0; r < l.n_rows; ++r) {
            if (turned) all(r);
            for (int64_t p = 0; p < l.n_pieces && !turned; ++p) one(r, p, between.data());
        }
    }
}

} // namespace rows

extern "C" {

// Sizes: those of rows::Layout.

void split_rows(const int64_t *sizes, int64_t n, const float *whole, float *blocks, int threads) {
    const auto &l = *reinterpret_cast<const rows::Layout *>(sizes);
    rows::for_rows(
        l, n, threads,
        [&](int64_t r) {
            rows::turn<true>(n, l.n_pieces, l.length, l.piece, whole + r * l.row,
                             blocks + r * l.block_row, l.block);
        },
        [&](int64_t r, int64_t p, float *between) {
            rows::split(n, whole + r * l.row + p * l.piece, l.length,
                        blocks + r * l.block_row + p * l.block_piece, l.block, between);
        });
}

// The bias, one number for each of a row in one piece, may be null.
void merge_rows(const int64_t *sizes, int64_t n, const float *blocks, const float *bias,
                float *whole, int threads) {
    const auto &l = *reinterpret_cast<const rows::Layout *>(sizes);
    rows::for_rows(
        l, n, threads,
        [&](int64_t r) {
            rows::turn<false>(n, l.n_pieces, l.length, l.piece, whole + r * l.row,
                              blocks + r * l.block_row, l.block);
            rows::add_bias(bias, l.length, whole + r * l.row);
        },
        [&](int64_t r, int64_t p, float *between) {
            float *row = whole + r * l.row + p * l.piece;
            rows::merge(n, blocks + r * l.block_row + p * l.block_piece, l.length, row, l.block,
                        between);
            rows::add_bias(bias, l.length, row);
        });
}

} // extern "C"
