#include "kernel_max_pool_2d.h"

/* All channels of one output pixel; `first` is the first pixel under the window. */
static void pool(const edgeprune_max_pool_2d *layer, const int8_t *first, int32_t rows,
                 int32_t columns, int8_t *output)
{
    const int32_t channels = layer->window.input_channels;
    const int32_t line = layer->window.input_width * channels;
    for (int32_t channel = 0; channel < channels; channel++) {
        int32_t most = layer->low;
        const int8_t *start = first + channel;
        for (int32_t row = 0; row < rows; row++) {
            const int8_t *value = start;
            for (int32_t left = columns; left > 0; left--) {
                most = *value > most ? *value : most;
                value += channels;
            }
            start += line;
        }
        output[channel] = (int8_t)(most > layer->high ? layer->high : most);
    }
}

void edgeprune_kernel_max_pool_2d(const edgeprune_max_pool_2d *layer, const int8_t *input,
                                  int8_t *output)
{
    const edgeprune_window *window = &layer->window;
    const int32_t channels = window->input_channels;
    for (int32_t batch = 0; batch < window->batches; batch++) {
        for (int32_t y = 0; y < window->output_height; y++) {
            const edgeprune_span rows =
                edgeprune_span_inside(y * window->stride_height - window->padding_top,
                                      window->kernel_height, window->input_height);
            for (int32_t x = 0; x < window->output_width; x++) {
                const edgeprune_span columns =
                    edgeprune_span_inside(x * window->stride_width - window->padding_left,
                                          window->kernel_width, window->input_width);
                pool(layer, input + (rows.first * window->input_width + columns.first) * channels,
                     rows.size, columns.size, output);
                output += channels;
            }
        }
        input += window->input_height * window->input_width * channels;
    }
}
