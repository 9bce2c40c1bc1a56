/*
 * edgeprune: the vectors of Helium, the M-profile vector extension (MVE), and what the kernels do
 * with them. Without MVE the same operations in plain C, lane by lane, so that a kernel written
 * with them has the same bits on every machine.
 *
 * A `words` has four int32 lanes, a `halves` eight int16 lanes, a `bytes` sixteen int8 lanes.
 */
#ifndef EDGEPRUNE_MVE_VECTOR_H
#define EDGEPRUNE_MVE_VECTOR_H

#include <stdint.h>

#include "kernel_inline.h"
#include "kernel_requantize.h"

/* Before a short loop that gains nothing from vectors. */
#if defined(__clang__)
#define EDGEPRUNE_MVE_PLAIN_LOOP _Pragma("clang loop vectorize(disable)")
#else
#define EDGEPRUNE_MVE_PLAIN_LOOP
#endif

#if defined(__ARM_FEATURE_MVE)

#include <arm_mve.h>

typedef int32x4_t edgeprune_mve_words;
typedef int16x8_t edgeprune_mve_halves;
typedef int8x16_t edgeprune_mve_bytes;
/* Eight distances in bytes, from 0 to 65535. */
typedef uint16x8_t edgeprune_mve_offsets;

/* Four words from an address that is a multiple of 4. */
EDGEPRUNE_INLINE edgeprune_mve_words edgeprune_mve_load_words(const int32_t *from)
{
    return vldrwq_s32(from);
}

/* Sixteen bytes. */
EDGEPRUNE_INLINE edgeprune_mve_bytes edgeprune_mve_load(const int8_t *from)
{
    return vldrbq_s8(from);
}

/* The first `count` of sixteen bytes, from 0 on; zeros behind them. */
EDGEPRUNE_INLINE edgeprune_mve_bytes edgeprune_mve_load_first(const int8_t *from, int32_t count)
{
    return vldrbq_z_s8(from, vctp8q((uint32_t)count));
}

EDGEPRUNE_INLINE void edgeprune_mve_store(int8_t *to, edgeprune_mve_bytes values)
{
    vstrbq_s8(to, values);
}

/* The first `count` of sixteen bytes; nothing else is written. */
EDGEPRUNE_INLINE void edgeprune_mve_store_first(int8_t *to, edgeprune_mve_bytes values,
                                                int32_t count)
{
    vstrbq_p_s8(to, values, vctp8q((uint32_t)count));
}

EDGEPRUNE_INLINE edgeprune_mve_bytes edgeprune_mve_all(int8_t value)
{
    return vdupq_n_s8(value);
}

/* from[index[lane]], where bit `lane` of `lanes` is set; 0 elsewhere. */
EDGEPRUNE_INLINE edgeprune_mve_bytes edgeprune_mve_pick(const int8_t *from, const int8_t *index,
                                                        int32_t lanes)
{
    const uint8x16_t offsets = vreinterpretq_u8_s8(vldrbq_s8(index));
    return vldrbq_gather_offset_z_s8(from, offsets, (mve_pred16_t)lanes);
}

/* All lanes moved up by `lanes` (1 to 4); zeros move in. */
EDGEPRUNE_INLINE edgeprune_mve_bytes edgeprune_mve_move_up(edgeprune_mve_bytes values,
                                                           int32_t lanes)
{
    uint32_t carry = 0;
    switch (lanes) { /* the distance is part of the instruction */
    case 1:
        return vshlcq_s8(values, &carry, 8);
    case 2:
        return vshlcq_s8(values, &carry, 16);
    case 3:
        return vshlcq_s8(values, &carry, 24);
    default:
        return vshlcq_s8(values, &carry, 32);
    }
}

/* to[offsets[lane]] = the lane's low byte; equal offsets must come with equal bytes. */
EDGEPRUNE_INLINE void edgeprune_mve_scatter(int8_t *to, edgeprune_mve_offsets offsets,
                                            edgeprune_mve_halves values)
{
    vstrbq_scatter_offset_s16(to, offsets, values);
}

