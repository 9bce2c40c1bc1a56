#include "mve_average_pool_2d.h"

#include "mve_vector.h"

/*
 * One output pixel; `first` is the first of `lines` of `pixels` under the window, the lines `step`
 * bytes apart.
 */
static void pool(const edgeprune_average_pool_2d *layer, const int8_t *first, int32_t lines,
                 int32_t pixels, int32_t step, int8_t *output)
{
    const int32_t channels = layer->window.input_channels;
    const int32_t count = lines * pixels;
    const int32_t half = count / 2;
    for (int32_t left = channels; left > 0; left -= 8) {
        edgeprune_mve_halves sums = edgeprune_mve_load_wide_first(first, 0);
        for (int32_t line = 0; line < lines; line++) {
            const int8_t *x = first + line * step;
            for (int32_t i = 0; i < pixels; i++) {
                sums = edgeprune_mve_add_halves(sums, edgeprune_mve_load_wide_first(x, left));
                x += channels;
            }
        }
        int16_t sum[8];
        edgeprune_mve_store_halves(sum, sums);
        EDGEPRUNE_MVE_PLAIN_LOOP
        for (int32_t i = 0; i < 8 && i < left; i++) {
            /* Rounded half away from zero. */
            int32_t value = (sum[i] > 0 ? sum[i] + half : sum[i] - half) / count;
            value = value < layer->low ? layer->low : value;
            value = value > layer->high ? layer->high : value;
            output[i] = (int8_t)value;
        }
        first += 8;
        output += 8;
    }
}

void edgeprune_kernel_mve_average_pool_2d(const edgeprune_average_pool_2d *layer,
                                         const int8_t *input, int8_t *output)
{
    const edgeprune_window *window = &layer->window;
    const int32_t channels = window->input_channels;
    const int32_t line = window->input_width * channels;
    for (int32_t batch = 0; batch < window->batches; batch++) {
        for (int32_t y = 0; y < window->output_height; y++) {
            const edgeprune_span rows =
                edgeprune_span_inside(y * window->stride_height - window->padding_top,
                                      window->kernel_height, window->input_height);
            for (int32_t x = 0; x < window->output_width; x++) {
                const edgeprune_span columns =
                    edgeprune_span_inside(x * window->stride_width - window->padding_left,
                                          window->kernel_width, window->input_width);
                pool(layer, input + rows.first * line + columns.first * channels, rows.size,
                     columns.size, line, output);
                output += channels;
            }
        }
        input += window->input_height * line;
    }
}
