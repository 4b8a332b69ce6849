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
//
// On the first axis, with R1 = A + i B, T = t + i u and X = x + i y, a complex product is three real
// ones (Gauss), on planes of all numbers of some channels side by side:
//
//     X   =  B (t - u)      + (A - B) t      + i [ B (t - u)      + (A + B) u   ]
//     T   =  B^T (y - x)    + (A + B)^T x    + i [ B^T (y - x)    + (A - B)^T y ]
//     dR1 =  x (t - u)^T    + (x + y) u^T    + i [ x (t - u)^T    + (y - x) t^T ]

#include "factors.h"
#include "few_rows.h"
#include "mix.h"
#include "mlp.h"
#include "one_axis.h"
#include "skip.h"
#include "rows.h"
#include "vectors.h"

#include <omp.h>

namespace {

// ---------------------------------------------------------------- sizes

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

// ---------------------------------------------------------------- the last axis

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

// ---------------------------------------------------------------- the first axis

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
    const auto multiply_by = [&](const float *A, const float *b, float *c, const float *onto) {
        multiply({rows, cols, depth, A, a_row, a_depth, b, B.row, c, C.row, &ahead, onto});
    };
    multiply_by(shared, B.difference, C.difference, nullptr);
    multiply_by(of_re, B.re, C.re, C.difference);
    multiply_by(of_im, B.im, C.im, C.difference);
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

// ---------------------------------------------------------------- all channels

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
