// Analysis and synthesis of a spectral convolution on two axes, a channel of one sample at a time on the
// last axis and a few of them on the first, so that all that lies between field and spectrum stays in
// the cache. The formulas are those of reference.py, in float32.
//
//     field     x  (n1, n2)     real
//     between   T  (n1, P)      rows [re | im | 0] of the m2 frequencies of the last axis, P lanes
//     spectrum  X  (m1, m2)
//
// with P = 2 m2 rounded up to whole vectors. The analysis is T = x R2^T and X = R1 T, the synthesis
// T = R1^H X and x = Re(T conj(R2)), for complex matrices R (m x n) given as [Re R; Im R]. Each is
// the adjoint of the other, so that the backward pass of one is the other with four more arguments.
// Both have the gradients dR1 = X T^H and dR2 = [Re T, Im T]^T x, with the field and its T from one
// side and the spectrum and its T from the other.

#include "factors.h"
#include "last_axis.h"
#include "mix.h"
#include "mlp.h"
#include "monarch_linear.h"
#include "one_axis.h"
#include "skip.h"
#include "spectra.h"

#include <omp.h>

namespace {

// The matrices of every head as the products take them: A + B, A - B and B of R1 = A + i B, and R2.
class Matrices {
    Array first, last;
    size size1, size2;  // numbers of one head

public:
    Matrices(const Layer &s, const float *R1, const float *R2, bool analysis)
        : size1(3 * s.matrix()), size2(analysis ? s.n2 * s.lanes : 2 * s.m2 * s.row2) {
        first.hold(s.heads * size1);
        last.hold(s.heads * size2);
        for (size h = 0; h < s.heads; h++) {
            for (size f = 0; f < s.m1; f++, R1 += s.n1) {
                float *to = first.data() + h * size1 + f * s.row1;
                for (size i = 0; i < s.n1; i++) {
                    const float re = R1[i], im = R1[s.m1 * s.n1 + i];
                    to[i] = re + im;
                    to[s.matrix() + i] = re - im;
                    to[2 * s.matrix() + i] = im;
                }
            }
            R1 += s.m1 * s.n1;
            for (size f = 0; f < 2 * s.m2; f++, R2 += s.n2) {
                float *to = last.data() + h * size2;
                for (size i = 0; i < s.n2; i++)
                    to[analysis ? i * s.lanes + f : f * s.row2 + i] = R2[i];
            }
        }
    }
    const float *R1(size head) { return first.data() + head * size1; }
    const float *R2(size head) { return last.data() + head * size2; }
};

// The sums of every thread: the three of dR1^T, and dR2, of every head.
class Gradients {
    std::vector<Array> sums;
    size size1, size2, heads;

public:
    Gradients(const Layer &s, int threads, bool wanted)
        : sums(wanted ? threads : 0), size1(3 * s.sum()), size2(2 * s.m2 * s.width),
          heads(s.heads) {
        for (Array &sum : sums) sum.hold(heads * (size1 + size2));
    }
    float *dR1(int thread, size head) { return sums[thread].data() + head * size1; }
    float *dR2(int thread, size head) {
        return sums[thread].data() + heads * size1 + head * size2;
    }
    void write(const Layer &s, float *to1, float *to2) {
        for (size t = 1; t < (size)sums.size(); t++)
            for (size i = 0; i < heads * (size1 + size2); i++) dR1(0, 0)[i] += dR1((int)t, 0)[i];
        for (size h = 0; h < heads; h++) {
            for (size part = 1; part < 3; part++)
                for (size f = 0; f < s.m1; f++)
                    for (size i = f; i < s.sum(); i += s.columns)
                        *to1++ = dR1(0, h)[i] + dR1(0, h)[part * s.sum() + i];
            for (size f = 0; f < 2 * s.m2; f++)
                for (size i = 0; i < s.n2; i++) *to2++ = dR2(0, h)[f * s.width + i];
        }
    }
};

// Memory of a thread, kept for the next call.
struct Workspace {
    float *memory;
    Planes X;       // of a group of channels
    float *turned;  // of a group
    Planes T;       // of those that go through the first axis together
    float *between; // T of a run
    float *scratch;

