/* The arithmetic of the front-end, stage by stage, with the bounds that keep it from overflowing.
 *
 * N is EDGEPRUNE_FRONTEND_FFT, S = 16 - log2(N), w the Hann window, whose sum is at most N/2.
 *
 * 1. Windowed samples times 2^S, rounded down: |x w| <= 2^(15 + S).
 * 2. A complex transform of N/2 points, z[i] = x[2i] + j x[2i+1], decimation in time, radix 4, not
 *    scaled between stages. Any value inside it is a sum of some of the z, turned in the complex
 *    plane, so its parts are at most sum |z| <= 2^(15 + S) * sqrt(2) * N/4 = 2^29.5. Q15 twiddle
 *    factors and rounding add less than 0.1 %; int32 holds 2^31.
 * 3. The spectrum of the real signal: |X| <= 2^(15 + S) * N/2 = 2^30, and twice its even and its
 *    odd part are at most that as well. Then 6 bits are dropped, with rounding: |X| <= 2^24 in
 *    units of 2^-UNIT_BITS times a unit of PCM; UNIT_BITS is 0 for N = 1024 and 4 for N = 64.
 * 4. Power: re^2 + im^2 <= 2^49, exact in uint64.
 * 5. Mel energies, weights in Q15. By Parseval's theorem the powers of bins 1 ... N/2 - 1 add up to
 *    at most N/2 * sum (x w)^2 < 2^48 in those units, so energies stay below 2^63; the floor, below
 *    2^40 in the same units, has room. No filter has a weight at DC or at N/2: neither is computed.
 * 6. log2 in Q8: at most 64 * 256.
 * 7. MFCC: products of two int16, added up in int64. The generator chooses fraction bits so that
 *    c0, the largest coefficient, fits int16.
 *
 * Everything is exact integer arithmetic with defined rounding, so the bits do not depend on the
 * core.
 */
#include "frontend.h"

#include "frontend_arithmetic.h"
#include "frontend_tables.h"

#define POINTS (EDGEPRUNE_FRONTEND_FFT / 2)
#define QUARTER (POINTS / 4)
#define WINDOW_PAIRS ((EDGEPRUNE_FRONTEND_WINDOW + 1) / 2)
#define RIGHT_ANGLE (EDGEPRUNE_FRONTEND_FFT / 4)

/* Windowed samples carry SCALE_BITS fraction bits, the spectrum UNIT_BITS. */
#define SCALE_BITS (16 - EDGEPRUNE_FRONTEND_LOG2_FFT)
#define DROPPED_BITS 6
#define UNIT_BITS (SCALE_BITS - DROPPED_BITS)
#define WEIGHT_BITS 15
#define ENERGY_BITS (WEIGHT_BITS + 2 * UNIT_BITS)

/* One copy of the radix-4 stage for every span, or one for each with its offsets as constants: 1 KB
 * more code, 4 % fewer instructions; ARMv6-M has no room for such offsets in its instructions. */
#if EDGEPRUNE_FRONTEND_NARROW || defined(__OPTIMIZE_SIZE__)
#define COMPACT 1
#define STAGE static
#else
#define COMPACT 0
#define STAGE INLINE
#endif

typedef edgeprune_frontend_point point;

/* A twiddle factor cos - j sin, its parts in the form that half_product takes. */
typedef struct {
    int32_t re;
    int32_t im;
} twiddle;

/* exp(-2 pi j angle / FFT) for 0 < angle < FFT / 4, from a quarter wave. */
INLINE twiddle first_quadrant(size_t angle)
{
    const twiddle result = {factor(-edgeprune_frontend_minus_sine[RIGHT_ANGLE - angle]),
                            factor(edgeprune_frontend_minus_sine[angle])};
    return result;
}

/* The same for FFT / 4 <= angle < FFT / 2. */
INLINE twiddle second_quadrant(size_t angle)
{
    const twiddle result = {factor(edgeprune_frontend_minus_sine[angle - RIGHT_ANGLE]),
                            factor(edgeprune_frontend_minus_sine[2 * RIGHT_ANGLE - angle])};
    return result;
}

/* The same for FFT / 2 < angle < 3/4 FFT. */
INLINE twiddle third_quadrant(size_t angle)
{
    const twiddle result = {factor(edgeprune_frontend_minus_sine[3 * RIGHT_ANGLE - angle]),
                            factor(-edgeprune_frontend_minus_sine[angle - 2 * RIGHT_ANGLE])};
    return result;
}

