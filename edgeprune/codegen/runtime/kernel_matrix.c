#include "kernel_matrix.h"

static inline int8_t finish(const edgeprune_matrix *matrix, int32_t n, int32_t sum)
{
    return edgeprune_clamp(edgeprune_rescale(sum, matrix->multiplier[n], matrix->shift[n]),
                           &matrix->range);
}

void edgeprune_kernel_matrix_1(const edgeprune_matrix *matrix, const int8_t *x, int8_t *y)
{
    const int8_t *const end = x + matrix->depth;
    const int32_t unused = matrix->pitch - matrix->depth;
    const int8_t *row0 = matrix->weights;
    for (int32_t n = 0; n < matrix->outputs; n += 2) {
        /* The last row of an odd number is computed twice, to the same result. */
        const int32_t m = n + 1 < matrix->outputs ? n + 1 : n;
        const int8_t *row1 = row0 + (m - n) * matrix->pitch;
        int32_t sum0 = matrix->bias[n];
        int32_t sum1 = matrix->bias[m];
        for (const int8_t *value = x; value != end; value++) {
            sum0 += *row0++ * *value;
            sum1 += *row1++ * *value;
        }
        y[n] = finish(matrix, n, sum0);
        y[m] = finish(matrix, m, sum1);
        row0 = row1 + unused;
    }
}

void edgeprune_kernel_matrix_2(const edgeprune_matrix *matrix, const int8_t *x0, const int8_t *x1,
                               int8_t *y0, int8_t *y1)
{
    const int32_t depth = matrix->depth;
    const int32_t pitch = matrix->pitch;
    const int8_t *row0 = matrix->weights;
    for (int32_t n = 0; n < matrix->outputs; n += 2) {
        /* The last row of an odd number is computed twice, to the same result. */
        const int32_t m = n + 1 < matrix->outputs ? n + 1 : n;
        const int8_t *row1 = row0 + (m - n) * pitch;
        int32_t sum00 = matrix->bias[n];
        int32_t sum01 = matrix->bias[m];
        int32_t sum10 = sum00;
        int32_t sum11 = sum01;
        for (int32_t k = 0; k < depth; k++) {
            const int32_t w0 = row0[k];
            const int32_t w1 = row1[k];
            const int32_t v0 = x0[k];
            const int32_t v1 = x1[k];
            sum00 += w0 * v0;
            sum01 += w1 * v0;
            sum10 += w0 * v1;
            sum11 += w1 * v1;
        }
        y0[n] = finish(matrix, n, sum00);
        y0[m] = finish(matrix, m, sum01);
        y1[n] = finish(matrix, n, sum10);
        y1[m] = finish(matrix, m, sum11);
        row0 = row1 + pitch;
    }
}
