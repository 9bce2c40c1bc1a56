/*
 * edgeprune: int32 accumulators to int8 by products of 32 bits, for cores without a long multiply;
 * the bits of kernel_requantize.h.
 *
 * The parameters of an output channel are two words: `bias << 8 | (shift - 1)` and the
 * multiplier m. shift, from 1 to 14, shifts right. With m = (a * 2^11 + b) * 2^11 + c
 *
 *     t = x * a + (x * b + (x * c >> 11) >> 11)
 *
 * is x * m >> 22, exactly. y = t + 2^8 >> 9 is the first rounding of kernel_requantize.h, and
 * y + 2^(shift - 1) >> shift the second. They are one shift of t, and the output's zero point is
 * added before it by the same constant. Half away from zero takes 1 from a negative y; nobody sees
 * that where the output is not below its zero point anyway.
 *
 * Bounds: |x| is below 2^20, a below 2^9, b and c below 2^11. So |t| is below 2^29, every product
 * and the sum in the brackets below 2^31, and the constant below 2^30 + 2^9.
 */
#ifndef EDGEPRUNE_SHORT_REQUANTIZE_H
#define EDGEPRUNE_SHORT_REQUANTIZE_H

#include <stdint.h>

#include "kernel_inline.h"

/* What all channels of a layer share; compile-time constants. */
typedef struct edgeprune_short_output {
    int32_t zero_point; /* -128 to 127 */
    int32_t low;        /* -128 to 127 */
    int32_t high;       /* -128 to 127, low <= high */
} edgeprune_short_output;

/* What makes outputs of the accumulators of a channel. */
typedef struct edgeprune_short_channel {
    int32_t a, b, c;  /* the multiplier's parts */
    int32_t rounding; /* what is added before the shift */
    int32_t shift;
} edgeprune_short_channel;

EDGEPRUNE_INLINE edgeprune_short_channel
edgeprune_short_channel_of(int32_t first, int32_t multiplier, edgeprune_short_output output)
{
    const int32_t shift = (first & 0xff) + 10;
    const edgeprune_short_channel channel = {
        .a = multiplier >> 22,
        .b = (int32_t)((uint32_t)multiplier << 10 >> 21),
        .c = (int32_t)((uint32_t)multiplier << 21 >> 21),
        .rounding =
            (2 * output.zero_point + 1) * (int32_t)((uint32_t)1 << (shift - 1)) + (1 << 8),
        .shift = shift,
    };
    return channel;
}

/* The output of an accumulator, bias included. */
EDGEPRUNE_INLINE int8_t edgeprune_short_requantize(int32_t x, edgeprune_short_channel channel,
                                                   edgeprune_short_output output)
{
    const int32_t is_signed = output.low < output.zero_point;
    if (!is_signed && x < 0) {
        return (int8_t)output.low;
    }
    int32_t t = x * channel.a + ((x * channel.b + (x * channel.c >> 11)) >> 11);
    if (is_signed) {
        t += (int32_t)((uint32_t)(x >> 31) << 9);
    }
    int32_t value = (t + channel.rounding) >> channel.shift;
    value = value < output.low ? output.low : value;
    value = value > output.high ? output.high : value;
    return (int8_t)value;
}

#if defined(__ARM_ARCH_6M__)
/* clang-format off */
/* t + rounding of x in r2, shifted, to r3; above `high` on to 4. */
#define EDGEPRUNE_SHORT_RESCALE(sign) \
    "mov r3, r8\n\t" \
    "muls r3, r2, r3\n\t" \
    "asrs r3, r3, #11\n\t" \
    "mov r4, r9\n\t" \
    "muls r4, r2, r4\n\t" \
    "adds r3, r3, r4\n\t" \
    "asrs r3, r3, #11\n\t" \
    sign \
    "muls r2, r6, r2\n\t" \
    "adds r3, r3, r2\n\t" \
    "add r3, r10\n\t" \
    "asrs r3, r5\n\t" \
    "cmp r3, r12\n\t" \
    "bgt 4f\n"
#define EDGEPRUNE_SHORT_SIGN \
    "asrs r4, r2, #31\n\t" \
    "lsls r4, r4, #9\n\t" \
    "adds r3, r3, r4\n\t"
#define EDGEPRUNE_SHORT_STORE \
    "strb r3, [r1]\n\t" \
    "add r1, r11\n\t" \
    "cmp r0, r7\n\t" \
    "bne 1b\n\t"
/* r7 may be the compiler's frame pointer, so it is saved by hand. */
#define EDGEPRUNE_SHORT_ALL(first, last) \
    ".syntax unified\n\t" \
    "push {r7}\n\t" \
    "mov r7, r2\n\t" \
    "mov lr, r3\n" \
    "1:\n\t" \
    "ldmia r0!, {r2}\n\t" first last \
    "2:\n\t" EDGEPRUNE_SHORT_STORE \
    "b 5f\n" \
    "3:\n\t" \
    "mov r3, lr\n\t" EDGEPRUNE_SHORT_STORE \
    "b 5f\n" \
    "4:\n\t" \
    "mov r3, r12\n\t" \
    "b 2b\n" \
    "5:\n\t" \
    "pop {r7}"
#define EDGEPRUNE_SHORT_UNSIGNED \
    EDGEPRUNE_SHORT_ALL("cmp r2, #0\n\t" "blt 3f\n\t", EDGEPRUNE_SHORT_RESCALE(""))
#define EDGEPRUNE_SHORT_SIGNED \
    EDGEPRUNE_SHORT_ALL(EDGEPRUNE_SHORT_RESCALE(EDGEPRUNE_SHORT_SIGN), \
                        "cmp r3, lr\n\t" "blt 3f\n")
#define EDGEPRUNE_SHORT_RUN(code) \
    __asm__ volatile(code \
                     : "+r"(r0), "+r"(r1), "+r"(r2), "+r"(r3) \
                     : "r"(r5), "r"(r6), "r"(r8), "r"(r9), "r"(r10), "r"(r11), "r"(r12) \
                     : "r4", "lr", "cc", "memory")
/* clang-format on */
#endif

/*
 * The outputs of all accumulators from `x` to `end`, at least one, `stride` bytes from one to the
 * next.
 */
EDGEPRUNE_INLINE void edgeprune_short_requantize_all(const int32_t *x, const int32_t *end,
                                                     int8_t *y, int32_t stride,
                                                     edgeprune_short_channel channel,
                                                     edgeprune_short_output output)
{
#if defined(__ARM_ARCH_6M__)
    register const int32_t *r0 __asm__("r0") = x;
    register int8_t *r1 __asm__("r1") = y;
    register const int32_t *r2 __asm__("r2") = end;
    register int32_t r3 __asm__("r3") = output.low;
    register int32_t r5 __asm__("r5") = channel.shift;
    register int32_t r6 __asm__("r6") = channel.a;
    register int32_t r8 __asm__("r8") = channel.c;
    register int32_t r9 __asm__("r9") = channel.b;
    register int32_t r10 __asm__("r10") = channel.rounding;
    register int32_t r11 __asm__("r11") = stride;
    register int32_t r12 __asm__("r12") = output.high;
    if (output.low < output.zero_point) {
        EDGEPRUNE_SHORT_RUN(EDGEPRUNE_SHORT_SIGNED);
    } else {
        EDGEPRUNE_SHORT_RUN(EDGEPRUNE_SHORT_UNSIGNED);
    }
#else
    do {
        *y = edgeprune_short_requantize(*x, channel, output);
        y += stride;
    } while (++x != end);
#endif
}

#endif
