#include "kernel_sum.h"

#include <string.h>

/* A word of four values at any address; one instruction where the core allows it. */
static uint32_t word_at(const int8_t *first)
{
    uint32_t word;
#if defined(__GNUC__)
    /* Without a hosted library the compiler takes memcpy for a function like any other. */
    __builtin_memcpy(&word, first, sizeof word);
#else
    memcpy(&word, first, sizeof word);
#endif
    return word;
}

static int32_t one(const edgeprune_area *area, const int8_t *first)
{
    int32_t sum = 0;
    for (int32_t line = area->lines; line > 0; line--) {
        const int8_t *value = first;
        for (int32_t left = area->pixels; left > 0; left--) {
            sum += *value;
            value += area->pixel_step;
        }
        first += area->line_step;
    }
    return sum;
}

/*
 * A word holds four values, the first in its low byte; plus 128 each is from 0 to 255, so that a
 * word of two 16-bit sums holds 257 of them before one could run over into its neighbour.
 */
static void four(const edgeprune_area *area, const int8_t *first, int32_t sums[4])
{
    const int32_t step = area->pixel_step;
    sums[0] = sums[1] = sums[2] = sums[3] = -128 * area->lines * area->pixels;
    for (int32_t line = area->lines; line > 0; line--) {
        const int8_t *value = first;
        int32_t left = area->pixels;
        while (left > 0) {
            uint32_t even = 0;
            uint32_t odd = 0;
            int32_t some = left > 256 ? 256 : left;
            left -= some;
            for (; some > 0; some--) {
                const uint32_t word = word_at(value) ^ UINT32_C(0x80808080);
                even += word & UINT32_C(0x00ff00ff);
                odd += (word >> 8) & UINT32_C(0x00ff00ff);
                value += step;
            }
            sums[0] += (int32_t)(even & 0xffffu);
            sums[1] += (int32_t)(odd & 0xffffu);
            sums[2] += (int32_t)(even >> 16);
            sums[3] += (int32_t)(odd >> 16);
        }
        first += area->line_step;
    }
}

int32_t edgeprune_sums(const edgeprune_area *area, const int8_t *first, int32_t channels,
                       int32_t sums[4])
{
    if (channels >= 4) {
        four(area, first, sums);
        return 4;
    }
    sums[0] = one(area, first);
    return 1;
}
