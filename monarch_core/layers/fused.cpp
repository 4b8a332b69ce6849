// Analysis and synthesis of a spectral convolution, one channel of one sample at a time, so that
// all that lies between field and spectrum stays in the cache. The formulas are those of
// spectral_product.py; float32, two axes or more.
//
// A channel passes through levels. Level d has the grid on its first d axes and frequencies on the
// others; on the last axis real and imaginary parts of the kept frequencies lie side by side,
//
//     level D      (n_0, ..., n_{D-1})                               the field, real
//     level d < D  (n_0, ..., n_{d-1}, m_d, ..., m_{D-2}, P)         [re | im | 0], P lanes
//
// with P = 2 m_{D-1} rounded up to whole vectors. The analysis contracts axis d with a complex
// matrix R (m_d x n_d), given as [Re R; Im R], from level d+1 to level d; the synthesis expands
// level d with R^H to level d+1. Each is the adjoint of the other, and both have the gradient
//
//     dR = sum (coefficients of level d) (field of level d+1)^H.

#include <omp.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

namespace {

#if defined(__AVX512F__)
constexpr int V = 16;      // floats in a vector
constexpr int TILE = 24;   // vectors of the result that are kept in registers
#define LOW 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#else
constexpr int V = 8;
constexpr int TILE = 12;
#define LOW 0, 8, 1, 9, 2, 10, 3, 11
#define HIGH 4, 12, 5, 13, 6, 14, 7, 15
#endif
typedef float vec __attribute__((vector_size(4 * V), aligned(4), may_alias));
using size = std::int64_t;

constexpr size round_up(size n) { return (n + V - 1) / V * V; }

// Zeros that begin with a line of the cache.
class Array {
    struct alignas(64) Line {
        float numbers[16];
    };
    std::vector<Line> lines;

public:
    void hold(size count) {
        if ((size)lines.size() < (count + 15) / 16) lines.resize((count + 15) / 16);
    }
    float *data() { return lines.data()->numbers; }
};

// ---------------------------------------------------------------- matrix product

// Memory that the next channel will need, fetched into the cache beside the arithmetic.
class Ahead {
    struct Range {
        const char *at, *end;
    };
    Range ranges[4];
    int count = 0, next = 0;

public:
    void add(const float *start, size numbers) {
        if (start) ranges[count++] = {(const char *)start, (const char *)(start + numbers)};
    }
    // Return where to begin fetching, and how many of at most `lines` lines.
    const char *take(size &lines) {
        while (next < count && ranges[next].at >= ranges[next].end) next++;
        if (next == count) return lines = 0, nullptr;
        const char *start = ranges[next].at;
        lines = std::min(lines, (ranges[next].end - start + 63) / 64);
        ranges[next].at += 64 * lines;
        return start;
    }
};

// C (rows x cols) = A (rows x depth) B (depth x cols) + C or a constant. The columns are whole
// vectors and contiguous in B and C; A is read number by number at any strides.
struct Product {
    size rows, cols, depth;
    const float *A;
    size a_row, a_depth;
    const float *B;
    size b_depth;
    float *C;
    size c_row;
    Ahead *ahead;
    bool add = false;
    float start = 0;
};

template <int ROWS, int VECTORS>
void tile(const Product &p, size row, size col) {
    const float *A = p.A + row * p.a_row, *B = p.B + col;
    float *C = p.C + row * p.c_row + col;
    vec sum[ROWS][VECTORS];
#pragma GCC unroll 24
    for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 4
        for (int j = 0; j < VECTORS; j++)
            sum[i][j] = p.add ? *(const vec *)(C + i * p.c_row + j * V) : vec{} + p.start;
    size lines = p.depth;
    const char *ahead = p.ahead->take(lines);
    for (size k = 0; k < p.depth; k++) {
        if (k < lines) __builtin_prefetch(ahead + 64 * k, 0, 2);
        vec b[VECTORS];
#pragma GCC unroll 4
        for (int j = 0; j < VECTORS; j++) b[j] = *(const vec *)(B + k * p.b_depth + j * V);
#pragma GCC unroll 24
        for (int i = 0; i < ROWS; i++) {
            const float a = A[i * p.a_row + k * p.a_depth];
#pragma GCC unroll 4
            for (int j = 0; j < VECTORS; j++) sum[i][j] += a * b[j];
        }
    }
#pragma GCC unroll 24
    for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 4
        for (int j = 0; j < VECTORS; j++) *(vec *)(C + i * p.c_row + j * V) = sum[i][j];
}

using Tile = void (*)(const Product &, size, size);

template <int VECTORS, int... ROWS>
Tile choose(size rows, std::integer_sequence<int, ROWS...>) {
    static constexpr Tile tiles[] = {tile<ROWS + 1, VECTORS>...};
    return tiles[rows - 1];
}

template <int VECTORS>
void panel(const Product &p, size col) {
    constexpr int most = std::min(12, TILE / VECTORS);
    size count = (p.rows + most - 1) / most;
    for (size row = 0; count > 0; count--) {
        const size rows = (p.rows - row + count - 1) / count;
        choose<VECTORS>(rows, std::make_integer_sequence<int, most>())(p, row, col);
        row += rows;
    }
}

void multiply(const Product &p) {
    size col = 0;
    for (size count = (p.cols / V + 3) / 4; count > 0; count--) {
        const size vectors = ((p.cols - col) / V + count - 1) / count;
        switch (vectors) {
            case 1: panel<1>(p, col); break;
            case 2: panel<2>(p, col); break;
            case 3: panel<3>(p, col); break;
            default: panel<4>(p, col);
        }
        col += vectors * V;
    }
}

// ---------------------------------------------------------------- levels of one channel

struct Layer {
    size order, batch, channels, heads;
    std::vector<size> n, m;
    size lanes, half, width;  // P, kept frequencies of the last axis, its points in whole vectors

