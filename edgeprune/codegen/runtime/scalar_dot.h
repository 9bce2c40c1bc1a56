/*
 * edgeprune: an int8 filter times four vectors at once on cores without SIMD, two products to a
 * multiplication.
 *
 * Two values lie in one word as the number x0 + x1 * 2^16, so that one multiplication of 32 bits
 * makes w * x0 + w * x1 * 2^16, and sums of these keep both sums while they fit 16 bits. The
 * generator orders the taps in groups of which the absolute weights add up to at most 255 in every
 * filter: their sums S0 and S1 lie within +-255 * 128. A group starts at 2^15, so that its lower
 * half stays positive and its upper half is S1. The upper halves are added up by themselves, the
 * whole words modulo 2^32; from both together comes the sum of all S0.
 *
 * Shapes: weights [taps], in the order of the groups; x [taps][2], first the word of vectors 0
 * and 1, then that of 2 and 3, at a multiple of 4. group is 2, 3, 4, 6 or 8. A turn of the loop
 * takes EDGEPRUNE_SCALAR_STEP(group) taps; after as many as go into taps, at least one, come up to
 * three groups of two taps. Weights of 0 fill up.
 * Bounds: 128 * sum of |weights| is below 2^31. At most 127 turns; where they are
 * counted in the upper half of what a group starts from, 255 * 128 + 127 still fits 16 bits.
 */
#ifndef EDGEPRUNE_SCALAR_DOT_H
#define EDGEPRUNE_SCALAR_DOT_H

#include <stdint.h>

#include "kernel_inline.h"

/* Taps of one turn of the loop: a multiple of the group, and even. */
#define EDGEPRUNE_SCALAR_STEP(group) ((group) == 3 ? 6 : (group) < 6 ? 2 * (group) : (group))

/* Both words' two sums. */
typedef struct edgeprune_scalar_sums {
    uint32_t all[2];   /* start + sum of S0 + 2^16 * sum of S1, modulo 2^32 */
    uint32_t upper[2]; /* start + sum of S1, modulo 2^32 */
} edgeprune_scalar_sums;

/* clang-format off */
#if defined(__ARM_ARCH_7M__)

#define EDGEPRUNE_SCALAR_LOAD "ldmia r1!, {r2, r3, r4, r5}\n\t"
#define EDGEPRUNE_SCALAR_TAP(x0, x1, from0, from1) \
    "ldrsb r6, [r0], #1\n\t" \
    "mla r7, " x0 ", r6, " from0 "\n\t" \
    "mla lr, " x1 ", r6, " from1 "\n\t"
#define EDGEPRUNE_SCALAR_FIRST EDGEPRUNE_SCALAR_LOAD EDGEPRUNE_SCALAR_TAP("r2", "r3", "r12", "r12")
#define EDGEPRUNE_SCALAR_EVEN EDGEPRUNE_SCALAR_LOAD EDGEPRUNE_SCALAR_TAP("r2", "r3", "r7", "lr")
#define EDGEPRUNE_SCALAR_ODD EDGEPRUNE_SCALAR_TAP("r4", "r5", "r7", "lr")
#define EDGEPRUNE_SCALAR_ODD_FIRST EDGEPRUNE_SCALAR_TAP("r4", "r5", "r12", "r12")
#define EDGEPRUNE_SCALAR_FLUSH \
    "add r10, r10, r7, asr #16\n\t" \
    "add r8, r8, r7\n\t" \
    "add r11, r11, lr, asr #16\n\t" \
    "add r9, r9, lr\n\t"

/* The registers but sp and pc; r7 may be the frame pointer, so it is saved by hand. The counter
 * lies in the upper half of r12, where it adds to every group's S1. */
#define EDGEPRUNE_SCALAR_LOOP(step, rest) \
    __asm__ volatile( \
        "push {r7}\n" \
        "1:\n\t" step \
        "subs r12, r12, #0x10000\n\t" \
        "bpl 1b\n\t" rest \
        "pop {r7}\n" \
        : "+r"(r0), "+r"(r1), "+r"(r8), "+r"(r9), "+r"(r10), "+r"(r11), "+r"(r12) \
        : \
        : "r2", "r3", "r4", "r5", "r6", "lr", "cc", "memory")

#elif defined(__ARM_ARCH_6M__)

#define EDGEPRUNE_SCALAR_WEIGHT "ldrsb r5, [r0, r2]\n\t"
#define EDGEPRUNE_SCALAR_START \
    "ldmia r1!, {r6, r7}\n\t" EDGEPRUNE_SCALAR_WEIGHT \
    "muls r6, r5, r6\n\t" \
    "muls r7, r5, r7\n\t"
