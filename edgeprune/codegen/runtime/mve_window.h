/*
 * edgeprune: edgeprune_taps_inside of kernel_window.h without loops, of which compilers for cores
 * with Helium (MVE) make vector code that is larger and slower than two divisions.
 */
#ifndef EDGEPRUNE_MVE_WINDOW_H
#define EDGEPRUNE_MVE_WINDOW_H

#include "kernel_window.h"

static inline edgeprune_taps edgeprune_mve_taps_inside(int32_t origin, int32_t kernel,
                                                       int32_t dilation, int32_t size)
{
    const int32_t before = origin < 0 ? (dilation - 1 - origin) / dilation : 0;
    const int32_t inside = origin < size ? (size - 1 - origin) / dilation + 1 : 0;
    edgeprune_taps taps = {before < kernel ? before : kernel, inside < kernel ? inside : kernel};
    taps.end = taps.end < taps.begin ? taps.begin : taps.end;
    return taps;
}

#endif
