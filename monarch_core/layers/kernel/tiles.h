// Tiles of the points of fields (batch, channels, points): few enough points for all their channels to
// be in the cache.

#pragma once

#include "vectors.h"

#include <omp.h>

namespace {
namespace tiles {

// Points of a tile, and the distance of its rows in the cache.
struct Shape {
    size points, row;

    // to = A from (depth -> rows), with A read at any strides
    void apply(size rows, size depth, const float *A, size a_row, size a_depth, const float *from,
               float *to, bool add = false) const {
        Ahead none;
        multiply({rows, points, depth, A, a_row, a_depth, from, row, to, row, &none,
                  add ? to : nullptr});
    }

    // Copies rows of a tile, `wide` points of each, to or from memory; what is missing is zero. Of
    // rows that are far apart no processor sees a pattern: the next tile is fetched meanwhile.
    void read(const float *from, size rows, size from_row, size wide, float *to) const {
        for (size i = 0; i < rows; i++, from += from_row, to += row) {
            for (size k = 0; k < points; k += 16) __builtin_prefetch(from + points + k, 0, 2);
            std::memcpy(to, from, 4 * wide);
            std::fill(to + wide, to + points, 0.f);
        }
    }
    void write(const float *from, size rows, size wide, float *to, size to_row) const {
        for (size i = 0; i < rows; i++, from += row, to += to_row) {
            for (size k = 0; k < points; k += 16) __builtin_prefetch(to + points + k, 1, 2);
            std::memcpy(to, from, 4 * wide);
        }
    }

    // Calls body(thread, sample, first point, points) for every tile.
    template <typename Body>
    void visit(size batch, size all_points, int threads, const Body &body) const {
        const size tiles = (all_points + points - 1) / points;
#pragma omp parallel num_threads(threads) if (threads > 1)
        {
            const int thread = omp_get_thread_num();
#pragma omp for schedule(static)
            for (size i = 0; i < batch * tiles; i++) {
                const size first = i % tiles * points;
                body(thread, i / tiles, first, std::min(points, all_points - first));
            }
        }
    }
};

} // namespace tiles
} // namespace
