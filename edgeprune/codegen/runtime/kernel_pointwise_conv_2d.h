/*
 * edgeprune: CONV_2D with a 1x1 kernel, stride 1, no padding and one group: a matrix product.
 *
 * Shapes: input [pixels][matrix.depth], output [pixels][matrix.outputs],
 * weights [matrix.outputs][matrix.depth].
 * Bounds: as in kernel_matrix.h. Input and output must not overlap.
 */
#ifndef EDGEPRUNE_KERNEL_POINTWISE_CONV_2D_H
#define EDGEPRUNE_KERNEL_POINTWISE_CONV_2D_H

#include "kernel_matrix.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct edgeprune_pointwise_conv_2d {
    edgeprune_matrix matrix;
    int32_t pixels;
} edgeprune_pointwise_conv_2d;

void edgeprune_kernel_pointwise_conv_2d(const edgeprune_pointwise_conv_2d *layer,
                                        const int8_t *input, int8_t *output);

#ifdef __cplusplus
}
#endif

#endif
