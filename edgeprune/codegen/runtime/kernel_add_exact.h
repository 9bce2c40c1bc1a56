/*
 * edgeprune: ADD and SUB step by step, for the few scales that kernel_add.h has no formula for.
 *
 * Both operands are brought to half the larger scale, with 20 more bits, added or subtracted, and
 * brought to the output's scale.
 *
 * Shapes: left, right and output [count]; or with broadcasting, lines of `count` along the axes of
 * a walk, an operand repeating its values where its step is 0.
 * Bounds: an operand minus its zero point is below 2^8; shifted left by 20 it is below 2^28 and
 * its multiplier at most 1/2, so that the sum stays below 2^28. No shift is positive. The output
 * may be the memory of an operand that is not repeated, or start before it.
 */
#ifndef EDGEPRUNE_KERNEL_ADD_EXACT_H
#define EDGEPRUNE_KERNEL_ADD_EXACT_H

#include "kernel_inline.h"
#include "kernel_requantize.h"
#include "kernel_walk.h"

typedef struct edgeprune_add_exact {
    int32_t left_offset; /* minus the zero point */
    int32_t right_offset;
    int32_t left_multiplier;
    int32_t right_multiplier;
    int32_t multiplier;
    edgeprune_range range;
    int32_t count;
} edgeprune_add_exact;

typedef struct edgeprune_add_exact_broadcast {
    edgeprune_add_exact line;
    edgeprune_walk walk; /* first: left, second: right; the output is contiguous */
    int32_t left_step;   /* 0 or 1 */
    int32_t right_step;
} edgeprune_add_exact_broadcast;

EDGEPRUNE_INLINE void edgeprune_add_exact_line(const edgeprune_add_exact *line, const int8_t *left,
                                               int32_t left_step, const int8_t *right,
                                               int32_t right_step, int8_t *output,
                                               int32_t left_shift, int32_t right_shift,
                                               int32_t shift, int32_t sign)
{
    const int32_t unit = (int32_t)1 << 20;
    for (int32_t rest = line->count; rest > 0; rest--) {
        const int32_t x = edgeprune_rescale((*left + line->left_offset) * unit,
                                            line->left_multiplier, left_shift);
        const int32_t y = edgeprune_rescale((*right + line->right_offset) * unit,
                                            line->right_multiplier, right_shift);
        *output++ = edgeprune_clamp(edgeprune_rescale(x + sign * y, line->multiplier, shift),
                                    &line->range);
        left += left_step;
        right += right_step;
    }
}

/* Shifts as in edgeprune_rescale; sign: 1 for ADD, -1 for SUB. */
EDGEPRUNE_INLINE void edgeprune_kernel_add_exact(const edgeprune_add_exact *layer,
                                                 const int8_t *left, const int8_t *right,
                                                 int8_t *output, int32_t left_shift,
                                                 int32_t right_shift, int32_t shift, int32_t sign)
{
    edgeprune_add_exact_line(layer, left, 1, right, 1, output, left_shift, right_shift, shift,
                             sign);
}

EDGEPRUNE_INLINE void edgeprune_kernel_add_exact_broadcast(
    const edgeprune_add_exact_broadcast *layer, const int8_t *left, const int8_t *right,
    int8_t *output, int32_t left_shift, int32_t right_shift, int32_t shift, int32_t sign)
{
    edgeprune_position position = {{0}, 0, 0};
    do {
        edgeprune_add_exact_line(&layer->line, left + position.first, layer->left_step,
                                 right + position.second, layer->right_step, output, left_shift,
                                 right_shift, shift, sign);
        output += layer->line.count;
    } while (edgeprune_walk_on(&layer->walk, &position));
}

#endif
