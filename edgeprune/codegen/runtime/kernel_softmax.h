/*
 * edgeprune: SOFTMAX along the last dimension, to scale 1/256 and zero point -128.
 *
 * Shapes: input and output [rows][depth].
 * Bounds: depth is at most 511, so that the sum of exponentials, in Q12.19, stays below 2^28.
 * The output may be the memory of the input, or start before it.
 */
#ifndef EDGEPRUNE_KERNEL_SOFTMAX_H
#define EDGEPRUNE_KERNEL_SOFTMAX_H

#include "kernel_requantize.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct edgeprune_softmax {
    int32_t rows;
    int32_t depth;
    int32_t reach; /* 1 to 256; what lies farther below the maximum counts as zero */
} edgeprune_softmax;

typedef struct edgeprune_softmax_table {
    edgeprune_softmax softmax;
    const int32_t *exponentials; /* [reach]: exp() of minus the index, in Q0.31 */
} edgeprune_softmax_table;

typedef struct edgeprune_softmax_series {
    edgeprune_softmax softmax;
    int32_t multiplier; /* of a difference, to Q5.26 */
    int32_t left;       /* bits; (reach - 1) * 2^left is below 2^31 */
} edgeprune_softmax_series;

/* exp() by a table: for short ones. */
void edgeprune_kernel_softmax_table(const edgeprune_softmax_table *layer, const int8_t *input,
                                    int8_t *output);

/* exp() computed. */
void edgeprune_kernel_softmax_series(const edgeprune_softmax_series *layer, const int8_t *input,
                                     int8_t *output);

#ifdef __cplusplus
}
#endif

#endif
