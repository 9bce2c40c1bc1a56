#include "dsp_matrix.h"

/* What stands behind the vectors; two more words are read with it. */
#define MARK INT32_MIN

/* Accumulators of a pair of channels. */
typedef struct pair_sums {
    int32_t a0, a1, a2; /* of 256 * a + b, for three vectors */
    int32_t b0, b1, b2; /* of b */
} pair_sums;

/* Compilers that don't optimize find no registers for the inner loop. */
#if defined(__ARM_FEATURE_DSP) && defined(__OPTIMIZE__)
#define INNER_LOOP
#define LOAD_3 "ldm %[x]!, {r0, r1, r2}\n\t"
#define MULTIPLY_3(weight)                                                                         \
    "smlad %[a0], " weight ", r0, %[a0]\n\t"                                                       \
    "smlad %[a1], " weight ", r1, %[a1]\n\t"                                                       \
    "smlad %[a2], " weight ", r2, %[a2]\n\t"                                                       \
    "sxtb16 " weight ", " weight "\n\t"                                                            \
    "smlad %[b0], " weight ", r0, %[b0]\n\t"                                                       \
    "smlad %[b1], " weight ", r1, %[b1]\n\t"                                                       \
    "smlad %[b2], " weight ", r2, %[b2]\n\t"
#define GROUP "ldrd r3, r4, [%[w]], #8\n\t" MULTIPLY_3("r3") LOAD_3 MULTIPLY_3("r4") LOAD_3
/* Thirteen registers, so that one is left for a frame pointer. */
#define LOOP(groups)                                                                               \
    __asm__ volatile(LOAD_3 "1:\n\t" groups "cmp r0, #0x80000000\n\t"                              \
                            "bne 1b"                                                               \
                     : [x] "+r"(x), [w] "+r"(w), [a0] "+r"(a0), [a1] "+r"(a1), [a2] "+r"(a2),      \
                       [b0] "+r"(b0), [b1] "+r"(b1), [b2] "+r"(b2)                                 \
                     :                                                                             \
                     : "r0", "r1", "r2", "r3", "r4", "cc", "memory")
#endif

/*
 * Adds the products of a pair's weights with three vectors; returns what follows the weights.
 * `even` says whether the groups are, so that the loop takes two at a time.
 */
EDGEPRUNE_INLINE const int32_t *multiply(const int32_t *w, const int32_t *x, int32_t groups,
                                         int32_t even, pair_sums *sums)
{
    int32_t a0 = sums->a0;
    int32_t a1 = sums->a1;
    int32_t a2 = sums->a2;
    int32_t b0 = sums->b0;
    int32_t b1 = sums->b1;
    int32_t b2 = sums->b2;
#if defined(INNER_LOOP)
    (void)groups;
    if (even) {
        LOOP(GROUP GROUP);
    } else {
        LOOP(GROUP);
    }
#else
    (void)even;
    for (int32_t i = 0; i < 2 * groups; i++) {
        const int32_t low_bytes = edgeprune_dsp_even_bytes(*w);
        a0 = edgeprune_dsp_smlad(*w, x[0], a0);
        a1 = edgeprune_dsp_smlad(*w, x[1], a1);
        a2 = edgeprune_dsp_smlad(*w, x[2], a2);
        b0 = edgeprune_dsp_smlad(low_bytes, x[0], b0);
        b1 = edgeprune_dsp_smlad(low_bytes, x[1], b1);
        b2 = edgeprune_dsp_smlad(low_bytes, x[2], b2);
        x += EDGEPRUNE_DSP_VECTORS;
        w++;
    }
#endif
    const pair_sums result = {a0, a1, a2, b0, b1, b2};
    *sums = result;
    return w;
}

/* 256 times the sum of a, from the sums of 256 * a + b and of b; its low byte is the shift's. */
EDGEPRUNE_INLINE int32_t scaled_a(int32_t a, int32_t b)
{
    return (int32_t)((uint32_t)a - (uint32_t)b);
}

