#include "kernel_mean.h"

#include "kernel_sum.h"

/* Means of all that is innermost; `first` is the first value. */
static void means(const edgeprune_mean *layer, const edgeprune_area *area, const int8_t *first,
                  int8_t *output)
{
    int32_t left = layer->kept[2];
    while (left > 0) {
        int32_t sums[4];
        const int32_t found = edgeprune_sums(area, first, left, sums);
        for (int32_t i = 0; i < found; i++) {
            const int32_t value = edgeprune_rescale(sums[i] + layer->offset, layer->multiplier,
                                                    layer->shift);
            *output++ = edgeprune_clamp(value, &layer->range);
        }
        first += found;
        left -= found;
    }
}

void edgeprune_kernel_mean(const edgeprune_mean *layer, const int8_t *input, int8_t *output)
{
    const int32_t inner = layer->kept[2];
    const int32_t line = layer->reduced[1] * inner;
    const int32_t plane = layer->kept[1] * line;
    const edgeprune_area area = {layer->reduced[0], layer->reduced[1], plane, inner};
    for (int32_t outer = 0; outer < layer->kept[0]; outer++) {
        for (int32_t middle = 0; middle < layer->kept[1]; middle++) {
            means(layer, &area, input + middle * line, output);
            output += inner;
        }
        input += layer->reduced[0] * plane;
    }
}
