/*
 * edgeprune: bytes from one place to another: slices, transposition, padding, variables.
 *
 * Shapes: runs of `run` bytes, `line` of them in a line, lines along the axes of `walk`; both ends
 * have steps of their own, and start `input_start` and `output_start` bytes into the tensors.
 * Bounds: as in kernel_walk.h.
 */
#ifndef EDGEPRUNE_KERNEL_COPY_H
#define EDGEPRUNE_KERNEL_COPY_H

#include "kernel_walk.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct edgeprune_move {
    int32_t input_start;
    int32_t size;
} edgeprune_move;

typedef struct edgeprune_copy {
    edgeprune_walk walk; /* first: input, second: output */
    int32_t line;        /* runs in a line, at least 1 */
    int32_t input_step;  /* from one run of a line to the next */
    int32_t output_step;
    int32_t run; /* at least 1 */
    int32_t input_start;
    int32_t output_start;
} edgeprune_copy;

typedef struct edgeprune_pad {
    edgeprune_copy inside;
    int32_t size;  /* of the output */
    int32_t value; /* -128 to 127 */
} edgeprune_pad;

/* Contiguous bytes; input and output may overlap anyhow. */
void edgeprune_kernel_move(const edgeprune_move *layer, const int8_t *input, int8_t *output);

/* In the order of the walk; a run may overlap itself. */
void edgeprune_kernel_copy(const edgeprune_copy *layer, const int8_t *input, int8_t *output);

/* The input inside an output that is `value` everywhere else. They must not overlap. */
void edgeprune_kernel_pad(const edgeprune_pad *layer, const int8_t *input, int8_t *output);

#ifdef __cplusplus
}
#endif

#endif
