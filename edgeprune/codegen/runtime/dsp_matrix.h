/*
 * edgeprune: int8 vectors times an int8 matrix with the DSP extension, three vectors at a time.
 *
 *     y[p][n] = clamp(rescale(bias[n] + sum over k of weights[n][k] * x[p][k]))
 *
 * Weights: output channels in pairs (a, b), an odd last one with zeros; depth in groups of four,
 * the last filled up with zeros. A pair is two words a group: the halves of the first belong to
 * k = 0 and 2, those of the second to k = 1 and 3, and each half is 256 * a[k] + b[k] as int16,
 * which the generator has checked. So two products are one instruction without unpacking,
 *
 *     A = sum of (256 * a[k] + b[k]) * x[k],    B = sum of b[k] * x[k],
 *
 * and only B needs the low bytes of a word, sign-extended, by one more. A - B is 256 times the sum
 * of a[k] * x[k], modulo 2^32: right even where A itself has wrapped.
 *
 * The words of the vectors end with a mark that no two widened values are, so that the inner loop
 * needs no register to know its end.
 *
 * A pair in flash: the first words of a and b (dsp_requantize.h), the weights, both multipliers.
 * Of a nested layer, which uses the first weights of the first pairs of a wider one, both words of
 * its own channels stand apart: first words of a and b, both multipliers, for each pair.
 * Vectors: widened to int16 in the weights' order, [group][half of the group][vector], a word each.
 *
 * Bounds: |bias| + 128 * sum of |weights| of a channel is below 2^23, which the generator has
 * checked; the factor of 256 stays within int32.
 */
#ifndef EDGEPRUNE_DSP_MATRIX_H
#define EDGEPRUNE_DSP_MATRIX_H

#include "dsp_requantize.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Vectors at a time. */
#define EDGEPRUNE_DSP_VECTORS 3
/* Bytes of three vectors and what stands behind them. */
#define EDGEPRUNE_DSP_VECTOR_BYTES(depth) (((depth) + 3) / 4 * 8 * EDGEPRUNE_DSP_VECTORS + 12)

typedef struct edgeprune_dsp_matrix {
    const int32_t *pairs; /* [(outputs + 1) / 2][2 + 2 * groups + 2] */
} edgeprune_dsp_matrix;

typedef struct edgeprune_dsp_nested_matrix {
    const int32_t *pairs;    /* of the wider layer, of which `pitch` words are a pair */
    const int32_t *channels; /* [(outputs + 1) / 2][4] */
} edgeprune_dsp_nested_matrix;

/* A matrix and up to three vectors. */
typedef struct edgeprune_dsp_block {
    const int32_t *pairs;
    int32_t *vectors; /* widened, with room for three words behind them */
    int8_t *outputs;  /* of the first vector */
    int32_t second; /* bytes from them to those of the second vector, and of the third; */
    int32_t third;  /* 0 for a vector that is not there: the first's are written over its own */
    int32_t depth;  /* of a vector, at least 1 */
    int32_t count;  /* of its outputs, at least 1 */
    const int32_t *channels; /* of a nested layer, else not read */
    int32_t pitch;           /* words of a pair, the same */
} edgeprune_dsp_block;

/*
 * All outputs of a block: loops for a fused ReLU, whose outputs only int8 clamps, at a zero point
 * of -128, and whose count is even; for no fused activation; and for all others. Each for an even
 * and for an odd number of groups.
 */
void edgeprune_dsp_relu_even(const edgeprune_dsp_block *block);
void edgeprune_dsp_relu_odd(const edgeprune_dsp_block *block);
void edgeprune_dsp_linear_even(const edgeprune_dsp_block *block, int32_t zero_point);
void edgeprune_dsp_linear_odd(const edgeprune_dsp_block *block, int32_t zero_point);
void edgeprune_dsp_clamped_even(const edgeprune_dsp_block *block,
                                    const edgeprune_dsp_output *output);
void edgeprune_dsp_clamped_odd(const edgeprune_dsp_block *block,
                                   const edgeprune_dsp_output *output);

/* The same for nested layers. */
void edgeprune_dsp_nested_relu_even(const edgeprune_dsp_block *block);
void edgeprune_dsp_nested_relu_odd(const edgeprune_dsp_block *block);
void edgeprune_dsp_nested_clamped_even(const edgeprune_dsp_block *block,
                                       const edgeprune_dsp_output *output);
void edgeprune_dsp_nested_clamped_odd(const edgeprune_dsp_block *block,
                                      const edgeprune_dsp_output *output);

EDGEPRUNE_INLINE void edgeprune_dsp_nested_3(const edgeprune_dsp_block *block, int32_t depth,
                                             int32_t count, edgeprune_dsp_output output)
{
    const int32_t is_even = (depth + 3) / 4 % 2 == 0;
    const int32_t is_linear = output.low == -128 && output.high == 127;
    if (is_linear && !output.is_signed && count % 2 == 0) {
        if (is_even) {
            edgeprune_dsp_nested_relu_even(block);
        } else {
            edgeprune_dsp_nested_relu_odd(block);
        }
    } else if (is_even) {
        edgeprune_dsp_nested_clamped_even(block, &output);
    } else {
        edgeprune_dsp_nested_clamped_odd(block, &output);
    }
}

/* The right one of all, for a block with the compile-time constants that follow it. */
EDGEPRUNE_INLINE void edgeprune_dsp_matrix_3(const edgeprune_dsp_block *block, int32_t depth,
                                             int32_t count, int32_t is_nested,
                                             edgeprune_dsp_output output)
{
    const int32_t is_even = (depth + 3) / 4 % 2 == 0;
    const int32_t is_linear = output.low == -128 && output.high == 127;
    if (is_nested) {
        edgeprune_dsp_nested_3(block, depth, count, output);
    } else if (is_linear && !output.is_signed && count % 2 == 0) {
        if (is_even) {
            edgeprune_dsp_relu_even(block);
        } else {
            edgeprune_dsp_relu_odd(block);
        }
    } else if (is_linear) {
        if (is_even) {
            edgeprune_dsp_linear_even(block, output.zero_point);
        } else {
            edgeprune_dsp_linear_odd(block, output.zero_point);
        }
    } else if (is_even) {
        edgeprune_dsp_clamped_even(block, &output);
    } else {
        edgeprune_dsp_clamped_odd(block, &output);
    }
}

/*
 * Widens three vectors of `depth` bytes; what fills up the last group are zeros. The first for a
 * depth that is a multiple of four, the second for one that is not.
 */
void edgeprune_dsp_widen_groups(const int8_t *v0, const int8_t *v1, const int8_t *v2,
                                int32_t depth, int32_t *x);
void edgeprune_dsp_widen_any(const int8_t *v0, const int8_t *v1, const int8_t *v2, int32_t depth,
                             int32_t *x);

/* The right one of them, for a depth that is a compile-time constant. */
EDGEPRUNE_INLINE void edgeprune_dsp_widen(const int8_t *v0, const int8_t *v1, const int8_t *v2,
                                          int32_t depth, int32_t *x)
{
    if (depth % 4 == 0) {
        edgeprune_dsp_widen_groups(v0, v1, v2, depth, x);
    } else {
        edgeprune_dsp_widen_any(v0, v1, v2, depth, x);
    }
}

#ifdef __cplusplus
}
#endif

#endif
