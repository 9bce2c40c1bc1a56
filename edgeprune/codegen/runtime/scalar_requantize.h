/*
 * edgeprune: int32 accumulators to int8 on cores without SIMD; the bits of kernel_requantize.h.
 *
 * The parameters of an output channel are two words: `bias << 8 | (shift - 1)` and the
 * multiplier m. shift, from 2 to 24, shifts right.
 *
 * Both roundings of an accumulator x shift right after adding a half, so they are one:
 *
 *     ((x * m + 2^30 >> 31) + 2^(shift - 1) >> shift) = x * m + 2^30 + 2^(30 + shift) >> 31 + shift
 *
 * and the output's zero point is added before the shift by the same constant, of which
 * edgeprune_scalar_rounding is the upper word. Half away from zero takes 1 from what is negative
 * between the roundings, which nobody sees where the output is not below its zero point anyway.
 *
 * Bounds: |x| is below 2^23, m below 2^31. |x * m| is below 2^54 and the constant below 2^61.
 */
#ifndef EDGEPRUNE_SCALAR_REQUANTIZE_H
#define EDGEPRUNE_SCALAR_REQUANTIZE_H

#include <stdint.h>

#include "kernel_inline.h"

/* What all channels of a layer share; compile-time constants. */
typedef struct edgeprune_scalar_output {
    int32_t long_multiply; /* whether the core multiplies to 64 bits */
    int32_t zero_point;    /* -128 to 127 */
    int32_t low;           /* -128 to 127 */
    int32_t high;          /* -128 to 127, low <= high */
} edgeprune_scalar_output;

/* The bias of a channel: `first` is its first word. */
EDGEPRUNE_INLINE int32_t edgeprune_scalar_bias(int32_t first)
{
    return first >> 8;
}

/*
 * What is added to a product before it is shifted, halved: (2 * zero_point + 1) * 2^(shift - 2).
 * The shift takes the lowest byte of `first`, as the cores' shifts by a register do by themselves.
 */
EDGEPRUNE_INLINE int32_t edgeprune_scalar_rounding(int32_t first, edgeprune_scalar_output output)
{
    return (2 * output.zero_point + 1) * (int32_t)((uint32_t)1 << (first & 0xff)) >> 1;
}

/*
 * (x * m + 2^30 + rounding * 2^32 >> 32) >> the lowest byte of `first`; 2^31 is taken off for a
 * negative x where that can be seen.
 */
EDGEPRUNE_INLINE int32_t edgeprune_scalar_rescale(int32_t x, int32_t first, int32_t multiplier,
                                                  int32_t rounding, int32_t away_from_zero)
{
#if defined(__ARM_ARCH_7M__)
    uint32_t lower;
    if (away_from_zero) {
        const int32_t sign = x >> 31;
        __asm__("smull %1, %0, %0, %2\n\t"
                "adds %1, %1, %5, lsl #31\n\t"
                "adc %0, %0, %5\n\t"
                "adds %1, %1, #0x40000000\n\t"
                "adc %0, %0, %3\n\t"
                "asr %0, %0, %4"
                : "+r"(x), "=&r"(lower)
                : "r"(multiplier), "r"(rounding), "r"(first), "r"(sign)
                : "cc");
    } else {
        __asm__("smull %1, %0, %0, %2\n\t"
                "adds %1, %1, #0x40000000\n\t"
                "adc %0, %0, %3\n\t"
                "asr %0, %0, %4"
                : "+r"(x), "=&r"(lower)
                : "r"(multiplier), "r"(rounding), "r"(first)
                : "cc");
    }
    return x;
#else
    int64_t product = (int64_t)x * multiplier + (1 << 30);
    if (away_from_zero) {
        product += (int64_t)(x >> 31) * ((int64_t)1 << 31);
    }
    return ((int32_t)(product >> 32) + rounding) >> (first & 0xff);
#endif
}

/*
 * The same from products of 32 bits. With x = xh * 2^16 + xl and m = mh * 2^16 + ml
 * the upper word is
 *
 *     xh * mh + (xl * mh + xh * ml + (xl * ml >> 16) + 2^14 >> 16) + rounding
 *
 * where the sum in brackets is kept non-negative by 2^24, which is below 2^32 with it. Only the
 * 2^15 of a negative x is missing.
 */
EDGEPRUNE_INLINE int32_t edgeprune_scalar_short_rescale(int32_t x, int32_t first,
                                                        int32_t multiplier, int32_t rounding,
                                                        int32_t away_from_zero)
{
    const uint32_t low = (uint32_t)x & 0xffffu;
    const int32_t high = x >> 16;
    const uint32_t m_low = (uint32_t)multiplier & 0xffffu;
    const int32_t m_high = multiplier >> 16;
    uint32_t middle = ((low * m_low) >> 16) + low * (uint32_t)m_high + (uint32_t)high * m_low;
    if (away_from_zero) {
        middle += (uint32_t)(x >> 31) << 15;
    }
    middle += ((uint32_t)1 << 24) + ((uint32_t)1 << 14);
    return (high * m_high + (int32_t)(middle >> 16) + (rounding - (1 << 8))) >> (first & 0xff);
}

/* A value limited to the layer's range. */
EDGEPRUNE_INLINE int8_t edgeprune_scalar_limit(int32_t value, edgeprune_scalar_output output)
{
#if defined(__ARM_ARCH_7M__)
    if (output.low == -128 && output.high == 127) {
        __asm__("ssat %0, #8, %1" : "=r"(value) : "r"(value));
        return (int8_t)value;
    }
#endif
    value = value < output.low ? output.low : value;
    value = value > output.high ? output.high : value;
    return (int8_t)value;
}

/* The output of an accumulator, bias included. */
EDGEPRUNE_INLINE int8_t edgeprune_scalar_requantize(int32_t x, int32_t first, int32_t multiplier,
                                                    int32_t rounding,
                                                    edgeprune_scalar_output output)
{
    const int32_t away_from_zero = output.low < output.zero_point;
    if (output.long_multiply) {
        return edgeprune_scalar_limit(
            edgeprune_scalar_rescale(x, first, multiplier, rounding, away_from_zero), output);
    }
    if (!away_from_zero && x < 0) {
        return (int8_t)output.low;
    }
    return edgeprune_scalar_limit(
        edgeprune_scalar_short_rescale(x, first, multiplier, rounding, away_from_zero), output);
}

#endif
