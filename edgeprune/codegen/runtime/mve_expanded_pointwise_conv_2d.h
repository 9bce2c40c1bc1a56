/*
 * edgeprune: CONV_2D with a 1x1 kernel, stride 1, no padding and one group, with Helium (MVE) and
 * compressed weights: expanded to memory once, then multiplied by mve_pointwise_conv_2d.h.
 *
 * Scratch: the bytes of the weights of mve_matrix.h, rounded up to a multiple of 8, then what
 * mve_pointwise_conv_2d.h needs. Shapes, bounds and overlap are its. What is loaded behind the last
 * weight is multiplied by zeros.
 */
#ifndef EDGEPRUNE_MVE_EXPANDED_POINTWISE_CONV_2D_H
#define EDGEPRUNE_MVE_EXPANDED_POINTWISE_CONV_2D_H

#include "expand.h"
#include "mve_pointwise_conv_2d.h"

typedef struct edgeprune_mve_expanded {
    edgeprune_mve_matrix matrix; /* its weights are the bytes of expand.h */
    const int8_t *tables;        /* what they refer to; NULL where the form has none */
} edgeprune_mve_expanded;

EDGEPRUNE_INLINE void edgeprune_mve_expanded_pointwise_conv_2d(
    const edgeprune_mve_expanded *layer, const int8_t *input, int8_t *output, int8_t *scratch,
    int32_t form, int32_t vectors, int32_t depth, int32_t pitch, int32_t outputs, int32_t away,
    int32_t clamp)
{
    const int32_t size = (outputs + 1) / 2 * 2 * depth;
    edgeprune_mve_matrix matrix = layer->matrix;
    matrix.weights = scratch;
    edgeprune_expand(layer->matrix.weights, layer->tables, scratch, form, size, 2, depth, 16);
    edgeprune_kernel_mve_pointwise_conv_2d(&matrix, input, output, scratch + (size + 7) / 8 * 8,
                                           vectors, depth, pitch, outputs, away, clamp);
}

#endif
