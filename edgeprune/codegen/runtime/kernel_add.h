/*
 * edgeprune: ADD of two tensors of one shape.
 *
 * Shapes: left, right and output [count].
 * Bounds: an operand minus its zero point is below 2^8; shifted left by 20 it is below 2^28 and
 * its multiplier at most 1/2, so that the sum stays below 2^28. The output's shift is not
 * positive. The output may be the memory of either operand.
 */
#ifndef EDGEPRUNE_KERNEL_ADD_H
#define EDGEPRUNE_KERNEL_ADD_H

#include "kernel_requantize.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct edgeprune_operand {
    int32_t offset; /* minus the zero point */
    int32_t multiplier;
    int32_t shift; /* at most 0 */
} edgeprune_operand;

typedef struct edgeprune_add {
    edgeprune_operand left;
    edgeprune_operand right;
    int32_t count;
    int32_t multiplier;
    int32_t shift; /* at most 0 */
    edgeprune_range range;
} edgeprune_add;

void edgeprune_kernel_add(const edgeprune_add *layer, const int8_t *left, const int8_t *right,
                          int8_t *output);

#ifdef __cplusplus
}
#endif

#endif