/* Eight bytes, widened. */
EDGEPRUNE_INLINE edgeprune_mve_halves edgeprune_mve_load_wide(const int8_t *from)
{
    return vldrbq_s16(from);
}

/* The first `count` of eight bytes, from 0 on, widened; zeros behind them. */
EDGEPRUNE_INLINE edgeprune_mve_halves edgeprune_mve_load_wide_first(const int8_t *from,
                                                                    int32_t count)
{
    return vldrbq_z_s16(from, vctp16q((uint32_t)count));
}

EDGEPRUNE_INLINE edgeprune_mve_halves edgeprune_mve_add_halves(edgeprune_mve_halves a,
                                                               edgeprune_mve_halves b)
{
    return vaddq_s16(a, b);
}

EDGEPRUNE_INLINE edgeprune_mve_halves edgeprune_mve_all_halves(int32_t value)
{
    return vdupq_n_s16((int16_t)value);
}

EDGEPRUNE_INLINE void edgeprune_mve_store_halves(int16_t *to, edgeprune_mve_halves values)
{
    vstrhq_s16(to, values);
}

/* Lane * step. */
EDGEPRUNE_INLINE edgeprune_mve_offsets edgeprune_mve_places(int32_t step)
{
    return vmulq_n_u16(vidupq_n_u16(0, 1), (uint16_t)step);
}

/* Lane / 2 * step + lane % 2; of the last of `count` (1 to 4) pairs in the lanes behind it. */
EDGEPRUNE_INLINE edgeprune_mve_offsets edgeprune_mve_pair_places(int32_t count, int32_t step)
{
    const edgeprune_mve_offsets lane = vidupq_n_u16(0, 1);
    const edgeprune_mve_offsets pair =
        vminq_u16(vshrq_n_u16(lane, 1), vdupq_n_u16((uint16_t)(count - 1)));
    return vaddq_u16(vmulq_n_u16(pair, (uint16_t)step), vandq_u16(lane, vdupq_n_u16(1)));
}

/* 0, 4, 1, 5, 2, 6, 3, 7 times step: the order in which edgeprune_mve_narrow puts lanes. */
EDGEPRUNE_INLINE edgeprune_mve_offsets edgeprune_mve_turn_places(int32_t step)
{
    const edgeprune_mve_offsets lane = vidupq_n_u16(0, 1);
    const edgeprune_mve_offsets half =
        vandq_u16(vshlq_n_u16(lane, 2), vdupq_n_u16(4));
    return vmulq_n_u16(vaddq_u16(vshrq_n_u16(lane, 1), half), (uint16_t)step);
}

/*
 * (sums + bias) * multiplier / 2^31 / 2^shift: see edgeprune_mve_channel. `sums + bias` must not
 * overflow. VQRDMULH rounds half up, as the first rounding does, and VRSHL too; with `away` the
 * second is corrected to half away from zero, which needs a shift of at least 1.
 */
EDGEPRUNE_INLINE edgeprune_mve_words edgeprune_mve_rescale(edgeprune_mve_words sums,
                                                           int32_t bias_and_shift,
                                                           int32_t multiplier, int32_t away)
{
    edgeprune_mve_words y = vqrdmulhq_n_s32(vaddq_n_s32(sums, bias_and_shift >> 8), multiplier);
    if (away != 0) {
        y = vaddq_s32(y, vshrq_n_s32(y, 31));
    }
    return vrshlq_n_s32(y, bias_and_shift);
}

/* The same with a bias, shift and multiplier for each lane. */
EDGEPRUNE_INLINE edgeprune_mve_words edgeprune_mve_rescale_each(edgeprune_mve_words sums,
                                                                edgeprune_mve_words bias_and_shift,
                                                                edgeprune_mve_words multiplier,
                                                                int32_t away)
{
    edgeprune_mve_words y = vaddq_s32(sums, vshrq_n_s32(bias_and_shift, 8));
    y = vqrdmulhq_s32(y, multiplier);
    if (away != 0) {
        y = vaddq_s32(y, vshrq_n_s32(y, 31));
    }
    return vrshlq_s32(y, bias_and_shift);
}

