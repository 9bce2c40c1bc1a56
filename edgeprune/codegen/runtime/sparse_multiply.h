/*
 * edgeprune: one row of a sparse int8 matrix times eight vectors, for 32-bit cores with a long
 * multiply (all but the M0+).
 *
 * Vectors come in pairs that share a word and a 64-bit sum, two products an instruction:
 *
 *     word = x[0] + x[1] * 2^23        sum = y[0] + y[1] * 2^23
 *
 * and lie as [column][pair], 16 bytes a column. A sum starts at bias * (1 + 2^23).
 * Column c lies 16 * (c + 1) bytes behind x. A row is a stream of bytes. An entry of it is a step
 * and weights. There are three forms:
 *
 * DELTA. An entry is a weight; its step, 1 to 15, leads from the column of the entry before it, or
 * from column -1. Entries come in groups of four, each of two bytes of steps and its weights:
 *
 *     byte 0: step of entry 0 << 4 | step of entry 2    byte 1: step of entry 1 << 4 | of entry 3
 *
 * A row starts with a group of no more than three entries, its last ones: what is not there has a
 * step of 0, and behind the bytes of steps comes 32 * the number of entries that are not there. So
 * steps of which entry 0 has none end a row. Behind the last row stand two bytes of 0.
 *
 * PALETTE. An entry is one byte, step << 4 | the weight's place in a table of 16; its step is as
 * above. Entries come in groups of four, of which the first may lack entries: their number, 0 to 3,
 * is the row's first byte, the number of the table its second. So a byte below 16 ends a row.
 * Behind the last row stands one byte of 0.
 *
 * BLOCK. First comes the number of entries, 1 to 255. An entry is a step and the weights of four
 * columns; its step counts fours of columns between the entry before it and it.
 *
 * Bounds: |bias| + 128 * sum of |weights| of a row is below 2^22, which the generator has checked:
 * so both halves of a sum stay apart, and neither word nor sum overflows.
 */
#ifndef EDGEPRUNE_SPARSE_MULTIPLY_H
#define EDGEPRUNE_SPARSE_MULTIPLY_H

#include <stdint.h>

#include "kernel_inline.h"

enum { EDGEPRUNE_SPARSE_DELTA, EDGEPRUNE_SPARSE_PALETTE, EDGEPRUNE_SPARSE_BLOCK };

/* Vectors at a time, and pairs of them. */
#define EDGEPRUNE_SPARSE_VECTORS 8
#define EDGEPRUNE_SPARSE_PAIRS 4

/* Twice the sums of eight vectors. */
typedef struct edgeprune_sparse_sums {
    int32_t y0, y1, y2, y3, y4, y5, y6, y7;
} edgeprune_sparse_sums;

/* A position in a matrix, and its tables if it has some. */
typedef struct edgeprune_sparse_rows {
    const uint8_t *next; /* in the form DELTA two bytes behind the row's start */
    const int8_t *tables; /* [tables][16] */
} edgeprune_sparse_rows;

#if defined(__ARM_ARCH_7M__) || defined(__ARM_ARCH_7EM__) || defined(__ARM_ARCH_8M_MAIN__)         \
    || defined(__ARM_ARCH_8_1M_MAIN__)
#define EDGEPRUNE_SPARSE_ASSEMBLY 1
#else
#define EDGEPRUNE_SPARSE_ASSEMBLY 0
#endif

/* One, for both vectors of a pair. */
#define EDGEPRUNE_SPARSE_BOTH (((int32_t)1 << 23) + 1)

/* The word of a pair of vectors. */
EDGEPRUNE_INLINE int32_t edgeprune_sparse_pair(int32_t x0, int32_t x1)
{
    return x0 + x1 * ((int32_t)1 << 23);
}

/* clang-format off */
#if EDGEPRUNE_SPARSE_ASSEMBLY

