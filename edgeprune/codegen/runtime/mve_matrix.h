/*
 * edgeprune: int8 vectors, four at a time, times an int8 matrix, requantized: what CONV_2D computes
 * with on cores with Helium (MVE).
 *
 *     output[p * outputs + n] = clamp(rescale(bias[n] + sum over k of weights[n][k] * x[p][k]))
 *
 * A panel holds four vectors of `depth` values: [steps][4][16], steps = depth / 16 rounded up,
 * zeros behind the depth. The weights lie in blocks of two rows, block [steps][2][16], but the
 * last step holds only the rest of the depth, [2][rest]. The last of an odd number of rows makes a
 * block with the row before it. Loads reach up to 15 bytes past the last weight. Of a wider layer's
 * weights, whose depth is `pitch`, the first `depth` of each row of the first blocks are used: what
 * else a step holds meets the panel's zeros.
 *
 * Bounds: |bias[n]| + 128 * sum over k of |weights[n][k]| is below 2^31, which the generator has
 * checked, so that no partial sum overflows. outputs is from 2 to 21844.
 */
#ifndef EDGEPRUNE_MVE_MATRIX_H
#define EDGEPRUNE_MVE_MATRIX_H

#include "mve_vector.h"

typedef struct edgeprune_mve_matrix {
    const int8_t *weights;   /* in blocks, see above */
    const int32_t *channels; /* [blocks][2][2]: bias * 256 + (-shift & 255), multiplier */
    edgeprune_range range;
} edgeprune_mve_matrix;

/* Two rows' products with the four vectors of a panel, and what makes outputs of them. */
typedef struct edgeprune_mve_block {
    edgeprune_mve_words sums[2];
    int32_t bias_and_shift[2];
    int32_t multiplier[2];
} edgeprune_mve_block;

/*
 * The next block; `weights` and `channels` move on to the one after it. Returns the panel.
 *
 * VMLADAV multiplies sixteen pairs and adds them to a register of even number. All eight of those
 * are sums, which leaves the odd ones to the pointers: what the block needs later is loaded here,
 * over the sums.
 */
