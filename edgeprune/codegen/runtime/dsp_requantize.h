/*
 * edgeprune: int32 accumulators to int8 with the DSP extension; the bits of kernel_requantize.h.
 *
 * The parameters of an output channel are two words: `bias << 8 | (shift - 1)` and the
 * multiplier. shift, from 1 to 24, shifts right.
 *
 * Twice the accumulator x times the multiplier m, its upper word rounded half up, is
 * y = (x * m + 2^30) >> 31, the first rounding of kernel_requantize.h. What the second one adds
 * before it shifts, 2^(shift - 1), and the output's zero point times 2^shift are added by the same
 * instruction: (2 * zero_point + 1) << (shift - 1). Half away from zero takes 1 from what is
 * negative; nobody sees that where the output is not below its zero point anyway.
 *
 * Bounds: |x| is below 2^23, hence |y| too; the constant is below 255 * 2^23. Nothing leaves int32.
 */
#ifndef EDGEPRUNE_DSP_REQUANTIZE_H
#define EDGEPRUNE_DSP_REQUANTIZE_H

#include "dsp_instructions.h"

/* What all channels of a layer share; compile-time constants. */
typedef struct edgeprune_dsp_output {
    int32_t zero_point; /* -128 to 127 */
    int32_t low;        /* -128 to 127 */
    int32_t high;       /* -128 to 127, low <= high */
    int32_t is_signed;  /* whether it can be below its zero point */
} edgeprune_dsp_output;

/* A channel's parameters. */
typedef struct edgeprune_dsp_channel {
    int32_t first; /* its first word */
    int32_t multiplier;
    int32_t rounding; /* what is added before the second shift */
} edgeprune_dsp_channel;

EDGEPRUNE_INLINE edgeprune_dsp_channel edgeprune_dsp_channel_of(int32_t first, int32_t multiplier,
                                                                edgeprune_dsp_output output)
{
    const edgeprune_dsp_channel channel = {first, multiplier,
                                           edgeprune_dsp_left(2 * output.zero_point + 1, first)};
    return channel;
}

/* The output of twice an accumulator. */
EDGEPRUNE_INLINE int8_t edgeprune_dsp_requantize(int32_t twice, edgeprune_dsp_channel channel,
                                                 edgeprune_dsp_output output)
{
    int32_t value = edgeprune_dsp_smmlar(twice, channel.multiplier, channel.rounding);
    if (output.is_signed) {
        value += twice >> 31;
    }
    value = edgeprune_dsp_halve_to_int8(edgeprune_dsp_right(value, channel.first));
    if (output.low > -128 && value < output.low) {
        value = output.low;
    }
    if (output.high < 127 && value > output.high) {
        value = output.high;
    }
    return (int8_t)value;
}

#endif
