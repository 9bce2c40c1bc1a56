/*
 * edgeprune: CONV_2D with a 1 x 1 kernel and stride 1 on cores without SIMD: scalar_matrix.h for
 * every four pixels.
 *
 * Shapes: input [pixels][depth], output [pixels][outputs]; scratch of taps * 8 bytes, and
 * outputs * 4 more where pixels is not a multiple of 4, starting at a multiple of 4. Four pixels
 * are read before their outputs are written, so that the output may start where the input does if
 * outputs <= depth.
 * Bounds: those of scalar_matrix.h.
 */
#ifndef EDGEPRUNE_SCALAR_POINTWISE_CONV_2D_H
#define EDGEPRUNE_SCALAR_POINTWISE_CONV_2D_H

#include <string.h>

#include "scalar_matrix.h"

EDGEPRUNE_INLINE void edgeprune_scalar_pointwise_conv_2d(
    const edgeprune_scalar_matrix *layer, const int8_t *input, int8_t *output, int8_t *scratch,
    int32_t pixels, int32_t depth, int32_t outputs, int32_t taps, int32_t pitch, int32_t group,
    int32_t ordered, int32_t long_multiply, int32_t zero_point, int32_t low, int32_t high)
{
    const edgeprune_scalar_output range = {long_multiply, zero_point, low, high};
    uint32_t *const x = (uint32_t *)(void *)scratch;
    int8_t *const rest = scratch + taps * 8;
    for (int32_t left = pixels; left > 0; left -= EDGEPRUNE_SCALAR_VECTORS) {
        /* Of the last few pixels the first stands for those that are missing. */
        const int32_t is_rest = left < EDGEPRUNE_SCALAR_VECTORS;
        edgeprune_scalar_pair(layer, input, left > 1 ? depth : 0, left > 2 ? 2 * depth : 0,
                              left > 3 ? 3 * depth : 0, x, depth, taps, ordered);
        edgeprune_scalar_matrix_4(layer, x, is_rest ? rest : output, outputs, taps, pitch,
                                  group, range);
        if (is_rest) {
            memcpy(output, rest, (size_t)(left * outputs));
        }
        input += EDGEPRUNE_SCALAR_VECTORS * depth;
        output += EDGEPRUNE_SCALAR_VECTORS * outputs;
    }
}

#endif
