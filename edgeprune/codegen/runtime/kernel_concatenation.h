/*
 * edgeprune: CONCATENATION along any axis.
 *
 * Shapes: input i [rows][runs[i]], output [rows][sum of the runs].
 * Bounds: no tensor is larger than 2^31 bytes. With one row, an input may lie inside the output
 * where it will be there, or later, as what comes before it is written first; else none overlaps.
 */
#ifndef EDGEPRUNE_KERNEL_CONCATENATION_H
#define EDGEPRUNE_KERNEL_CONCATENATION_H

#include "kernel_inline.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EDGEPRUNE_CONCATENATION_INPUTS 10

typedef struct edgeprune_concatenation {
    int32_t rows;
    int32_t runs[EDGEPRUNE_CONCATENATION_INPUTS]; /* bytes of a row of each input */
} edgeprune_concatenation;

void edgeprune_kernel_concatenate(const edgeprune_concatenation *layer,
                                  const int8_t *const *inputs, int32_t count, int8_t *output);

/* One function for each number of inputs. */
EDGEPRUNE_INLINE void edgeprune_kernel_concatenation_2(
    const edgeprune_concatenation *layer, const int8_t *a, const int8_t *b, int8_t *output)
{
    const int8_t *const inputs[] = {a, b};
    edgeprune_kernel_concatenate(layer, inputs, 2, output);
}

EDGEPRUNE_INLINE void edgeprune_kernel_concatenation_3(
    const edgeprune_concatenation *layer, const int8_t *a, const int8_t *b, const int8_t *c,
    int8_t *output)
{
    const int8_t *const inputs[] = {a, b, c};
    edgeprune_kernel_concatenate(layer, inputs, 3, output);
}

EDGEPRUNE_INLINE void edgeprune_kernel_concatenation_4(
    const edgeprune_concatenation *layer, const int8_t *a, const int8_t *b, const int8_t *c,
    const int8_t *d, int8_t *output)
{
    const int8_t *const inputs[] = {a, b, c, d};
    edgeprune_kernel_concatenate(layer, inputs, 4, output);
}

EDGEPRUNE_INLINE void edgeprune_kernel_concatenation_5(
    const edgeprune_concatenation *layer, const int8_t *a, const int8_t *b, const int8_t *c,
    const int8_t *d, const int8_t *e, int8_t *output)
{
    const int8_t *const inputs[] = {a, b, c, d, e};
    edgeprune_kernel_concatenate(layer, inputs, 5, output);
}

EDGEPRUNE_INLINE void edgeprune_kernel_concatenation_6(
    const edgeprune_concatenation *layer, const int8_t *a, const int8_t *b, const int8_t *c,
    const int8_t *d, const int8_t *e, const int8_t *f, int8_t *output)
{
    const int8_t *const inputs[] = {a, b, c, d, e, f};
    edgeprune_kernel_concatenate(layer, inputs, 6, output);
}

EDGEPRUNE_INLINE void edgeprune_kernel_concatenation_7(
    const edgeprune_concatenation *layer, const int8_t *a, const int8_t *b, const int8_t *c,
    const int8_t *d, const int8_t *e, const int8_t *f, const int8_t *g, int8_t *output)
{
    const int8_t *const inputs[] = {a, b, c, d, e, f, g};
    edgeprune_kernel_concatenate(layer, inputs, 7, output);
}

EDGEPRUNE_INLINE void edgeprune_kernel_concatenation_8(
    const edgeprune_concatenation *layer, const int8_t *a, const int8_t *b, const int8_t *c,
    const int8_t *d, const int8_t *e, const int8_t *f, const int8_t *g, const int8_t *h,
    int8_t *output)
{
    const int8_t *const inputs[] = {a, b, c, d, e, f, g, h};
    edgeprune_kernel_concatenate(layer, inputs, 8, output);
}

EDGEPRUNE_INLINE void edgeprune_kernel_concatenation_9(
    const edgeprune_concatenation *layer, const int8_t *a, const int8_t *b, const int8_t *c,
    const int8_t *d, const int8_t *e, const int8_t *f, const int8_t *g, const int8_t *h,
    const int8_t *i, int8_t *output)
{
    const int8_t *const inputs[] = {a, b, c, d, e, f, g, h, i};
    edgeprune_kernel_concatenate(layer, inputs, 9, output);
}

EDGEPRUNE_INLINE void edgeprune_kernel_concatenation_10(
    const edgeprune_concatenation *layer, const int8_t *a, const int8_t *b, const int8_t *c,
    const int8_t *d, const int8_t *e, const int8_t *f, const int8_t *g, const int8_t *h,
    const int8_t *i, const int8_t *j, int8_t *output)
{
    const int8_t *const inputs[] = {a, b, c, d, e, f, g, h, i, j};
    edgeprune_kernel_concatenate(layer, inputs, 10, output);
}

#ifdef __cplusplus
}
#endif

#endif
