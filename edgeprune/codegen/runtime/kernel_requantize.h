/*
 * edgeprune: int32 accumulators to int8, with the bits of TensorFlow Lite Micro.
 *
 * A real multiplier below 2^31 is `multiplier / 2^31 * 2^shift`, multiplier from 0 to 2^31 - 1,
 * shift from -31 to 30. Both roundings are gemmlowp's: the first half up, the second half away
 * from zero.
 *
 * All kernels rely on `>>` of a negative number being an arithmetic shift, as it is with every
 * compiler for these cores (C99 leaves it to the implementation).
 */
#ifndef EDGEPRUNE_KERNEL_REQUANTIZE_H
#define EDGEPRUNE_KERNEL_REQUANTIZE_H

#include <stdint.h>

/*
 * a * b / 2^31, rounded half up. Bounds: not both -2^31. The product is below 2^62, so the sum
 * can't overflow 64 bits.
 */
static inline int32_t edgeprune_high_multiply(int32_t a, int32_t b)
{
    return (int32_t)(((int64_t)a * b + ((int64_t)1 << 30)) >> 31);
}

/*
 * value / 2^exponent, rounded half away from zero. Bounds: exponent from 1 to 31, value above
 * -2^31; no sum leaves int32.
 */
static inline int32_t edgeprune_divide_by_power(int32_t value, int32_t exponent)
{
    return (((value + (value >> 31)) >> (exponent - 1)) + 1) >> 1;
}

/*
 * value * multiplier / 2^31 * 2^shift. Bounds: |value| * 2^shift is below 2^31 where shift is
 * positive; the generator has checked it for every accumulator that weights and bias can make.
 */
static inline int32_t edgeprune_rescale(int32_t value, int32_t multiplier, int32_t shift)
{
    if (shift > 0) {
        return edgeprune_high_multiply(value * ((int32_t)1 << shift), multiplier);
    }
    value = edgeprune_high_multiply(value, multiplier);
    return shift < 0 ? edgeprune_divide_by_power(value, -shift) : value;
}

/*
 * The range of an output: `low` and `high` are the limits of the fused activation minus
 * `zero_point`, so that clamping comes before adding and no sum can overflow.
 */
typedef struct edgeprune_range {
    int32_t zero_point; /* -128 to 127 */
    int32_t low;        /* -255 to 255 */
    int32_t high;       /* -255 to 255, low <= high */
} edgeprune_range;

static inline int8_t edgeprune_clamp(int32_t value, const edgeprune_range *range)
{
    value = value < range->low ? range->low : value;
    value = value > range->high ? range->high : value;
    return (int8_t)(value + range->zero_point);
}

#endif
