// gelu(h) = h Phi(h) and its derivative Phi(h) + h phi(h), for the normal distribution Phi and its
// density phi, in float32. With z = |h| / sqrt(2) and t = 1 / (1 + 0.46 z),
//
//     Phi(-|h|) = erfc(z) / 2 = exp(-h^2 / 2) t (c_0 + c_1 t + ... + c_6 t^6)
//
// where the c are fitted, by weighted least squares, to erfc(z) exp(z^2) / (2 t): Phi is then right to
// 2e-9 before rounding. The exponential serves phi too.

#pragma once

#include "vectors.h"

namespace {

#define INLINE inline __attribute__((always_inline))

// The polynomial with these coefficients, that of the highest power first.
template <int N>
INLINE vec polynomial(vec x, const float (&coefficients)[N]) {
    vec y = vec{} + coefficients[0];
#pragma GCC unroll 16
    for (int i = 1; i < N; i++) y = y * x + coefficients[i];
    return y;
}

// exp(x) for x <= 0, to a few units in the last place; exp(-80) below that: what it is
// multiplied by leaves it a normal number.
INLINE vec exponential(vec x) {
    constexpr float TO_WHOLE = 12582912;  // 1.5 2^23: what is added to it is rounded
    x = x > -80.f ? x : vec{} - 80.f;
    const vec shifted = x * 1.44269504f + TO_WHOLE, n = shifted - TO_WHOLE;
    const vec r = (x - n * 0.693359375f) + n * 2.12194440e-4f;  // ln 2 in two pieces
    const vec y = polynomial(r, {1.f / 720, 1.f / 120, 1.f / 24, 1.f / 6, 0.5f, 1.f, 1.f});
    mask bits;
    std::memcpy(&bits, &shifted, sizeof bits);
    bits = (bits << 23) + 0x3f800000;  // 2^n
    vec power;
    std::memcpy(&power, &bits, sizeof power);
    return y * power;
}

struct Gelu {
    vec value, slope;
};

INLINE Gelu gelu(vec h) {
    const vec size_of = h < 0.f ? -h : h;
    const vec t = 1.f / (1.f + 0.46f * 0.707106781f * size_of);
    const vec E = exponential(-0.5f * h * h);
    const vec q = polynomial(t, {0.04515865072607994f, -0.22747528553009033f, 0.3610932230949402f,
                                 -0.11760544031858444f, 0.1936001032590866f, 0.11416728049516678f,
                                 0.13106147944927216f});
    const vec tail = E * t * q, Phi = h < 0.f ? tail : 1.f - tail;
    return {h * Phi, Phi + h * (0.398942280f * E)};
}

}  // namespace