    explicit Layer(const size *sizes)
        : order(sizes[0]), batch(sizes[1]), channels(sizes[2]), heads(sizes[3]),
          n(sizes + 4, sizes + 4 + order), m(sizes + 4 + order, sizes + 4 + 2 * order),
          lanes(round_up(2 * m.back())), half(m.back()), width(round_up(n.back())) {}

    size outer(size d) const {  // grid points on the axes before d
        size count = 1;
        for (size i = 0; i < d; i++) count *= n[i];
        return count;
    }
    size inner(size d) const {  // numbers on the axes after d < D - 1, all frequencies
        size count = lanes;
        for (size i = d + 1; i < order - 1; i++) count *= m[i];
        return count;
    }
    size level(size d) const {
        if (d == order) return outer(order);
        return outer(d) * (d < order - 1 ? m[d] * inner(d) : lanes);
    }
    size between() const {  // numbers on the levels 1 to D - 1
        size count = 0;
        for (size d = 1; d < order; d++) count += level(d);
        return count;
    }
    size scratch() const {
        size count = outer(order - 1) * width;
        for (size d = 0; d < order - 1; d++)
            count = std::max({count, 2 * m[d] * inner(d), lanes * round_up(2 * m[d])});
        return count;
    }
    bool last(size d) const { return d == order - 1; }
    size gradient_row(size d) const { return last(d) ? width : round_up(2 * m[d]); }
    size gradient(size d) const { return (last(d) ? 2 * m[d] : n[d]) * gradient_row(d); }
};

// to = -i from, on numbers [re | im | 0].
void turn(const Layer &s, const float *from, float *to, size count) {
    for (size i = 0; i < count; i += s.lanes) {
        for (size k = 0; k < s.half; k++) {
            to[i + k] = from[i + s.half + k];
            to[i + s.half + k] = -from[i + k];
        }
        for (size k = 2 * s.half; k < s.lanes; k++) to[i + k] = 0;
    }
}

void contract(const Layer &s, size d, const float *R, const float *field, float *coefficients,
              float *scratch, Ahead &ahead) {
    if (s.last(d)) {  // R is [Re R; Im R]^T here, P lanes wide
        multiply({s.outer(d), s.lanes, s.n[d], field, s.n[d], 1, R, s.lanes, coefficients, s.lanes, &ahead});
        return;
    }
    const size inner = s.inner(d), plane = s.m[d] * inner;
    for (size o = 0; o < s.outer(d); o++, field += s.n[d] * inner, coefficients += plane) {
        multiply({2 * s.m[d], inner, s.n[d], R, s.n[d], 1, field, inner, scratch, inner, &ahead});
        const float *re = scratch, *im = scratch + plane;
        for (size i = 0; i < plane; i += s.lanes) {
            for (size k = 0; k < s.half; k++) {
                coefficients[i + k] = re[i + k] - im[i + s.half + k];
                coefficients[i + s.half + k] = re[i + s.half + k] + im[i + k];
            }
            for (size k = 2 * s.half; k < s.lanes; k++) coefficients[i + k] = 0;
        }
    }
}

void expand(const Layer &s, size d, const float *R, const float *coefficients, float *field,
            float *scratch, Ahead &ahead, float start) {
    if (s.last(d)) {  // R has whole vectors in its rows here
        const bool whole = s.width == s.n[d];
        const size rows = s.outer(d);
        float *out = whole ? field : scratch;
        multiply({rows, s.width, 2 * s.half, coefficients, s.lanes, 1, R, s.width, out, s.width,
                  &ahead, false, start});
        for (size i = 0; i < rows && !whole; i++)
            std::memcpy(field + i * s.n[d], out + i * s.width, 4 * s.n[d]);
        return;
    }
    const size inner = s.inner(d), plane = s.m[d] * inner;
    for (size o = 0; o < s.outer(d); o++, field += s.n[d] * inner, coefficients += plane) {
        std::memcpy(scratch, coefficients, 4 * plane);
        turn(s, coefficients, scratch + plane, plane);
        multiply({s.n[d], inner, 2 * s.m[d], R, 1, s.n[d], scratch, inner, field, inner, &ahead});
    }
}

// Add dR: of the last axis as [Re; Im] with whole vectors in its rows, else its transpose.
void differentiate(const Layer &s, size d, const float *coefficients, const float *field,
                   float *dR, float *scratch, Ahead &ahead) {
    const size row = s.gradient_row(d);
    if (s.last(d)) {
        const size rows = s.outer(d);
        if (s.width != s.n[d]) {
            for (size i = 0; i < rows; i++) {
                std::memcpy(scratch + i * s.width, field + i * s.n[d], 4 * s.n[d]);
                std::memset(scratch + i * s.width + s.n[d], 0, 4 * (s.width - s.n[d]));
            }
            field = scratch;
        }
        multiply({2 * s.half, s.width, rows, coefficients, 1, s.lanes, field, s.width, dR, row,
                  &ahead, true});
        return;
    }
    const size inner = s.inner(d), m = s.m[d];
    std::memset(scratch, 0, 4 * s.lanes * row);
    for (size o = 0; o < s.outer(d); o++)
        for (size i = 0; i < inner; i += s.lanes) {
            const float *X = coefficients + o * m * inner + i;
            for (size f = 0; f < m; f++)
                for (size k = 0; k < s.half; k++) {
                    const float re = X[f * inner + k], im = X[f * inner + s.half + k];
                    scratch[k * row + f] = re;
                    scratch[(s.half + k) * row + f] = im;
                    scratch[k * row + m + f] = im;
                    scratch[(s.half + k) * row + m + f] = -re;
                }
            multiply({s.n[d], row, 2 * s.half, field + o * s.n[d] * inner + i, inner, 1, scratch,
                      row, dR, row, &ahead, true});
        }
}

// ---------------------------------------------------------------- spectra of a group of channels

void transpose(vec (&r)[V]) {
    for (int round = 1; round < V; round *= 2) {
        vec t[V];
#pragma GCC unroll 8
        for (int i = 0; i < V / 2; i++) {
            t[2 * i] = __builtin_shufflevector(r[i], r[i + V / 2], LOW);
            t[2 * i + 1] = __builtin_shufflevector(r[i], r[i + V / 2], HIGH);
        }
        std::memcpy(r, t, sizeof r);
    }
}

// A spectrum (2, m_0, ..., m_{D-1}, batch, channels), from one channel of one sample on. Level 0 of
// `count` of them, at most V, is read from there or written to it.
struct Spectrum {
    float *data;
    size rows, half, lanes, apart;  // numbers from one frequency to the next

