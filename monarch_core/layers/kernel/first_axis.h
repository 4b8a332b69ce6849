// The products of a spectral product on the first of two axes, with T, X and R1 of fused.cpp. With
// R1 = A + i B, T = t + i u and X = x + i y a complex product is three real ones (Gauss), on planes of
// all numbers of some channels side by side:
//
//     X   =  B (t - u)      + (A - B) t      + i [ B (t - u)      + (A + B) u   ]
//     T   =  B^T (y - x)    + (A + B)^T x    + i [ B^T (y - x)    + (A - B)^T y ]
//     dR1 =  x (t - u)^T    + (x + y) u^T    + i [ x (t - u)^T    + (y - x) t^T ]

#pragma once

#include "layer.h"

namespace {

// Real and imaginary parts of some channels side by side, m2 numbers of each in a row, and the
// difference that a product takes.
struct Planes {
    float *re, *im, *difference;
    size row;

    Planes(float *memory, size rows, size row)
        : re(memory), im(re + rows * row), difference(im + rows * row), row(row) {}
    Planes from(size lane) const {
        Planes later = *this;
        later.re += lane, later.im += lane, later.difference += lane;
        return later;
    }
};

// The rows [re | im | 0] of a T to planes, with re - im. Whole vectors reach into the next channel,
// which comes later.
void to_planes(const Layer &s, const float *T, const Planes &to) {
    for (size i = 0; i < s.n1; i++, T += s.lanes)
        for (size k = 0; k < s.m2; k += V) {
            // Of the last row nothing may be read beyond its end.
            const int count = i + 1 < s.n1 ? V : (int)std::min<size>(V, s.m2 - k);
            const vec re = load(T + k), im = load(T + s.m2 + k, count);
            store(to.re + i * to.row + k, re);
            store(to.im + i * to.row + k, im);
            store(to.difference + i * to.row + k, re - im);
        }
}

// The rows [re | im | 0] of a T from planes. Whole vectors reach into the next row, which comes later.
void from_planes(const Layer &s, const Planes &from, float *T) {
    for (size i = 0; i < s.n1; i++, T += s.lanes) {
        store(T + s.lanes - V, vec{});
        for (size part = 0; part < 2; part++)
            for (size k = 0; k < s.m2; k += V) {
                const int count = (int)std::min<size>(V, s.m2 - k);
                const vec v = first(load((part ? from.im : from.re) + i * from.row + k), count);
                store(T + part * s.m2 + k, v, part && i + 1 == s.n1 ? count : V);
            }
    }
}

// C = R1 B, or R1^H B, with the three matrices that Gauss makes of R1, for `channels` of B. What both
// parts of C share is left in its third plane.
void product(const Layer &s, size rows, size depth, size a_row, size a_depth, const float *shared,
             const float *of_re, const float *of_im, const Planes &B, const Planes &C,
             size channels, Ahead &ahead) {
    const size cols = round_up(channels * s.m2);
    multiply_complex(
        {rows, cols, depth, nullptr, a_row, a_depth, nullptr, B.row, nullptr, C.row, &ahead},
        {shared, of_re, of_im}, {B.difference, B.re, B.im}, {C.difference, C.re, C.im});
}

// X = R1 T
void contract_first(const Layer &s, const float *R1, const Planes &T, const Planes &X, size channels,
                    Ahead &ahead) {
    const float *plus = R1, *minus = R1 + s.matrix(), *im = minus + s.matrix();
    product(s, s.m1, s.n1, s.row1, 1, im, minus, plus, T, X, channels, ahead);
}

// T = R1^H X, with the difference the other way round
void expand_first(const Layer &s, const float *R1, const Planes &X, const Planes &T, size channels,
                  Ahead &ahead) {
    const float *plus = R1, *minus = R1 + s.matrix(), *im = minus + s.matrix();
    product(s, s.n1, s.m1, 1, s.row1, im, plus, minus, X, T, channels, ahead);
}

// The three sums (n1 x m1) of dR1^T += T X^H for the X, turned, and the T of some channels
void differentiate_first(const Layer &s, const float *turned, const Planes &T, size channels,
                         float *sums, Ahead &ahead) {
    for (const float *of_T : {T.difference, T.im, T.re}) {
        multiply({s.n1, s.columns, channels * s.m2, of_T, T.row, 1, turned, 3 * s.columns, sums,
                  s.columns, &ahead, sums});
        turned += s.columns;
        sums += s.sum();
    }
}

}  // namespace
