#include "kernel_map.h"

void edgeprune_kernel_map(const edgeprune_map *layer, const int8_t *input, int8_t *output)
{
    const int8_t *const table = layer->table;
    for (int32_t left = layer->count; left > 0; left--) {
        *output++ = table[(uint8_t)*input++];
    }
}

void edgeprune_kernel_clip(const edgeprune_clip *layer, const int8_t *input, int8_t *output)
{
    const int32_t low = layer->low;
    const int32_t high = layer->high;
    for (int32_t left = layer->count; left > 0; left--) {
        int32_t value = *input++;
        value = value < low ? low : value;
        value = value > high ? high : value;
        *output++ = (int8_t)value;
    }
}

void edgeprune_kernel_flip_sign(const edgeprune_flip_sign *layer, const int8_t *input,
                                int8_t *output)
{
    for (int32_t left = layer->count; left > 0; left--) {
        *output++ = (int8_t)(*input++ ^ -128);
    }
}
