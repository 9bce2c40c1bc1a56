#include "kernel_pointwise_conv_2d.h"

void edgeprune_kernel_pointwise_conv_2d(const edgeprune_pointwise_conv_2d *layer,
                                        const int8_t *input, int8_t *output)
{
    const int32_t depth = layer->matrix.depth;
    const int32_t outputs = layer->matrix.outputs;
    int32_t pixel = 0;
    for (; pixel + 1 < layer->pixels; pixel += 2) {
        edgeprune_kernel_matrix_2(&layer->matrix, input, input + depth, output, output + outputs);
        input += 2 * depth;
        output += 2 * outputs;
    }
    if (pixel < layer->pixels) {
        edgeprune_kernel_matrix_1(&layer->matrix, input, output);
    }
}
