/*
 * edgeprune: CONV_2D with one group and any kernel, stride, dilation and padding, with Helium
 * (MVE).
 *
 * Shapes: input [batches][input_height][input_width][input_channels],
 * output [batches][output_height][output_width][outputs], weights as in mve_matrix.h with
 * depth = kernel_height * kernel_width * input_channels, scratch one panel, [steps][4][16], and
 * behind it one vector, [steps][16]. Padding is filled with the input's zero point, which the
 * bias that it is folded into takes out again. Bounds as in mve_matrix.h. Input, output and
 * scratch must not overlap.
 */
#ifndef EDGEPRUNE_MVE_CONV_2D_H
#define EDGEPRUNE_MVE_CONV_2D_H

#include "mve_im2col.h"
#include "mve_matrix.h"

typedef struct edgeprune_mve_conv_2d {
    edgeprune_mve_matrix matrix;
    edgeprune_window window;
    int32_t input_zero_point;
} edgeprune_mve_conv_2d;

EDGEPRUNE_INLINE void edgeprune_kernel_mve_conv_2d(const edgeprune_mve_conv_2d *layer,
                                                  const int8_t *input, int8_t *output,
                                                  int8_t *scratch, int32_t depth, int32_t pitch,
                                                  int32_t outputs, int32_t away, int32_t clamp)
{
    const edgeprune_window *window = &layer->window;
    const int32_t pixels = window->output_height * window->output_width;
    int8_t *vector = scratch + (depth + 15) / 16 * 64;
    for (int32_t batch = 0; batch < window->batches; batch++) {
        for (int32_t pixel = 0; pixel < pixels; pixel += 4) {
            const int32_t count = pixels - pixel < 4 ? pixels - pixel : 4;
            for (int32_t p = 0; p < 4; p++) {
                if (p < count) {
                    edgeprune_mve_im2col(window, layer->input_zero_point, input, pixel + p,
                                         vector);
                }
                edgeprune_mve_pack(scratch + 16 * p, vector, depth);
            }
            edgeprune_mve_multiply(&layer->matrix, scratch, output, count, depth, pitch, outputs,
                                   away, clamp);
            output += count * outputs;
        }
        input += window->input_height * window->input_width * window->input_channels;
    }
}

#endif
