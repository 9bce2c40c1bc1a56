#include "kernel_concatenation.h"

#include <string.h>

void edgeprune_kernel_concatenate(const edgeprune_concatenation *layer,
                                  const int8_t *const *inputs, int32_t count, int8_t *output)
{
    for (int32_t row = 0; row < layer->rows; row++) {
        for (int32_t i = 0; i < count; i++) {
            const int32_t run = layer->runs[i];
            memmove(output, inputs[i] + row * run, (size_t)run);
            output += run;
        }
    }
}
