#include "mve_im2col.h"

#include "mve_rows.h"
#include "mve_window.h"

void edgeprune_mve_im2col(const edgeprune_window *window, int32_t zero_point, const int8_t *image,
                          int32_t pixel, int8_t *vector)
{
    const int32_t top = pixel / window->output_width * window->stride_height - window->padding_top;
    const int32_t left =
        pixel % window->output_width * window->stride_width - window->padding_left;
    const edgeprune_taps rows = edgeprune_mve_taps_inside(
        top, window->kernel_height, window->dilation_height, window->input_height);
    const edgeprune_taps columns = edgeprune_mve_taps_inside(
        left, window->kernel_width, window->dilation_width, window->input_width);
    const int32_t channels = window->input_channels;
    const int32_t row = window->kernel_width * channels;
    const int32_t inside = columns.end - columns.begin;
    if (rows.end - rows.begin < window->kernel_height || inside < window->kernel_width) {
        const edgeprune_mve_bytes zero = edgeprune_mve_all((int8_t)zero_point);
        for (int32_t i = 0; i < window->kernel_height * row; i += 16) {
            edgeprune_mve_store(vector + i, zero);
        }
    }
    if (inside == 0 || rows.end == rows.begin) {
        return;
    }
    const int32_t y = top + rows.begin * window->dilation_height;
    const int32_t x = left + columns.begin * window->dilation_width;
    const int8_t *from = image + (y * window->input_width + x) * channels;
    const int32_t line = window->dilation_height * window->input_width * channels;
    int8_t *to = vector + rows.begin * row + columns.begin * channels;
    /* Without dilation the taps of a row are one run of values. */
    const int32_t runs = window->dilation_width == 1 ? 1 : inside;
    const int32_t run = window->dilation_width == 1 ? inside * channels : channels;
    for (int32_t i = 0; i < runs; i++) {
        for (int32_t at = 0; at < run; at += 16) {
            edgeprune_mve_copy_rows(to + at, row, from + at, line, rows.end - rows.begin,
                                    run - at);
        }
        to += channels;
        from += window->dilation_width * channels;
    }
}
