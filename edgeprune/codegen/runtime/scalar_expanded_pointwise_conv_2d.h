/*
 * edgeprune: CONV_2D with a 1 x 1 kernel and stride 1 on cores without SIMD whose weights are
 * compressed: expanded to memory once, then multiplied by scalar_pointwise_conv_2d.h.
 *
 * Scratch: outputs * taps bytes, rounded up to a multiple of 8, then what
 * scalar_pointwise_conv_2d.h needs. Shapes, bounds and overlap are its.
 */
#ifndef EDGEPRUNE_SCALAR_EXPANDED_POINTWISE_CONV_2D_H
#define EDGEPRUNE_SCALAR_EXPANDED_POINTWISE_CONV_2D_H

#include "expand.h"
#include "scalar_pointwise_conv_2d.h"

typedef struct edgeprune_scalar_expanded {
    edgeprune_scalar_matrix matrix; /* its weights are the bytes of expand.h */
    const int8_t *tables;           /* what they refer to; NULL where the form has none */
} edgeprune_scalar_expanded;

EDGEPRUNE_INLINE void edgeprune_scalar_expanded_pointwise_conv_2d(
    const edgeprune_scalar_expanded *layer, const int8_t *input, int8_t *output, int8_t *scratch,
    int32_t form, int32_t pixels, int32_t depth, int32_t outputs, int32_t taps, int32_t pitch,
    int32_t group, int32_t ordered, int32_t long_multiply, int32_t zero_point, int32_t low,
    int32_t high)
{
    const int32_t size = outputs * taps;
    const edgeprune_scalar_matrix matrix = {scratch, layer->matrix.order, layer->matrix.channels};
    edgeprune_expand(layer->matrix.weights, layer->tables, scratch, form, size, 1, taps, taps);
    edgeprune_scalar_pointwise_conv_2d(&matrix, input, output, scratch + (size + 7) / 8 * 8, pixels,
                                       depth, outputs, taps, pitch, group, ordered,
                                       long_multiply, zero_point, low, high);
}

#endif
