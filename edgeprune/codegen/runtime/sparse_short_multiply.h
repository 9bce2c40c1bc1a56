/*
 * edgeprune: one row of a sparse int8 matrix times eight vectors by products of 32 bits, for cores
 * without a long multiply (the M0+).
 *
 * Vectors lie as words, [column][8], column c 32 * (c + 1) bytes behind x; the sums go to where x
 * points. A row is a stream of bytes. There are three forms, of which PALETTE and BLOCK are those
 * of sparse_multiply.h:
 *
 * DELTA. Entries, each a weight and a step from the column of the entry before it, or from column
 * -1, come in groups of four: their weights, then two bytes of their steps less one,
 *
 *     byte 0: step of entry 0 << 4 | step of entry 1    byte 1: step of entry 2 << 4 | of entry 3
 *
 * The row's first byte is the number of its groups, 1 to 63, and 64 * the number of entries that
 * its first group lacks, which are its first ones: their steps are 0 and their weights left out.
 *
 * Bounds: |bias| + 128 * sum of |weights| of a row is below 2^31.
 */
#ifndef EDGEPRUNE_SPARSE_SHORT_MULTIPLY_H
#define EDGEPRUNE_SPARSE_SHORT_MULTIPLY_H

#include <stdint.h>

#include "kernel_inline.h"

enum { EDGEPRUNE_SPARSE_SHORT_DELTA, EDGEPRUNE_SPARSE_SHORT_PALETTE, EDGEPRUNE_SPARSE_SHORT_BLOCK };

/* Vectors at a time. */
#define EDGEPRUNE_SPARSE_SHORT_VECTORS 8

#if defined(__ARM_ARCH_6M__)

/* clang-format off */
/* The products of the column at r1 with the weight in r2; r1 moves on to the next column. */
#define EDGEPRUNE_SPARSE_SHORT_COLUMN \
    "ldmia r1!, {r3, r4, r5}\n\t" \
    "muls r3, r2, r3\n\t" \
    "muls r4, r2, r4\n\t" \
    "muls r5, r2, r5\n\t" \
    "adds r6, r6, r3\n\t" \
    "adds r7, r7, r4\n\t" \
    "add r8, r5\n\t" \
    "ldmia r1!, {r3, r4, r5}\n\t" \
    "muls r3, r2, r3\n\t" \
    "muls r4, r2, r4\n\t" \
    "muls r5, r2, r5\n\t" \
    "add r9, r3\n\t" \
    "add r10, r4\n\t" \
    "add r11, r5\n\t" \
    "ldmia r1!, {r3, r4}\n\t" \
    "muls r3, r2, r3\n\t" \
    "muls r4, r2, r4\n\t" \
    "add r12, r3\n\t" \
    "add lr, r4\n\t"
#define EDGEPRUNE_SPARSE_SHORT_WEIGHT(at) \
    "ldrb r2, [r0, #" at "]\n\t" \
    "sxtb r2, r2\n\t"
/* One entry of a group: 50 bytes of code. */
#define EDGEPRUNE_SPARSE_SHORT_ENTRY(steps, half, weight) \
    "ldrb r2, [r0, #" steps "]\n\t" \
    half \
    "adds r1, r1, r2\n\t" \
    EDGEPRUNE_SPARSE_SHORT_WEIGHT(weight) \
    EDGEPRUNE_SPARSE_SHORT_COLUMN
#define EDGEPRUNE_SPARSE_SHORT_UPPER "lsrs r2, r2, #4\n\t" "lsls r2, r2, #5\n\t"
#define EDGEPRUNE_SPARSE_SHORT_LOWER "lsls r2, r2, #28\n\t" "lsrs r2, r2, #23\n\t"

/* Sums start at the bias in r6. On the stack: x, what is in r3, and r7, which may be the compiler's
 * frame pointer. */
#define EDGEPRUNE_SPARSE_SHORT_START \
    ".syntax unified\n\t" \
    "push {r1, r3, r7}\n\t" \
    "adds r1, #32\n\t" \
    "mov r7, r6\n\t" \
    "mov r8, r6\n\t" \
    "mov r9, r6\n\t" \
    "mov r10, r6\n\t" \
    "mov r11, r6\n\t" \
    "mov r12, r6\n\t" \
    "mov lr, r6\n\t"
