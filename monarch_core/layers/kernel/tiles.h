// Tiles of the points of fields (batch, channels, points): few enough points for all their channels to
// be in the cache.

#pragma once

#include "vectors.h"

#include <omp.h>

namespace {
namespace tiles {

constexpr size TILE_POINTS = V * (V == 16 ? 4 : 6);

// Copies rows of a tile, `wide` points of each, to or from memory where rows are TILE_POINTS apart;
// what is missing of a tile is zero.
inline void read(const float *from, size rows, size from_row, size wide, float *to) {
    for (size i = 0; i < rows; i++) {
        std::memcpy(to + i * TILE_POINTS, from + i * from_row, 4 * wide);
        std::fill(to + i * TILE_POINTS + wide, to + (i + 1) * TILE_POINTS, 0.f);
    }
}

inline void write(const float *from, size rows, size wide, float *to, size to_row) {
    for (size i = 0; i < rows; i++)
        std::memcpy(to + i * to_row, from + i * TILE_POINTS, 4 * wide);
}

// to = A from for tiles (depth -> rows), with A read at any strides
inline void apply(size rows, size depth, const float *A, size a_row, size a_depth,
                  const float *from, float *to) {
    Ahead none;
    multiply({rows, TILE_POINTS, depth, A, a_row, a_depth, from, TILE_POINTS, to, TILE_POINTS,
              &none});
}

// Calls body(thread, sample, first point, points) for every tile.
template <typename Body> void for_tiles(size batch, size points, int threads, const Body &body) {
    const size tiles = (points + TILE_POINTS - 1) / TILE_POINTS;
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        const int thread = omp_get_thread_num();
#pragma omp for schedule(static)
        for (size i = 0; i < batch * tiles; i++) {
            const size first = i % tiles * TILE_POINTS;
            body(thread, i / tiles, first, std::min(TILE_POINTS, points - first));
        }
    }
}

} // namespace tiles
} // namespace
