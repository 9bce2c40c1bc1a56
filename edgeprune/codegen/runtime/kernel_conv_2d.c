#include "kernel_conv_2d.h"

static int8_t *fill(int8_t *to, int32_t count, int8_t value)
{
    for (int32_t i = 0; i < count; i++) {
        to[i] = value;
    }
    return to + count;
}

static int8_t *copy(int8_t *to, const int8_t *from, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        to[i] = from[i];
    }
    return to + count;
}

/*
 * The values under the window at (top, left) of an image, `channels` of each pixel, as a vector
 * [kernel_height][kernel_width][channels]; zero points where the window leaves the image.
 */
static void gather(const edgeprune_conv_2d *layer, const int8_t *image, int32_t channels,
                   int32_t top, int32_t left, int8_t *vector)
{
    const edgeprune_window *window = &layer->window;
    const int8_t zero = (int8_t)layer->input_zero_point;
    const int32_t step = window->dilation_width * window->input_channels;
    const edgeprune_taps columns = edgeprune_taps_inside(left, window->kernel_width,
                                                         window->dilation_width,
                                                         window->input_width);
    const int32_t inside = columns.end - columns.begin;
    for (int32_t tap = 0; tap < window->kernel_height; tap++) {
        const int32_t y = top + tap * window->dilation_height;
        if (y < 0 || y >= window->input_height || inside == 0) {
            vector = fill(vector, window->kernel_width * channels, zero);
            continue;
        }
        const int32_t x = left + columns.begin * window->dilation_width;
        const int8_t *pixel = image + (y * window->input_width + x) * window->input_channels;
        vector = fill(vector, columns.begin * channels, zero);
        if (step == channels) {
            vector = copy(vector, pixel, inside * channels);
        } else {
            for (int32_t i = 0; i < inside; i++) {
                vector = copy(vector, pixel + i * step, channels);
            }
        }
        vector = fill(vector, (window->kernel_width - columns.end) * channels, zero);
    }
}

/* All pixels of one image and one group of channels, two pixels at a time. */
static void convolve(const edgeprune_conv_2d *layer, const edgeprune_matrix *filters,
                     const int8_t *image, int8_t *output, int8_t *scratch)
{
    const edgeprune_window *window = &layer->window;
    const int32_t channels = window->input_channels / layer->groups;
    const int32_t stride = window->output_channels;
    int32_t waiting = 0;
    for (int32_t y = 0; y < window->output_height; y++) {
        const int32_t top = y * window->stride_height - window->padding_top;
        for (int32_t x = 0; x < window->output_width; x++) {
            const int32_t left = x * window->stride_width - window->padding_left;
            gather(layer, image, channels, top, left, scratch + waiting * filters->depth);
            if (waiting == 0) {
                waiting = 1;
                continue;
            }
            edgeprune_kernel_matrix_2(filters, scratch, scratch + filters->depth, output,
                                      output + stride);
            output += 2 * stride;
            waiting = 0;
        }
    }
    if (waiting == 1) {
        edgeprune_kernel_matrix_1(filters, scratch, output);
    }
}

void edgeprune_kernel_conv_2d(const edgeprune_conv_2d *layer, const int8_t *input, int8_t *output,
                              int8_t *scratch)
{
    const edgeprune_window *window = &layer->window;
    const int32_t in_size = window->input_height * window->input_width * window->input_channels;
    const int32_t out_size =
        window->output_height * window->output_width * window->output_channels;
    for (int32_t batch = 0; batch < window->batches; batch++) {
        edgeprune_matrix filters = layer->matrix;
        for (int32_t group = 0; group < layer->groups; group++) {
            convolve(layer, &filters,
                     input + batch * in_size + group * (window->input_channels / layer->groups),
                     output + batch * out_size + group * filters.outputs, scratch);
            filters.weights += filters.outputs * filters.pitch;
            filters.bias += filters.outputs;
            filters.multiplier += filters.outputs;
            filters.shift += filters.outputs;
        }
    }
}