/* sums + a * b of the even lanes. Bounds: no sum may overflow. */
EDGEPRUNE_INLINE edgeprune_mve_words edgeprune_mve_add_even_products(edgeprune_mve_words sums,
                                                                     edgeprune_mve_halves a,
                                                                     edgeprune_mve_halves b)
{
    return vaddq_s32(sums, vmullbq_int_s16(a, b));
}

/* sums + a * b of the odd lanes. */
EDGEPRUNE_INLINE edgeprune_mve_words edgeprune_mve_add_odd_products(edgeprune_mve_words sums,
                                                                    edgeprune_mve_halves a,
                                                                    edgeprune_mve_halves b)
{
    return vaddq_s32(sums, vmulltq_int_s16(a, b));
}

EDGEPRUNE_INLINE edgeprune_mve_words edgeprune_mve_no_sums(void)
{
    return vdupq_n_s32(0);
}

/* The low bytes of the first `count` lanes, side by side. */
EDGEPRUNE_INLINE void edgeprune_mve_store_narrow_first(int8_t *to, edgeprune_mve_halves values,
                                                       int32_t count)
{
    vstrbq_p_s16(to, values, vctp16q((uint32_t)count));
}

/* A range in vectors, for edgeprune_mve_narrow. */
typedef struct edgeprune_mve_limits {
    edgeprune_mve_halves zero_point;
    edgeprune_mve_halves low;
    edgeprune_mve_halves high;
} edgeprune_mve_limits;

EDGEPRUNE_INLINE edgeprune_mve_limits edgeprune_mve_spread(const edgeprune_range *range)
{
    edgeprune_mve_limits limits = {
        vdupq_n_s16((int16_t)range->zero_point),
        vdupq_n_s16((int16_t)range->low),
        vdupq_n_s16((int16_t)range->high),
    };
    /* Keeps it in a vector: kernels are short of the other registers. */
    __asm__("" : "+w"(limits.zero_point));
    return limits;
}

/*
 * Eight int8 results in the lanes' low bytes: even lanes from `even`, odd lanes from `odd`,
 * clamped, plus the zero point. `clamp` is 0 where the range is all of int8.
 */
EDGEPRUNE_INLINE edgeprune_mve_halves edgeprune_mve_narrow(edgeprune_mve_words even,
                                                           edgeprune_mve_words odd,
                                                           edgeprune_mve_limits limits,
                                                           int32_t clamp)
{
    edgeprune_mve_halves y = vqmovnbq_s32(vreinterpretq_s16_s32(even), even);
    y = vqmovntq_s32(y, odd);
    if (clamp != 0) {
        y = vminq_s16(vmaxq_s16(y, limits.low), limits.high);
        return vaddq_s16(y, limits.zero_point);
    }
    y = vqaddq_s16(y, limits.zero_point);
    return vreinterpretq_s16_s8(vqmovnbq_s16(vreinterpretq_s8_s16(y), y));
}

#else

typedef struct edgeprune_mve_words {
    int32_t lane[4];
} edgeprune_mve_words;

typedef struct edgeprune_mve_halves {
    int16_t lane[8];
} edgeprune_mve_halves;

typedef struct edgeprune_mve_bytes {
    int8_t lane[16];
} edgeprune_mve_bytes;

typedef struct edgeprune_mve_offsets {
    uint16_t lane[8];
} edgeprune_mve_offsets;

EDGEPRUNE_INLINE edgeprune_mve_words edgeprune_mve_load_words(const int32_t *from)
{
    edgeprune_mve_words values;
    for (int32_t i = 0; i < 4; i++) {
        values.lane[i] = from[i];
    }
    return values;
}

EDGEPRUNE_INLINE edgeprune_mve_bytes edgeprune_mve_load_first(const int8_t *from, int32_t count)
{
    edgeprune_mve_bytes values;
    for (int32_t i = 0; i < 16; i++) {
        values.lane[i] = i < count ? from[i] : 0;
    }
    return values;
}

EDGEPRUNE_INLINE edgeprune_mve_bytes edgeprune_mve_load(const int8_t *from)
{
    return edgeprune_mve_load_first(from, 16);
}