/*
 * All outputs of a block; the rest are compile-time constants: whether the number of groups is
 * even, whether that of outputs may be odd, and whether the layer is nested.
 */
EDGEPRUNE_INLINE void pairs(const edgeprune_dsp_block *block, int32_t even, int32_t may_end_odd,
                            int32_t is_nested, edgeprune_dsp_output output)
{
    const int32_t groups = (block->depth + 3) / 4;
    const int32_t second = block->second;
    const int32_t third = block->third;
    const int32_t *pair = block->pairs;
    const int32_t *channels = block->channels;
    int32_t *const x = block->vectors;
    int8_t *y = block->outputs;
    const int8_t *const end = y + block->count;
    x[groups * 2 * EDGEPRUNE_DSP_VECTORS] = MARK;
    do {
        const int32_t *const first = is_nested ? channels : pair;
        const int32_t bias = first[1] >> 8;
        const int32_t both = (int32_t)((uint32_t)first[0] + (uint32_t)bias);
        pair_sums sums = {both, both, both, bias, bias, bias};
        const int32_t *const behind = multiply(pair + 2, x, groups, even, &sums);
        const int32_t *const multipliers = is_nested ? channels + 2 : behind;
        const int32_t d0 = scaled_a(sums.a0, sums.b0);
        const int32_t d1 = scaled_a(sums.a1, sums.b1);
        const int32_t d2 = scaled_a(sums.a2, sums.b2);
        const edgeprune_dsp_channel a = edgeprune_dsp_channel_of(d0, multipliers[0], output);
        y[third] = edgeprune_dsp_requantize(d2 >> 7, a, output);
        y[second] = edgeprune_dsp_requantize(d1 >> 7, a, output);
        *y++ = edgeprune_dsp_requantize(d0 >> 7, a, output);
        if (may_end_odd && y == end) {
            return;
        }
        const edgeprune_dsp_channel b = edgeprune_dsp_channel_of(first[1], multipliers[1], output);
        y[third] = edgeprune_dsp_requantize(2 * sums.b2, b, output);
        y[second] = edgeprune_dsp_requantize(2 * sums.b1, b, output);
        *y++ = edgeprune_dsp_requantize(2 * sums.b0, b, output);
        pair = is_nested ? pair + block->pitch : multipliers + 2;
        channels += 4;
    } while (y != end);
}

EDGEPRUNE_INLINE edgeprune_dsp_output relu(void)
{
    const edgeprune_dsp_output output = {-128, -128, 127, 0};
    return output;
}

/* Rounding half away from zero is right where there is nothing below zero, too. */
EDGEPRUNE_INLINE edgeprune_dsp_output linear(int32_t zero_point)
{
    const edgeprune_dsp_output output = {zero_point, -128, 127, 1};
    return output;
}

EDGEPRUNE_INLINE edgeprune_dsp_output clamped(const edgeprune_dsp_output *given)
{
    const edgeprune_dsp_output output = {given->zero_point, given->low, given->high, 1};
    return output;
}

void edgeprune_dsp_relu_even(const edgeprune_dsp_block *block)
{
    pairs(block, 1, 0, 0, relu());
}

void edgeprune_dsp_relu_odd(const edgeprune_dsp_block *block)
{
    pairs(block, 0, 0, 0, relu());
}

void edgeprune_dsp_linear_even(const edgeprune_dsp_block *block, int32_t zero_point)
{
    pairs(block, 1, 1, 0, linear(zero_point));
}

void edgeprune_dsp_linear_odd(const edgeprune_dsp_block *block, int32_t zero_point)
{
    pairs(block, 0, 1, 0, linear(zero_point));
}

void edgeprune_dsp_clamped_even(const edgeprune_dsp_block *block,
                                    const edgeprune_dsp_output *output)
{
    pairs(block, 1, 1, 0, clamped(output));
}

