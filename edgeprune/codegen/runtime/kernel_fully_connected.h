/*
 * edgeprune: FULLY_CONNECTED.
 *
 * Shapes: input [rows][matrix.depth], output [rows][matrix.outputs],
 * weights [matrix.outputs][matrix.depth].
 * Bounds: as in kernel_matrix.h. Input and output must not overlap.
 */
#ifndef EDGEPRUNE_KERNEL_FULLY_CONNECTED_H
#define EDGEPRUNE_KERNEL_FULLY_CONNECTED_H

#include "kernel_matrix.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct edgeprune_fully_connected {
    edgeprune_matrix matrix;
    int32_t rows;
} edgeprune_fully_connected;

void edgeprune_kernel_fully_connected(const edgeprune_fully_connected *layer, const int8_t *input,
                                      int8_t *output);

#ifdef __cplusplus
}
#endif

#endif
