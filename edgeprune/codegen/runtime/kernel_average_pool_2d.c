#include "kernel_average_pool_2d.h"

/* sum / count, rounded half away from zero. */
static int32_t average(int32_t sum, int32_t count)
{
    const int32_t half = count / 2;
    return (sum > 0 ? sum + half : sum - half) / count;
}

/* All channels of one output pixel; `first` is the first pixel under the window. */
static void pool(const edgeprune_average_pool_2d *layer, const int8_t *first, int32_t rows,
                 int32_t columns, int8_t *output)
{
    const int32_t channels = layer->window.input_channels;
    const int32_t line = layer->window.input_width * channels;
    for (int32_t channel = 0; channel < channels; channel++) {
        int32_t sum = 0;
        for (int32_t row = 0; row < rows; row++) {
            const int8_t *x = first + row * line + channel;
            for (int32_t column = 0; column < columns; column++) {
                sum += *x;
                x += channels;
            }
        }
        sum = average(sum, rows * columns);
        sum = sum < layer->low ? layer->low : sum;
        sum = sum > layer->high ? layer->high : sum;
        output[channel] = (int8_t)sum;
    }
}

void edgeprune_kernel_average_pool_2d(const edgeprune_average_pool_2d *layer, const int8_t *input,
                                      int8_t *output)
{
    const edgeprune_window *window = &layer->window;
    const int32_t channels = window->input_channels;
    for (int32_t batch = 0; batch < window->batches; batch++) {
        for (int32_t y = 0; y < window->output_height; y++) {
            const int32_t top = y * window->stride_height - window->padding_top;
            const edgeprune_taps rows =
                edgeprune_taps_inside(top, window->kernel_height, 1, window->input_height);
            for (int32_t x = 0; x < window->output_width; x++) {
                const int32_t left = x * window->stride_width - window->padding_left;
                const edgeprune_taps columns =
                    edgeprune_taps_inside(left, window->kernel_width, 1, window->input_width);
                const int32_t pixel =
                    (top + rows.begin) * window->input_width + left + columns.begin;
                pool(layer, input + pixel * channels, rows.end - rows.begin,
                     columns.end - columns.begin, output);
                output += channels;
            }
        }
        input += window->input_height * window->input_width * channels;
    }
}