void edgeprune_dsp_clamped_odd(const edgeprune_dsp_block *block,
                                   const edgeprune_dsp_output *output)
{
    pairs(block, 0, 1, 0, clamped(output));
}

void edgeprune_dsp_nested_relu_even(const edgeprune_dsp_block *block)
{
    pairs(block, 1, 0, 1, relu());
}

void edgeprune_dsp_nested_relu_odd(const edgeprune_dsp_block *block)
{
    pairs(block, 0, 0, 1, relu());
}

void edgeprune_dsp_nested_clamped_even(const edgeprune_dsp_block *block,
                                       const edgeprune_dsp_output *output)
{
    pairs(block, 1, 1, 1, clamped(output));
}

void edgeprune_dsp_nested_clamped_odd(const edgeprune_dsp_block *block,
                                      const edgeprune_dsp_output *output)
{
    pairs(block, 0, 1, 1, clamped(output));
}

/* The last, which is not whole, of one vector. */
static void widen_rest(const int8_t *v, int32_t count, int32_t *x)
{
    x[0] = edgeprune_dsp_pair(v[0], count > 2 ? v[2] : 0);
    x[EDGEPRUNE_DSP_VECTORS] = edgeprune_dsp_pair(count > 1 ? v[1] : 0, 0);
}

void edgeprune_dsp_widen_groups(const int8_t *v0, const int8_t *v1, const int8_t *v2,
                                int32_t depth, int32_t *x)
{
    int32_t groups = depth / 4;
#if defined(__ARM_FEATURE_DSP)
    __asm__ volatile("1:\n\t"
                     "ldr r8, [%[v0]], #4\n\t"
                     "ldr r9, [%[v1]], #4\n\t"
                     "ldr r10, [%[v2]], #4\n\t"
                     "sxtb16 r4, r8\n\t"
                     "sxtb16 r5, r9\n\t"
                     "sxtb16 r6, r10\n\t"
                     "sxtb16 r8, r8, ror #8\n\t"
                     "sxtb16 r9, r9, ror #8\n\t"
                     "sxtb16 r10, r10, ror #8\n\t"
                     "stm %[x]!, {r4, r5, r6, r8, r9, r10}\n\t"
                     "subs %[groups], %[groups], #1\n\t"
                     "bne 1b"
                     : [x] "+r"(x), [v0] "+r"(v0), [v1] "+r"(v1), [v2] "+r"(v2),
                       [groups] "+r"(groups)
                     :
                     : "r4", "r5", "r6", "r8", "r9", "r10", "cc", "memory");
#else
    for (; groups > 0; groups--) {
        const int32_t p0 = edgeprune_dsp_load(v0);
        const int32_t p1 = edgeprune_dsp_load(v1);
        const int32_t p2 = edgeprune_dsp_load(v2);
        x[0] = edgeprune_dsp_even_bytes(p0);
        x[1] = edgeprune_dsp_even_bytes(p1);
        x[2] = edgeprune_dsp_even_bytes(p2);
        x[3] = edgeprune_dsp_odd_bytes(p0);
        x[4] = edgeprune_dsp_odd_bytes(p1);
        x[5] = edgeprune_dsp_odd_bytes(p2);
        x += 2 * EDGEPRUNE_DSP_VECTORS;
        v0 += 4;
        v1 += 4;
        v2 += 4;
    }
#endif
}

void edgeprune_dsp_widen_any(const int8_t *v0, const int8_t *v1, const int8_t *v2, int32_t depth,
                             int32_t *x)
{
    const int32_t whole = depth / 4 * 4;
    if (whole > 0) {
        edgeprune_dsp_widen_groups(v0, v1, v2, whole, x);
        x += whole / 4 * 2 * EDGEPRUNE_DSP_VECTORS;
    }
    widen_rest(v0 + whole, depth - whole, x);
    widen_rest(v1 + whole, depth - whole, x + 1);
    widen_rest(v2 + whole, depth - whole, x + 2);
}
