/*
 * edgeprune: ADD and SUB, as one rounded sum of products.
 *
 *     output = clamp((left_factor * left + right_factor * right + offset) >> shift)
 *
 * or, with `ties_away`, one less before the shift where the sum is negative, and `rounding` added
 * after that. The generator has found numbers that give the bits of TensorFlow Lite Micro's five
 * roundings for each of the 65,536 pairs of operands.
 *
 * Shapes: left, right and output [count]; or with broadcasting, lines of `count` along the axes of
 * a walk, an operand repeating its values where its step is 0.
 * Bounds: 128 * (|left_factor| + |right_factor|) + |offset| + |rounding| is below 2^31. The output
 * may be the memory of an operand that is not repeated, or start before it.
 */
#ifndef EDGEPRUNE_KERNEL_ADD_H
#define EDGEPRUNE_KERNEL_ADD_H

#include "kernel_inline.h"
#include "kernel_walk.h"

typedef struct edgeprune_add {
    int32_t left_factor;
    int32_t right_factor;
    int32_t offset;
    int32_t rounding;
    int32_t count;
} edgeprune_add;

typedef struct edgeprune_add_broadcast {
    edgeprune_add line;
    edgeprune_walk walk; /* first: left, second: right; the output is contiguous */
    int32_t left_step;   /* 0 or 1 */
    int32_t right_step;
} edgeprune_add_broadcast;

EDGEPRUNE_INLINE void edgeprune_add_line(const edgeprune_add *line, const int8_t *left,
                                         int32_t left_step, const int8_t *right,
                                         int32_t right_step, int8_t *output, int32_t shift,
                                         int32_t ties_away, int32_t low, int32_t high)
{
    const int32_t left_factor = line->left_factor;
    const int32_t right_factor = line->right_factor;
    const int32_t offset = line->offset;
    const int32_t rounding = line->rounding;
    for (int32_t rest = line->count; rest > 0; rest--) {
        int32_t sum = left_factor * *left + right_factor * *right + offset;
        if (ties_away != 0) {
            sum += (sum >> 31) + rounding;
        }
        sum >>= shift;
        sum = sum < low ? low : sum;
        sum = sum > high ? high : sum;
        *output++ = (int8_t)sum;
        left += left_step;
        right += right_step;
    }
}

EDGEPRUNE_INLINE void edgeprune_kernel_add(const edgeprune_add *layer, const int8_t *left,
                                           const int8_t *right, int8_t *output, int32_t shift,
                                           int32_t ties_away, int32_t low, int32_t high)
{
    edgeprune_add_line(layer, left, 1, right, 1, output, shift, ties_away, low, high);
}

EDGEPRUNE_INLINE void edgeprune_kernel_add_broadcast(const edgeprune_add_broadcast *layer,
                                                     const int8_t *left, const int8_t *right,
                                                     int8_t *output, int32_t shift,
                                                     int32_t ties_away, int32_t low, int32_t high)
{
    edgeprune_position position = {{0}, 0, 0};
    do {
        edgeprune_add_line(&layer->line, left + position.first, layer->left_step,
                           right + position.second, layer->right_step, output, shift, ties_away,
                           low, high);
        output += layer->line.count;
    } while (edgeprune_walk_on(&layer->walk, &position));
}

#endif
