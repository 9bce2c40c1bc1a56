/*
 * edgeprune: CONV_2D with a 1 x 1 kernel and stride 1 and sparse weights: sparse_multiply.h for
 * every eight pixels.
 *
 * Shapes: input [pixels][depth], output [pixels][outputs]; scratch of 16 * depth + 16 bytes, and of
 * 8 * outputs more where pixels is no multiple of 8, starting at a multiple of 8. Eight pixels are
 * read before their outputs are written, so that the output may start where the input does if
 * outputs <= depth.
 * Bounds: those of sparse_multiply.h and dsp_requantize.h.
 */
#ifndef EDGEPRUNE_SPARSE_POINTWISE_CONV_2D_H
#define EDGEPRUNE_SPARSE_POINTWISE_CONV_2D_H

#include <string.h>

#include "dsp_requantize.h"
#include "sparse_multiply.h"

typedef struct edgeprune_sparse_pointwise_conv_2d {
    const int8_t *rows;      /* the bytes of sparse_multiply.h, one row an output channel */
    const int8_t *tables;    /* what they refer to; NULL where the form has none */
    const int32_t *channels; /* [outputs][2], the words of dsp_requantize.h */
    int32_t pixels;
} edgeprune_sparse_pointwise_conv_2d;

/* The word of a pair of pixels for one column, from the bytes at `bit` of their words. */
#if EDGEPRUNE_SPARSE_ASSEMBLY
#define EDGEPRUNE_SPARSE_PAIR_OF(to, first, second, bit)                                           \
    do {                                                                                           \
        int32_t x0, x1;                                                                            \
        __asm__("sbfx %0, %1, #" #bit ", #8" : "=r"(x0) : "r"(first));                             \
        __asm__("sbfx %0, %1, #" #bit ", #8" : "=r"(x1) : "r"(second));                            \
        (to) = edgeprune_sparse_pair(x0, x1);                                                      \
    } while (0)
#else
#define EDGEPRUNE_SPARSE_PAIR_OF(to, first, second, bit)                                           \
    (to) = edgeprune_sparse_pair((int8_t)(uint8_t)((uint32_t)(first) >> (bit)),                    \
                                 (int8_t)(uint8_t)((uint32_t)(second) >> (bit)))
#endif

/* A pair of pixels to its words, 16 bytes from column to column. */
EDGEPRUNE_INLINE void edgeprune_sparse_transpose(const int8_t *first, const int8_t *second,
                                                 int32_t *x, int32_t depth)
{
    const int8_t *const end = first + (depth & ~3);
    while (first != end) {
        const int32_t a = edgeprune_dsp_load(first);
        const int32_t b = edgeprune_dsp_load(second);
        EDGEPRUNE_SPARSE_PAIR_OF(x[0], a, b, 0);
        EDGEPRUNE_SPARSE_PAIR_OF(x[EDGEPRUNE_SPARSE_PAIRS], a, b, 8);
        EDGEPRUNE_SPARSE_PAIR_OF(x[2 * EDGEPRUNE_SPARSE_PAIRS], a, b, 16);
        EDGEPRUNE_SPARSE_PAIR_OF(x[3 * EDGEPRUNE_SPARSE_PAIRS], a, b, 24);
        x += 4 * EDGEPRUNE_SPARSE_PAIRS;
        first += 4;
        second += 4;
    }
    for (int32_t k = 0; k < depth % 4; k++) {
        *x = edgeprune_sparse_pair(first[k], second[k]);
        x += EDGEPRUNE_SPARSE_PAIRS;
    }
}

/* The same pointer, in a register from here on. */
EDGEPRUNE_INLINE int8_t *edgeprune_sparse_keep(int8_t *pointer)
{
#if EDGEPRUNE_SPARSE_ASSEMBLY
    __asm__ volatile("" : "+r"(pointer));
#endif
    return pointer;
}

/* Writes one output; in order, or compilers run out of registers. */
EDGEPRUNE_INLINE void edgeprune_sparse_write(int8_t *y, int32_t twice,
                                             edgeprune_dsp_channel channel,
                                             edgeprune_dsp_output output)
{
#if EDGEPRUNE_SPARSE_ASSEMBLY
    __asm__ volatile("" : "+r"(twice) : : "memory");
#endif
    *y = edgeprune_dsp_requantize(twice, channel, output);
}

/* All output channels of eight pixels that lie in x. */
EDGEPRUNE_INLINE void edgeprune_sparse_matrix_8(const edgeprune_sparse_pointwise_conv_2d *layer,
                                                const int32_t *x, int8_t *y, int32_t form,
                                                int32_t outputs, edgeprune_dsp_output output)
{
    edgeprune_sparse_rows rows = {(const uint8_t *)layer->rows, layer->tables};
    rows.next += form == EDGEPRUNE_SPARSE_DELTA ? 2 : 0;
    const int32_t *words = layer->channels;
    const int8_t *const end = y + outputs;
    do {
        y = edgeprune_sparse_keep(y);
        const edgeprune_sparse_sums sums = edgeprune_sparse_multiply(&rows, x, words[0] >> 8, form);
        const edgeprune_dsp_channel channel =
            edgeprune_dsp_channel_of(words[0], words[1], output);
        edgeprune_sparse_write(y, sums.y0, channel, output);
        edgeprune_sparse_write(y + outputs, sums.y1, channel, output);
        edgeprune_sparse_write(y + 2 * outputs, sums.y2, channel, output);
        edgeprune_sparse_write(y + 3 * outputs, sums.y3, channel, output);
        edgeprune_sparse_write(y + 4 * outputs, sums.y4, channel, output);
        edgeprune_sparse_write(y + 5 * outputs, sums.y5, channel, output);
        edgeprune_sparse_write(y + 6 * outputs, sums.y6, channel, output);
        edgeprune_sparse_write(y + 7 * outputs, sums.y7, channel, output);
        words += 2;
        y++;
    } while (y != end);
}

EDGEPRUNE_INLINE void edgeprune_sparse_pointwise_conv_2d_8(
    const edgeprune_sparse_pointwise_conv_2d *layer, const int8_t *input, int8_t *output,
    int8_t *scratch, int32_t form, int32_t depth, int32_t outputs, int32_t zero_point, int32_t low,
    int32_t high)
{
    const edgeprune_dsp_output range = {
        .zero_point = zero_point, .low = low, .high = high, .is_signed = low < zero_point};
    int32_t *const x = (int32_t *)(void *)scratch;
    int8_t *const rest = scratch + EDGEPRUNE_SPARSE_PAIRS * 4 * (depth + 1);
    for (int32_t left = layer->pixels; left > 0; left -= EDGEPRUNE_SPARSE_VECTORS) {
        /* Where no pixel is left, the last one is computed again. */
        int32_t more = left - 1;
        for (int32_t pair = 0; pair < EDGEPRUNE_SPARSE_PAIRS; pair++) {
            const int8_t *const first = input;
            input += more > 0 ? depth : 0;
            edgeprune_sparse_transpose(first, input, x + EDGEPRUNE_SPARSE_PAIRS + pair, depth);
            input += more > 1 ? depth : 0;
            more -= 2;
        }
        const int32_t partial = left < EDGEPRUNE_SPARSE_VECTORS;
        edgeprune_sparse_matrix_8(layer, x, partial ? rest : output, form, outputs, range);
        if (partial) {
            memcpy(output, rest, (size_t)(left * outputs));
        }
        output += EDGEPRUNE_SPARSE_VECTORS * outputs;
    }
}

#endif
