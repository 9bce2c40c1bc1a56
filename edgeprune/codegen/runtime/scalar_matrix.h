/*
 * edgeprune: four int8 vectors at a time times an int8 matrix, requantized, on cores without SIMD.
 *
 * Shapes: weights [outputs][pitch], of which each row's first taps are used, and x [taps][2] as in
 * scalar_dot.h, order [taps]: which value of a vector each tap meets, from 0 to 255; channels
 * [outputs][2] as in scalar_requantize.h.
 * Bounds: those of scalar_dot.h and scalar_requantize.h.
 */
#ifndef EDGEPRUNE_SCALAR_MATRIX_H
#define EDGEPRUNE_SCALAR_MATRIX_H

#include "scalar_dot.h"
#include "scalar_requantize.h"

typedef struct edgeprune_scalar_matrix {
    const int8_t *weights;
    const int8_t *order; /* NULL: tap k meets value k */
    const int32_t *channels;
} edgeprune_scalar_matrix;

/* Vectors at a time. */
enum { EDGEPRUNE_SCALAR_VECTORS = 4 };

/*
 * The words of four vectors, which start at v and at the given distances from it. Taps from
 * `depth` on have weights of 0 and meet any value.
 */
EDGEPRUNE_INLINE void edgeprune_scalar_pair(const edgeprune_scalar_matrix *matrix, const int8_t *v,
                                            int32_t second, int32_t third, int32_t fourth,
                                            uint32_t *x, int32_t depth, int32_t taps,
                                            int32_t ordered)
{
    const int8_t *const v1 = v + second;
    const int8_t *const v2 = v + third;
    const int8_t *const v3 = v + fourth;
    const int8_t *order = matrix->order;
    for (int32_t tap = 0; tap < taps; tap++) {
        int32_t k = tap < depth ? tap : 0;
        if (ordered) {
            k = (uint8_t)*order++;
        }
        *x++ = (uint32_t)v[k] + ((uint32_t)v1[k] << 16);
        *x++ = (uint32_t)v2[k] + ((uint32_t)v3[k] << 16);
    }
}

/* The outputs of four vectors, one [outputs] after the other. */
EDGEPRUNE_INLINE void edgeprune_scalar_matrix_4(const edgeprune_scalar_matrix *matrix,
                                                const uint32_t *x, int8_t *y, int32_t outputs,
                                                int32_t taps, int32_t pitch, int32_t group,
                                                edgeprune_scalar_output output)
{
    const int8_t *weights = matrix->weights;
    const int32_t *channel = matrix->channels;
    const int32_t *const end = channel + 2 * outputs;
    do {
        int32_t sums[EDGEPRUNE_SCALAR_VECTORS];
        weights = edgeprune_scalar_dot(weights, x, taps, group, sums) + (pitch - taps);
        const int32_t first = channel[0];
        const int32_t multiplier = channel[1];
        const int32_t bias = edgeprune_scalar_bias(first);
        const int32_t rounding = edgeprune_scalar_rounding(first, output);
        channel += 2;
        y[0] = edgeprune_scalar_requantize(sums[0] + bias, first, multiplier, rounding, output);
        y[outputs] =
            edgeprune_scalar_requantize(sums[1] + bias, first, multiplier, rounding, output);
        y[2 * outputs] =
            edgeprune_scalar_requantize(sums[2] + bias, first, multiplier, rounding, output);
        y[3 * outputs] =
            edgeprune_scalar_requantize(sums[3] + bias, first, multiplier, rounding, output);
        y++;
    } while (channel != end);
}

#endif