/* The same for 0 < angle < FFT / 2. */
INLINE twiddle first_half(size_t angle)
{
    return angle < RIGHT_ANGLE ? first_quadrant(angle) : second_quadrant(angle);
}

/* The same for 0 < angle < 3/4 FFT. */
INLINE twiddle twiddle_at(size_t angle)
{
    return angle < 2 * RIGHT_ANGLE ? first_half(angle) : third_quadrant(angle);
}

/* Half of value times w. */
INLINE point half_turned(point value, twiddle w)
{
    const point result = {half_product(value.re, w.re) - half_product(value.im, w.im),
                          half_product(value.re, w.im) + half_product(value.im, w.re)};
    return result;
}

INLINE point sum(point a, point b)
{
    const point result = {a.re + b.re, a.im + b.im};
    return result;
}

INLINE point difference(point a, point b)
{
    const point result = {a.re - b.re, a.im - b.im};
    return result;
}

INLINE point doubled(point a)
{
    const point result = {2 * a.re, 2 * a.im};
    return result;
}

/* The four points of a butterfly. */
typedef struct {
    point *a, *b, *c, *d;
} quad;

INLINE quad quad_at(point *first, size_t span)
{
#if COMPACT
    KEEP_IN_REGISTER(first);
    quad result = {first, first + span, NULL, NULL};
    KEEP_IN_REGISTER(result.b);
    result.c = result.b + span;
    KEEP_IN_REGISTER(result.c);
    result.d = result.c + span;
    KEEP_IN_REGISTER(result.d);
#else
    const quad result = {first, first + span, first + 2 * span, first + 3 * span};
#endif
    return result;
}

/* The four-point transform of a, b, c, d from a + c, a - c, b + d and b - d. */
INLINE void join(quad out, point ac, point a_c, point bd, point b_d)
{
    const point b_d_turned = {b_d.im, -b_d.re};
    *out.a = sum(ac, bd);
    *out.b = sum(a_c, b_d_turned);
    *out.c = difference(ac, bd);
    *out.d = difference(a_c, b_d_turned);
}

INLINE void butterfly(quad out, point a, point b, point c, point d)
{
    join(out, sum(a, c), difference(a, c), sum(b, d), difference(b, d));
}

/* The same with b, c and d given as halves. */
INLINE void butterfly_of_halves(quad out, point a, point b, point c, point d)
{
    join(out, sum(a, doubled(c)), difference(a, doubled(c)), doubled(sum(b, d)),
         doubled(difference(b, d)));
}

/* Two windowed samples of one quarter of the transform: zero beyond the window, which is tested
 * for only in quarters that reach there. */
INLINE point windowed(const int16_t *pcm, const uint16_t *weight, size_t pair, size_t quarter)
{
    point result = {0, 0};
    if ((quarter + 1) * QUARTER <= WINDOW_PAIRS || pair + quarter * QUARTER < WINDOW_PAIRS) {
        const size_t at = 2 * QUARTER * quarter;
        result.re = (pcm[at] * (int32_t)weight[at]) >> (15 - SCALE_BITS);
        result.im = (pcm[at + 1] * (int32_t)weight[at + 1]) >> (15 - SCALE_BITS);
    }
    return result;
}

/* Window the samples and do the first stage, whose twiddle factors are all 1. */
static void first_stage(const int16_t *pcm, point *points)
{
    ROLLED for (size_t block = 0; block < QUARTER; block++) {
        const size_t pair = edgeprune_frontend_order[block];
        const int16_t *samples = pcm + 2 * pair;
        const uint16_t *weights = edgeprune_frontend_window + 2 * pair;
        KEEP_IN_REGISTER(samples);
        KEEP_IN_REGISTER(weights);
        const point a = windowed(samples, weights, pair, 0);
        const point b = windowed(samples, weights, pair, 1);
        const point c = windowed(samples, weights, pair, 2);
        const point d = windowed(samples, weights, pair, 3);
        butterfly(quad_at(points + 4 * block, 1), a, b, c, d);
    }
}

/* Join transforms of `span` points, four at a time; `step` is FFT / (4 span). */
STAGE void radix4_stage(point *points, size_t span, size_t step)
{
    ROLLED for (size_t at = 0; at < POINTS; at += 4 * span) {
        const quad p = quad_at(points + at, span);
        butterfly(p, *p.a, *p.b, *p.c, *p.d);
    }
    ROLLED for (size_t k = 1; k < span; k++) {
        const twiddle first = first_quadrant(step * k);
        const twiddle second = first_half(2 * step * k);
        const twiddle third = twiddle_at(3 * step * k);
        ROLLED for (size_t at = k; at < POINTS; at += 4 * span) {
            const quad p = quad_at(points + at, span);
            const point b = half_turned(*p.b, first);
            const point d = half_turned(*p.d, third);
            const point c = half_turned(*p.c, second);
            butterfly_of_halves(p, *p.a, b, c, d);
        }
    }
}

