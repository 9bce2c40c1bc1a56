/*
 * edgeprune: rows of taps for several neighbouring outputs of one channel at once, on cores
 * without SIMD: what a depthwise convolution is made of.
 *
 *     sums[i] += sum over row and tap of weights[row][tap] * x[row * pitch + tap * dilation
 *                                                              + i * stride]
 *
 * Shapes: weights [rows][taps]; x: words of one int8 value each. Bounds: sums stay below 2^31.
 */
#ifndef EDGEPRUNE_SCALAR_ROW_H
#define EDGEPRUNE_SCALAR_ROW_H

#include <stdint.h>

#include "kernel_inline.h"

/* The most sums at once. */
enum { EDGEPRUNE_SCALAR_SUMS = 5 };

#if defined(__clang__)
#define EDGEPRUNE_SCALAR_UNROLL _Pragma("clang loop unroll(full)")
#define EDGEPRUNE_SCALAR_UNROLL_BY_5 _Pragma("clang loop unroll_count(5)")
#elif defined(__GNUC__)
#define EDGEPRUNE_SCALAR_UNROLL _Pragma("GCC unroll 32")
#define EDGEPRUNE_SCALAR_UNROLL_BY_5 _Pragma("GCC unroll 5")
#else
#define EDGEPRUNE_SCALAR_UNROLL
#define EDGEPRUNE_SCALAR_UNROLL_BY_5
#endif

/* Without offsets of 12 bits in loads a longer loop gains nothing. */
#if defined(__ARM_ARCH_6M__)
#undef EDGEPRUNE_SCALAR_UNROLL_BY_5
#define EDGEPRUNE_SCALAR_UNROLL_BY_5
#endif

/* clang-format off */
#if defined(__ARM_ARCH_7M__)

/* Sums at once where there is a loop in assembly, with neighbouring values and outputs. */
#define EDGEPRUNE_SCALAR_ROW_SUMS 5
/* r2 to r6 hold five values in turn; the last one named comes in from `offset`. */
#define EDGEPRUNE_SCALAR_ROW_TAP(a, b, c, d, e, offset) \
    "ldr " e ", [r1, #" offset "]\n\t" \
    "ldrsb r7, [r0], #1\n\t" \
    "mla r8, " a ", r7, r8\n\t" \
    "mla r9, " b ", r7, r9\n\t" \
    "mla r10, " c ", r7, r10\n\t" \
    "mla r11, " d ", r7, r11\n\t" \
    "mla r12, " e ", r7, r12\n\t"
#define EDGEPRUNE_SCALAR_ROW_3 \
    "ldmia r1, {r2, r3, r4, r5}\n\t" \
    EDGEPRUNE_SCALAR_ROW_TAP("r2", "r3", "r4", "r5", "r6", "16") \
    EDGEPRUNE_SCALAR_ROW_TAP("r3", "r4", "r5", "r6", "r2", "20") \
    EDGEPRUNE_SCALAR_ROW_TAP("r4", "r5", "r6", "r2", "r3", "24")
#define EDGEPRUNE_SCALAR_ROW_5 \
    EDGEPRUNE_SCALAR_ROW_3 \
    EDGEPRUNE_SCALAR_ROW_TAP("r5", "r6", "r2", "r3", "r4", "28") \
    EDGEPRUNE_SCALAR_ROW_TAP("r6", "r2", "r3", "r4", "r5", "32")
#define EDGEPRUNE_SCALAR_ROW_7 \
    EDGEPRUNE_SCALAR_ROW_5 \
    EDGEPRUNE_SCALAR_ROW_TAP("r2", "r3", "r4", "r5", "r6", "36") \
    EDGEPRUNE_SCALAR_ROW_TAP("r3", "r4", "r5", "r6", "r2", "40")
#define EDGEPRUNE_SCALAR_ROW_9 \
    EDGEPRUNE_SCALAR_ROW_7 \
    EDGEPRUNE_SCALAR_ROW_TAP("r4", "r5", "r6", "r2", "r3", "44") \
    EDGEPRUNE_SCALAR_ROW_TAP("r5", "r6", "r2", "r3", "r4", "48")
/* The registers but sp and pc; r7 may be the frame pointer, so it is saved by hand. */
#define EDGEPRUNE_SCALAR_ROWS(taps) \
    __asm__ volatile( \
        "push {r6, r7}\n" \
        "1:\n\t" taps \
        "ldr r7, [sp]\n\t" \
        "add r1, r1, r7\n\t" \
        "subs lr, lr, #1\n\t" \
        "bne 1b\n\t" \
        "pop {r6, r7}\n" \
        : "+r"(r0), "+r"(r1), "+r"(r6), "+r"(r8), "+r"(r9), "+r"(r10), "+r"(r11), "+r"(r12), \
          "+r"(lr) \
        : \
        : "r2", "r3", "r4", "r5", "cc", "memory")

#elif defined(__ARM_ARCH_6M__)

#define EDGEPRUNE_SCALAR_ROW_SUMS 4
#define EDGEPRUNE_SCALAR_ROW_TAP \
    "ldmia r1!, {r3, r4, r5, r6}\n\t" \
    "ldrsb r7, [r0, r2]\n\t" \
    "muls r3, r7, r3\n\t" \
    "muls r4, r7, r4\n\t" \
    "muls r5, r7, r5\n\t" \
    "muls r6, r7, r6\n\t" \
    "add r8, r3\n\t" \
    "add r9, r4\n\t" \
    "add r10, r5\n\t" \
    "add r11, r6\n\t" \
    "subs r1, #12\n\t"
