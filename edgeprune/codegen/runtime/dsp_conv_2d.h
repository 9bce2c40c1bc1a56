/*
 * edgeprune: CONV_2D of one image and one group of channels, with the DSP extension: what lies
 * under the window is gathered for every three pixels, and multiplied by dsp_matrix.h.
 *
 * Shapes: input [input_height][input_width][input_channels], output [output_height][output_width]
 * [output_channels], weights as dsp_matrix.h has them, depth = kernel_height * kernel_width *
 * input_channels; scratch of 24 * ((depth + 3) / 4) + 12 + 3 * depth bytes, starting at a multiple
 * of 4. Three windows are read before their outputs are written; the generator says from which
 * distance on the output may overlap the input.
 * Bounds: those of dsp_matrix.h and kernel_window.h. Taps outside the image are the input's zero
 * point, as the bias expects them.
 */
#ifndef EDGEPRUNE_DSP_CONV_2D_H
#define EDGEPRUNE_DSP_CONV_2D_H

#include "dsp_matrix.h"
#include "kernel_window.h"

EDGEPRUNE_INLINE int8_t *edgeprune_dsp_fill(int8_t *to, int32_t count, int32_t value)
{
    for (int32_t i = 0; i < count; i++) {
        to[i] = (int8_t)value;
    }
    return to + count;
}

EDGEPRUNE_INLINE int8_t *edgeprune_dsp_copy(int8_t *to, const int8_t *from, int32_t count)
{
    int32_t i = 0;
    for (; i + 8 <= count; i += 8) {
        edgeprune_dsp_store(to + i, edgeprune_dsp_load(from + i));
        edgeprune_dsp_store(to + i + 4, edgeprune_dsp_load(from + i + 4));
    }
    if (count % 8 >= 4) {
        edgeprune_dsp_store(to + i, edgeprune_dsp_load(from + i));
        i += 4;
    }
    for (; i < count; i++) {
        to[i] = from[i];
    }
    return to + count;
}

/* The values under the window at (top, left) as [kernel_height][kernel_width][input_channels]. */
EDGEPRUNE_INLINE void edgeprune_dsp_gather(const edgeprune_window *window, const int8_t *input,
                                           int32_t top, int32_t left, int32_t zero, int8_t *to)
{
    const int32_t channels = window->input_channels;
    const int32_t row_values = window->kernel_width * channels;
    const int32_t reach = (window->kernel_width - 1) * window->dilation_width;
    const int8_t *from = input + (top * window->input_width + left) * channels;
    for (int32_t i = 0; i < window->kernel_height; i++) {
        if (top < 0 || top >= window->input_height) {
            to = edgeprune_dsp_fill(to, row_values, zero);
        } else if (window->dilation_width == 1 && left >= 0 &&
                   left + reach < window->input_width) {
            to = edgeprune_dsp_copy(to, from, row_values);
        } else {
            int32_t x = left;
            const int8_t *tap = from;
            for (int32_t j = 0; j < window->kernel_width; j++) {
                if (x < 0 || x >= window->input_width) {
                    to = edgeprune_dsp_fill(to, channels, zero);
                } else {
                    to = edgeprune_dsp_copy(to, tap, channels);
                }
                x += window->dilation_width;
                tap += window->dilation_width * channels;
            }
        }
        top += window->dilation_height;
        from += window->dilation_height * window->input_width * channels;
    }
}

