/*
 * edgeprune: compressed int8 weights to the bytes that a kernel for dense weights takes.
 *
 * There are two forms:
 *
 * PALETTE. Blocks of `rows` rows of `depth` weights. A block starts with the number of each row's
 * table of 16 weights. Its weights follow in runs of up to `run` weights of a row, row by row, then
 * the next run of each row. A byte holds two of a run: the place in the table of the first, and
 * that of the second << 4. The last byte of an odd run has one.
 *
 * BITMAP. A byte of bits for every eight weights, the lowest for the first; where a bit is set, the
 * weight follows as a byte behind them, in the same order.
 */
#ifndef EDGEPRUNE_EXPAND_H
#define EDGEPRUNE_EXPAND_H

#include <stdint.h>

#include "kernel_inline.h"

#if defined(__ARM_FEATURE_MVE)
#include <arm_mve.h>
#endif

enum { EDGEPRUNE_EXPAND_PALETTE, EDGEPRUNE_EXPAND_BITMAP };

/* A run by its table, with MVE of 16 weights at most; returns what follows it. */
EDGEPRUNE_INLINE const uint8_t *edgeprune_expand_run(const uint8_t *from, const int8_t *table,
                                                     int8_t *to, int32_t count)
{
#if defined(__ARM_FEATURE_MVE)
    const mve_pred16_t loaded = vctp16q((uint32_t)(count + 1) / 2u);
    const uint16x8_t bytes = vldrbq_z_u16(from, loaded);
    const uint16x8_t places =
        vandq_u16(vorrq_u16(bytes, vshlq_n_u16(bytes, 4)), vdupq_n_u16(0x0f0f));
    const int8x16_t weights = vldrbq_gather_offset_s8(table, vreinterpretq_u8_u16(places));
    vstrbq_p_s8(to, weights, vctp8q((uint32_t)count));
    return from + (count + 1) / 2;
#else
    for (const int8_t *const end = to + count / 2 * 2; to != end; to += 2) {
        const uint32_t byte = *from++;
        to[0] = table[byte & 15u];
        to[1] = table[byte >> 4];
    }
    if (count % 2 != 0) {
        *to = table[*from++ & 15u];
    }
    return from;
#endif
}

/* The next `count` weights of each row of a block. */
EDGEPRUNE_INLINE const uint8_t *edgeprune_expand_runs(const uint8_t *from, const uint8_t *numbers,
                                                      const int8_t *tables, int8_t *to,
                                                      int32_t rows, int32_t count)
{
    for (int32_t row = 0; row < rows; row++) {
        from = edgeprune_expand_run(from, tables + 16 * numbers[row], to, count);
        to += count;
    }
    return from;
}

/* [size / (rows * depth)] blocks of PALETTE. */
EDGEPRUNE_INLINE void edgeprune_expand_palette(const uint8_t *from, const int8_t *tables,
                                               int8_t *to, int32_t size, int32_t rows,
                                               int32_t depth, int32_t run)
{
    for (const int8_t *const end = to + size; to != end;) {
        const uint8_t *const numbers = from;
        from += rows;
        for (int32_t whole = depth / run; whole > 0; whole--) {
            from = edgeprune_expand_runs(from, numbers, tables, to, rows, run);
            to += rows * run;
        }
        from = edgeprune_expand_runs(from, numbers, tables, to, rows, depth % run);
        to += rows * (depth % run);
    }
}

/* `size` weights of BITMAP, zeros up to the next multiple of eight; to starts at one of 4. */
EDGEPRUNE_INLINE void edgeprune_expand_bitmap(const uint8_t *from, int8_t *to, int32_t size)
{
    for (const int8_t *const end = to + (size + 7) / 8 * 8; to != end; to += 8) {
        uint32_t bits = *from++;
        int32_t *const words = (int32_t *)(void *)to;
        words[0] = 0;
        words[1] = 0;
#if defined(__GNUC__) && !defined(__ARM_ARCH_6M__)
        while (bits != 0) {
            to[__builtin_ctz(bits)] = (int8_t)*from++;
            bits &= bits - 1;
        }
#else
        for (int8_t *at = to; bits != 0; at++) {
            if (bits & 1u) {
                *at = (int8_t)*from++;
            }
            bits >>= 1;
        }
#endif
    }
}

/* All weights in one form; `to` has room for `size` bytes, rounded up to a multiple of eight. */
EDGEPRUNE_INLINE void edgeprune_expand(const int8_t *weights, const int8_t *tables, int8_t *to,
                                       int32_t form, int32_t size, int32_t rows, int32_t depth,
                                       int32_t run)
{
    const uint8_t *const from = (const uint8_t *)weights;
    if (form == EDGEPRUNE_EXPAND_PALETTE) {
        edgeprune_expand_palette(from, tables, to, size, rows, depth, run);
    } else {
        edgeprune_expand_bitmap(from, to, size);
    }
}

#endif
