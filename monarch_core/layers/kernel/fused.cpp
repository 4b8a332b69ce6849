// Analysis and synthesis of a spectral convolution on two axes, one channel of one sample at a time,
// so that all that lies between field and spectrum stays in the cache. The formulas are those of
// reference.py, in float32.
//
//     field     x  (n1, n2)     real
//     between   T  (n1, P)      rows [re | im | 0] of the m2 frequencies of the last axis, P lanes
//     spectrum  X  (m1, P)
//
// with P = 2 m2 rounded up to whole vectors. The analysis is T = x R2^T and X = R1 T, the synthesis
// T = R1^H X and x = Re(T conj(R2)), for complex matrices R (m x n) given as [Re R; Im R]. Each is
// the adjoint of the other, so that the backward pass of one is the other with four more arguments.
// Both have the gradients dR1 = X T^H and dR2 = [Re T, Im T]^T x, with the field and its T from one
// side and the spectrum and its T from the other.

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

// ---------------------------------------------------------------- one channel

struct Layer {
    size batch, channels, heads, n1, n2, m1, m2;
    size lanes;         // P
    size width;         // n2 in whole vectors
    size row1, row2;    // from row to row of the copies of R1 and R2; a power of two apart, rows
                        // would compete for the same lines of the cache
    size columns;       // 2 m1 in whole vectors

    explicit Layer(const size *sizes)
        : batch(sizes[0]), channels(sizes[1]), heads(sizes[2]), n1(sizes[3]), n2(sizes[4]),
          m1(sizes[5]), m2(sizes[6]), lanes(round_up(2 * m2)), width(round_up(n2)),
          row1(round_up(n1) + V), row2(width + V), columns(round_up(2 * m1)) {}

    size field() const { return n1 * n2; }
    size between() const { return n1 * lanes; }
    size spectrum() const { return m1 * lanes; }
    size turned() const { return 2 * m2 * columns; }
    size scratch() const {
        return std::max(BLOCK * width, 2 * spectrum()) + 2 * lanes;  // `times_i` reads before and after
    }
    static constexpr size BLOCK = 32;  // rows of a field that are padded at a time

    size head(size channel) const { return channel % channels * heads / channels; }
    // How many channels of one head, from this one on, are differentiated together: few enough for
    // the cache, at most `most`.
    int run(size channel, int most) const {
        int count = 1;
        while (count < most && (count + 1) * field() <= FEW && head(channel + count) == head(channel))
            count++;
        return count;
    }
    static constexpr size FEW = 1 << 14;
};

// i times the numbers [re | im | 0] of which x is the one at lane `lane`, for the lanes from there
// on. Reads half a row to both sides of them.
vec times_i(const Layer &s, const float *x, size lane) {
    static const std::int32_t count[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    const mask lanes = *(const mask *)count + (std::int32_t)lane;
    const vec im = lanes < (std::int32_t)(2 * s.m2) ? load(x - s.m2) : vec{};
    return lanes < (std::int32_t)s.m2 ? -load(x + s.m2) : im;
}

// to = -i from, for rows of lanes
void minus_i(const Layer &s, const float *from, float *to) {
    for (size f = 0; f < s.spectrum(); f += s.lanes)
        for (size k = 0; k < s.lanes; k += V) store(to + f + k, -times_i(s, from + f + k, k));
}

// T = x R2^T, with R2 as [Re R2; Im R2]^T, P lanes wide
void contract_last(const Layer &s, const float *R2, const float *x, float *T, Ahead &ahead) {
    multiply({s.n1, s.lanes, s.n2, x, s.n2, 1, R2, s.lanes, T, s.lanes, &ahead});
}

// X = R1 T
void contract_first(const Layer &s, const float *R1, const float *T, float *X, float *scratch,
                    Ahead &ahead) {
    const float *re = scratch, *im = scratch + s.spectrum();
    multiply({2 * s.m1, s.lanes, s.n1, R1, s.row1, 1, T, s.lanes, scratch, s.lanes, &ahead});
    for (size f = 0; f < s.spectrum(); f += s.lanes)
        for (size k = 0; k < s.lanes; k += V)
            store(X + f + k, load(re + f + k) + times_i(s, im + f + k, k));
}

// T = R1^H X
void expand_first(const Layer &s, const float *R1, const float *X, float *T, float *scratch,
                  Ahead &ahead) {
    std::memcpy(scratch, X, 4 * s.spectrum());
    minus_i(s, scratch, scratch + s.spectrum());
    multiply({s.n1, s.lanes, 2 * s.m1, R1, 1, s.row1, scratch, s.lanes, T, s.lanes, &ahead});
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
                  &ahead, false, start});
        for (size k = 0; k < rows && !whole; k++)
            std::memcpy(x + (i + k) * s.n2, out + k * s.width, 4 * s.n2);
    }
}

