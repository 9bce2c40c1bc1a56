/*
 * edgeprune: the instructions of the DSP extension (Cortex-M4, M7, M33), and the same in C for
 * every other machine.
 *
 * All sums are taken modulo 2^32, as the instructions do; kernels say where they rely on it.
 */
#ifndef EDGEPRUNE_DSP_INSTRUCTIONS_H
#define EDGEPRUNE_DSP_INSTRUCTIONS_H

#include <stdint.h>

#include "kernel_inline.h"

/* Two 16-bit halves of a word, each sign-extended. */
EDGEPRUNE_INLINE int32_t edgeprune_dsp_low(int32_t word)
{
    return (int16_t)(uint16_t)(uint32_t)word;
}

EDGEPRUNE_INLINE int32_t edgeprune_dsp_high(int32_t word)
{
    return word >> 16;
}

/* high << 16 | (low & 0xffff). */
EDGEPRUNE_INLINE int32_t edgeprune_dsp_pair(int32_t low, int32_t high)
{
    return (int32_t)(((uint32_t)high << 16) | ((uint32_t)low & 0xffffu));
}

/* sum + x.low * y.low + x.high * y.high. */
EDGEPRUNE_INLINE int32_t edgeprune_dsp_smlad(int32_t x, int32_t y, int32_t sum)
{
#if defined(__ARM_FEATURE_DSP)
    int32_t result;
    __asm__("smlad %0, %1, %2, %3" : "=r"(result) : "r"(x), "r"(y), "r"(sum));
    return result;
#else
    const uint32_t low = (uint32_t)(edgeprune_dsp_low(x) * edgeprune_dsp_low(y));
    const uint32_t high = (uint32_t)(edgeprune_dsp_high(x) * edgeprune_dsp_high(y));
    return (int32_t)((uint32_t)sum + low + high);
#endif
}

/* Bytes 0 and 2, or 1 and 3, of a word as two sign-extended halves. */
EDGEPRUNE_INLINE int32_t edgeprune_dsp_even_bytes(int32_t word)
{
#if defined(__ARM_FEATURE_DSP)
    int32_t result;
    __asm__("sxtb16 %0, %1" : "=r"(result) : "r"(word));
    return result;
#else
    return edgeprune_dsp_pair((int8_t)(word & 0xff), (int8_t)((word >> 16) & 0xff));
#endif
}

EDGEPRUNE_INLINE int32_t edgeprune_dsp_odd_bytes(int32_t word)
{
#if defined(__ARM_FEATURE_DSP)
    int32_t result;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(result) : "r"(word));
    return result;
#else
    return edgeprune_dsp_pair((int8_t)((word >> 8) & 0xff), (int8_t)((word >> 24) & 0xff));
#endif
}

/* high + x * y / 2^32, rounded half up. */
EDGEPRUNE_INLINE int32_t edgeprune_dsp_smmlar(int32_t x, int32_t y, int32_t high)
{
#if defined(__ARM_FEATURE_DSP)
    int32_t result;
    __asm__("smmlar %0, %1, %2, %3" : "=r"(result) : "r"(x), "r"(y), "r"(high));
    return result;
#else
    return high + (int32_t)(((int64_t)x * y + ((int64_t)1 << 31)) >> 32);
#endif
}

/* value << amount and value >> amount, by the low byte of a register; it must be below 32. */
EDGEPRUNE_INLINE int32_t edgeprune_dsp_left(int32_t value, int32_t amount)
{
#if defined(__ARM_FEATURE_DSP)
    int32_t result;
    __asm__("lsl %0, %1, %2" : "=r"(result) : "r"(value), "r"(amount));
    return result;
#else
    return (int32_t)((uint32_t)value << (amount & 0xff));
#endif
}

EDGEPRUNE_INLINE int32_t edgeprune_dsp_right(int32_t value, int32_t amount)
{
#if defined(__ARM_FEATURE_DSP)
    int32_t result;
    __asm__("asr %0, %1, %2" : "=r"(result) : "r"(value), "r"(amount));
    return result;
#else
    return value >> (amount & 0xff);
#endif
}

/* value >> 1, clamped to int8. */
EDGEPRUNE_INLINE int32_t edgeprune_dsp_halve_to_int8(int32_t value)
{
#if defined(__ARM_FEATURE_DSP)
    int32_t result;
    __asm__("ssat %0, #8, %1, asr #1" : "=r"(result) : "r"(value) : "cc");
    return result;
#else
    value >>= 1;
    return value < -128 ? -128 : value > 127 ? 127 : value;
#endif
}

/* Four bytes from any address, the first lowest. */
EDGEPRUNE_INLINE int32_t edgeprune_dsp_load(const int8_t *from)
{
#if defined(__ARM_FEATURE_DSP)
    int32_t word;
    __builtin_memcpy(&word, from, 4);
    return word;
#else
    const uint32_t low = (uint32_t)(uint8_t)from[0] | (uint32_t)(uint8_t)from[1] << 8;
    const uint32_t high = (uint32_t)(uint8_t)from[2] | (uint32_t)(uint8_t)from[3] << 8;
    return (int32_t)(low | high << 16);
#endif
}

/* Four bytes to any address, the lowest first. */
EDGEPRUNE_INLINE void edgeprune_dsp_store(int8_t *to, int32_t word)
{
#if defined(__ARM_FEATURE_DSP)
    __builtin_memcpy(to, &word, 4);
#else
    for (int32_t i = 0; i < 4; i++) {
        to[i] = (int8_t)(uint8_t)((uint32_t)word >> (8 * i));
    }
#endif
}

/* A value as int16, at any address; bytes, so that it may be read as a part of a word. */
EDGEPRUNE_INLINE void edgeprune_dsp_store_half(int8_t *to, int32_t value)
{
#if defined(__ARM_FEATURE_DSP)
    const int16_t half = (int16_t)value;
    __builtin_memcpy(to, &half, 2);
#else
    to[0] = (int8_t)(value & 0xff);
    to[1] = (int8_t)(value >> 8);
#endif
}

#endif