/* The products of the column at r1 with the weight in lr. */
#define EDGEPRUNE_SPARSE_COLUMN_HERE \
    "ldrd r11, r12, [r1]\n\t" \
    "smlal r2, r3, lr, r11\n\t" \
    "smlal r4, r5, lr, r12\n\t" \
    "ldrd r11, r12, [r1, #8]\n\t" \
    "smlal r6, r8, lr, r11\n\t" \
    "smlal r9, r10, lr, r12\n\t"
/* The same; r1 moves on to the next column. */
#define EDGEPRUNE_SPARSE_COLUMN \
    "ldrd r11, r12, [r1], #8\n\t" \
    "smlal r2, r3, lr, r11\n\t" \
    "smlal r4, r5, lr, r12\n\t" \
    "ldrd r11, r12, [r1], #8\n\t" \
    "smlal r6, r8, lr, r11\n\t" \
    "smlal r9, r10, lr, r12\n\t"
#define EDGEPRUNE_SPARSE_WEIGHT "ldrsb.w lr, [r0], #1\n\t"
/* A sum to the doubles of its parts; what is shifted out is the borrow that the first one took. */
#define EDGEPRUNE_SPARSE_SPLIT(lower, upper) \
    "lsrs.w lr, " lower ", #23\n\t" \
    "adc.w " upper ", lr, " upper ", lsl #9\n\t" \
    "lsl.w " lower ", " lower ", #9\n\t" \
    "lsl.w " upper ", " upper ", #1\n\t" \
    "asr.w " lower ", " lower ", #8\n\t"
#define EDGEPRUNE_SPARSE_SPLIT_ALL \
    EDGEPRUNE_SPARSE_SPLIT("r2", "r3") EDGEPRUNE_SPARSE_SPLIT("r4", "r5") \
    EDGEPRUNE_SPARSE_SPLIT("r6", "r8") EDGEPRUNE_SPARSE_SPLIT("r9", "r10")
/* All sums start as the first one. */
#define EDGEPRUNE_SPARSE_START \
    "mov r4, r2\n\t" \
    "mov r5, r3\n\t" \
    "mov r6, r2\n\t" \
    "mov r8, r3\n\t" \
    "mov r9, r2\n\t" \
    "mov r10, r3\n\t"

#if defined(__ARM_FEATURE_DSP)
/* The bytes of r7 become the steps of a group times 16, which are bytes. */
#define EDGEPRUNE_SPARSE_STEPS \
    "orr r7, r7, r7, lsl #20\n\t" \
    "and r7, r7, #0xf0f0f0f0\n\t"
#define EDGEPRUNE_SPARSE_STEP_0 "uxtab r1, r1, r7\n\t"
#define EDGEPRUNE_SPARSE_STEP_1 "uxtab r1, r1, r7, ror #8\n\t"
#define EDGEPRUNE_SPARSE_STEP_2 "uxtab r1, r1, r7, ror #16\n\t"
#define EDGEPRUNE_SPARSE_STEP_3 "add.w r1, r1, r7, lsr #24\n\t"
/* An entry has 32 bytes of code. */
#define EDGEPRUNE_SPARSE_JUMP \
    "add pc, r12\n\t" \
    "nop\n\t"
#else
#define EDGEPRUNE_SPARSE_STEPS
#define EDGEPRUNE_SPARSE_STEP(bit) \
    "ubfx r11, r7, #" bit ", #4\n\t" \
    "add.w r1, r1, r11, lsl #4\n\t"
#define EDGEPRUNE_SPARSE_STEP_0 EDGEPRUNE_SPARSE_STEP("4")
#define EDGEPRUNE_SPARSE_STEP_1 EDGEPRUNE_SPARSE_STEP("12")
#define EDGEPRUNE_SPARSE_STEP_2 EDGEPRUNE_SPARSE_STEP("0")
#define EDGEPRUNE_SPARSE_STEP_3 EDGEPRUNE_SPARSE_STEP("8")
/* An entry has 36 bytes of code. */
#define EDGEPRUNE_SPARSE_JUMP \
    "add.w r12, r12, r12, lsr #3\n\t" \
    "add pc, r12\n\t" \
    "nop\n\t"
