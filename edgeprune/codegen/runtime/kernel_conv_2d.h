/*
 * edgeprune: CONV_2D with any kernel, stride, dilation, padding and number of groups.
 *
 * Shapes: input [batches][input_height][input_width][input_channels],
 * output [batches][output_height][output_width][output_channels],
 * weights [output_channels][kernel_height][kernel_width][input_channels / groups],
 * scratch [2][matrix.depth] bytes, where matrix.depth is the size of one filter and
 * matrix.outputs the number of filters in a group.
 * Bounds: as in kernel_matrix.h. Padding is filled with the input's zero point, which the bias
 * that it is folded into takes out again. Scratch overlaps nothing. In one group pixels are written
 * in order, so that the output may start before the input as far as the generator has worked out.
 */
#ifndef EDGEPRUNE_KERNEL_CONV_2D_H
#define EDGEPRUNE_KERNEL_CONV_2D_H

#include "kernel_matrix.h"
#include "kernel_window.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct edgeprune_conv_2d {
    edgeprune_matrix matrix; /* the filters of the first group; the others follow them */
    edgeprune_window window;
    int32_t groups;
    int32_t input_zero_point;
} edgeprune_conv_2d;

void edgeprune_kernel_conv_2d(const edgeprune_conv_2d *layer, const int8_t *input, int8_t *output,
                              int8_t *scratch);

#ifdef __cplusplus
}
#endif

#endif