// dR1^T (n1 x 2 m1) += T [Re X^T, Im X^T] for the X^T and the T of some channels
void differentiate_first(const Layer &s, const float *turned, const float *T, size channels,
                         float *dR1, Ahead &ahead) {
    multiply({s.n1, s.columns, 2 * s.m2, T, s.lanes, 1, turned, s.columns, dR1, s.columns, &ahead,
              true, 0, channels, s.between(), s.turned()});
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
                  s.width, dR2, s.width, &ahead, true});
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

    float *at(size f, size lane) const {
        const size frequency = lane < s.m2 ? f * s.m2 + lane : (s.m1 + f - 1) * s.m2 + lane;
        return data + frequency * s.batch * s.channels;
    }
    template <typename Move>
    void visit(const Move &move) const {
        for (size f = 0; f < s.m1; f++)
            for (size lane = 0; lane < s.lanes; lane += V)
                move(f, lane, (int)std::min<size>(V, std::max<size>(0, 2 * s.m2 - lane)));
    }
    void read(float *X, int count) const {
        visit([&](size f, size lane, int kept) {
            vec r[V] = {};
            for (int l = 0; l < kept; l++) r[l] = load(at(f, lane + l), count);
            transpose(r);
            for (int c = 0; c < count; c++) store(X + (c * s.m1 + f) * s.lanes + lane, r[c]);
        });
    }
    // To X^T (2 m2, 2 m1 in whole vectors): rows [Re X; Im X]^T, and beside them those of -i X.
    void read_turned(float *turned, int count) const {
        for (size k = 0; k < 2 * s.m2; k++) {
            const bool is_re = k < s.m2;
            float *X = turned + k * s.columns;
            float *beside = turned + (is_re ? k + s.m2 : k - s.m2) * s.columns + s.m1;
            for (size f = 0; f < s.m1; f += V) {
                const int kept = (int)std::min<size>(V, s.m1 - f);
                vec r[V] = {};
                for (int l = 0; l < kept; l++) r[l] = load(at(f + l, k), count);
                transpose(r);
                for (int c = 0; c < count; c++) {
                    store(X + c * s.turned() + f, r[c], kept);
                    store(beside + c * s.turned() + f, is_re ? -r[c] : r[c], kept);
                }
            }
        }
    }
    void write(const float *X, int count) const {
        visit([&](size f, size lane, int kept) {
            vec r[V] = {};
            for (int c = 0; c < count; c++) r[c] = load(X + (c * s.m1 + f) * s.lanes + lane);
            transpose(r);
            for (int l = 0; l < kept; l++) store(at(f, lane + l), r[l], count);
        });
    }
};

