#include "kernel_depthwise_conv_2d.h"

/* The part of the window that lies inside the image, and how to walk it. */
typedef struct patch {
    const int8_t *input;   /* the first tap's pixel */
    const int8_t *weights; /* the first tap's weights */
    int32_t rows;
    int32_t columns;
    int32_t input_step; /* from one tap to the next in a row */
    int32_t input_row;  /* from the first tap of a row to that of the next */
    int32_t weight_row;
} patch;

static patch locate(const edgeprune_depthwise_conv_2d *layer, const int8_t *image, int32_t top,
                    int32_t left)
{
    const edgeprune_window *window = &layer->window;
    const edgeprune_taps rows = edgeprune_taps_inside(top, window->kernel_height,
                                                      window->dilation_height,
                                                      window->input_height);
    const edgeprune_taps columns = edgeprune_taps_inside(left, window->kernel_width,
                                                         window->dilation_width,
                                                         window->input_width);
    const int32_t y = top + rows.begin * window->dilation_height;
    const int32_t x = left + columns.begin * window->dilation_width;
    patch inside = {image, layer->weights, rows.end - rows.begin, columns.end - columns.begin,
                    window->dilation_width * window->input_channels,
                    window->dilation_height * window->input_width * window->input_channels,
                    window->kernel_width * layer->pitch};
    if (inside.rows > 0 && inside.columns > 0) {
        inside.input += (y * window->input_width + x) * window->input_channels;
        inside.weights += (rows.begin * window->kernel_width + columns.begin)
                          * layer->pitch;
    }
    return inside;
}

static int8_t finish(const edgeprune_depthwise_conv_2d *layer, int32_t channel, int32_t sum)
{
    return edgeprune_clamp(
        edgeprune_rescale(sum, layer->multiplier[channel], layer->shift[channel]), &layer->range);
}

/* One output channel. */
static void one_channel(const edgeprune_depthwise_conv_2d *layer, const patch *inside,
                        int32_t in_channel, int32_t channel, int8_t *output)
{
    const int32_t offset = layer->input_offset;
    const int32_t stride = layer->pitch;
    int32_t sum = layer->bias[channel];
    for (int32_t row = 0; row < inside->rows; row++) {
        const int8_t *x = inside->input + row * inside->input_row + in_channel;
        const int8_t *w = inside->weights + row * inside->weight_row + channel;
        for (int32_t column = 0; column < inside->columns; column++) {
            sum += *w * (*x + offset);
            x += inside->input_step;
            w += stride;
        }
    }
    output[channel] = finish(layer, channel, sum);
}

/* Four output channels, of as many input channels. */
static void four_channels(const edgeprune_depthwise_conv_2d *layer, const patch *inside,
                          int32_t channel, int8_t *output)
{
    const int32_t offset = layer->input_offset;
    const int32_t pitch = layer->pitch;
    const int32_t step = inside->input_step;
    int32_t sum0 = layer->bias[channel];
    int32_t sum1 = layer->bias[channel + 1];
    int32_t sum2 = layer->bias[channel + 2];
    int32_t sum3 = layer->bias[channel + 3];
    for (int32_t row = 0; row < inside->rows; row++) {
        const int8_t *x = inside->input + row * inside->input_row + channel;
        const int8_t *w = inside->weights + row * inside->weight_row + channel;
        for (int32_t column = 0; column < inside->columns; column++) {
            sum0 += w[0] * (x[0] + offset);
            sum1 += w[1] * (x[1] + offset);
            sum2 += w[2] * (x[2] + offset);
            sum3 += w[3] * (x[3] + offset);
            x += step;
            w += pitch;
        }
    }
    output[channel] = finish(layer, channel, sum0);
    output[channel + 1] = finish(layer, channel + 1, sum1);
    output[channel + 2] = finish(layer, channel + 2, sum2);
    output[channel + 3] = finish(layer, channel + 3, sum3);
}

void edgeprune_kernel_depthwise_conv_2d(const edgeprune_depthwise_conv_2d *layer,
                                        const int8_t *input, int8_t *output)
{
    const edgeprune_window *window = &layer->window;
    const int32_t channels = window->output_channels;
    for (int32_t batch = 0; batch < window->batches; batch++) {
        for (int32_t y = 0; y < window->output_height; y++) {
            const int32_t top = y * window->stride_height - window->padding_top;
            for (int32_t x = 0; x < window->output_width; x++) {
                const int32_t left = x * window->stride_width - window->padding_left;
                const patch inside = locate(layer, input, top, left);
                int32_t channel = 0;
                for (; channel + 4 <= channels; channel += 4) {
                    four_channels(layer, &inside, channel, output);
                }
                for (; channel < channels; channel++) {
                    one_channel(layer, &inside, channel, channel, output);
                }
                output += channels;
            }
        }
        input += window->input_height * window->input_width * window->input_channels;
    }
}

void edgeprune_kernel_depthwise_conv_2d_multiplied(const edgeprune_depthwise_conv_2d *layer,
                                                   const int8_t *input, int8_t *output)
{
    const edgeprune_window *window = &layer->window;
    const int32_t multiplier = window->output_channels / window->input_channels;
    for (int32_t batch = 0; batch < window->batches; batch++) {
        for (int32_t y = 0; y < window->output_height; y++) {
            const int32_t top = y * window->stride_height - window->padding_top;
            for (int32_t x = 0; x < window->output_width; x++) {
                const int32_t left = x * window->stride_width - window->padding_left;
                const patch inside = locate(layer, input, top, left);
                int32_t channel = 0;
                for (int32_t source = 0; source < window->input_channels; source++) {
                    for (int32_t i = 0; i < multiplier; i++, channel++) {
                        one_channel(layer, &inside, source, channel, output);
                    }
                }
                output += window->output_channels;
            }
        }
        input += window->input_height * window->input_width * window->input_channels;
    }
}
