// Numbers of rows sorted into N blocks and back, as the products of a Monarch matrix need them:
//
//     split  blocks[b][k] = row[k N + b]       merge  row[k N + b] = blocks[b][k], plus a bias
//
// A row may come in pieces that are sorted one by one. Where its length is no multiple of N, the last
// number of the last blocks is zero. For an N that is known to the compiler the loops are permutations
// of vectors; with N = A B, split<A> and then split<B> of each part are faster than one of 8 or 16.

#pragma once

#include <cstdint>
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
    switch (length % n ? 0 : n) {
    case 2: return split<2>(row, length, blocks, block);
    case 4: return split<4>(row, length, blocks, block);
    case 8: return split<4, 2>(row, length, blocks, block, between);
    case 16: return split<4, 4>(row, length, blocks, block, between);
    default: return split_any(n, row, length, blocks, block);
    }
}

// The bias may be null.
inline void merge(int64_t n, const float *blocks, int64_t length, const float *bias, float *row,
                  int64_t block, float *between) {
    switch (length % n ? 0 : n) {
    case 2: merge<2>(blocks, length, row, block); break;
    case 4: merge<4>(blocks, length, row, block); break;
    case 8: merge<4, 2>(blocks, length, row, block, between); break;
    case 16: merge<4, 4>(blocks, length, row, block, between); break;
    default: merge_any(n, blocks, length, row, block);
    }
    for (int64_t i = 0; bias && i < length; ++i) row[i] += bias[i];
}

// Calls sort(row, piece, memory for a piece) for every piece of every row.
template <typename Sort> void for_pieces(const Layout &l, int threads, Sort sort) {
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        std::vector<float> between(l.length);
#pragma omp for
        for (int64_t r = 0; r < l.n_rows; ++r)
            for (int64_t p = 0; p < l.n_pieces; ++p) sort(r, p, between.data());
    }
}

} // namespace rows

extern "C" {

// Sizes: those of rows::Layout.

void split_rows(const int64_t *sizes, int64_t n, const float *whole, float *blocks, int threads) {
    const auto &l = *reinterpret_cast<const rows::Layout *>(sizes);
    rows::for_pieces(l, threads, [&](int64_t r, int64_t p, float *between) {
        rows::split(n, whole + r * l.row + p * l.piece, l.length,
                    blocks + r * l.block_row + p * l.block_piece, l.block, between);
    });
}

// The bias, one number for each of a piece, may be null.
void merge_rows(const int64_t *sizes, int64_t n, const float *blocks, const float *bias,
                float *whole, int threads) {
    const auto &l = *reinterpret_cast<const rows::Layout *>(sizes);
    rows::for_pieces(l, threads, [&](int64_t r, int64_t p, float *between) {
        rows::merge(n, blocks + r * l.block_row + p * l.block_piece, l.length, bias,
                    whole + r * l.row + p * l.piece, l.block, between);
    });
}

} // extern "C"
