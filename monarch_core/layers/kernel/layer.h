// The sizes of a spectral product on two axes (fused.cpp), and how its channels are taken.

#pragma once

#include "vectors.h"

namespace {

struct Layer {
    size batch, channels, heads, n1, n2, m1, m2;
    size lanes;         // P
    size width;         // n2 in whole vectors
    size row1, row2;    // from row to row of the copies of R1 and R2; a power of two apart, rows
                        // would compete for the same lines of the cache
    size columns;       // m1 in whole vectors
    size plane_row;     // from row to row of planes: a vector may reach beyond the last number

    explicit Layer(const size *sizes)
        : batch(sizes[0]), channels(sizes[1]), heads(sizes[2]), n1(sizes[3]), n2(sizes[4]),
          m1(sizes[5]), m2(sizes[6]), lanes(round_up(2 * m2)), width(round_up(n2)),
          row1(round_up(n1) + V), row2(width + V), columns(round_up(m1)),
          plane_row(round_up(V * m2) + V) {}

    size field() const { return n1 * n2; }
    size between() const { return n1 * lanes; }
    size turned() const { return m2 * 3 * columns; }
    size matrix() const { return m1 * row1; }
    size sum() const { return n1 * columns; }
    static constexpr size BLOCK = 32;  // rows of a field that are padded at a time

    size head(size channel) const { return channel % channels * heads / channels; }
    // How many channels of one head, at most `most`, follow each other from this one on, if `each`
    // numbers of every one are to be in the cache.
    int run(size channel, int most, size each, size in_cache) const {
        int count = 1;
        while (count < most && (count + 1) * each <= in_cache && head(channel + count) == head(channel))
            count++;
        return count;
    }
    // Channels that go through the first axis together, and those whose dR2 is one sum.
    int on_first(size channel, int most) const { return run(channel, most, 3 * n1 * m2, 1 << 15); }
    int on_last(size channel, int most) const { return run(channel, most, field(), 1 << 14); }
};

}  // namespace
