#include "kernel_fully_connected.h"

void edgeprune_kernel_fully_connected(const edgeprune_fully_connected *layer, const int8_t *input,
                                      int8_t *output)
{
    for (int32_t row = 0; row < layer->rows; row++) {
        edgeprune_kernel_matrix_1(&layer->matrix, input, output);
        input += layer->matrix.depth;
        output += layer->matrix.outputs;
    }
}
