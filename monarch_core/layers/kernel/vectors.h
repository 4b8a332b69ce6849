// Vectors of floats, memory for them, and what the kernels are made of: a product of small matrices
// and a transposition. In float32, with the vector extensions of GCC.

#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

namespace {

// A vector has V floats. A tile of TILE vectors of the result, at most WIDE in a row, is kept in
// registers, of which there are 32 with AVX-512 and 16 without: three quarters, so that the operands
// fit beside it.
#if defined(__AVX512F__)
constexpr int V = 16;
constexpr int TILE = 24;
constexpr int WIDE = 4;
#define LOW 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#else
constexpr int V = 8;
constexpr int TILE = 12;
constexpr int WIDE = 2;
#define LOW 0, 8, 1, 9, 2, 10, 3, 11
#define HIGH 4, 12, 5, 13, 6, 14, 7, 15
#endif
typedef float vec __attribute__((vector_size(4 * V), aligned(4), may_alias));
typedef std::int32_t mask __attribute__((vector_size(4 * V), aligned(4), may_alias));

vec load(const float *from) { return *(const vec *)from; }
void store(float *to, vec v) { *(vec *)to = v; }
using size = std::int64_t;

constexpr size round_up(size n) { return (n + V - 1) / V * V; }

// Memory that begins with a line of the cache: zeros when it is new, else what was there.
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

// C (rows x cols) = A (rows x depth) B (depth x cols) + D or a constant, summed over pairs A and B that
// follow each other. The columns are whole vectors and contiguous in B, C and D; A is read number by
// number at any strides. D lies as C does, and may be C.
struct Product {
    size rows, cols, depth;
    const float *A;
    size a_row, a_depth;
    const float *B;
    size b_depth;
    float *C;
    size c_row;
    Ahead *ahead;
    const float *D = nullptr;
    float start = 0;
    size pairs = 1, a_pair = 0, b_pair = 0;
};

template <int ROWS, int VECTORS>
void tile(const Product &p, size row, size col) {
    constexpr int POINTERS = (ROWS + 2) / 3;  // each to three rows, as addresses can say
    const size a_row = p.a_row, a_depth = p.a_depth, b_depth = p.b_depth;
    const float *A[POINTERS], *B;
    vec sum[ROWS][VECTORS];
#pragma GCC unroll 24
    for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 4
        for (int j = 0; j < VECTORS; j++) sum[i][j] = vec{} + p.start;
    const auto step = [&]() __attribute__((always_inline)) {
        vec b[VECTORS];
#pragma GCC unroll 4
        for (int j = 0; j < VECTORS; j++) b[j] = load(B + j * V);
#pragma GCC unroll 24
        for (int i = 0; i < ROWS; i++) {
            const float a = A[i / 3][i % 3 * a_row];
#pragma GCC unroll 4
            for (int j = 0; j < VECTORS; j++) sum[i][j] += a * b[j];
        }
        B += b_depth;
#pragma GCC unroll 4
        for (int i = 0; i < POINTERS; i++) A[i] += a_depth;
    };
    size lines = p.pairs * p.depth;
    const char *ahead = p.ahead->take(lines);
    for (size pair = 0; pair < p.pairs; pair++) {
        B = p.B + pair * p.b_pair + col;
#pragma GCC unroll 4
        for (int i = 0; i < POINTERS; i++) A[i] = p.A + pair * p.a_pair + (row + 3 * i) * a_row;
        const size fetched = std::min(lines, p.depth);
        lines -= fetched;
        for (size k = 0; k < fetched; k++, ahead += 64) {
            __builtin_prefetch(ahead, 0, 2);
            step();
        }
        for (size k = fetched; k < p.depth; k++) step();
    }
    size at = row * p.c_row + col;
#pragma GCC unroll 24
    for (int i = 0; i < ROWS; i++, at += p.c_row)
#pragma GCC unroll 4
        for (int j = 0; j < VECTORS; j++)  // added last: a sum of sums
            store(p.C + at + j * V, p.D ? load(p.D + at + j * V) + sum[i][j] : sum[i][j]);
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
    for (size count = (p.cols / V + WIDE - 1) / WIDE; count > 0; count--) {
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

// A complex product as three real ones (Gauss), of the sizes and strides of p: the first is what both
// parts of C share, and is added to the other two, the real and the imaginary part.
void multiply_complex(Product p, const float *const (&A)[3], const float *const (&B)[3],
                      float *const (&C)[3]) {
    for (int i = 0; i < 3; i++) {
        p.A = A[i], p.B = B[i], p.C = C[i];
        p.D = i ? C[0] : nullptr;
        multiply(p);
    }
}

// The first `count` numbers of a vector.
vec load(const float *from, int count) {
    if (count == V) return load(from);
    vec v = {};
    std::memcpy(&v, from, 4 * count);
    return v;
}

void store(float *to, vec v, int count) {
    if (count == V) return store(to, v);
    std::memcpy(to, &v, 4 * count);
}

// v with zeros after the first `count` numbers.
vec first(vec v, int count) {
    static const std::int32_t lane[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return *(const mask *)lane < count ? v : vec{};
}

void transpose(vec (&r)[V]) {
    for (int round = 1; round < V; round *= 2) {
        vec t[V];
#pragma GCC unroll 8
        for (int i = 0; i < V / 2; i++) {
            t[2 * i] = __builtin_shuffle(r[i], r[i + V / 2], mask{LOW});
            t[2 * i + 1] = __builtin_shuffle(r[i], r[i + V / 2], mask{HIGH});
        }
        std::memcpy(r, t, sizeof r);
    }
}

// to (cols x rows) = the transpose of from (rows x cols), for any distances of their rows
void transpose(const float *from, size rows, size cols, size from_row, float *to, size to_row) {
    const int high = (int)std::min<size>(V, rows), wide = (int)std::min<size>(V, cols);
    for (size i = 0; i < rows; i += high) {
        const size row = std::min(i, rows - high);  // the last ones overlap
        for (size j = 0; j < cols; j += wide) {
            const size col = std::min(j, cols - wide);
            vec r[V] = {};
            for (int k = 0; k < high; k++) r[k] = load(from + (row + k) * from_row + col, wide);
            transpose(r);
            for (int k = 0; k < wide; k++) store(to + (col + k) * to_row + row, r[k], high);
        }
    }
}

// The sum, in double precision but for short pieces, whose rounding does not add up.
float total(const float *x, size count) {
    constexpr size EACH = 4;  // sums at a time, as one waits for the one before it
    double result = 0;
    while (count >= EACH * V) {
        vec sums[EACH] = {};
        const size piece = std::min<size>(count / (EACH * V), 32);
        for (size i = 0; i < piece; i++)
            for (size j = 0; j < EACH; j++) sums[j] += load(x + (i * EACH + j) * V);
        const vec sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
        for (int l = 0; l < V; l++) result += sum[l];
        x += piece * EACH * V;
        count -= piece * EACH * V;
    }
    for (size i = 0; i < count; i++) result += x[i];
    return (float)result;
}

}  // namespace
