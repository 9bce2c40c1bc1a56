/*
 * edgeprune: the compressed weights of a pair of output channels to the words of dsp_matrix.h.
 *
 * The weights of a pair (a, b) come column by column, a multiple of four columns. There are two
 * forms:
 *
 * PALETTE. A pair starts with the numbers of a's and b's tables of 16 weights. A byte is a column:
 * the place of a's weight in its table << 4 | that of b's.
 *
 * BITMAP. A byte of bits for every four columns, the lowest for a's weight of the first column, the
 * next for b's; where a bit is set, the weight follows as a byte behind them, in the same order.
 */
#ifndef EDGEPRUNE_PALETTE_UNPACK_H
#define EDGEPRUNE_PALETTE_UNPACK_H

#include "dsp_instructions.h"

enum { EDGEPRUNE_PALETTE_TABLES, EDGEPRUNE_PALETTE_BITMAP };

/* 256 * a + b; the generator has checked that it fits 16 bits. */
EDGEPRUNE_INLINE int32_t edgeprune_palette_half(int32_t a, int32_t b)
{
    return a * 256 + b;
}

/* One column of a pair, by the places in both tables. */
EDGEPRUNE_INLINE int32_t edgeprune_palette_look_up(uint32_t byte, const int8_t *a, const int8_t *b)
{
    return edgeprune_palette_half(a[byte >> 4], b[byte & 15u]);
}

/* A pair by tables of 16; words [depth / 4][2]. Returns the next pair. */
EDGEPRUNE_INLINE const uint8_t *edgeprune_palette_unpack(const uint8_t *from, const int8_t *tables,
                                                         int32_t *words, int32_t depth)
{
    const int8_t *const a = tables + 16 * from[0];
    const int8_t *const b = tables + 16 * from[1];
    from += 2;
    for (const int32_t *const end = words + depth / 2; words != end; words += 2) {
        const int32_t first = edgeprune_palette_look_up(from[0], a, b);
        const int32_t second = edgeprune_palette_look_up(from[1], a, b);
        const int32_t third = edgeprune_palette_look_up(from[2], a, b);
        const int32_t fourth = edgeprune_palette_look_up(from[3], a, b);
        words[0] = edgeprune_dsp_pair(first, third);
        words[1] = edgeprune_dsp_pair(second, fourth);
        from += 4;
    }
    return from;
}

/* A weight if the lowest bit is set, which is shifted out. */
EDGEPRUNE_INLINE int32_t edgeprune_palette_next(uint32_t *bits, const uint8_t **from)
{
    int32_t weight = 0;
    if (*bits & 1u) {
        weight = (int8_t)*(*from)++;
    }
    *bits >>= 1;
    return weight;
}

/* One column of a pair, by the two lowest bits. */
EDGEPRUNE_INLINE int32_t edgeprune_palette_next_half(uint32_t *bits, const uint8_t **from)
{
    const int32_t a = edgeprune_palette_next(bits, from);
    return edgeprune_palette_half(a, edgeprune_palette_next(bits, from));
}

/* A pair by bits. */
EDGEPRUNE_INLINE const uint8_t *edgeprune_palette_unpack_bitmap(const uint8_t *from, int32_t *words,
                                                                int32_t depth)
{
    for (const int32_t *const end = words + depth / 2; words != end; words += 2) {
        uint32_t bits = *from++;
        const int32_t first = edgeprune_palette_next_half(&bits, &from);
        const int32_t second = edgeprune_palette_next_half(&bits, &from);
        const int32_t third = edgeprune_palette_next_half(&bits, &from);
        const int32_t fourth = edgeprune_palette_next_half(&bits, &from);
        words[0] = edgeprune_dsp_pair(first, third);
        words[1] = edgeprune_dsp_pair(second, fourth);
    }
    return from;
}

#endif