#endif

#define EDGEPRUNE_SPARSE_DELTA_ROW \
    "push.w {r7, r11, r12, lr}\n\t" \
    EDGEPRUNE_SPARSE_START \
    "ldrh r7, [r0, #-2]\n\t" \
    "ldrb r12, [r0], #1\n\t" \
    EDGEPRUNE_SPARSE_STEPS \
    EDGEPRUNE_SPARSE_JUMP \
    "1:\n\t" \
    EDGEPRUNE_SPARSE_STEP_0 EDGEPRUNE_SPARSE_WEIGHT EDGEPRUNE_SPARSE_COLUMN_HERE \
    EDGEPRUNE_SPARSE_STEP_1 EDGEPRUNE_SPARSE_WEIGHT EDGEPRUNE_SPARSE_COLUMN_HERE \
    EDGEPRUNE_SPARSE_STEP_2 EDGEPRUNE_SPARSE_WEIGHT EDGEPRUNE_SPARSE_COLUMN_HERE \
    EDGEPRUNE_SPARSE_STEP_3 EDGEPRUNE_SPARSE_WEIGHT EDGEPRUNE_SPARSE_COLUMN_HERE \
    "ldrh r7, [r0], #2\n\t" \
    "tst r7, #0xf0\n\t" \
    EDGEPRUNE_SPARSE_STEPS \
    "bne 1b\n\t" \
    EDGEPRUNE_SPARSE_SPLIT_ALL \
    "pop.w {r7, r11, r12, lr}"

/* r11: bytes of code to jump over, 44 for an entry; r12: the row's table. */
#define EDGEPRUNE_SPARSE_PALETTE_ENTRY \
    "ldrb.w lr, [r0], #1\n\t" \
    "and.w r11, lr, #0xf0\n\t" \
    "and.w lr, lr, #15\n\t" \
    "add.w r1, r1, r11\n\t" \
    "ldrsb.w lr, [r7, lr]\n\t" \
    EDGEPRUNE_SPARSE_COLUMN_HERE
#define EDGEPRUNE_SPARSE_PALETTE_ROW \
    "push.w {r7, r11, r12, lr}\n\t" \
    EDGEPRUNE_SPARSE_START \
    "mov r7, r12\n\t" \
    "add pc, r11\n\t" \
    "nop\n\t" \
    "1:\n\t" \
    EDGEPRUNE_SPARSE_PALETTE_ENTRY EDGEPRUNE_SPARSE_PALETTE_ENTRY \
    EDGEPRUNE_SPARSE_PALETTE_ENTRY EDGEPRUNE_SPARSE_PALETTE_ENTRY \
    "ldrb lr, [r0]\n\t" \
    "cmp lr, #16\n\t" \
    "bhs 1b\n\t" \
    EDGEPRUNE_SPARSE_SPLIT_ALL \
    "pop.w {r7, r11, r12, lr}"

/* r12: entries. */
#define EDGEPRUNE_SPARSE_BLOCK_ROW \
    "push.w {r7, r11, r12, lr}\n\t" \
    EDGEPRUNE_SPARSE_START \
    "adds r1, #16\n\t" \
    "mov r7, r12\n\t" \
    "1:\n\t" \
    "ldrb lr, [r0], #1\n\t" \
    "add r1, r1, lr, lsl #6\n\t" \
    EDGEPRUNE_SPARSE_WEIGHT EDGEPRUNE_SPARSE_COLUMN \
    EDGEPRUNE_SPARSE_WEIGHT EDGEPRUNE_SPARSE_COLUMN \
    EDGEPRUNE_SPARSE_WEIGHT EDGEPRUNE_SPARSE_COLUMN \
    EDGEPRUNE_SPARSE_WEIGHT EDGEPRUNE_SPARSE_COLUMN \
    "subs r7, #1\n\t" \
    "bne 1b\n\t" \
    EDGEPRUNE_SPARSE_SPLIT_ALL \
    "pop.w {r7, r11, r12, lr}"