#define EDGEPRUNE_SCALAR_NEXT \
    "adds r2, #1\n\t" \
    "ldmia r1!, {r3, r4}\n\t" EDGEPRUNE_SCALAR_WEIGHT \
    "muls r3, r5, r3\n\t" \
    "muls r4, r5, r4\n\t" \
    "adds r6, r6, r3\n\t" \
    "adds r7, r7, r4\n\t"
#define EDGEPRUNE_SCALAR_FIRST EDGEPRUNE_SCALAR_START
#define EDGEPRUNE_SCALAR_EVEN EDGEPRUNE_SCALAR_NEXT
#define EDGEPRUNE_SCALAR_ODD EDGEPRUNE_SCALAR_NEXT
#define EDGEPRUNE_SCALAR_ODD_FIRST EDGEPRUNE_SCALAR_START
/* Ends with the flags of the tap's number, which counts up to 0. */
#define EDGEPRUNE_SCALAR_FLUSH \
    "add r6, r12\n\t" \
    "add r7, r12\n\t" \
    "asrs r3, r6, #16\n\t" \
    "asrs r4, r7, #16\n\t" \
    "add r8, r6\n\t" \
    "add r9, r7\n\t" \
    "add r10, r3\n\t" \
    "add r11, r4\n\t" \
    "adds r2, #1\n\t"
#define EDGEPRUNE_SCALAR_LOOP(step, rest) \
    __asm__ volatile( \
        ".syntax unified\n\t" \
        "push {r7}\n" \
        "1:\n\t" step \
        "bne 1b\n\t" rest \
        "pop {r7}\n" \
        : "+r"(r0), "+r"(r1), "+r"(r2), "+r"(r8), "+r"(r9), "+r"(r10), "+r"(r11) \
        : "r"(r12) \
        : "r3", "r4", "r5", "r6", "cc", "memory")

#endif

#if defined(EDGEPRUNE_SCALAR_LOOP)
#define EDGEPRUNE_SCALAR_GROUP_2 \
    EDGEPRUNE_SCALAR_FIRST EDGEPRUNE_SCALAR_ODD EDGEPRUNE_SCALAR_FLUSH
#define EDGEPRUNE_SCALAR_GROUP_3_3 \
    EDGEPRUNE_SCALAR_FIRST EDGEPRUNE_SCALAR_ODD EDGEPRUNE_SCALAR_EVEN EDGEPRUNE_SCALAR_FLUSH \
    EDGEPRUNE_SCALAR_ODD_FIRST EDGEPRUNE_SCALAR_EVEN EDGEPRUNE_SCALAR_ODD EDGEPRUNE_SCALAR_FLUSH
#define EDGEPRUNE_SCALAR_PAIR EDGEPRUNE_SCALAR_EVEN EDGEPRUNE_SCALAR_ODD
#define EDGEPRUNE_SCALAR_GROUP_4 \
    EDGEPRUNE_SCALAR_FIRST EDGEPRUNE_SCALAR_ODD EDGEPRUNE_SCALAR_PAIR EDGEPRUNE_SCALAR_FLUSH
#define EDGEPRUNE_SCALAR_GROUP_6 \
    EDGEPRUNE_SCALAR_FIRST EDGEPRUNE_SCALAR_ODD EDGEPRUNE_SCALAR_PAIR EDGEPRUNE_SCALAR_PAIR \
    EDGEPRUNE_SCALAR_FLUSH
#define EDGEPRUNE_SCALAR_GROUP_8 \
    EDGEPRUNE_SCALAR_FIRST EDGEPRUNE_SCALAR_ODD EDGEPRUNE_SCALAR_PAIR EDGEPRUNE_SCALAR_PAIR \
    EDGEPRUNE_SCALAR_PAIR EDGEPRUNE_SCALAR_FLUSH
#define EDGEPRUNE_SCALAR_ADD(step) \
    if (pairs == 0) { \
        EDGEPRUNE_SCALAR_LOOP(step, ""); \
    } else if (pairs == 1) { \
        EDGEPRUNE_SCALAR_LOOP(step, EDGEPRUNE_SCALAR_GROUP_2); \
    } else if (pairs == 2) { \
        EDGEPRUNE_SCALAR_LOOP(step, EDGEPRUNE_SCALAR_GROUP_2 EDGEPRUNE_SCALAR_GROUP_2); \
    } else { \
        EDGEPRUNE_SCALAR_LOOP( \
            step, EDGEPRUNE_SCALAR_GROUP_2 EDGEPRUNE_SCALAR_GROUP_2 EDGEPRUNE_SCALAR_GROUP_2); \
    }
#endif
/* clang-format on */

#if defined(EDGEPRUNE_SCALAR_LOOP)

