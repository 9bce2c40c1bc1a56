/*
 * edgeprune: DEQUANTIZE, int8 or uint8 to float: scale * (value - zero point), rounded to the
 * nearest float, ties to even, as hardware does. In integers, so that no core needs a library for it.
 *
 * Shapes: input [count], output [count] floats (IEEE 754, the low byte first).
 * Bounds: |value - zero point| is below 2^8 and the scale's mantissa below 2^24, so that their
 * product and half a unit fit 32 bits. The scale is from 2^-126 to below 2^119. Input and output
 * must not overlap.
 */
#ifndef EDGEPRUNE_KERNEL_DEQUANTIZE_H
#define EDGEPRUNE_KERNEL_DEQUANTIZE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct edgeprune_dequantize {
    int32_t mantissa; /* of the scale, from 2^23 to 2^24 - 1 */
    int32_t exponent; /* of the scale, as a float holds it: from 1 to 245 */
    int32_t flip;     /* 0 for int8; -128 for uint8, which is flipped to int8 first */
    int32_t offset;   /* added to the int8 value */
    int32_t count;
} edgeprune_dequantize;

void edgeprune_kernel_dequantize(const edgeprune_dequantize *layer, const int8_t *input,
                                 int8_t *output);

#ifdef __cplusplus
}
#endif

#endif