// The matrices of every head as the products take them.
class Matrices {
    Array first, last;
    size size1, size2;  // numbers of one head

public:
    Matrices(const Layer &s, const float *R1, const float *R2, bool analysis)
        : size1(2 * s.m1 * s.row1), size2(analysis ? s.n2 * s.lanes : 2 * s.m2 * s.row2) {
        first.hold(s.heads * size1);
        last.hold(s.heads * size2);
        for (size h = 0; h < s.heads; h++) {
            for (size f = 0; f < 2 * s.m1; f++, R1 += s.n1)
                std::memcpy(first.data() + h * size1 + f * s.row1, R1, 4 * s.n1);
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

// The sums of every thread: dR1^T and dR2 of every head.
class Gradients {
    std::vector<Array> sums;
    size size1, size2, heads;

public:
    Gradients(const Layer &s, int threads, bool wanted)
        : sums(wanted ? threads : 0), size1(s.n1 * s.columns), size2(2 * s.m2 * s.width),
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
            for (size f = 0; f < 2 * s.m1; f++)
                for (size i = 0; i < s.n1; i++) *to1++ = dR1(0, h)[i * s.columns + f];
            for (size f = 0; f < 2 * s.m2; f++)
                for (size i = 0; i < s.n2; i++) *to2++ = dR2(0, h)[f * s.width + i];
        }
    }
};

// Memory of a thread, kept for the next call.
struct Workspace {
    float *X, *turned, *T, *scratch;  // of a group of channels, T of a run of them

    explicit Workspace(const Layer &s) {
        static thread_local Array memory;
        const size run = s.run(0, V);
        memory.hold(V * (s.spectrum() + s.turned()) + run * s.between() + s.scratch());
        X = memory.data();
        turned = X + V * s.spectrum();
        T = turned + V * s.turned();
        scratch = T + run * s.between() + s.lanes;
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
        for (int i = 0, run; i < count; i += run) {
            run = s.run(first + i, count - i);
            const size begin = first + i, h = s.head(begin);
            const float *x = fields + begin * s.field();
            float *T = between ? between + begin * s.between() : work.T;
            Ahead ahead;
            ahead.add(x + run * s.field(), run * s.field());
            if (dR1) ahead.add(T_of + (begin + run) * s.between(), run * s.between());
            for (int c = 0; c < run; c++) {
                const float *x_c = x + c * s.field();
                float *T_c = T + c * s.between();
                contract_last(s, matrices.R2(h), x_c, T_c, ahead);
                contract_first(s, matrices.R1(h), T_c, work.X + (i + c) * s.spectrum(),
                               work.scratch, ahead);
                if (sums) sums[begin + c] = total(x_c, s.field());
            }
            if (!dR1) continue;
            differentiate_first(s, work.turned + i * s.turned(), T, run, gradients.dR1(thread, h),
                                ahead);
            differentiate_last(s, T_of + begin * s.between(), x, run, gradients.dR2(thread, h),
                               work.scratch, ahead);
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
        for (int i = 0, run; i < count; i += run) {
            run = s.run(first + i, count - i);
            const size begin = first + i, h = s.head(begin);
            float *x = fields + begin * s.field();
            float *T = between ? between + begin * s.between() : work.T;
            Ahead ahead;
            ahead.add(x + run * s.field(), run * s.field());
            if (dR1) ahead.add(x_of + (begin + run) * s.field(), run * s.field());
            if (dR1) ahead.add(T_of + (begin + run) * s.between(), run * s.between());
            for (int c = 0; c < run; c++) {
                float *T_c = T + c * s.between();
                expand_first(s, matrices.R1(h), work.X + (i + c) * s.spectrum(), T_c, work.scratch,
                             ahead);
                expand_last(s, matrices.R2(h), T_c, bias ? bias[(begin + c) % s.channels] : 0,
                            x + c * s.field(), work.scratch, ahead);
            }
            if (!dR1) continue;
            differentiate_first(s, work.turned + i * s.turned(), T_of + begin * s.between(), run,
                                gradients.dR1(thread, h), ahead);
            differentiate_last(s, T, x_of + begin * s.field(), run, gradients.dR2(thread, h),
                               work.scratch, ahead);
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