#define EDGEPRUNE_SPARSE_SHORT_STORE \
    "pop {r1}\n\t" \
    "mov r2, r8\n\t" \
    "mov r3, r9\n\t" \
    "mov r4, r10\n\t" \
    "mov r5, r11\n\t" \
    "stmia r1!, {r6, r7}\n\t" \
    "stmia r1!, {r2, r3, r4, r5}\n\t" \
    "mov r2, r12\n\t" \
    "mov r3, lr\n\t" \
    "stmia r1!, {r2, r3}\n\t" \
    "pop {r2, r7}"

/* r2: bytes of code to jump over; on the stack the row's end. */
#define EDGEPRUNE_SPARSE_SHORT_DELTA_ROW \
    EDGEPRUNE_SPARSE_SHORT_START \
    "add pc, r2\n\t" \
    "nop\n\t" \
    "1:\n\t" \
    EDGEPRUNE_SPARSE_SHORT_ENTRY("4", EDGEPRUNE_SPARSE_SHORT_UPPER, "0") \
    EDGEPRUNE_SPARSE_SHORT_ENTRY("4", EDGEPRUNE_SPARSE_SHORT_LOWER, "1") \
    EDGEPRUNE_SPARSE_SHORT_ENTRY("5", EDGEPRUNE_SPARSE_SHORT_UPPER, "2") \
    EDGEPRUNE_SPARSE_SHORT_ENTRY("5", EDGEPRUNE_SPARSE_SHORT_LOWER, "3") \
    "adds r0, #6\n\t" \
    "ldr r2, [sp, #4]\n\t" \
    "cmp r0, r2\n\t" \
    "bne 1b\n\t" \
    EDGEPRUNE_SPARSE_SHORT_STORE

/* On the stack the row's table. A byte below 16 ends the row. */
#define EDGEPRUNE_SPARSE_SHORT_PALETTE_ROW \
    EDGEPRUNE_SPARSE_SHORT_START \
    "ldrb r2, [r0]\n\t" \
    "subs r2, #16\n" \
    "1:\n\t" \
    "adds r0, #1\n\t" \
    "lsrs r3, r2, #4\n\t" \
    "lsls r3, r3, #5\n\t" \
    "adds r1, r1, r3\n\t" \
    "lsls r2, r2, #28\n\t" \
    "lsrs r2, r2, #28\n\t" \
    "ldr r3, [sp, #4]\n\t" \
    "ldrsb r2, [r3, r2]\n\t" \
    EDGEPRUNE_SPARSE_SHORT_COLUMN \
    "ldrb r2, [r0]\n\t" \
    "subs r2, #16\n\t" \
    "bhs 1b\n\t" \
    EDGEPRUNE_SPARSE_SHORT_STORE

/* On the stack the row's end. */
#define EDGEPRUNE_SPARSE_SHORT_BLOCK_ROW \
    EDGEPRUNE_SPARSE_SHORT_START \
    "1:\n\t" \
    "ldrb r2, [r0]\n\t" \
    "lsls r2, r2, #7\n\t" \
    "adds r1, r1, r2\n\t" \
    EDGEPRUNE_SPARSE_SHORT_WEIGHT("1") EDGEPRUNE_SPARSE_SHORT_COLUMN \
    EDGEPRUNE_SPARSE_SHORT_WEIGHT("2") EDGEPRUNE_SPARSE_SHORT_COLUMN \
    EDGEPRUNE_SPARSE_SHORT_WEIGHT("3") EDGEPRUNE_SPARSE_SHORT_COLUMN \
    EDGEPRUNE_SPARSE_SHORT_WEIGHT("4") EDGEPRUNE_SPARSE_SHORT_COLUMN \
    "adds r0, #5\n\t" \
    "ldr r2, [sp, #4]\n\t" \
    "cmp r0, r2\n\t" \
    "bne 1b\n\t" \
    EDGEPRUNE_SPARSE_SHORT_STORE

#define EDGEPRUNE_SPARSE_SHORT_RUN(row) \
    __asm__ volatile(row \
                     : "+r"(r0), "+r"(r1), "+r"(r2), "+r"(r3), "+r"(r6) \
                     : \
                     : "r4", "r5", "r8", "r9", "r10", "r11", "r12", "lr", "cc", "memory")
/* clang-format on */

