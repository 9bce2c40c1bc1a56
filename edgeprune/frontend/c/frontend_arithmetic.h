/* The products that the front-end is made of, in two forms, and hints to compilers.
 *
 * One form is for cores that multiply 32 x 32 to 64 bits, the other for those that don't. Both are
 * exact and give the same value for every argument that is allowed.
 */
#ifndef EDGEPRUNE_FRONTEND_ARITHMETIC_H
#define EDGEPRUNE_FRONTEND_ARITHMETIC_H

#include <stdint.h>

/* ARMv6-M (Cortex-M0, M0+) has no long multiply. */
#ifndef EDGEPRUNE_FRONTEND_NARROW
#if defined(__ARM_ARCH_ISA_THUMB) && __ARM_ARCH_ISA_THUMB == 1
#define EDGEPRUNE_FRONTEND_NARROW 1
#else
#define EDGEPRUNE_FRONTEND_NARROW 0
#endif
#endif

/* Without these hints compilers unroll and reindex the loops of the front-end until they spill. */
#if defined(__clang__)
#define ROLLED _Pragma("clang loop unroll(disable) vectorize(disable)")
#elif defined(__GNUC__)
#define ROLLED _Pragma("GCC unroll 1")
#else
#define ROLLED
#endif
#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline))
#define KEEP_IN_REGISTER(pointer) __asm__("" : "+r"(pointer))
#else
#define INLINE static inline
#define KEEP_IN_REGISTER(pointer) ((void)0)
#endif

#if EDGEPRUNE_FRONTEND_NARROW

/* A Q15 number, at most 1 - 2^-15, in the form that half_product takes. */
INLINE int32_t factor(int32_t q15)
{
    return q15;
}

/* floor(x * q15 / 2^16): half the product of x and a Q15 number. */
INLINE int32_t half_product(int32_t x, int32_t q15)
{
    return (x >> 16) * q15 + (((int32_t)((uint32_t)x & 0xFFFFu) * q15) >> 16);
}

/* re^2 + im^2 for |re|, |im| <= 2^24: halves of 12 bits, no partial sum above 2^26. */
INLINE uint64_t power_of(int32_t re, int32_t im)
{
    const int32_t re_high = re >> 12, im_high = im >> 12;
    const int32_t re_low = re & 0xFFF, im_low = im & 0xFFF;
    const int32_t high = re_high * re_high + im_high * im_high;
    const int32_t middle = re_high * re_low + im_high * im_low;
    const int32_t low = re_low * re_low + im_low * im_low;
    return ((uint64_t)(uint32_t)high << 24) + (uint64_t)((int64_t)middle * 8192) +
           (uint64_t)(uint32_t)low;
}

/* a * b. */
INLINE int64_t product(int16_t a, int16_t b)
{
    return (int64_t)(a * b);
}

/* value * weight for weight <= 2^15. */
INLINE uint64_t weighted(uint32_t value, uint32_t weight)
{
    const uint32_t low = (value & 0xFFFFu) * weight, high = (value >> 16) * weight;
    return ((uint64_t)high << 16) + low;
}

#else

INLINE int32_t factor(int32_t q15)
{
    return q15 * 65536;
}

/* floor(x * q15 / 2^16) with q15 in the upper half of a word: one SMMUL or SMULL. */
INLINE int32_t half_product(int32_t x, int32_t q31)
{
    return (int32_t)(((int64_t)x * q31) >> 32);
}

INLINE uint64_t power_of(int32_t re, int32_t im)
{
    return (uint64_t)((int64_t)re * re + (int64_t)im * im);
}

INLINE int64_t product(int16_t a, int16_t b)
{
    return (int64_t)a * b;
}

INLINE uint64_t weighted(uint32_t value, uint32_t weight)
{
    return (uint64_t)value * weight;
}

#endif

/* Leading zeros of a value that is not 0. */
INLINE uint32_t leading_zeros(uint32_t value)
{
#if defined(__GNUC__) && !EDGEPRUNE_FRONTEND_NARROW
    return (uint32_t)__builtin_clz(value);
#else
    uint32_t zeros = 0;
    for (uint32_t step = 16; step > 0; step /= 2) {
        if (value >> (32 - step) == 0) {
            value <<= step;
            zeros += step;
        }
    }
    return zeros;
#endif
}

#endif