    Spectrum(const Layer &s, const float *start, size channel)
        : data(const_cast<float *>(start) + channel), rows(s.level(0) / s.lanes), half(s.half),
          lanes(s.lanes), apart(s.batch * s.channels) {}

    float *at(size f, size lane) const {
        return data + (lane < half ? f * half + lane : (rows + f) * half + lane - half) * apart;
    }
    template <typename Move>
    void visit(const Move &move) const {
        for (size f = 0; f < rows; f++)
            for (size lane = 0; lane < lanes; lane += V)
                move(f, lane, (int)std::min<size>(V, std::max<size>(0, 2 * half - lane)));
    }
    void read(float *levels, int count) const {
        visit([&](size f, size lane, int kept) {
            vec r[V] = {};
            for (int l = 0; l < kept; l++) move(&r[l], at(f, lane + l), count);
            transpose(r);
            for (int c = 0; c < count; c++) *(vec *)(levels + (c * rows + f) * lanes + lane) = r[c];
        });
    }
    void write(const float *levels, int count) const {
        visit([&](size f, size lane, int kept) {
            vec r[V] = {};
            for (int c = 0; c < count; c++) r[c] = *(vec *)(levels + (c * rows + f) * lanes + lane);
            transpose(r);
            for (int l = 0; l < kept; l++) move(at(f, lane + l), &r[l], count);
        });
    }

private:
    static void move(void *to, const void *from, int count) {
        count == V ? std::memcpy(to, from, 4 * V) : std::memcpy(to, from, 4 * count);
    }
};

// ---------------------------------------------------------------- a whole layer

// The matrices of every axis and head as the products take them.
struct Matrices {
    Array copy;  // of the last axis
    std::vector<const float *> data;
    std::vector<size> head;  // numbers of one head