#if EDGEPRUNE_FRONTEND_LOG2_FFT % 2 == 0
/* Join the last two transforms where their length is no power of four. */
static void radix2_stage(point *points)
{
    for (size_t k = 0; k < POINTS / 2; k++) {
        const point a = points[k];
        point b = points[k + POINTS / 2];
        if (k > 0) {
            b = doubled(half_turned(b, first_half(2 * k)));
        }
        points[k] = sum(a, b);
        points[k + POINTS / 2] = difference(a, b);
    }
}
#endif

/* Replace a bin by its power, without the bits that are dropped; the callers round. */
INLINE void store_power(point *bin, int32_t re, int32_t im)
{
    const uint64_t power = power_of(re >> DROPPED_BITS, im >> DROPPED_BITS);
    bin->re = (int32_t)(uint32_t)power;
    bin->im = (int32_t)(power >> 32);
}

/* The powers of bins k and POINTS - k of the real signal, in place of the points.
 *
 * With E and O the transforms of the even and of the odd samples, Z[k] = E + j O and
 * conj(Z[POINTS - k]) = E - j O; X[k] = E + w O and conj(X[POINTS - k]) = E - w O, where
 * w = cos - j sin. */
static void to_power(point *points)
{
    const int32_t half = 1 << (DROPPED_BITS - 1);
    const int16_t *sine_at = edgeprune_frontend_minus_sine;
    const int16_t *cosine_at = edgeprune_frontend_minus_sine + RIGHT_ANGLE;
    point *low = points, *high = points + POINTS;
    ROLLED while (++low < --high) {
        KEEP_IN_REGISTER(low);
        KEEP_IN_REGISTER(high);
        const point a = *low, b = *high;
        const int32_t sine = factor(*++sine_at), cosine = factor(*--cosine_at);
        KEEP_IN_REGISTER(sine_at);
        KEEP_IN_REGISTER(cosine_at);
        const int32_t even_re = (a.re + b.re + 2 * half) >> 1;
        const int32_t even_im = (a.im - b.im + 2 * half) >> 1;
        const int32_t odd_re = a.im + b.im, odd_im = b.re - a.re;
        const int32_t turned_re = half_product(odd_im, sine) + half_product(odd_re, cosine);
        const int32_t turned_im = half_product(odd_re, sine) - half_product(odd_im, cosine);
        store_power(low, even_re - turned_re, even_im + turned_im);
        store_power(high, even_re + turned_re, even_im - turned_im);
    }
    store_power(low, low->re + half, low->im + half);
}

/* log2(value) in Q8 for value > 0: interpolated between 32 points, off by less than 0.6 / 256. */
static int32_t log2_q8(uint64_t value)
{
    const uint32_t high = (uint32_t)(value >> 32), low = (uint32_t)value;
    uint32_t exponent, mantissa;
    if (high != 0) {
        const uint32_t zeros = leading_zeros(high);
        exponent = 63 - zeros;
        mantissa = zeros == 0 ? high : (high << zeros) | (low >> (32 - zeros));
    } else {
        const uint32_t zeros = leading_zeros(low);
        exponent = 31 - zeros;
        mantissa = low << zeros;
    }
    const uint32_t index = (mantissa >> 26) & 31u;
    const uint32_t fraction = (mantissa >> 10) & 0xFFFFu;
    const uint32_t from = edgeprune_frontend_log2[index];
    const uint32_t rise = edgeprune_frontend_log2[index + 1] - from;
    const uint32_t q15 = from + ((rise * fraction) >> 16);
    return (int32_t)((exponent << 8) + ((q15 + 64) >> 7));
}

/* The log2 of each mel energy plus the floor, Q8, in units of PCM squared. */
static void to_log_mel(const point *bin, int16_t *out)
{
    const uint64_t least = (uint64_t)EDGEPRUNE_FRONTEND_FLOOR << ENERGY_BITS;
    const uint16_t *weight = edgeprune_frontend_rising;
    uint64_t before = 0;
    bin += EDGEPRUNE_FRONTEND_FIRST_BIN;
    for (size_t segment = 0; segment <= EDGEPRUNE_FRONTEND_MEL_BINS; segment++) {
        uint64_t total = 0, rising_low = 0;
        uint32_t rising_high = 0;
        ROLLED for (uint32_t bins = edgeprune_frontend_segment[segment]; bins > 0; bins--) {
            const uint32_t low = (uint32_t)bin->re, high = (uint32_t)bin->im;
            const uint32_t rises = *weight++;
            bin++;
            total += ((uint64_t)high << 32) + low;
            rising_low += weighted(low, rises);
            rising_high += high * rises;
        }
        const uint64_t rising = rising_low + ((uint64_t)rising_high << 32);
        if (segment > 0) {
            const uint64_t energy = before + (total << WEIGHT_BITS) - rising;
            out[segment - 1] = (int16_t)(log2_q8(energy + least) - ENERGY_BITS * 256);
        }
        before = rising;
    }
}

