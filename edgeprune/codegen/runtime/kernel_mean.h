/*
 * edgeprune: MEAN over any axes.
 *
 * Shapes: input [kept[0]][reduced[0]][kept[1]][reduced[1]][kept[2]],
 * output [kept[0]][kept[1]][kept[2]]; the generator merges the tensor's axes to these five.
 * Bounds: reduced[0] * reduced[1] is at most 2^23, so that sums stay below 2^31.
 * The output may start where the input does, or before it.
 */
#ifndef EDGEPRUNE_KERNEL_MEAN_H
#define EDGEPRUNE_KERNEL_MEAN_H

#include "kernel_requantize.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct edgeprune_mean {
    int32_t kept[3];
    int32_t reduced[2];
    int32_t offset;     /* minus the input's zero point, times the values in a mean */
    int32_t multiplier; /* input scale / output scale / the values in a mean */
    int32_t shift;
    edgeprune_range range;
} edgeprune_mean;

void edgeprune_kernel_mean(const edgeprune_mean *layer, const int8_t *input, int8_t *output);

#ifdef __cplusplus
}
#endif

#endif