/* What it uses beside its operands it saves by itself: one instruction, and one of them may be the
 * compiler's frame pointer. */
#define EDGEPRUNE_SPARSE_RUN(row) \
    __asm__ volatile(row \
                     : "+r"(r0), "+r"(r1), "+r"(r2), "+r"(r3), "=r"(r4), "=r"(r5), "=r"(r6), \
                       "=r"(r8), "=r"(r9), "=r"(r10) \
                     : "r"(r11), "r"(r12) \
                     : "cc", "memory")
#define EDGEPRUNE_SPARSE_RUN_DELTA \
    __asm__ volatile(EDGEPRUNE_SPARSE_DELTA_ROW \
                     : "+r"(r0), "+r"(r1), "+r"(r2), "+r"(r3), "=r"(r4), "=r"(r5), "=r"(r6), \
                       "=r"(r8), "=r"(r9), "=r"(r10) \
                     : \
                     : "cc", "memory")

/* A row times eight vectors; x starts at a multiple of 8. */
EDGEPRUNE_INLINE edgeprune_sparse_sums edgeprune_sparse_multiply(edgeprune_sparse_rows *rows,
                                                                 const int32_t *x, int32_t bias,
                                                                 int32_t form)
{
    const int64_t start = (int64_t)bias * EDGEPRUNE_SPARSE_BOTH;
    const uint8_t *const row = rows->next;
    const int32_t header = form == EDGEPRUNE_SPARSE_PALETTE ? 2 : form == EDGEPRUNE_SPARSE_BLOCK;
    uintptr_t jump = 0;
    uintptr_t other = 0;
    if (form == EDGEPRUNE_SPARSE_PALETTE) {
        jump = 44u * row[0];
        other = (uintptr_t)(rows->tables + 16 * row[1]);
    } else if (form == EDGEPRUNE_SPARSE_BLOCK) {
        other = row[0];
    }
    register const uint8_t *r0 __asm__("r0") = row + header;
    register const int32_t *r1 __asm__("r1") = x;
    register int32_t r2 __asm__("r2") = (int32_t)(uint32_t)(uint64_t)start;
    register int32_t r3 __asm__("r3") = (int32_t)(start >> 32);
    register int32_t r4 __asm__("r4");
    register int32_t r5 __asm__("r5");
    register int32_t r6 __asm__("r6");
    register int32_t r8 __asm__("r8");
    register int32_t r9 __asm__("r9");
    register int32_t r10 __asm__("r10");
    register uintptr_t r11 __asm__("r11") = jump;
    register uintptr_t r12 __asm__("r12") = other;
    if (form == EDGEPRUNE_SPARSE_DELTA) {
        EDGEPRUNE_SPARSE_RUN_DELTA;
    } else if (form == EDGEPRUNE_SPARSE_PALETTE) {
        EDGEPRUNE_SPARSE_RUN(EDGEPRUNE_SPARSE_PALETTE_ROW);
    } else {
        EDGEPRUNE_SPARSE_RUN(EDGEPRUNE_SPARSE_BLOCK_ROW);
    }
    rows->next = r0;
    const edgeprune_sparse_sums sums = {r2, r3, r4, r5, r6, r8, r9, r10};
    return sums;
}
/* clang-format on */

#else

/* The products of a column. */
EDGEPRUNE_INLINE void edgeprune_sparse_column(const int32_t *x, int64_t weight, int64_t *sums)
{
    for (int32_t pair = 0; pair < EDGEPRUNE_SPARSE_PAIRS; pair++) {
        sums[pair] += weight * x[pair];
    }
}

