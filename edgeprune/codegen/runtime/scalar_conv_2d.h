/*
 * edgeprune: CONV_2D of one group on cores without SIMD: what lies under four windows is copied to
 * four vectors, and multiplied by scalar_matrix.h.
 *
 * Shapes: input [batches][height][width][channels],
 * output [batches][output_height][output_width][outputs]; scratch of taps * 8 bytes, then of
 * 4 * depth for the vectors, then of 4 * outputs where the pixels are no multiple of 4, starting
 * at a multiple of 4. depth is kernel_height * kernel_width * channels.
 * Bounds: those of scalar_matrix.h. Padding is filled with the input's zero point, which the bias
 * that it is folded into takes out again. Input, output and scratch must not overlap.
 */
#ifndef EDGEPRUNE_SCALAR_CONV_2D_H
#define EDGEPRUNE_SCALAR_CONV_2D_H

#include <string.h>

#include "kernel_window.h"
#include "scalar_matrix.h"

/* Compile-time constants. */
typedef struct edgeprune_scalar_window {
    int32_t height;
    int32_t width;
    int32_t channels;
    int32_t kernel_height;
    int32_t kernel_width;
    int32_t dilation_height;
    int32_t dilation_width;
    int32_t fill; /* the input's zero point */
} edgeprune_scalar_window;

/* Sets `count` bytes and returns what lies behind them. */
EDGEPRUNE_INLINE int8_t *edgeprune_scalar_fill(int8_t *to, int32_t count, int32_t value)
{
    int8_t *const end = to + count;
    while (to != end) {
        *to++ = (int8_t)value;
    }
    return to;
}

/* Copies `count` bytes and returns what lies behind the copy. */
EDGEPRUNE_INLINE int8_t *edgeprune_scalar_copy(int8_t *to, const int8_t *from, int32_t count)
{
    int8_t *const end = to + count;
    while (to != end) {
        *to++ = *from++;
    }
    return to;
}

/* The values under the window at (top, left) of an image. */
EDGEPRUNE_INLINE void edgeprune_scalar_gather(const int8_t *image, int32_t top, int32_t left,
                                              int8_t *vector, edgeprune_scalar_window window)
{
    const edgeprune_taps columns = edgeprune_taps_inside(left, window.kernel_width,
                                                         window.dilation_width, window.width);
    const int32_t before = columns.begin * window.channels;
    const int32_t inside = (columns.end - columns.begin) * window.channels;
    const int32_t line = window.kernel_width * window.channels;
    const int32_t first = left + columns.begin * window.dilation_width;
    for (int32_t y = 0; y < window.kernel_height; y++) {
        int8_t *const end = vector + line;
        if ((uint32_t)top < (uint32_t)window.height && inside > 0) {
            const int8_t *from = image + (top * window.width + first) * window.channels;
            vector = edgeprune_scalar_fill(vector, before, window.fill);
            if (window.dilation_width == 1) {
                vector = edgeprune_scalar_copy(vector, from, inside);
            } else {
                for (int32_t x = columns.begin; x < columns.end; x++) {
                    vector = edgeprune_scalar_copy(vector, from, window.channels);
                    from += x + 1 < columns.end ? window.dilation_width * window.channels : 0;
                }
            }
        }
        vector = edgeprune_scalar_fill(vector, (int32_t)(end - vector), window.fill);
        top += window.dilation_height;
    }
}

EDGEPRUNE_INLINE void edgeprune_scalar_conv_2d(
    const edgeprune_scalar_matrix *layer, const int8_t *input, int8_t *output, int8_t *scratch,
    int32_t batches, int32_t height, int32_t width, int32_t channels, int32_t output_height,
    int32_t output_width, int32_t outputs, int32_t kernel_height, int32_t kernel_width,
    int32_t stride_height, int32_t stride_width, int32_t dilation_height, int32_t dilation_width,
    int32_t padding_top, int32_t padding_left, int32_t fill, int32_t taps, int32_t pitch,
    int32_t group, int32_t ordered, int32_t long_multiply, int32_t zero_point, int32_t low,
    int32_t high)
{
    const edgeprune_scalar_output range = {long_multiply, zero_point, low, high};
    const edgeprune_scalar_window window = {
        height, width, channels, kernel_height, kernel_width, dilation_height, dilation_width, fill};
    const int32_t depth = kernel_height * kernel_width * channels;
    uint32_t *const x = (uint32_t *)(void *)scratch;
    int8_t *const vectors = scratch + taps * 8;
    int8_t *const rest = vectors + EDGEPRUNE_SCALAR_VECTORS * depth;
    int32_t waiting = 0;
    int32_t row = 0;
    int32_t column = 0;
    for (int32_t left = batches * output_height * output_width; left > 0; left--) {
        edgeprune_scalar_gather(input, row * stride_height - padding_top,
                                column * stride_width - padding_left, vectors + waiting * depth,
                                window);
        waiting++;
        column++;
        if (column == output_width) {
            column = 0;
            row++;
        }
        if (row == output_height) {
            row = 0;
            input += height * width * channels;
        }
        if (waiting == EDGEPRUNE_SCALAR_VECTORS || left == 1) {
            /* Of the last few pixels the first stands for those that are missing. */
            const int32_t is_rest = waiting < EDGEPRUNE_SCALAR_VECTORS;
            edgeprune_scalar_pair(layer, vectors, waiting > 1 ? depth : 0,
                                  waiting > 2 ? 2 * depth : 0, waiting > 3 ? 3 * depth : 0, x,
                                  depth, taps, ordered);
            edgeprune_scalar_matrix_4(layer, x, is_rest ? rest : output, outputs, taps, pitch,
                                      group, range);
            if (is_rest) {
                memcpy(output, rest, (size_t)(waiting * outputs));
            }
            output += EDGEPRUNE_SCALAR_VECTORS * outputs;
            waiting = 0;
        }
    }
}

#endif
