// Spectra in memory and in the planes of first_axis.h.

#pragma once

#include "first_axis.h"

namespace {

// Spectra (2, m1, m2, batch, channels) from one channel of one sample on. X of `count` of them, at
// most V, is read from there or written to it.
struct Spectra {
    const Layer &s;
    float *data;

    Spectra(const Layer &s, const float *start, size channel)
        : s(s), data(const_cast<float *>(start) + channel) {}

    float *at(size part, size f, size l) const {
        return data + ((part * s.m1 + f) * s.m2 + l) * s.batch * s.channels;
    }
    // Calls move(part, f, l, count, lanes) for pieces of the rows of planes, the last ones first: whole
    // vectors reach into the next channel, whose first piece comes later.
    template <typename Move>
    void visit(const Planes &X, const Move &move) const {
        for (size part = 0; part < 2; part++)
            for (size f = 0; f < s.m1; f++)
                for (size l = (s.m2 - 1) / V * V; l >= 0; l -= V)
                    move(part, f, l, (int)std::min<size>(V, s.m2 - l),
                         (part ? X.im : X.re) + f * X.row + l);
    }
    // The difference is that of `expand_first`.
    void read(const Planes &X, int count) const {
        visit(X, [&](size part, size f, size l, int kept, float *to) {
            vec r[V] = {};
            for (int k = 0; k < kept; k++) r[k] = load(at(part, f, l + k), count);
            transpose(r);
            for (int c = 0; c < count; c++) store(to + c * s.m2, r[c]);
        });
        for (size i = 0; i < s.m1 * X.row; i += V)
            store(X.difference + i, load(X.im + i) - load(X.re + i));
    }
    // To rows (count m2) of the three parts of X^T that `differentiate_first` takes, m1 numbers of
    // each in whole vectors.
    void read_turned(float *turned, int count) const {
        for (size l = 0; l < s.m2; l++)
            for (size f = 0; f < s.m1; f += V) {
                const int kept = (int)std::min<size>(V, s.m1 - f);
                vec re[V] = {}, im[V] = {};
                for (int k = 0; k < kept; k++) {
                    re[k] = load(at(0, f + k, l), count);
                    im[k] = load(at(1, f + k, l), count);
                }
                transpose(re);
                transpose(im);
                for (int c = 0; c < count; c++) {
                    float *to = turned + (c * s.m2 + l) * 3 * s.columns + f;
                    store(to, re[c]);
                    store(to + s.columns, re[c] + im[c]);
                    store(to + 2 * s.columns, im[c] - re[c]);
                }
            }
    }
    void write(const Planes &X, int count) const {
        visit(X, [&](size part, size f, size l, int kept, const float *from) {
            vec r[V] = {};
            for (int c = 0; c < count; c++) r[c] = load(from + c * s.m2);
            transpose(r);
            for (int k = 0; k < kept; k++) store(at(part, f, l + k), r[k], count);
        });
    }
};

}  // namespace
