/*
 * edgeprune: CONV_2D with a 1 x 1 kernel and stride 1 and sparse weights on cores without a long
 * multiply: sparse_short_multiply.h for every eight pixels.
 *
 * Shapes: input [pixels][depth], output [pixels][outputs]; scratch of 32 * depth + 32 bytes, and of
 * 8 * outputs more where pixels is no multiple of 8, starting at a multiple of 4. Eight pixels are
 * read before their outputs are written, so that the output may start where the input does if
 * outputs <= depth.
 * Bounds: those of short_requantize.h.
 */
#ifndef EDGEPRUNE_SPARSE_SHORT_POINTWISE_CONV_2D_H
#define EDGEPRUNE_SPARSE_SHORT_POINTWISE_CONV_2D_H

#include <string.h>

#include "short_requantize.h"
#include "sparse_short_multiply.h"

typedef struct edgeprune_sparse_short_pointwise_conv_2d {
    const int8_t *rows;      /* the bytes of sparse_short_multiply.h, one row an output channel */
    const int8_t *tables;    /* what they refer to; NULL where the form has none */
    const int32_t *channels; /* [outputs][2], the words of short_requantize.h */
    int32_t pixels;
} edgeprune_sparse_short_pointwise_conv_2d;

/* Four vectors, which start at v and at the given distances from it, to words. */
EDGEPRUNE_INLINE void edgeprune_sparse_short_transpose(const int8_t *v, int32_t second,
                                                       int32_t third, int32_t fourth, int32_t *x,
                                                       int32_t depth)
{
    const int8_t *const v1 = v + second;
    const int8_t *const v2 = v + third;
    const int8_t *const v3 = v + fourth;
    for (int32_t k = 0; k < depth; k++) {
        x[0] = v[k];
        x[1] = v1[k];
        x[2] = v2[k];
        x[3] = v3[k];
        x += EDGEPRUNE_SPARSE_SHORT_VECTORS;
    }
}

/* All output channels of eight pixels that lie behind x. */
EDGEPRUNE_INLINE void
edgeprune_sparse_short_matrix_8(const edgeprune_sparse_short_pointwise_conv_2d *layer, int32_t *x,
                                int8_t *y, int32_t form, int32_t outputs,
                                edgeprune_short_output output)
{
    const uint8_t *row = (const uint8_t *)layer->rows;
    const int32_t *words = layer->channels;
    const int8_t *const end = y + outputs;
    do {
        row = edgeprune_sparse_short_multiply(row, layer->tables, x, words[0] >> 8, form);
        const edgeprune_short_channel channel =
            edgeprune_short_channel_of(words[0], words[1], output);
        edgeprune_short_requantize_all(x, x + EDGEPRUNE_SPARSE_SHORT_VECTORS, y, outputs, channel,
                                       output);
        words += 2;
        y++;
    } while (y != end);
}

EDGEPRUNE_INLINE void edgeprune_sparse_short_pointwise_conv_2d_8(
    const edgeprune_sparse_short_pointwise_conv_2d *layer, const int8_t *input, int8_t *output,
    int8_t *scratch, int32_t form, int32_t depth, int32_t outputs, int32_t zero_point, int32_t low,
    int32_t high)
{
    const edgeprune_short_output range = {zero_point, low, high};
    int32_t *const x = (int32_t *)(void *)scratch;
    int32_t *const first = x + EDGEPRUNE_SPARSE_SHORT_VECTORS;
    int8_t *const rest = (int8_t *)(void *)(first + EDGEPRUNE_SPARSE_SHORT_VECTORS * depth);
    for (int32_t left = layer->pixels; left > 0; left -= EDGEPRUNE_SPARSE_SHORT_VECTORS) {
        /* Of the last few pixels the first stands for those that are missing. */
        for (int32_t four = 0; four < 2; four++) {
            const int32_t more = left - 4 * four;
            const int8_t *const from = input + (more > 0 ? 4 * four * depth : 0);
            edgeprune_sparse_short_transpose(from, more > 1 ? depth : 0, more > 2 ? 2 * depth : 0,
                                             more > 3 ? 3 * depth : 0, first + 4 * four, depth);
        }
        const int32_t is_rest = left < EDGEPRUNE_SPARSE_SHORT_VECTORS;
        edgeprune_sparse_short_matrix_8(layer, x, is_rest ? rest : output, form, outputs, range);
        if (is_rest) {
            memcpy(output, rest, (size_t)(left * outputs));
        }
        input += EDGEPRUNE_SPARSE_SHORT_VECTORS * depth;
        output += EDGEPRUNE_SPARSE_SHORT_VECTORS * outputs;
    }
}

#endif
