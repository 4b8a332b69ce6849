// Complex products of matrices, one for every frequency.

#pragma once

#include "vectors.h"

namespace {

// Complex products of every frequency, c = a b, or a^H b for `first`, or a b^H for `second`: a, b
// and c are (2, count, ...) with matrices last, c of size rows x cols, and depth is summed over. Of
// three real products each (Gauss): with a = p + i q and b = r + i s,
//
//     c = q (r - s) + (p - q) r  +  i [ q (r - s) + (p + q) s ]
void mix(size count, size rows, size depth, size cols, bool first, bool second, const float *a,
         const float *b, float *c, int threads) {
    const size length = rows * depth, width = round_up(cols), size_b = depth * width;
    const bool direct = width == cols;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (size f = 0; f < count; f++) {
        static thread_local Array memory;
        memory.hold(3 * length + 3 * size_b + 3 * rows * width);
        float *q = memory.data(), *p_minus_q = q + length, *p_plus_q = p_minus_q + length;
        float *copies = p_plus_q + length, *difference = copies + 2 * size_b;
        float *shared = difference + size_b;
        const float *given = a + f * length;
        for (size i = 0; i < length; i++) {
            const float re = given[i], im = given[count * length + i];
            q[i] = first ? -im : im;
            p_minus_q[i] = re - q[i];
            p_plus_q[i] = re + q[i];
        }
        const float *B[2];
        float *C[2];
        for (size part = 0; part < 2; part++) {
            B[part] = b + (part * count + f) * depth * cols;
            C[part] = direct ? c + (part * count + f) * rows * cols
                             : shared + (1 + part) * rows * width;
            if (direct && !second) continue;
            float *copy = copies + part * size_b;
            if (second)
                transpose(B[part], cols, depth, depth, copy, width);
            else
                for (size k = 0; k < depth; k++)
                    std::memcpy(copy + k * width, B[part] + k * cols, 4 * cols);
            for (size i = 0; i < size_b && second && part; i++) copy[i] = -copy[i];
            B[part] = copy;
        }
        for (size i = 0; i < size_b; i++) difference[i] = B[0][i] - B[1][i];
        const size row = first ? 1 : depth, step = first ? rows : 1;
        Ahead none;
        multiply_complex(
            {rows, width, depth, nullptr, row, step, nullptr, width, nullptr, width, &none},
            {q, p_minus_q, p_plus_q}, {difference, B[0], B[1]}, {shared, C[0], C[1]});
        for (size part = 0; part < 2 && !direct; part++)
            for (size i = 0; i < rows; i++)
                std::memcpy(c + ((part * count + f) * rows + i) * cols, C[part] + i * width,
                            4 * cols);
    }
}

}  // namespace
