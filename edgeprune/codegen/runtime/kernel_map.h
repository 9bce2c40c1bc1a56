/*
 * edgeprune: what turns each byte into another on its own: activations and QUANTIZE.
 *
 * Shapes: input and output [count].
 * Bounds: none; all bytes are right. The output may be the memory of the input, or start before it.
 */
#ifndef EDGEPRUNE_KERNEL_MAP_H
#define EDGEPRUNE_KERNEL_MAP_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct edgeprune_map {
    const int8_t *table; /* [256]: the output of each byte, taken as unsigned */
    int32_t count;
} edgeprune_map;

typedef struct edgeprune_clip {
    int32_t low;  /* at least -128 */
    int32_t high; /* at most 127, at least low */
    int32_t count;
} edgeprune_clip;

typedef struct edgeprune_flip_sign {
    int32_t count;
} edgeprune_flip_sign;

/* Any map, by a table. */
void edgeprune_kernel_map(const edgeprune_map *layer, const int8_t *input, int8_t *output);

/* Keeps values within limits: an activation whose input and output are quantized alike. */
void edgeprune_kernel_clip(const edgeprune_clip *layer, const int8_t *input, int8_t *output);

/* int8 to uint8 or back, where the zero points differ by 128 and the scales do not. */
void edgeprune_kernel_flip_sign(const edgeprune_flip_sign *layer, const int8_t *input,
                                int8_t *output);

#ifdef __cplusplus
}
#endif

#endif