    Matrices(const Layer &s, const float *const *R, bool analysis) {
        const size last = s.order - 1, rows = 2 * s.half, n = s.n[last];
        for (size d = 0; d < last; d++) {
            data.push_back(R[d]);
            head.push_back(2 * s.m[d] * s.n[d]);
        }
        head.push_back(analysis ? n * s.lanes : rows * s.width);
        copy.hold(s.heads * head[last]);
        for (size h = 0; h < s.heads; h++)
            for (size f = 0; f < rows; f++)
                for (size i = 0; i < n; i++)
                    copy.data()[h * head[last] + (analysis ? i * s.lanes + f : f * s.width + i)] =
                        R[last][(h * rows + f) * n + i];
        data.push_back(copy.data());
    }
    const float *of(size d, size h) const { return data[d] + h * head[d]; }
};

// Sums of the gradients of every thread.
struct Gradients {
    std::vector<Array> sums;
    size total = 0;

    Gradients(const Layer &s, int threads, bool wanted) : sums(wanted ? threads : 0) {
        for (size d = 0; d < s.order; d++) total += s.heads * s.gradient(d);
        for (Array &sum : sums) sum.hold(total);
    }
    float *of(const Layer &s, int thread, size d, size h) {
        float *start = sums[thread].data();
        for (size i = 0; i < d; i++) start += s.heads * s.gradient(i);
        return start + h * s.gradient(d);
    }
    void write(const Layer &s, float *const *dR) {
        for (size t = 1; t < (size)sums.size(); t++)
            for (size i = 0; i < total; i++) sums[0].data()[i] += sums[t].data()[i];
        for (size d = 0; d < s.order; d++)
            for (size h = 0; h < s.heads; h++)
                for (size f = 0; f < 2 * s.m[d]; f++)
                    for (size i = 0; i < s.n[d]; i++) {
                        const size row = s.gradient_row(d);
                        dR[d][(h * 2 * s.m[d] + f) * s.n[d] + i] =
                            of(s, 0, d, h)[s.last(d) ? f * row + i : i * row + f];
                    }
    }
};

// Where the levels of a channel lie: those between in one block, the others by themselves.
struct Levels {
    std::vector<float *> at;

    Levels(const Layer &s, float *spectrum, float *between, float *field) : at(s.order + 1) {
        at[0] = spectrum;
        for (size d = 1; d < s.order; d++, between += s.level(d - 1)) at[d] = between;
        at[s.order] = field;
    }
    float *operator[](size d) const { return at[d]; }
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

// Memory of a thread, kept for the next call.
struct Workspace {
    float *spectra, *others, *between, *scratch;

