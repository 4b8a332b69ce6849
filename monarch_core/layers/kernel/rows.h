// Numbers of a row sorted into N blocks and back, as the products of a Monarch matrix need them:
//
//     split  blocks[b][k] = row[k N + b]       merge  row[k N + b] = blocks[b][k]
//
// Where its length is no multiple of N, the last number of the last blocks is zero. That is a
// transposition: of vectors for whole vectors of blocks; for fewer blocks, known to the compiler, the
// loops are permutations of vectors, and two by 4 and by 2 are faster than one by 8.

#pragma once

#include "vectors.h"

#include <vector>

namespace rows {

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

// Whether `turn` takes a row of this length.
inline bool turns(int64_t n, int64_t length) {
    return n % V == 0 && length % n == 0 && length / n >= V;
}

// Sorts a row, whose numbers are those of a matrix of n columns, into blocks (SPLIT) or back, by
// transpositions of vectors; the last ones overlap.
template <bool SPLIT, typename Row, typename Blocks>
void turn(int64_t n, int64_t length, Row *row, Blocks *blocks, int64_t block) {
    const int64_t count = length / n;
    for (int64_t k = 0; k < count; k += V) {
        const int64_t first = std::min(k, count - V);
        for (int64_t b = 0; b < n; b += V) {
            vec v[V];
            for (int i = 0; i < V; ++i)
                v[i] = load(SPLIT ? row + (first + i) * n + b : blocks + (b + i) * block + first);
            transpose(v);
            for (int i = 0; i < V; ++i)
                if constexpr (SPLIT)
                    store(blocks + (b + i) * block + first, v[i]);
                else
                    store(row + (first + i) * n + b, v[i]);
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
    if (turns(n, length)) return turn<true>(n, length, row, blocks, block);
    switch (length % n ? 0 : n) {
    case 2: return split<2>(row, length, blocks, block);
    case 4: return split<4>(row, length, blocks, block);
    case 8: return split<4, 2>(row, length, blocks, block, between);
    default: return split_any(n, row, length, blocks, block);
    }
}

inline void merge(int64_t n, const float *blocks, int64_t length, float *row, int64_t block,
                  float *between) {
    if (turns(n, length)) return turn<false>(n, length, row, blocks, block);
    switch (length % n ? 0 : n) {
    case 2: return merge<2>(blocks, length, row, block);
    case 4: return merge<4>(blocks, length, row, block);
    case 8: return merge<4, 2>(blocks, length, row, block, between);
    default: return merge_any(n, blocks, length, row, block);
    }
}

} // namespace rows
