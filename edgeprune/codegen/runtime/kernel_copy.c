#include "kernel_copy.h"

#include <string.h>

void edgeprune_kernel_move(const edgeprune_move *layer, const int8_t *input, int8_t *output)
{
    memmove(output, input + layer->input_start, (size_t)layer->size);
}

static void copy_line(const edgeprune_copy *layer, const int8_t *input, int8_t *output)
{
    for (int32_t left = layer->line; left > 0; left--) {
        if (layer->run == 1) {
            *output = *input;
        } else {
            memmove(output, input, (size_t)layer->run);
        }
        input += layer->input_step;
        output += layer->output_step;
    }
}

void edgeprune_kernel_copy(const edgeprune_copy *layer, const int8_t *input, int8_t *output)
{
    edgeprune_position position = {{0}, layer->input_start, layer->output_start};
    do {
        copy_line(layer, input + position.first, output + position.second);
    } while (edgeprune_walk_on(&layer->walk, &position));
}

void edgeprune_kernel_pad(const edgeprune_pad *layer, const int8_t *input, int8_t *output)
{
    memset(output, layer->value, (size_t)layer->size);
    edgeprune_kernel_copy(&layer->inside, input, output);
}
