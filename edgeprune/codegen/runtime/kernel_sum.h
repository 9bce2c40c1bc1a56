/*
 * edgeprune: sums of int8 values over pixels, four channels at a time where there are four.
 */
#ifndef EDGEPRUNE_KERNEL_SUM_H
#define EDGEPRUNE_KERNEL_SUM_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Pixels in lines. Steps are in bytes. Bounds: at most 2^23 pixels. */
typedef struct edgeprune_area {
    int32_t lines;
    int32_t pixels; /* in a line */
    int32_t line_step;
    int32_t pixel_step;
} edgeprune_area;

/*
 * The sums of the next channels of an area, of which `channels` are left, at least 1; `first` is
 * the first pixel's value. Returns how many sums it has written: 4 or 1.
 */
int32_t edgeprune_sums(const edgeprune_area *area, const int8_t *first, int32_t channels,
                       int32_t sums[4]);

#ifdef __cplusplus
}
#endif

#endif
