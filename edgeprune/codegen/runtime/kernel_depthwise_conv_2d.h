/*
 * edgeprune: DEPTHWISE_CONV_2D with any kernel, stride, dilation, padding and multiplier.
 *
 * Shapes: input [batches][input_height][input_width][input_channels],
 * output [batches][output_height][output_width][output_channels],
 * weights [kernel_height][kernel_width][pitch], of which the first output_channels are used,
 * output_channels = input_channels * multiplier.
 * Bounds: |bias| + 255 * sum of |weights| of a channel is below 2^31, which the generator has
 * checked, so that no partial sum overflows. Pixels are written in order, so that the output may
 * start before the input as far as the generator has worked out.
 */
#ifndef EDGEPRUNE_KERNEL_DEPTHWISE_CONV_2D_H
#define EDGEPRUNE_KERNEL_DEPTHWISE_CONV_2D_H

#include "kernel_requantize.h"
#include "kernel_window.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct edgeprune_depthwise_conv_2d {
    const int8_t *weights;     /* [kernel_height][kernel_width][pitch] */
    const int32_t *bias;       /* [output_channels] */
    const int32_t *multiplier; /* [output_channels] */
    const int8_t *shift;       /* [output_channels] */
    edgeprune_range range;
    edgeprune_window window;
    int32_t pitch; /* of the weights, at least output_channels */
    int32_t input_offset; /* minus the input's zero point; 0 where the bias holds it */
} edgeprune_depthwise_conv_2d;

/* One output channel an input channel. */
void edgeprune_kernel_depthwise_conv_2d(const edgeprune_depthwise_conv_2d *layer,
                                        const int8_t *input, int8_t *output);

/* Several output channels an input channel. */
void edgeprune_kernel_depthwise_conv_2d_multiplied(const edgeprune_depthwise_conv_2d *layer,
                                                   const int8_t *input, int8_t *output);

#ifdef __cplusplus
}
#endif

#endif
