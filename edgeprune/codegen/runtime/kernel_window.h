/*
 * edgeprune: a window that slides over an NHWC image.
 *
 * Bounds: sizes are at most 2^26, kernels, strides and dilations at most 2^15, so that no
 * coordinate leaves int32.
 */
#ifndef EDGEPRUNE_KERNEL_WINDOW_H
#define EDGEPRUNE_KERNEL_WINDOW_H

#include <stdint.h>

typedef struct edgeprune_window {
    int32_t batches;
    int32_t input_height;
    int32_t input_width;
    int32_t input_channels;
    int32_t output_height;
    int32_t output_width;
    int32_t output_channels;
    int32_t kernel_height;
    int32_t kernel_width;
    int32_t stride_height;
    int32_t stride_width;
    int32_t dilation_height;
    int32_t dilation_width;
    int32_t padding_top;
    int32_t padding_left;
} edgeprune_window;

/* The taps of a kernel that lie inside the image: begin <= tap < end. */
typedef struct edgeprune_taps {
    int32_t begin;
    int32_t end;
} edgeprune_taps;

/* Along one axis: tap t lies at origin + t * dilation of an image of `size`. */
static inline edgeprune_taps edgeprune_taps_inside(int32_t origin, int32_t kernel,
                                                   int32_t dilation, int32_t size)
{
    edgeprune_taps taps = {0, kernel};
    while (taps.begin < kernel && origin + taps.begin * dilation < 0) {
        taps.begin++;
    }
    while (taps.end > taps.begin && origin + (taps.end - 1) * dilation >= size) {
        taps.end--;
    }
    return taps;
}

/* What a window of dilation 1 covers of an axis: `size` values from `first` on. */
typedef struct edgeprune_span {
    int32_t first;
    int32_t size;
} edgeprune_span;

/* The window starts at `origin` and reaches over at least one value. */
static inline edgeprune_span edgeprune_span_inside(int32_t origin, int32_t kernel, int32_t size)
{
    const int32_t first = origin < 0 ? 0 : origin;
    const int32_t end = origin + kernel > size ? size : origin + kernel;
    const edgeprune_span span = {first, end - first};
    return span;
}

#endif
