/*
 * edgeprune: SOFTMAX along the last dimension, to scale 1/256 and zero point -128.
 *
 * Shapes: input and output [rows][depth].
 * Bounds: depth is at most 511, so that the sum of exponentials, in Q12.19, stays below 2^28.
 * The output may be the memory of the input.
 */
#ifndef EDGEPRUNE_KERNEL_SOFTMAX_H
#define EDGEPRUNE_KERNEL_SOFTMAX_H

#include "kernel_requantize.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct edgeprune_softmax {
    const int32_t *exponentials; /* [reach]: exp() of minus the index, in Q0.31 */
    int32_t reach;               /* 1 to 256; what lies farther below the maximum counts as zero */
    int32_t rows;
    int32_t depth;
} edgeprune_softmax;

void edgeprune_kernel_softmax(const edgeprune_softmax *layer, const int8_t *input, int8_t *output);

#ifdef __cplusplus
}
#endif

#endif
