#include "kernel_softmax.h"

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

void edgeprune_kernel_softmax(const edgeprune_softmax *layer, const int8_t *input, int8_t *output)
{
    for (int32_t row = 0; row < layer->rows; row++) {
        const int32_t most = maximum(input, layer->depth);
        int32_t sum = 0;
        for (int32_t i = 0; i < layer->depth; i++) {
            const int32_t below = most - input[i];
            if (below < layer->reach) {
                sum += edgeprune_divide_by_power(layer->exponentials[below], SUM_INTEGER_BITS);
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
                    edgeprune_high_multiply(scale, layer->exponentials[below]), exponent);
            }
            output[i] = (int8_t)((value > 255 ? 255 : value) - 128);
        }
        input += layer->depth;
        output += layer->depth;
    }
}
