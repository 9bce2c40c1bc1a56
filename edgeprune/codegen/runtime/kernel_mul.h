/*
 * edgeprune: MUL, element by element.
 *
 * Shapes: left, right and output [count]; or with broadcasting, lines of `count` along the axes of
 * a walk, an operand repeating its values where its step is 0.
 * Bounds: an operand minus its zero point is below 2^8, a product at most 255^2; times 2^shift it is
 * below 2^31 where shift is positive, which the generator has checked. The output may be the
 * memory of an operand that is not repeated, or start before it.
 */
#ifndef EDGEPRUNE_KERNEL_MUL_H
#define EDGEPRUNE_KERNEL_MUL_H

#include "kernel_inline.h"
#include "kernel_requantize.h"
#include "kernel_walk.h"

typedef struct edgeprune_mul {
    int32_t left_offset; /* minus the zero point */
    int32_t right_offset;
    int32_t multiplier;
    edgeprune_range range;
    int32_t count;
} edgeprune_mul;

typedef struct edgeprune_mul_broadcast {
    edgeprune_mul line;
    edgeprune_walk walk; /* first: left, second: right; the output is contiguous */
    int32_t left_step;   /* 0 or 1 */
    int32_t right_step;
} edgeprune_mul_broadcast;

/*
 * As edgeprune_high_multiply, in 32 bits, for |value| at most 255^2: the multiplier is split into
 * high * 2^16 + low with low from -2^15 to 2^15 - 1, so that high is at most 2^15. Neither product
 * reaches 2^31 - 2^16.
 */
static inline int32_t edgeprune_high_multiply_17_bits(int32_t value, int32_t multiplier)
{
    const int32_t low = (int16_t)(uint16_t)multiplier;
    const int32_t high = (multiplier >> 16) + (low < 0 ? 1 : 0);
    return (value * high + ((value * low) >> 16) + ((int32_t)1 << 14)) >> 15;
}

EDGEPRUNE_INLINE void edgeprune_mul_line(const edgeprune_mul *line, const int8_t *left,
                                         int32_t left_step, const int8_t *right,
                                         int32_t right_step, int8_t *output, int32_t shift)
{
    const int32_t left_offset = line->left_offset;
    const int32_t right_offset = line->right_offset;
    const int32_t multiplier = line->multiplier;
    const edgeprune_range range = line->range;
    for (int32_t rest = line->count; rest > 0; rest--) {
        int32_t value = (*left + left_offset) * (*right + right_offset);
        if (shift > 0) {
            value = edgeprune_high_multiply(value * ((int32_t)1 << shift), multiplier);
        } else {
            value = edgeprune_high_multiply_17_bits(value, multiplier);
        }
        if (shift < 0) {
            value = edgeprune_divide_by_power(value, -shift);
        }
        *output++ = edgeprune_clamp(value, &range);
        left += left_step;
        right += right_step;
    }
}

EDGEPRUNE_INLINE void edgeprune_kernel_mul(const edgeprune_mul *layer, const int8_t *left,
                                           const int8_t *right, int8_t *output, int32_t shift)
{
    edgeprune_mul_line(layer, left, 1, right, 1, output, shift);
}

EDGEPRUNE_INLINE void edgeprune_kernel_mul_broadcast(const edgeprune_mul_broadcast *layer,
                                                     const int8_t *left, const int8_t *right,
                                                     int8_t *output, int32_t shift)
{
    edgeprune_position position = {{0}, 0, 0};
    do {
        edgeprune_mul_line(&layer->line, left + position.first, layer->left_step,
                           right + position.second, layer->right_step, output, shift);
        output += layer->line.count;
    } while (edgeprune_walk_on(&layer->walk, &position));
}

#endif
