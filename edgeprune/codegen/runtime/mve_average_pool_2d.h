/*
 * edgeprune: AVERAGE_POOL_2D with Helium (MVE); padding does not count in the average.
 *
 * Shapes: input [batches][input_height][input_width][channels],
 * output [batches][output_height][output_width][channels]; every window holds at least one pixel.
 * Bounds: a window holds at most 255 pixels, so that sums stay within int16. Input and output have
 * one scale and zero point. Pixels are written in order, eight channels at a time, so that the
 * output may start before the input as far as the generator has worked out.
 */
#ifndef EDGEPRUNE_MVE_AVERAGE_POOL_2D_H
#define EDGEPRUNE_MVE_AVERAGE_POOL_2D_H

#include "kernel_average_pool_2d.h"

#ifdef __cplusplus
extern "C" {
#endif

void edgeprune_kernel_mve_average_pool_2d(const edgeprune_average_pool_2d *layer,
                                         const int8_t *input, int8_t *output);

#ifdef __cplusplus
}
#endif

#endif