#define EDGEPRUNE_SCALAR_ROW_NEXT "adds r2, #1\n\t" EDGEPRUNE_SCALAR_ROW_TAP
#define EDGEPRUNE_SCALAR_ROW_3 \
    EDGEPRUNE_SCALAR_ROW_TAP EDGEPRUNE_SCALAR_ROW_NEXT EDGEPRUNE_SCALAR_ROW_NEXT
#define EDGEPRUNE_SCALAR_ROW_5 \
    EDGEPRUNE_SCALAR_ROW_3 EDGEPRUNE_SCALAR_ROW_NEXT EDGEPRUNE_SCALAR_ROW_NEXT
#define EDGEPRUNE_SCALAR_ROW_7 \
    EDGEPRUNE_SCALAR_ROW_5 EDGEPRUNE_SCALAR_ROW_NEXT EDGEPRUNE_SCALAR_ROW_NEXT
#define EDGEPRUNE_SCALAR_ROW_9 \
    EDGEPRUNE_SCALAR_ROW_7 EDGEPRUNE_SCALAR_ROW_NEXT EDGEPRUNE_SCALAR_ROW_NEXT
/* r2 counts all taps up to 0. */
#define EDGEPRUNE_SCALAR_ROWS(taps) \
    __asm__ volatile( \
        ".syntax unified\n\t" \
        "push {r7}\n" \
        "1:\n\t" taps \
        "add r1, r12\n\t" \
        "adds r2, #1\n\t" \
        "bne 1b\n\t" \
        "pop {r7}\n" \
        : "+r"(r0), "+r"(r1), "+r"(r2), "+r"(r8), "+r"(r9), "+r"(r10), "+r"(r11) \
        : "r"(r12) \
        : "r3", "r4", "r5", "r6", "cc", "memory")

#endif
/* clang-format on */

#if defined(EDGEPRUNE_SCALAR_ROWS)

/* Whether edgeprune_scalar_add_dense_rows does it. */
EDGEPRUNE_INLINE int32_t edgeprune_scalar_is_dense(int32_t taps, int32_t stride, int32_t dilation,
                                                   int32_t count)
{
    return (taps == 3 || taps == 5 || taps == 7 || taps == 9) && stride == 1 && dilation == 1 &&
           count == EDGEPRUNE_SCALAR_ROW_SUMS;
}

EDGEPRUNE_INLINE void edgeprune_scalar_add_dense_rows(const int8_t *weights, const int32_t *x,
                                                      int32_t *sums, int32_t rows, int32_t taps,
                                                      int32_t pitch)
{
    register const int32_t *r1 __asm__("r1") = x;
    register int32_t r8 __asm__("r8") = sums[0];
    register int32_t r9 __asm__("r9") = sums[1];
    register int32_t r10 __asm__("r10") = sums[2];
    register int32_t r11 __asm__("r11") = sums[3];
#if defined(__ARM_ARCH_7M__)
    register const int8_t *r0 __asm__("r0") = weights;
    register int32_t r12 __asm__("r12") = sums[4];
    register int32_t r6 __asm__("r6") = 4 * pitch;
    register int32_t lr __asm__("lr") = rows;
#else
    register const int8_t *r0 __asm__("r0") = weights + rows * taps;
    register int32_t r2 __asm__("r2") = -rows * taps;
    register int32_t r12 __asm__("r12") = 4 * (pitch - taps);
#endif
    if (taps == 3) {
        EDGEPRUNE_SCALAR_ROWS(EDGEPRUNE_SCALAR_ROW_3);
    } else if (taps == 5) {
        EDGEPRUNE_SCALAR_ROWS(EDGEPRUNE_SCALAR_ROW_5);
    } else if (taps == 7) {
        EDGEPRUNE_SCALAR_ROWS(EDGEPRUNE_SCALAR_ROW_7);
    } else {
        EDGEPRUNE_SCALAR_ROWS(EDGEPRUNE_SCALAR_ROW_9);
    }
    sums[0] = r8;
    sums[1] = r9;
    sums[2] = r10;
    sums[3] = r11;
#if defined(__ARM_ARCH_7M__)
    sums[4] = r12;
#endif
}

#endif

EDGEPRUNE_INLINE void edgeprune_scalar_add_rows(const int8_t *weights, const int32_t *x,
                                                int32_t *sums, int32_t rows, int32_t taps,
                                                int32_t pitch, int32_t stride, int32_t dilation,
                                                int32_t count)
{
#if defined(EDGEPRUNE_SCALAR_ROWS)
    if (edgeprune_scalar_is_dense(taps, stride, dilation, count)) {
        edgeprune_scalar_add_dense_rows(weights, x, sums, rows, taps, pitch);
        return;
    }
#endif
    for (int32_t row = 0; row < rows; row++) {
        for (int32_t tap = 0; tap < taps; tap++) {
            const int32_t weight = *weights++;
            EDGEPRUNE_SCALAR_UNROLL
            for (int32_t i = 0; i < count; i++) {
                sums[i] += weight * x[row * pitch + tap * dilation + i * stride];
            }
        }
    }
}

#endif
