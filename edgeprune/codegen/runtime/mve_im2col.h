/*
 * edgeprune: the values under a window as a vector, with Helium (MVE).
 *
 * Shapes: image [input_height][input_width][input_channels], of one batch; vector
 * [kernel_height][kernel_width][input_channels], zero points where the window leaves the image,
 * and room for whole vectors of sixteen bytes. Bounds as in kernel_window.h.
 */
#ifndef EDGEPRUNE_MVE_IM2COL_H
#define EDGEPRUNE_MVE_IM2COL_H

#include "kernel_window.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The window of an output pixel, counted row by row. */
void edgeprune_mve_im2col(const edgeprune_window *window, int32_t zero_point, const int8_t *image,
                          int32_t pixel, int8_t *vector);

#ifdef __cplusplus
}
#endif

#endif
