/*
 * edgeprune: int8 vectors times an int8 matrix, requantized: the core of CONV_2D and
 * FULLY_CONNECTED.
 *
 *     y[n] = clamp(rescale(bias[n] + sum over k of weights[n][k] * x[k]))
 *
 * Shapes: weights [outputs][pitch], of which each row's first depth are used, x [depth],
 * y [outputs]. x and y must not overlap.
 * Bounds: |bias[n]| + 128 * sum over k of |weights[n][k]| is below 2^31, which the generator has
 * checked, so that no partial sum overflows.
 */
#ifndef EDGEPRUNE_KERNEL_MATRIX_H
#define EDGEPRUNE_KERNEL_MATRIX_H

#include "kernel_requantize.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct edgeprune_matrix {
    const int8_t *weights;     /* [outputs][pitch] */
    const int32_t *bias;       /* [outputs]; holds -zero point of x * sum of the row's weights */
    const int32_t *multiplier; /* [outputs] */
    const int8_t *shift;       /* [outputs] */
    int32_t outputs;           /* at least 1 */
    int32_t depth;             /* at least 1 */
    int32_t pitch;             /* from one row to the next; at least depth */
    edgeprune_range range;
} edgeprune_matrix;

/* One vector. */
void edgeprune_kernel_matrix_1(const edgeprune_matrix *matrix, const int8_t *x, int8_t *y);

/* Two vectors at once: every weight that is loaded is used twice. */
void edgeprune_kernel_matrix_2(const edgeprune_matrix *matrix, const int8_t *x0, const int8_t *x1,
                               int8_t *y0, int8_t *y1);

#ifdef __cplusplus
}
#endif

#endif
