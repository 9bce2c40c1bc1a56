#include "kernel_mean.h"

void edgeprune_kernel_mean(const edgeprune_mean *layer, const int8_t *input, int8_t *output)
{
    const int32_t inner = layer->kept[2];
    const int32_t line = layer->reduced[1] * inner;
    const int32_t plane = layer->kept[1] * line;
    for (int32_t outer = 0; outer < layer->kept[0]; outer++) {
        for (int32_t middle = 0; middle < layer->kept[1]; middle++) {
            for (int32_t i = 0; i < inner; i++) {
                int32_t sum = layer->offset;
                for (int32_t far = 0; far < layer->reduced[0]; far++) {
                    const int8_t *x = input + far * plane + middle * line + i;
                    for (int32_t near = 0; near < layer->reduced[1]; near++) {
                        sum += *x;
                        x += inner;
                    }
                }
                sum = edgeprune_rescale(sum, layer->multiplier, layer->shift);
                *output++ = edgeprune_clamp(sum, &layer->range);
            }
        }
        input += layer->reduced[0] * plane;
    }
}