    explicit Workspace(const Layer &s)
        : memory(hold(s)), X(memory, s.m1, s.plane_row), turned(memory + 3 * s.m1 * s.plane_row),
          T(turned + V * s.turned(), s.n1, s.plane_row),
          between(T.re + 3 * s.n1 * s.plane_row), scratch(between + V * s.between()) {}

private:
    static float *hold(const Layer &s) {
        static thread_local Array memory;
        memory.hold(3 * (s.m1 + s.n1) * s.plane_row + V * (s.turned() + s.between()) +
                    Layer::BLOCK * s.width);
        return memory.data();
    }
};

// Call body(thread, first channel, channels) for groups of the channels of all samples.
template <typename Body>
void for_groups(const Layer &s, int threads, const Body &body) {
    const size all = s.batch * s.channels, count = std::clamp<size>(all / threads, 1, V);
#pragma omp parallel num_threads(threads)
    {
        const int thread = omp_get_thread_num();
#pragma omp for schedule(static)
        for (size first = 0; first < all; first += count)
            body(thread, first, (int)std::min(count, all - first));
    }
}

// What a step of the backward pass takes of the step whose gradient it is: the field (batch, channels,
// n1, n2) or spectrum (2, m1, m2, batch, channels) that came in, the T (batch, channels, T) between,
// and where the gradients of the matrices (heads, 2 m, n) go; nothing where none is wanted.
struct Learned {
    const float *given = nullptr, *T = nullptr;
    float *dR1 = nullptr, *dR2 = nullptr;
};

// fields -> spectra. T goes to `between` and each field's sum to `sums` (batch, channels), if these
// are not null.
void analyse(const Layer &s, const float *R1, const float *R2, const float *fields, float *between,
             float *spectra, float *sums, int threads, const Learned &synthesis = {}) {
    const auto [X_of, T_of, dR1, dR2] = synthesis;
    Matrices matrices(s, R1, R2, true);
    Gradients gradients(s, threads, dR1);
    for_groups(s, threads, [&](int thread, size first, int count) {
        const Workspace work(s);
        if (dR1) Spectra(s, X_of, first).read_turned(work.turned, count);
        for (int i = 0, together; i < count; i += together) {
            together = s.on_first(first + i, count - i);
            const size h = s.head(first + i);
            Ahead ahead;
            for (int j = 0, run; j < together; j += run) {
                run = s.on_last(first + i + j, together - j);
                const size begin = first + i + j;
                const float *x = fields + begin * s.field();
                ahead = {};
                ahead.add(x + run * s.field(), run * s.field());
                if (dR1) ahead.add(T_of + (begin + run) * s.between(), run * s.between());
                for (int c = 0; c < run; c++) {
                    const float *x_c = x + c * s.field();
                    float *T = between ? between + (begin + c) * s.between() : work.between;
                    contract_last(s, matrices.R2(h), x_c, T, ahead);
                    to_planes(s, T, work.T.from((j + c) * s.m2));
                    if (sums) sums[begin + c] = total(x_c, s.field());
                }
                if (dR1)
                    differentiate_last(s, T_of + begin * s.between(), x, run,
                                       gradients.dR2(thread, h), work.scratch, ahead);
            }
            contract_first(s, matrices.R1(h), work.T, work.X.from(i * s.m2), together, ahead);
            if (dR1)
                differentiate_first(s, work.turned + i * s.turned(), work.T, together,
                                    gradients.dR1(thread, h), ahead);
        }
        Spectra(s, spectra, first).write(work.X, count);
    });
    if (dR1) gradients.write(s, dR1, dR2);
}

// spectra -> fields, plus bias (channels), T to `between`, if these are not null.
void synthesise(const Layer &s, const float *R1, const float *R2, const float *spectra,
                float *between, float *fields, const float *bias, int threads,
                const Learned &analysis = {}) {
    const auto [x_of, T_of, dR1, dR2] = analysis;
    Matrices matrices(s, R1, R2, false);
    Gradients gradients(s, threads, dR1);
    for_groups(s, threads, [&](int thread, size first, int count) {
        const Workspace work(s);
        Spectra(s, spectra, first).read(work.X, count);
        if (dR1) Spectra(s, spectra, first).read_turned(work.turned, count);
        for (int i = 0, together; i < count; i += together) {
            together = s.on_first(first + i, count - i);
            const size h = s.head(first + i);
            Ahead ahead;
            expand_first(s, matrices.R1(h), work.X.from(i * s.m2), work.T, together, ahead);
            for (int j = 0, run; j < together; j += run) {
                run = s.on_last(first + i + j, together - j);
                const size begin = first + i + j;
                float *x = fields + begin * s.field();
                float *T = between ? between + begin * s.between() : work.between;
                ahead = {};
                ahead.add(x + run * s.field(), run * s.field());
                if (dR1) ahead.add(x_of + (begin + run) * s.field(), run * s.field());
                if (dR1) ahead.add(T_of + begin * s.between(), run * s.between());
                for (int c = 0; c < run; c++) {
                    float *T_c = T + c * s.between();
                    from_planes(s, work.T.from((j + c) * s.m2), T_c);
                    expand_last(s, matrices.R2(h), T_c, bias ? bias[(begin + c) % s.channels] : 0,
                                x + c * s.field(), work.scratch, ahead);
                }
                if (dR1)
                    differentiate_last(s, T, x_of + begin * s.field(), run,
                                       gradients.dR2(thread, h), work.scratch, ahead);
            }
            if (!dR1) continue;
            for (int c = 0; c < together; c++)
                to_planes(s, T_of + (first + i + c) * s.between(), work.T.from(c * s.m2));
            differentiate_first(s, work.turned + i * s.turned(), work.T, together,
                                gradients.dR1(thread, h), ahead);
        }
    });
    if (dR1) gradients.write(s, dR1, dR2);
}

}  // namespace