/* All pixels; `pitch` is not 0 for a nested layer. */
EDGEPRUNE_INLINE void edgeprune_dsp_conv_2d_with(const int32_t *pairs, const int32_t *channels,
                                                 const int8_t *input, int8_t *output,
                                                 int8_t *scratch, edgeprune_window window,
                                                 int32_t input_zero_point, int32_t pitch,
                                                 edgeprune_dsp_output range)
{
    const int32_t depth = window.kernel_height * window.kernel_width * window.input_channels;
    const int32_t output_channels = window.output_channels;
    const int32_t pixels = window.output_height * window.output_width;
    edgeprune_dsp_block block = {
        pairs, (int32_t *)(void *)scratch, output, 0, 0, depth, output_channels, channels, pitch};
    int8_t *const gathered = scratch + EDGEPRUNE_DSP_VECTOR_BYTES(depth);
    int32_t top = -window.padding_top;
    int32_t left = -window.padding_left;
    for (int32_t remaining = pixels; remaining > 0; remaining -= EDGEPRUNE_DSP_VECTORS) {
        const int32_t count =
            remaining < EDGEPRUNE_DSP_VECTORS ? remaining : EDGEPRUNE_DSP_VECTORS;
        int8_t *to = gathered;
        for (int32_t i = 0; i < count; i++) {
            edgeprune_dsp_gather(&window, input, top, left, input_zero_point, to);
            to += depth;
            left += window.stride_width;
            if (left == window.output_width * window.stride_width - window.padding_left) {
                left = -window.padding_left;
                top += window.stride_height;
            }
        }
        const int32_t second = count > 1 ? 1 : 0;
        const int32_t third = count > 2 ? 2 : 0;
        edgeprune_dsp_widen(gathered, gathered + second * depth, gathered + third * depth, depth,
                            block.vectors);
        block.second = second * output_channels;
        block.third = third * output_channels;
        edgeprune_dsp_matrix_3(&block, depth, output_channels, pitch != 0, range);
        block.outputs += EDGEPRUNE_DSP_VECTORS * output_channels;
    }
}

EDGEPRUNE_INLINE void edgeprune_dsp_conv_2d(
    const edgeprune_dsp_matrix *layer, const int8_t *input, int8_t *output, int8_t *scratch,
    int32_t input_height, int32_t input_width, int32_t input_channels, int32_t output_height,
    int32_t output_width, int32_t output_channels, int32_t kernel_height, int32_t kernel_width,
    int32_t stride_height, int32_t stride_width, int32_t dilation_height, int32_t dilation_width,
    int32_t padding_top, int32_t padding_left, int32_t input_zero_point, int32_t zero_point,
    int32_t low, int32_t high)
{
    const edgeprune_window window = {1,
                                     input_height,
                                     input_width,
                                     input_channels,
                                     output_height,
                                     output_width,
                                     output_channels,
                                     kernel_height,
                                     kernel_width,
                                     stride_height,
                                     stride_width,
                                     dilation_height,
                                     dilation_width,
                                     padding_top,
                                     padding_left};
    const edgeprune_dsp_output range = {zero_point, low, high, low < zero_point};
    edgeprune_dsp_conv_2d_with(layer->pairs, layer->pairs, input, output, scratch, window,
                               input_zero_point, 0, range);
}

EDGEPRUNE_INLINE void edgeprune_dsp_nested_conv_2d(
    const edgeprune_dsp_nested_matrix *layer, const int8_t *input, int8_t *output, int8_t *scratch,
    int32_t input_height, int32_t input_width, int32_t input_channels, int32_t output_height,
    int32_t output_width, int32_t output_channels, int32_t kernel_height, int32_t kernel_width,
    int32_t stride_height, int32_t stride_width, int32_t dilation_height, int32_t dilation_width,
    int32_t padding_top, int32_t padding_left, int32_t input_zero_point, int32_t pitch,
    int32_t zero_point, int32_t low, int32_t high)
{
    const edgeprune_window window = {1,
                                     input_height,
                                     input_width,
                                     input_channels,
                                     output_height,
                                     output_width,
                                     output_channels,
                                     kernel_height,
                                     kernel_width,
                                     stride_height,
                                     stride_width,
                                     dilation_height,
                                     dilation_width,
                                     padding_top,
                                     padding_left};
    const edgeprune_dsp_output range = {zero_point, low, high, low < zero_point};
    edgeprune_dsp_conv_2d_with(layer->pairs, layer->channels, input, output, scratch, window,
                               input_zero_point, pitch, range);
}

#endif