/* Adds the groups of one filter, and returns where the next one lies. */
EDGEPRUNE_INLINE const int8_t *edgeprune_scalar_add_groups(const int8_t *weights,
                                                           const uint32_t *x,
                                                           edgeprune_scalar_sums *sums,
                                                           int32_t taps, int32_t group)
{
    const int32_t step = EDGEPRUNE_SCALAR_STEP(group);
    const int32_t turns = taps / step;
    const int32_t pairs = (taps - turns * step) / 2;
#if defined(__ARM_ARCH_7M__)
    /* What the counter adds to all sums of S1; after the last turn it is -1. */
    const int32_t counted = step / group * (turns * (turns - 1) / 2) - pairs;
    const uint32_t extra = (uint32_t)counted;
    register const int8_t *r0 __asm__("r0") = weights;
    register uint32_t r12 __asm__("r12") = 0x8000u + ((uint32_t)(turns - 1) << 16);
#else
    const uint32_t extra = 0;
    register const int8_t *r0 __asm__("r0") = weights + turns * step;
    register int32_t r2 __asm__("r2") = -turns * step;
    register uint32_t r12 __asm__("r12") = 0x8000u;
#endif
    register const uint32_t *r1 __asm__("r1") = x;
    register uint32_t r8 __asm__("r8") = sums->all[0] - (extra << 16);
    register uint32_t r9 __asm__("r9") = sums->all[1] - (extra << 16);
    register uint32_t r10 __asm__("r10") = sums->upper[0] - extra;
    register uint32_t r11 __asm__("r11") = sums->upper[1] - extra;
    if (group == 2) {
        EDGEPRUNE_SCALAR_ADD(EDGEPRUNE_SCALAR_GROUP_2 EDGEPRUNE_SCALAR_GROUP_2)
    } else if (group == 3) {
        EDGEPRUNE_SCALAR_ADD(EDGEPRUNE_SCALAR_GROUP_3_3)
    } else if (group == 4) {
        EDGEPRUNE_SCALAR_ADD(EDGEPRUNE_SCALAR_GROUP_4 EDGEPRUNE_SCALAR_GROUP_4)
    } else if (group == 6) {
        EDGEPRUNE_SCALAR_ADD(EDGEPRUNE_SCALAR_GROUP_6)
    } else {
        EDGEPRUNE_SCALAR_ADD(EDGEPRUNE_SCALAR_GROUP_8)
    }
    sums->all[0] = r8;
    sums->all[1] = r9;
    sums->upper[0] = r10;
    sums->upper[1] = r11;
#if defined(__ARM_ARCH_7M__)
    return r0;
#else
    return r0 + 2 * pairs;
#endif
}

#else

/* Adds the groups of one filter, and returns where the next one lies. */
EDGEPRUNE_INLINE const int8_t *edgeprune_scalar_add_groups(const int8_t *weights,
                                                           const uint32_t *x,
                                                           edgeprune_scalar_sums *sums,
                                                           int32_t taps, int32_t group)
{
    const int32_t looped = taps / EDGEPRUNE_SCALAR_STEP(group) * EDGEPRUNE_SCALAR_STEP(group);
    int32_t tap = 0;
    while (tap < taps) {
        const int32_t end = tap + (tap < looped ? group : 2);
        uint32_t first = 0x8000u;
        uint32_t second = 0x8000u;
        for (; tap < end; tap++) {
            const int32_t weight = weights[tap];
            first += x[2 * tap] * (uint32_t)weight;
            second += x[2 * tap + 1] * (uint32_t)weight;
        }
        sums->all[0] += first;
        sums->all[1] += second;
        sums->upper[0] += (uint32_t)((int32_t)first >> 16);
        sums->upper[1] += (uint32_t)((int32_t)second >> 16);
    }
    return weights + taps;
}

#endif

/* weights * vector for four vectors; returns where the next filter lies. */
EDGEPRUNE_INLINE const int8_t *edgeprune_scalar_dot(const int8_t *weights, const uint32_t *x,
                                                    int32_t taps, int32_t group, int32_t *products)
{
    const int32_t step = EDGEPRUNE_SCALAR_STEP(group);
    const int32_t groups = taps / step * (step / group) + taps % step / 2;
    const uint32_t start = 0u - ((uint32_t)groups << 15);
    edgeprune_scalar_sums sums = {{start, start}, {0, 0}};
    weights = edgeprune_scalar_add_groups(weights, x, &sums, taps, group);
    products[0] = (int32_t)(sums.all[0] - (sums.upper[0] << 16));
    products[1] = (int32_t)sums.upper[0];
    products[2] = (int32_t)(sums.all[1] - (sums.upper[1] << 16));
    products[3] = (int32_t)sums.upper[1];
    return weights;
}

#endif