EDGEPRUNE_INLINE void edgeprune_mve_store_first(int8_t *to, edgeprune_mve_bytes values,
                                                int32_t count)
{
    for (int32_t i = 0; i < 16 && i < count; i++) {
        to[i] = values.lane[i];
    }
}

EDGEPRUNE_INLINE void edgeprune_mve_store(int8_t *to, edgeprune_mve_bytes values)
{
    edgeprune_mve_store_first(to, values, 16);
}

EDGEPRUNE_INLINE edgeprune_mve_bytes edgeprune_mve_all(int8_t value)
{
    edgeprune_mve_bytes values;
    for (int32_t i = 0; i < 16; i++) {
        values.lane[i] = value;
    }
    return values;
}

EDGEPRUNE_INLINE edgeprune_mve_bytes edgeprune_mve_pick(const int8_t *from, const int8_t *index,
                                                        int32_t lanes)
{
    edgeprune_mve_bytes values;
    for (int32_t i = 0; i < 16; i++) {
        values.lane[i] = ((lanes >> i) & 1) != 0 ? from[index[i]] : 0;
    }
    return values;
}

EDGEPRUNE_INLINE edgeprune_mve_bytes edgeprune_mve_move_up(edgeprune_mve_bytes values,
                                                           int32_t lanes)
{
    edgeprune_mve_bytes moved;
    for (int32_t i = 0; i < 16; i++) {
        moved.lane[i] = i < lanes ? 0 : values.lane[i - lanes];
    }
    return moved;
}

EDGEPRUNE_INLINE void edgeprune_mve_scatter(int8_t *to, edgeprune_mve_offsets offsets,
                                            edgeprune_mve_halves values)
{
    for (int32_t i = 0; i < 8; i++) {
        to[offsets.lane[i]] = (int8_t)values.lane[i];
    }
}

EDGEPRUNE_INLINE edgeprune_mve_halves edgeprune_mve_load_wide_first(const int8_t *from,
                                                                    int32_t count)
{
    edgeprune_mve_halves values;
    for (int32_t i = 0; i < 8; i++) {
        values.lane[i] = i < count ? from[i] : 0;
    }
    return values;
}

EDGEPRUNE_INLINE edgeprune_mve_halves edgeprune_mve_load_wide(const int8_t *from)
{
    return edgeprune_mve_load_wide_first(from, 8);
}

EDGEPRUNE_INLINE edgeprune_mve_halves edgeprune_mve_add_halves(edgeprune_mve_halves a,
                                                               edgeprune_mve_halves b)
{
    for (int32_t i = 0; i < 8; i++) {
        a.lane[i] = (int16_t)(a.lane[i] + b.lane[i]);
    }
    return a;
}

EDGEPRUNE_INLINE edgeprune_mve_halves edgeprune_mve_all_halves(int32_t value)
{
    edgeprune_mve_halves values;
    for (int32_t i = 0; i < 8; i++) {
        values.lane[i] = (int16_t)value;
    }
    return values;
}

EDGEPRUNE_INLINE void edgeprune_mve_store_halves(int16_t *to, edgeprune_mve_halves values)
{
    for (int32_t i = 0; i < 8; i++) {
        to[i] = values.lane[i];
    }
}

EDGEPRUNE_INLINE edgeprune_mve_offsets edgeprune_mve_places(int32_t step)
{
    edgeprune_mve_offsets places;
    for (int32_t i = 0; i < 8; i++) {
        places.lane[i] = (uint16_t)(i * step);
    }
    return places;
}

EDGEPRUNE_INLINE edgeprune_mve_offsets edgeprune_mve_pair_places(int32_t count, int32_t step)
{
    edgeprune_mve_offsets places;
    for (int32_t i = 0; i < 8; i++) {
        const int32_t pair = i / 2 < count ? i / 2 : count - 1;
        places.lane[i] = (uint16_t)(pair * step + i % 2);
    }
    return places;
}