/* Twice the sum of a pair's first vector, and of its second. */
EDGEPRUNE_INLINE int32_t edgeprune_sparse_twice_first(int64_t sum)
{
    return (int32_t)((uint32_t)(uint64_t)sum << 9) >> 8;
}

EDGEPRUNE_INLINE int32_t edgeprune_sparse_twice_second(int64_t sum)
{
    return 2 * (int32_t)((sum + ((int32_t)1 << 22)) >> 23);
}

/* Four bits of each byte, in the order of the entries. */
EDGEPRUNE_INLINE uint32_t edgeprune_sparse_step(const uint8_t *steps, uint32_t entry)
{
    return entry < 2u ? steps[entry] >> 4 : steps[entry - 2u] & 15u;
}

EDGEPRUNE_INLINE const uint8_t *edgeprune_sparse_delta_row(const uint8_t *row, const int32_t *x,
                                                           int64_t *sums)
{
    const uint8_t *steps = row - 2;
    uint32_t entry = *row++ / 32u;
    do {
        for (; entry < 4u; entry++) {
            x += EDGEPRUNE_SPARSE_PAIRS * edgeprune_sparse_step(steps, entry);
            edgeprune_sparse_column(x, (int8_t)*row++, sums);
        }
        entry = 0;
        steps = row;
        row += 2;
    } while (edgeprune_sparse_step(steps, 0) != 0);
    return row;
}

EDGEPRUNE_INLINE const uint8_t *edgeprune_sparse_palette_row(const uint8_t *row, const int32_t *x,
                                                             const int8_t *tables, int64_t *sums)
{
    const int8_t *const table = tables + 16 * row[1];
    for (row += 2; *row >= 16; row++) {
        x += EDGEPRUNE_SPARSE_PAIRS * (*row >> 4);
        edgeprune_sparse_column(x, table[*row & 15], sums);
    }
    return row;
}

EDGEPRUNE_INLINE const uint8_t *edgeprune_sparse_block_row(const uint8_t *row, const int32_t *x,
                                                           int64_t *sums)
{
    for (int32_t left = *row++; left > 0; left--) {
        x += EDGEPRUNE_SPARSE_PAIRS * 4 * *row++;
        for (int32_t column = 0; column < 4; column++) {
            x += EDGEPRUNE_SPARSE_PAIRS;
            edgeprune_sparse_column(x, (int8_t)*row++, sums);
        }
    }
    return row;
}

/* A row times eight vectors. */
EDGEPRUNE_INLINE edgeprune_sparse_sums edgeprune_sparse_multiply(edgeprune_sparse_rows *rows,
                                                                 const int32_t *x, int32_t bias,
                                                                 int32_t form)
{
    const int64_t start = (int64_t)bias * EDGEPRUNE_SPARSE_BOTH;
    int64_t sums[EDGEPRUNE_SPARSE_PAIRS] = {start, start, start, start};
    if (form == EDGEPRUNE_SPARSE_DELTA) {
        rows->next = edgeprune_sparse_delta_row(rows->next, x, sums);
    } else if (form == EDGEPRUNE_SPARSE_PALETTE) {
        rows->next = edgeprune_sparse_palette_row(rows->next, x, rows->tables, sums);
    } else {
        rows->next = edgeprune_sparse_block_row(rows->next, x, sums);
    }
    const edgeprune_sparse_sums twice = {
        edgeprune_sparse_twice_first(sums[0]), edgeprune_sparse_twice_second(sums[0]),
        edgeprune_sparse_twice_first(sums[1]), edgeprune_sparse_twice_second(sums[1]),
        edgeprune_sparse_twice_first(sums[2]), edgeprune_sparse_twice_second(sums[2]),
        edgeprune_sparse_twice_first(sums[3]), edgeprune_sparse_twice_second(sums[3]),
    };
    return twice;
}

#endif

#endif