    explicit Workspace(const Layer &s) {
        static thread_local Array memory;
        const size group = V * s.level(0);
        memory.hold(2 * group + s.between() + s.scratch());
        spectra = memory.data();
        others = spectra + group;
        between = others + group;
        scratch = between + s.between();
    }
};

float total(const float *x, size count) {
    vec sum = {};
    size i = 0;
    for (; i + V <= count; i += V) sum += *(const vec *)(x + i);
    float result = 0;
    for (int l = 0; l < V; l++) result += sum[l];
    for (; i < count; i++) result += x[i];
    return result;
}

}  // namespace

extern "C" {

// sizes: order, batch, channels, heads, n_0 ..., m_0 ...; R[d]: (heads, 2 m_d, n_d).

// Numbers on the levels 1 to D-1 of one channel.
size between(const size *sizes) { return Layer(sizes).between(); }

// field (batch, channels, n_0, ...) -> spectrum (2, m_0, ..., batch, channels). The levels 1 to D-1
// go to `between`, if it is not null. With dR, which is shaped as R, the field is the gradient that
// a synthesis from coefficients and coefficients_between receives, and dR that of its R. The sum of
// every field goes to field_sums (batch, channels), if it is not null.
void analyse(const size *sizes, const float *const *R, const float *field, float *between,
             float *spectrum, const float *coefficients, float *coefficients_between,
             float *const *dR, float *field_sums, int threads) {
    const Layer s(sizes);
    const Matrices matrices(s, R, true);
    Gradients gradients(s, threads, dR != nullptr);
    for_groups(s, threads, [&](int thread, size first, int count) {
        const Workspace work(s);
        if (dR) Spectrum(s, coefficients, first).read(work.others, count);
        for (int i = 0; i < count; i++) {
            const size channel = first + i, c = channel % s.channels, h = c * s.heads / s.channels;
            float *x = const_cast<float *>(field) + channel * s.level(s.order);
            const Levels own(s, work.spectra + i * s.level(0),
                             between ? between + channel * s.between() : work.between, x);
            Ahead ahead;
            ahead.add(x + s.level(s.order), s.level(s.order));
            if (dR) ahead.add(coefficients_between + (channel + 1) * s.between(), s.between());
            for (size d = s.order; d-- > 0;)
                contract(s, d, matrices.of(d, h), own[d + 1], own[d], work.scratch, ahead);
            if (field_sums) field_sums[channel] = total(x, s.level(s.order));
            if (!dR) continue;
            const Levels other(s, work.others + i * s.level(0),
                               coefficients_between + channel * s.between(), nullptr);
            for (size d = 0; d < s.order; d++)
                differentiate(s, d, other[d], own[d + 1], gradients.of(s, thread, d, h),
                              work.scratch, ahead);
        }
        Spectrum(s, spectrum, first).write(work.spectra, count);
    });
    if (dR) gradients.write(s, dR);
}

// spectrum -> field plus bias (channels). The levels 1 to D-1 go to `between`, and the field to
// `field`, where they are not null. With dR the spectrum is the gradient that an analysis of
// fields, with fields_between, receives, and dR that of its R.
void synthesise(const size *sizes, const float *const *R, const float *spectrum, float *between,
                float *field, const float *bias, const float *fields, float *fields_between,
                float *const *dR, int threads) {
    const Layer s(sizes);
    const Matrices matrices(s, R, false);
    Gradients gradients(s, threads, dR != nullptr);
    for_groups(s, threads, [&](int thread, size first, int count) {
        const Workspace work(s);
        Spectrum(s, spectrum, first).read(work.spectra, count);
        for (int i = 0; i < count; i++) {
            const size channel = first + i, c = channel % s.channels, h = c * s.heads / s.channels;
            const size points = s.level(s.order);
            const Levels own(s, work.spectra + i * s.level(0),
                             between ? between + channel * s.between() : work.between,
                             field ? field + channel * points : nullptr);
            Ahead ahead;
            if (field) ahead.add(field + (channel + 1) * points, points);
            if (dR) ahead.add(fields + (channel + 1) * points, points);
            if (dR) ahead.add(fields_between + (channel + 1) * s.between(), s.between());
            for (size d = 0; d < s.order; d++)
                if (own[d + 1])
                    expand(s, d, matrices.of(d, h), own[d], own[d + 1], work.scratch,
                           ahead, bias ? bias[c] : 0);
            if (!dR) continue;
            const Levels other(s, nullptr, fields_between + channel * s.between(),
                               const_cast<float *>(fields) + channel * points);
            for (size d = 0; d < s.order; d++)
                differentiate(s, d, own[d], other[d + 1], gradients.of(s, thread, d, h),
                              work.scratch, ahead);
        }
    });
    if (dR) gradients.write(s, dR);
}
}
