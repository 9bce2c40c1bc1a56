#include "kernel_softmax.h"

#include "kernel_inline.h"

enum {
    SUM_INTEGER_BITS = 12, /* sums are in Q12.19 */
    OUTPUT_BITS = 8,
    NEWTON_STEPS = 3
};

/*
 * 1 / (1 + a) in Q0.31 for a in Q0.31 from 0 to 1: Newton-Raphson's division of 1 by (1 + a) / 2,
 * in Q2.29, from the estimate 48/17 - 32/17 * d. No sum or product leaves its format.
 */
static int32_t reciprocal_of_one_plus(int32_t a)
{
    const int32_t half_denominator = (a >> 1) + ((int32_t)1 << 30);
    int32_t x = 1515870810 + edgeprune_high_multiply(half_denominator, -1010580540);
    for (int32_t step = 0; step < NEWTON_STEPS; step++) {
        const int32_t rest = ((int32_t)1 << 29) - edgeprune_high_multiply(half_denominator, x);
        x += edgeprune_high_multiply(x, rest) * 4;
    }
    return x >= (int32_t)1 << 30 ? INT32_MAX : x * 2;
}

static int32_t maximum(const int8_t *row, int32_t depth)
{
    int32_t most = row[0];
    for (int32_t i = 1; i < depth; i++) {
        most = row[i] > most ? row[i] : most;
    }
    return most;
}

/* exp(a) in Q0.31 for -1/4 <= a < 0 in Q0.31: Taylor's series around -1/8. */
static int32_t exponential_of_fraction(int32_t a)
{
    const int32_t center = 1895147668; /* exp(-1/8) */
    const int32_t third = 715827883;
    const int32_t x = a + ((int32_t)1 << 28);
    const int32_t x2 = edgeprune_high_multiply(x, x);
    const int32_t x3 = edgeprune_high_multiply(x2, x);
    const int32_t x4 = edgeprune_divide_by_power(edgeprune_high_multiply(x2, x2), 2);
    const int32_t tail =
        edgeprune_divide_by_power(edgeprune_high_multiply(x4 + x3, third) + x2, 1);
    return center + edgeprune_high_multiply(center, x + tail);
}

/* exp(a) in Q0.31 for a <= 0 in Q5.26: of the fraction, times exp(-2^k) for each bit of the rest. */
static int32_t exponential(int32_t a)
{
    static const int32_t factors[] = {1672461947, 1302514674, 790015084, 290630308,
                                      39332535,   720401,     242};
    const int32_t quarter = (int32_t)1 << 24;
    if (a == 0) {
        return INT32_MAX;
    }
    const int32_t within = (a & (quarter - 1)) - quarter;
    int32_t bits = (within - a) >> 24;
    int32_t result = exponential_of_fraction(within * 32);
    for (const int32_t *factor = factors; bits != 0; bits >>= 1) {
        if ((bits & 1) != 0) {
            result = edgeprune_high_multiply(result, *factor);
        }
        factor++;
    }
    return result;
}

/* exp() of minus a difference of two values, by the table or, without one, by the series. */
EDGEPRUNE_INLINE int32_t exponential_of(const int32_t *table, int32_t multiplier, int32_t left,
                                        int32_t below)
{
    if (table != 0) {
        return table[below];
    }
    return exponential(edgeprune_high_multiply(-(below * ((int32_t)1 << left)), multiplier));
}

EDGEPRUNE_INLINE void softmax(const edgeprune_softmax *layer, const int32_t *table,
                              int32_t multiplier, int32_t left, const int8_t *input,
                              int8_t *output)
{
    for (int32_t row = 0; row < layer->rows; row++) {
        const int32_t most = maximum(input, layer->depth);
        int32_t sum = 0;
        for (int32_t i = 0; i < layer->depth; i++) {
            const int32_t below = most - input[i];
            if (below < layer->reach) {
                sum += edgeprune_divide_by_power(exponential_of(table, multiplier, left, below),
                                                 SUM_INTEGER_BITS);
            }
        }
        /* The sum is at least 1: exp(0) is in it. Its leading one becomes the 1 of 1 + a. */
        uint32_t normalized = (uint32_t)sum;
        int32_t zeros = 0;
        while ((normalized & UINT32_C(0x80000000)) == 0) {
            normalized <<= 1;
            zeros++;
        }
        const int32_t scale =
            reciprocal_of_one_plus((int32_t)(normalized & UINT32_C(0x7fffffff)));
        const int32_t exponent = SUM_INTEGER_BITS - zeros + 31 - OUTPUT_BITS;
        for (int32_t i = 0; i < layer->depth; i++) {
            const int32_t below = most - input[i];
            int32_t value = 0;
            if (below < layer->reach) {
                value = edgeprune_divide_by_power(
                    edgeprune_high_multiply(scale, exponential_of(table, multiplier, left, below)),
                    exponent);
            }
            output[i] = (int8_t)((value > 255 ? 255 : value) - 128);
        }
        input += layer->depth;
        output += layer->depth;
    }
}

void edgeprune_kernel_softmax_table(const edgeprune_softmax_table *layer, const int8_t *input,
                                    int8_t *output)
{
    softmax(&layer->softmax, layer->exponentials, 0, 0, input, output);
}

void edgeprune_kernel_softmax_series(const edgeprune_softmax_series *layer, const int8_t *input,
                                     int8_t *output)
{
    softmax(&layer->softmax, 0, layer->multiplier, layer->left, input, output);
}
