// The products of a spectral product on the last of two axes, with T and R2 of fused.cpp.

#pragma once

#include "layer.h"

namespace {

// T = x R2^T, with R2 as [Re R2; Im R2]^T, P lanes wide
void contract_last(const Layer &s, const float *R2, const float *x, float *T, Ahead &ahead) {
    multiply({s.n1, s.lanes, s.n2, x, s.n2, 1, R2, s.lanes, T, s.lanes, &ahead});
}

// x = Re(T conj(R2)) + start
void expand_last(const Layer &s, const float *R2, const float *T, float start, float *x,
                 float *scratch, Ahead &ahead) {
    const bool whole = s.width == s.n2;
    const size block = whole ? s.n1 : Layer::BLOCK;
    for (size i = 0; i < s.n1; i += block) {
        const size rows = std::min(block, s.n1 - i);
        float *out = whole ? x : scratch;
        multiply({rows, s.width, 2 * s.m2, T + i * s.lanes, s.lanes, 1, R2, s.row2, out, s.width,
                  &ahead, nullptr, start});
        for (size k = 0; k < rows && !whole; k++)
            std::memcpy(x + (i + k) * s.n2, out + k * s.width, 4 * s.n2);
    }
}

// dR2 (2 m2 x n2) += [Re T, Im T]^T x for the T and the x of some channels
void differentiate_last(const Layer &s, const float *T, const float *x, size channels, float *dR2,
                        float *scratch, Ahead &ahead) {
    const bool whole = s.width == s.n2;
    const size all = channels * s.n1, block = whole ? all : Layer::BLOCK;
    for (size i = 0; i < all; i += block) {
        const size rows = std::min(block, all - i);
        for (size k = 0; k < rows && !whole; k++) {
            std::memcpy(scratch + k * s.width, x + (i + k) * s.n2, 4 * s.n2);
            std::memset(scratch + k * s.width + s.n2, 0, 4 * (s.width - s.n2));
        }
        multiply({2 * s.m2, s.width, rows, T + i * s.lanes, 1, s.lanes, whole ? x : scratch,
                  s.width, dR2, s.width, &ahead, dR2});
    }
}

}  // namespace