#if EDGEPRUNE_FRONTEND_MFCC
/* Orthonormal DCT-II; c0 is not rescaled. Overwrites log_mel with the sums (left half, for even
 * rows) and differences (right half, for odd rows) of mirrored values: int16 holds them, because no
 * log-mel value is above 48 * 256. */
static void to_mfcc(int16_t *log_mel, int16_t *out)
{
    const uint32_t shift = 8 + EDGEPRUNE_FRONTEND_DCT_BITS - EDGEPRUNE_FRONTEND_FRACTION_BITS;
    const size_t columns = (EDGEPRUNE_FRONTEND_MEL_BINS + 1) / 2;
    int16_t *const last = log_mel + EDGEPRUNE_FRONTEND_MEL_BINS - 1;
    ROLLED for (size_t i = 0; i < columns; i++) {
        const int32_t left = log_mel[i], right = last[-(ptrdiff_t)i];
        last[-(ptrdiff_t)i] = (int16_t)(left - right);
        log_mel[i] = (int16_t)(left + right);
    }
    const int16_t *weight = edgeprune_frontend_dct[0];
    const int16_t *first = log_mel, *other = last;
    ptrdiff_t step = 1;
    ROLLED for (size_t row = 0; row < EDGEPRUNE_FRONTEND_FEATURES; row++) {
        const int16_t *const start = first, *value = start;
        int64_t total = (int64_t)1 << (shift - 1);
        ROLLED for (size_t i = 0; i < columns; i++) {
            total += product(*value, *weight++);
            value += step;
        }
        out[row] = (int16_t)(total >> shift);
        first = other;
        other = start;
        step = -step;
    }
}
#endif

static void compute_frame(edgeprune_frontend *state, int16_t *frame)
{
    first_stage(state->pcm, state->work);
#if COMPACT
    for (size_t span = 4, step = POINTS / 8; span <= QUARTER; span *= 4, step /= 4) {
        radix4_stage(state->work, span, step);
    }
#else
    radix4_stage(state->work, 4, POINTS / 8);
#if QUARTER >= 16
    radix4_stage(state->work, 16, POINTS / 32);
#endif
#if QUARTER >= 64
    radix4_stage(state->work, 64, POINTS / 128);
#endif
#endif
#if EDGEPRUNE_FRONTEND_LOG2_FFT % 2 == 0
    radix2_stage(state->work);
#endif
    to_power(state->work);
#if EDGEPRUNE_FRONTEND_MFCC
    int16_t log_mel[EDGEPRUNE_FRONTEND_MEL_BINS];
    to_log_mel(state->work, log_mel);
    to_mfcc(log_mel, frame);
#else
    to_log_mel(state->work, frame);
#endif
}

void edgeprune_frontend_reset(edgeprune_frontend *state)
{
    state->filled = 0;
#if EDGEPRUNE_FRONTEND_WINDOW % 2
    state->pcm[EDGEPRUNE_FRONTEND_WINDOW] = 0;
#endif
}

size_t edgeprune_frontend_push(edgeprune_frontend *state, const int16_t *pcm, size_t count,
                               int16_t *frame, bool *ready)
{
    const size_t missing = EDGEPRUNE_FRONTEND_WINDOW - state->filled;
    const size_t taken = count < missing ? count : missing;
    for (size_t i = 0; i < taken; i++) {
        state->pcm[state->filled + i] = pcm[i];
    }
    state->filled += (uint32_t)taken;
    *ready = state->filled == EDGEPRUNE_FRONTEND_WINDOW;
    if (*ready) {
        compute_frame(state, frame);
        state->filled = EDGEPRUNE_FRONTEND_WINDOW - EDGEPRUNE_FRONTEND_HOP;
        for (size_t i = 0; i < state->filled; i++) {
            state->pcm[i] = state->pcm[i + EDGEPRUNE_FRONTEND_HOP];
        }
    }
    return taken;
}
