/*
 * edgeprune: DEPTHWISE_CONV_2D with channel multiplier 1 and any window, with Helium (MVE): eight
 * channels of a pixel at a time.
 *
 * Shapes: input [batches][input_height][input_width][channels],
 * output [batches][output_height][output_width][channels],
 * weights [kernel_height][kernel_width][channels] and 7 bytes behind them, channels [blocks of
 * eight][4][4]: bias * 256 + (-shift & 255) and multiplier of the even channels, then of the odd
 * ones. Taps outside the image are left out; `input_offset` is 0 where there are none, since then
 * the bias holds -zero point of x * sum of the weights, and -zero point of x elsewhere.
 * Pixels are written in order, eight channels at a time, so that the output may start before the
 * input as far as the generator has worked out.
 *
 * Bounds: |bias| + 255 * sum of |weights| of a channel is below 2^31, which the generator has
 * checked.
 */
#ifndef EDGEPRUNE_MVE_DEPTHWISE_CHANNELS_H
#define EDGEPRUNE_MVE_DEPTHWISE_CHANNELS_H

#include "kernel_requantize.h"
#include "kernel_window.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct edgeprune_mve_depthwise_channels {
    const int8_t *weights;
    const int32_t *channels;
    edgeprune_window window;
    int32_t input_offset;
    edgeprune_range range;
    int32_t away;  /* round half away from zero; half up where nothing shows the difference */
    int32_t clamp; /* the range is less than int8 */
} edgeprune_mve_depthwise_channels;

void edgeprune_kernel_mve_depthwise_channels(const edgeprune_mve_depthwise_channels *layer,
                                             const int8_t *input, int8_t *output);

#ifdef __cplusplus
}
#endif

#endif