EDGEPRUNE_INLINE edgeprune_mve_offsets edgeprune_mve_turn_places(int32_t step)
{
    edgeprune_mve_offsets places;
    for (int32_t i = 0; i < 8; i++) {
        places.lane[i] = (uint16_t)((i / 2 + i % 2 * 4) * step);
    }
    return places;
}

EDGEPRUNE_INLINE int32_t edgeprune_mve_rescale_one(int32_t sum, int32_t bias_and_shift,
                                                   int32_t multiplier, int32_t away)
{
    const int32_t shift = -bias_and_shift & 255;
    const int64_t half = shift > 0 ? (int64_t)1 << (shift - 1) : 0;
    int32_t y = edgeprune_high_multiply(sum + (bias_and_shift >> 8), multiplier);
    y += away != 0 ? y >> 31 : 0;
    return (int32_t)((y + half) >> shift);
}

EDGEPRUNE_INLINE edgeprune_mve_words edgeprune_mve_rescale(edgeprune_mve_words sums,
                                                           int32_t bias_and_shift,
                                                           int32_t multiplier, int32_t away)
{
    for (int32_t i = 0; i < 4; i++) {
        sums.lane[i] =
            edgeprune_mve_rescale_one(sums.lane[i], bias_and_shift, multiplier, away);
    }
    return sums;
}

EDGEPRUNE_INLINE edgeprune_mve_words edgeprune_mve_rescale_each(edgeprune_mve_words sums,
                                                                edgeprune_mve_words bias_and_shift,
                                                                edgeprune_mve_words multiplier,
                                                                int32_t away)
{
    for (int32_t i = 0; i < 4; i++) {
        sums.lane[i] = edgeprune_mve_rescale_one(sums.lane[i], bias_and_shift.lane[i],
                                                 multiplier.lane[i], away);
    }
    return sums;
}

EDGEPRUNE_INLINE edgeprune_mve_words edgeprune_mve_add_even_products(edgeprune_mve_words sums,
                                                                     edgeprune_mve_halves a,
                                                                     edgeprune_mve_halves b)
{
    for (int32_t i = 0; i < 4; i++) {
        sums.lane[i] += a.lane[2 * i] * b.lane[2 * i];
    }
    return sums;
}

EDGEPRUNE_INLINE edgeprune_mve_words edgeprune_mve_add_odd_products(edgeprune_mve_words sums,
                                                                    edgeprune_mve_halves a,
                                                                    edgeprune_mve_halves b)
{
    for (int32_t i = 0; i < 4; i++) {
        sums.lane[i] += a.lane[2 * i + 1] * b.lane[2 * i + 1];
    }
    return sums;
}

EDGEPRUNE_INLINE edgeprune_mve_words edgeprune_mve_no_sums(void)
{
    const edgeprune_mve_words sums = {{0, 0, 0, 0}};
    return sums;
}

EDGEPRUNE_INLINE void edgeprune_mve_store_narrow_first(int8_t *to, edgeprune_mve_halves values,
                                                       int32_t count)
{
    for (int32_t i = 0; i < 8 && i < count; i++) {
        to[i] = (int8_t)values.lane[i];
    }
}

typedef edgeprune_range edgeprune_mve_limits;

EDGEPRUNE_INLINE edgeprune_mve_limits edgeprune_mve_spread(const edgeprune_range *range)
{
    return *range;
}

EDGEPRUNE_INLINE edgeprune_mve_halves edgeprune_mve_narrow(edgeprune_mve_words even,
                                                           edgeprune_mve_words odd,
                                                           edgeprune_mve_limits limits,
                                                           int32_t clamp)
{
    edgeprune_mve_halves y;
    for (int32_t i = 0; i < 8; i++) {
        int32_t value = i % 2 == 0 ? even.lane[i / 2] : odd.lane[i / 2];
        const int32_t low = clamp != 0 ? limits.low : -128 - limits.zero_point;
        const int32_t high = clamp != 0 ? limits.high : 127 - limits.zero_point;
        value = value < low ? low : value;
        value = value > high ? high : value;
        y.lane[i] = (int16_t)(value + limits.zero_point);
    }
    return y;
}

#endif

#endif