/* A row times eight vectors; returns the next row. */
EDGEPRUNE_INLINE const uint8_t *edgeprune_sparse_short_multiply(const uint8_t *row,
                                                                const int8_t *tables, int32_t *x,
                                                                int32_t bias, int32_t form)
{
    const uint32_t first = row[0];
    const uint8_t *begin = row + 1;
    const void *kept;
    uint32_t jump = 0;
    if (form == EDGEPRUNE_SPARSE_SHORT_DELTA) {
        begin -= first >> 6;
        kept = begin + 6u * (first & 63u);
        jump = 50u * (first >> 6);
    } else if (form == EDGEPRUNE_SPARSE_SHORT_PALETTE) {
        begin++;
        kept = tables + 16 * row[1];
    } else {
        kept = begin + 5u * first;
    }
    register const uint8_t *r0 __asm__("r0") = begin;
    register int32_t *r1 __asm__("r1") = x;
    register uint32_t r2 __asm__("r2") = jump;
    register const void *r3 __asm__("r3") = kept;
    register int32_t r6 __asm__("r6") = bias;
    if (form == EDGEPRUNE_SPARSE_SHORT_DELTA) {
        EDGEPRUNE_SPARSE_SHORT_RUN(EDGEPRUNE_SPARSE_SHORT_DELTA_ROW);
    } else if (form == EDGEPRUNE_SPARSE_SHORT_PALETTE) {
        EDGEPRUNE_SPARSE_SHORT_RUN(EDGEPRUNE_SPARSE_SHORT_PALETTE_ROW);
    } else {
        EDGEPRUNE_SPARSE_SHORT_RUN(EDGEPRUNE_SPARSE_SHORT_BLOCK_ROW);
    }
    return r0;
}

#else

/* The products of a column. */
EDGEPRUNE_INLINE void edgeprune_sparse_short_column(const int32_t *x, int32_t weight, int32_t *sums)
{
    for (int32_t vector = 0; vector < EDGEPRUNE_SPARSE_SHORT_VECTORS; vector++) {
        sums[vector] += weight * x[vector];
    }
}

EDGEPRUNE_INLINE const uint8_t *edgeprune_sparse_short_delta(const uint8_t *row, const int32_t *x,
                                                             int32_t *sums)
{
    int32_t groups = *row & 63;
    int32_t entry = *row++ >> 6;
    for (; groups > 0; groups--) {
        const uint8_t *const steps = row + (4 - entry);
        for (; entry < 4; entry++) {
            const int32_t step = entry % 2 == 0 ? steps[entry / 2] >> 4 : steps[entry / 2] & 15;
            x += EDGEPRUNE_SPARSE_SHORT_VECTORS * (step + 1);
            edgeprune_sparse_short_column(x, (int8_t)*row++, sums);
        }
        row += 2;
        entry = 0;
    }
    return row;
}

EDGEPRUNE_INLINE const uint8_t *edgeprune_sparse_short_palette(const uint8_t *row,
                                                               const int8_t *tables,
                                                               const int32_t *x, int32_t *sums)
{
    const int8_t *const table = tables + 16 * row[1];
    for (row += 2; *row >= 16; row++) {
        x += EDGEPRUNE_SPARSE_SHORT_VECTORS * (*row >> 4);
        edgeprune_sparse_short_column(x, table[*row & 15], sums);
    }
    return row;
}

EDGEPRUNE_INLINE const uint8_t *edgeprune_sparse_short_block(const uint8_t *row, const int32_t *x,
                                                             int32_t *sums)
{
    for (int32_t left = *row++; left > 0; left--) {
        x += EDGEPRUNE_SPARSE_SHORT_VECTORS * 4 * *row++;
        for (int32_t column = 0; column < 4; column++) {
            x += EDGEPRUNE_SPARSE_SHORT_VECTORS;
            edgeprune_sparse_short_column(x, (int8_t)*row++, sums);
        }
    }
    return row;
}

/* A row times eight vectors; returns the next row. */
EDGEPRUNE_INLINE const uint8_t *edgeprune_sparse_short_multiply(const uint8_t *row,
                                                                const int8_t *tables, int32_t *x,
                                                                int32_t bias, int32_t form)
{
    for (int32_t vector = 0; vector < EDGEPRUNE_SPARSE_SHORT_VECTORS; vector++) {
        x[vector] = bias;
    }
    if (form == EDGEPRUNE_SPARSE_SHORT_DELTA) {
        return edgeprune_sparse_short_delta(row, x, x);
    }
    if (form == EDGEPRUNE_SPARSE_SHORT_PALETTE) {
        return edgeprune_sparse_short_palette(row, tables, x, x);
    }
    return edgeprune_sparse_short_block(row, x, x);
}

#endif

#endif