EDGEPRUNE_INLINE const int8_t *edgeprune_mve_multiply_block(const int8_t *panel,
                                                            const int8_t **weights,
                                                            const int32_t **channels,
                                                            edgeprune_mve_block *block,
                                                            int32_t depth, int32_t pitch)
{
#if defined(__ARM_FEATURE_MVE)
/* One step: `next` bytes to the next weights, `on` bytes to the next sixteen of the panel. */
#define EDGEPRUNE_MVE_DOT_STEP(dot, next, on)                                                      \
    "vldrb.u8 %q[w0], [%[w]], #" next "\n\t"                                                       \
    "vldrw.u32 %q[x0], [%[x]], #16\n\t" dot " r0, %q[w0], %q[x0]\n\t"                              \
    "vldrb.u8 %q[w1], [%[w]], #" next "\n\t" dot " r8, %q[w1], %q[x0]\n\t"                         \
    "vldrw.u32 %q[x1], [%[x]], #16\n\t" dot " r2, %q[w0], %q[x1]\n\t" dot                          \
    " r10, %q[w1], %q[x1]\n\t"                                                                     \
    "vldrw.u32 %q[x0], [%[x]], #16\n\t" dot " r4, %q[w0], %q[x0]\n\t" dot                          \
    " r12, %q[w1], %q[x0]\n\t"                                                                     \
    "vldrw.u32 %q[x1], [%[x]], #" on "\n\t" dot " r6, %q[w0], %q[x1]\n\t" dot                      \
    " lr, %q[w1], %q[x1]\n\t"
#define EDGEPRUNE_MVE_DOT_SUMS                                                                     \
    "vmov %q[sums0][2], %q[sums0][0], r0, r4\n\t"                                                  \
    "vmov %q[sums0][3], %q[sums0][1], r2, r6\n\t"                                                  \
    "vmov %q[sums1][2], %q[sums1][0], r8, r12\n\t"                                                 \
    "vmov %q[sums1][3], %q[sums1][1], r10, lr\n\t"                                                 \
    "ldm %[channel]!, {r0, r2, r4, r6}"
#define EDGEPRUNE_MVE_DOT_OUTPUTS                                                                  \
    [w] "+r"(w), [x] "+r"(panel), [channel] "+r"(channel), [sums0] "=&w"(sums0),                   \
        [sums1] "=&w"(sums1), [w0] "=&w"(w0), [w1] "=&w"(w1), [x0] "=&w"(x0), [x1] "=&w"(x1),      \
        "=&r"(bias0), "=&r"(multiplier0), "=&r"(bias1), "=&r"(multiplier1)
#define EDGEPRUNE_MVE_DOT_CLOBBERS "r8", "r10", "r12", "lr", "cc", "memory"
    const int32_t steps = (depth + 15) / 16;
    const int32_t rest = pitch < 16 * steps ? pitch - 16 * (steps - 1) : 16;
    const int8_t *w = *weights;
    const int32_t *channel = *channels;
    register int32_t bias0 __asm__("r0");
    register int32_t multiplier0 __asm__("r2");
    register int32_t bias1 __asm__("r4");
    register int32_t multiplier1 __asm__("r6");
    edgeprune_mve_bytes w0;
    edgeprune_mve_bytes w1;
    edgeprune_mve_bytes x0;
    edgeprune_mve_bytes x1;
    edgeprune_mve_words sums0;
    edgeprune_mve_words sums1;
    if (steps <= 6) {
        /* In one piece; the last load of the panel goes back to its start. */
        __asm__(".if %c[steps] > 1\n\t" EDGEPRUNE_MVE_DOT_STEP("vmladav.s8", "16", "16")
                ".rept %c[steps] - 2\n\t" EDGEPRUNE_MVE_DOT_STEP("vmladava.s8", "16", "16")
                ".endr\n\t" EDGEPRUNE_MVE_DOT_STEP("vmladava.s8", "%c[rest]", "%c[back]")
                ".else\n\t" EDGEPRUNE_MVE_DOT_STEP("vmladav.s8", "%c[rest]", "%c[back]")
                ".endif\n\t" EDGEPRUNE_MVE_DOT_SUMS
                : EDGEPRUNE_MVE_DOT_OUTPUTS
                : [steps] "i"(steps), [rest] "i"(rest), [back] "i"(16 - 64 * steps)
                : EDGEPRUNE_MVE_DOT_CLOBBERS);
    } else {
        int32_t left = steps - 2;
        __asm__(EDGEPRUNE_MVE_DOT_STEP("vmladav.s8", "16", "16")
                "1:\n\t" EDGEPRUNE_MVE_DOT_STEP("vmladava.s8", "16", "16")
                "subs %[left], #1\n\t"
                "bne 1b\n\t" EDGEPRUNE_MVE_DOT_STEP("vmladava.s8", "%c[rest]", "16")
                EDGEPRUNE_MVE_DOT_SUMS
                : EDGEPRUNE_MVE_DOT_OUTPUTS, [left] "+r"(left)
                : [rest] "i"(rest)
                : EDGEPRUNE_MVE_DOT_CLOBBERS);
        panel -= 64 * steps;
    }
#undef EDGEPRUNE_MVE_DOT_CLOBBERS
#undef EDGEPRUNE_MVE_DOT_OUTPUTS
#undef EDGEPRUNE_MVE_DOT_SUMS
#undef EDGEPRUNE_MVE_DOT_STEP
    *weights = w + 2 * (pitch - 16 * (steps - 1) - rest);
    *channels = channel;
    block->sums[0] = sums0;
    block->sums[1] = sums1;
    block->bias_and_shift[0] = bias0;
    block->bias_and_shift[1] = bias1;
    block->multiplier[0] = multiplier0;
    block->multiplier[1] = multiplier1;
    return panel;
#else
    const int8_t *x = panel;
    const int8_t *const next = *weights + 2 * pitch;
    for (int32_t row = 0; row < 2; row++) {
        for (int32_t p = 0; p < 4; p++) {
            block->sums[row].lane[p] = 0;
        }
        block->bias_and_shift[row] = (*channels)[0];
        block->multiplier[row] = (*channels)[1];
        *channels += 2;
    }
    for (int32_t begin = 0; begin < depth; begin += 16) {
        const int32_t count = pitch - begin < 16 ? pitch - begin : 16;
        for (int32_t row = 0; row < 2; row++) {
            for (int32_t p = 0; p < 4; p++) {
                for (int32_t i = 0; i < count; i++) {
                    block->sums[row].lane[p] += (*weights)[i] * x[16 * p + i];
                }
            }
            *weights += count;
        }
        x += 64;
    }
    *weights = next;
    return panel;
#endif
}

/* One vector of `depth` values into a panel; `panel` points to its sixteen bytes of step 0. */
EDGEPRUNE_INLINE void edgeprune_mve_pack(int8_t *panel, const int8_t *vector, int32_t depth)
{
    for (int32_t step = 0; step < depth / 16; step++) {
        edgeprune_mve_store(panel, edgeprune_mve_load(vector));
        vector += 16;
        panel += 64;
    }
    if (depth % 16 != 0) {
        edgeprune_mve_store(panel, edgeprune_mve_load_first(vector, depth % 16));
    }
}

/*
 * A panel times the matrix: output [count][outputs]. Where `count` is below four, the panel's
 * vectors behind the last are the last again.
 */
EDGEPRUNE_INLINE void edgeprune_mve_multiply(const edgeprune_mve_matrix *matrix,
                                             const int8_t *panel, int8_t *output, int32_t count,
                                             int32_t depth, int32_t pitch, int32_t outputs,
                                             int32_t away, int32_t clamp)
{
    const int8_t *weights = matrix->weights;
    const int32_t *channels = matrix->channels;
    const edgeprune_mve_offsets places = edgeprune_mve_pair_places(count, outputs);
    const edgeprune_mve_limits limits = edgeprune_mve_spread(&matrix->range);
    int32_t left = (outputs + 1) / 2;
    do {
        edgeprune_mve_block block;
        panel = edgeprune_mve_multiply_block(panel, &weights, &channels, &block, depth,
                                             pitch);
        const edgeprune_mve_words even = edgeprune_mve_rescale(
            block.sums[0], block.bias_and_shift[0], block.multiplier[0], away);
        const edgeprune_mve_words odd = edgeprune_mve_rescale(
            block.sums[1], block.bias_and_shift[1], block.multiplier[1], away);
        output -= outputs % 2 != 0 && left == 1 ? 1 : 0;
        edgeprune_mve_scatter(output, places, edgeprune_mve_narrow(even, odd, limits, clamp));
        output += 2;
        left--;
    } while (left != 0);
}

#endif