// ---------------------------------------------------------------- the operators

extern "C" {

// Rows of T are padded to a multiple of this.
int lanes() { return V; }

// Sizes: batch, channels, heads, n1, n2, m1, m2 of x, then of y.

// x -> y, by its analysis with the matrices A into X, the product Y of X and W (2, m1, m2, in, out),
// and the synthesis of Y with the matrices B, plus the bias (out), if it is not null. The T of both
// steps go to T_x and T_y, if these are not null.
void spectral_product(const size *sizes, const float *x, const float *W, const float *bias,
                      const float *A1, const float *A2, const float *B1, const float *B2, float *y,
                      float *X, float *Y, float *T_x, float *T_y, int threads) {
    const Layer in(sizes), out(sizes + 7);
    analyse(in, A1, A2, x, T_x, X, nullptr, threads);
    mix(in.m1 * in.m2, in.batch, in.channels, out.channels, false, false, X, W, Y, threads);
    synthesise(out, B1, B2, Y, T_y, y, bias, threads);
}

// The gradients of spectral_product from `grad`, that of y, to all that is not null: dx, dW, those of
// all matrices, and `sums` (batch, out) of `grad`. dY is always wanted, dX with dx, dx with dA1.
void spectral_product_backward(const size *sizes, const float *grad, const float *x, const float *W,
                               const float *A1, const float *A2, const float *B1, const float *B2,
                               const float *X, const float *Y, const float *T_x, const float *T_y,
                               float *dX, float *dY, float *dx, float *dW, float *sums, float *dA1,
                               float *dA2, float *dB1, float *dB2, int threads) {
    const Layer in(sizes), out(sizes + 7);
    const size modes = in.m1 * in.m2;
    analyse(out, B1, B2, grad, nullptr, dY, sums, threads, {Y, T_y, dB1, dB2});
    if (dW) mix(modes, in.channels, in.batch, out.channels, true, false, X, dY, dW, threads);
    if (!dx) return;
    mix(modes, in.batch, out.channels, in.channels, false, true, dY, W, dX, threads);
    synthesise(in, A1, A2, dX, nullptr, dx, nullptr, threads, {x, T_x, dA1, dA2});
}
}
