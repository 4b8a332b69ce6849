// Complex products of matrices, one for every frequency.

#pragma once

#include "vectors.h"

namespace {

// Complex products of every frequency, c = a b, or a^H b for `first`, or a b^H for `second`: a, b
// and c are (2, count, ...) with matrices last, c of size rows x cols, and depth is summed over.
void mix(size count, size rows, size depth, size cols, bool first, bool second, const float *a,
         const float *b, float *c, int threads) {
    const size length = rows * depth, width = round_up(cols);
    const bool direct = width == cols;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (size f = 0; f < count; f++) {
        static thread_local Array memory;
        memory.hold(length + 2 * depth * width + rows * width);
        float *minus = memory.data(), *copies = minus + length, *sum = copies + 2 * depth * width;
        const float *A[2], *B[2];
        for (size part = 0; part < 2; part++) {
            A[part] = a + (part * count + f) * length;
            B[part] = b + (part * count + f) * depth * cols;
            float *copy = copies + part * depth * width;
            if (second)
                transpose(B[part], cols, depth, depth, copy, width);
            else if (!direct)
                for (size k = 0; k < depth; k++)
                    std::memcpy(copy + k * width, B[part] + k * cols, 4 * cols);
            if (second || !direct) B[part] = copy;
        }
        for (size i = 0; i < length; i++) minus[i] = -A[second ? 0 : 1][i];
        // The signs of an adjoint: which of the four products has a minus.
        const float *left[2][2] = {{A[0], first || second ? A[1] : minus},
                                   {second ? minus : A[0], first ? minus : A[1]}};
        const size row = first ? 1 : depth, step = first ? rows : 1;
        for (size part = 0; part < 2; part++) {
            float *to = c + (part * count + f) * rows * cols, *C = direct ? to : sum;
            Ahead ahead;
            for (size term = 0; term < 2; term++)
                multiply({rows, width, depth, left[part][term], row, step, B[part ^ term], width, C,
                          width, &ahead, term == 1});
            for (size i = 0; i < rows && !direct; i++)
                std::memcpy(to + i * cols, sum + i * width, 4 * cols);
        }
    }
}

}  // namespace
