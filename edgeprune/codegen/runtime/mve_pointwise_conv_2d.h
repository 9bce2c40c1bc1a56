/*
 * edgeprune: CONV_2D with a 1x1 kernel, stride 1, no padding and one group, with Helium (MVE).
 *
 * Shapes: input [pixels][depth], output [pixels][outputs], weights and bounds as in mve_matrix.h,
 * scratch one panel, [steps][4][16] bytes. Four pixels are in the panel before their outputs are
 * written: the output may be the memory of the input where outputs <= depth, and may overlap it
 * where it starts 4 * (groups of four pixels - 1) * (outputs - depth) bytes before it.
 */
#ifndef EDGEPRUNE_MVE_POINTWISE_CONV_2D_H
#define EDGEPRUNE_MVE_POINTWISE_CONV_2D_H

#include "mve_matrix.h"

EDGEPRUNE_INLINE void edgeprune_kernel_mve_pointwise_conv_2d(const edgeprune_mve_matrix *matrix,
                                                      const int8_t *input, int8_t *output,
                                                      int8_t *scratch, int32_t vectors,
                                                      int32_t depth, int32_t pitch,
                                                      int32_t outputs, int32_t away,
                                                      int32_t clamp)
{
    for (int32_t left = vectors; left > 0; left -= 4) {
        for (int32_t p = 0; p < 4; p++) {
            edgeprune_mve_pack(scratch + 16 * p, input, depth);
            input += p + 1 < left ? depth : 0;
        }
        edgeprune_mve_multiply(matrix, scratch, output, left < 4 ? left : 4, depth, pitch, outputs,
                               away, clamp);
        output += 4 * outputs;
    }
}

#endif
