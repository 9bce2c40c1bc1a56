#include "kernel_average_pool_2d.h"

#include "kernel_sum.h"

/* All channels of one output pixel; `first` is the first pixel under the window. */
static void pool(const edgeprune_average_pool_2d *layer, const edgeprune_area *area,
                 const int8_t *first, int8_t *output)
{
    const int32_t count = area->lines * area->pixels;
    const int32_t half = count / 2;
    int32_t left = area->pixel_step;
    while (left > 0) {
        int32_t sums[4];
        const int32_t found = edgeprune_sums(area, first, left, sums);
        for (int32_t i = 0; i < found; i++) {
            /* Rounded half away from zero. */
            int32_t value = (sums[i] > 0 ? sums[i] + half : sums[i] - half) / count;
            value = value < layer->low ? layer->low : value;
            value = value > layer->high ? layer->high : value;
            *output++ = (int8_t)value;
        }
        first += found;
        left -= found;
    }
}

void edgeprune_kernel_average_pool_2d(const edgeprune_average_pool_2d *layer, const int8_t *input,
                                      int8_t *output)
{
    const edgeprune_window *window = &layer->window;
    const int32_t channels = window->input_channels;
    edgeprune_area area = {0, 0, window->input_width * channels, channels};
    for (int32_t batch = 0; batch < window->batches; batch++) {
        for (int32_t y = 0; y < window->output_height; y++) {
            const edgeprune_span rows =
                edgeprune_span_inside(y * window->stride_height - window->padding_top,
                                      window->kernel_height, window->input_height);
            for (int32_t x = 0; x < window->output_width; x++) {
                const edgeprune_span columns =
                    edgeprune_span_inside(x * window->stride_width - window->padding_left,
                                          window->kernel_width, window->input_width);
                area.lines = rows.size;
                area.pixels = columns.size;
                if (columns.size == window->input_width) {
                    /* Whole lines follow one another. */
                    area.lines = 1;
                    area.pixels *= rows.size;
                }
                pool(layer, &area,
                     input + (rows.first * window->input_width + columns.first) * channels,
                     output);
                output += channels;
            }
        }
        input += window->input_height * window->input_width * channels;
    }
}
