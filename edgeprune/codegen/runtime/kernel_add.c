#include "kernel_add.h"

enum { EXTRA_BITS = 20 };

static int32_t scaled(const edgeprune_operand *operand, int32_t value)
{
    return edgeprune_rescale((value + operand->offset) * ((int32_t)1 << EXTRA_BITS),
                             operand->multiplier, operand->shift);
}

void edgeprune_kernel_add(const edgeprune_add *layer, const int8_t *left, const int8_t *right,
                          int8_t *output)
{
    for (int32_t i = 0; i < layer->count; i++) {
        const int32_t sum = scaled(&layer->left, left[i]) + scaled(&layer->right, right[i]);
        output[i] = edgeprune_clamp(edgeprune_rescale(sum, layer->multiplier, layer->shift),
                                    &layer->range);
    }
}
