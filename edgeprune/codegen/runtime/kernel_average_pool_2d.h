/*
 * edgeprune: AVERAGE_POOL_2D; padding does not count in the average.
 *
 * Shapes: input [batches][input_height][input_width][channels],
 * output [batches][output_height][output_width][channels]; every window holds at least one pixel.
 * Bounds: a window holds at most 2^23 pixels, so that its sum stays below 2^31 after rounding.
 * Input and output have one scale and zero point. Pixels are written in order, so that the output
 * may start before the input as far as the generator has worked out.
 */
#ifndef EDGEPRUNE_KERNEL_AVERAGE_POOL_2D_H
#define EDGEPRUNE_KERNEL_AVERAGE_POOL_2D_H

#include "kernel_window.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct edgeprune_average_pool_2d {
    edgeprune_window window; /* dilation 1; as many output as input channels */
    int32_t low;             /* of the fused activation */
    int32_t high;
} edgeprune_average_pool_2d;

void edgeprune_kernel_average_pool_2d(const edgeprune_average_pool_2d *layer, const int8_t *input,
                                      int8_t *output);

#ifdef __cplusplus
}
#endif

#endif
