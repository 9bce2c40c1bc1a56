/*
 * edgeprune: DEPTHWISE_CONV_2D of one image with one output channel an input channel, on cores
 * without SIMD. Channel by channel the image is copied to scratch, one value a word with padding
 * around it, so that no tap needs a test and the output may overwrite the input.
 *
 * The copy's rows run along one axis of the image, `along`, the other one is `across`; the
 * generator takes the longer one for `along`. Several outputs of a row are computed at a time.
 *
 * Shapes: input [along * across pixels in either order][channels], output likewise;
 * weights [channels][kernel_across][kernel_along], channel words [channels][2] as in
 * scalar_requantize.h; scratch [across + padding][pitch] words, starting at a multiple of 4.
 * Padding holds the input's zero point, which the bias that it is folded into takes out again.
 * Bounds: |bias| + 128 * sum of |weights| of a channel is below 2^23.
 */
#ifndef EDGEPRUNE_SCALAR_DEPTHWISE_CONV_2D_H
#define EDGEPRUNE_SCALAR_DEPTHWISE_CONV_2D_H

#include "scalar_requantize.h"
#include "scalar_row.h"

typedef struct edgeprune_scalar_depthwise {
    const int8_t *weights;
    const int32_t *channels;
} edgeprune_scalar_depthwise;

EDGEPRUNE_INLINE void edgeprune_scalar_depthwise_conv_2d(
    const edgeprune_scalar_depthwise *layer, const int8_t *input, int8_t *output, int8_t *scratch,
    int32_t channels, int32_t along, int32_t across, int32_t input_along, int32_t input_across,
    int32_t output_along, int32_t output_across, int32_t output_step_along,
    int32_t output_step_across, int32_t kernel_along, int32_t kernel_across, int32_t stride_along,
    int32_t stride_across, int32_t dilation_along, int32_t dilation_across, int32_t padding_along,
    int32_t padding_across, int32_t pitch, int32_t rows, int32_t count, int32_t fill,
    int32_t long_multiply, int32_t zero_point, int32_t low, int32_t high)
{
    const edgeprune_scalar_output range = {long_multiply, zero_point, low, high};
    int32_t *const plane = (int32_t *)(void *)scratch;
    int32_t *const image = plane + padding_across * pitch + padding_along;
    const int8_t *weights = layer->weights;
    const int32_t *word = layer->channels;
    for (int32_t i = 0; i < rows * pitch; i++) {
        plane[i] = fill;
    }
    for (int32_t channel = 0; channel < channels; channel++) {
        const int32_t first = word[0];
        const int32_t multiplier = word[1];
        const int32_t rounding = edgeprune_scalar_rounding(first, range);
        for (int32_t y = 0; y < across; y++) {
            const int8_t *from = input + y * input_across;
            int32_t *to = image + y * pitch;
            EDGEPRUNE_SCALAR_UNROLL_BY_5
            for (int32_t x = 0; x < along; x++) {
                to[x] = from[x * input_along];
            }
        }
        for (int32_t y = 0; y < output_across; y++) {
            const int32_t *row = plane + y * stride_across * pitch;
            for (int32_t x = 0; x < output_along; x += count) {
                /* The last outputs are computed twice where count does not divide the row. */
                const int32_t start = x + count <= output_along ? x : output_along - count;
                int8_t *to = output + y * output_step_across + start * output_step_along;
                int32_t sums[EDGEPRUNE_SCALAR_SUMS];
                EDGEPRUNE_SCALAR_UNROLL
                for (int32_t i = 0; i < count; i++) {
                    sums[i] = edgeprune_scalar_bias(first);
                }
                edgeprune_scalar_add_rows(weights, row + start * stride_along, sums, kernel_across,
                                          kernel_along, dilation_across * pitch, stride_along,
                                          dilation_along, count);
                EDGEPRUNE_SCALAR_UNROLL
                for (int32_t i = 0; i < count; i++) {
                    *to = edgeprune_scalar_requantize(sums[i], first, multiplier, rounding, range);
                    to += output_step_along;
                }
            }
        }
        weights += kernel_across * kernel_along;
        word += 2;
        input++;
        output++;
    }
}

#endif
