/*
 * edgeprune: DEPTHWISE_CONV_2D with channel multiplier 1 and a small window, with Helium (MVE).
 *
 * One channel at a time is taken out of the image into a plane of its own: lines of `pitch` bytes,
 * with the zero point around the image; what is left of a line is right of the line before. There
 * all taps of a window lie within sixteen bytes, so that one VMLADAV computes one sum, and where
 * two windows lie within them the bytes are loaded once for both.
 *
 * Shapes: input [batches][input_height][input_width][channels],
 * output [batches][output_height][output_width][channels], weights [channels][taps];
 * pixels = output_height * output_width is at least 8. Scratch: sums, `sums_size` bytes of int32,
 * and the plane, `plane_size` bytes, a multiple of 16.
 * Rows of at most six outputs are computed in one `run` each; longer rows are more runs of six, of
 * which the last may compute sums of no output, which are overwritten or not read.
 * The output may be the memory of the input where it has no more pixels; a channel is read before
 * it is written.
 *
 * Bounds: |bias| + 128 * sum of |weights| of a channel is below 2^31, which the generator has
 * checked. 7 * channels is at most 65535.
 */
#ifndef EDGEPRUNE_MVE_DEPTHWISE_CONV_2D_H
#define EDGEPRUNE_MVE_DEPTHWISE_CONV_2D_H

#include "mve_rows.h"

typedef struct edgeprune_mve_depthwise_conv_2d {
    const int8_t *weights;   /* [channels][taps] */
    const int8_t *taps;      /* [16]: which tap meets a byte of the plane, for those in `lanes` */
    const int32_t *channels; /* [channels][2]: bias * 256 + (-shift & 255), multiplier */
    int32_t input_zero_point;
    edgeprune_range range;
} edgeprune_mve_depthwise_conv_2d;

/*
 * `runs` runs of `count` (1 to 6) sums each, at distance `stride` along the plane; from run to
 * run the plane moves on by `advance`. The weights of a window that begins `stride` bytes later
 * are in `next`, where `paired` is set. Returns the end of the sums.
 */
EDGEPRUNE_INLINE int32_t *edgeprune_mve_runs(const int8_t *plane, int32_t *sums,
                                             edgeprune_mve_bytes weights, edgeprune_mve_bytes next,
                                             int32_t runs, int32_t count, int32_t stride,
                                             int32_t advance, int32_t paired)
{
#if defined(__ARM_FEATURE_MVE)
    edgeprune_mve_bytes x;
#define EDGEPRUNE_MVE_RUN_SECOND(sum, at)                                                          \
    ".if %c[paired]\n\tvmladav.s8 " sum ", %q[x], %q[next]\n\t"                                    \
    ".else\n\tvldrb.u8 %q[x], [%[plane], #%c[stride] * " at "]\n\t"                                \
    "vmladav.s8 " sum ", %q[x], %q[w]\n\t.endif\n\t"
#define EDGEPRUNE_MVE_RUN_FIRST(sum, at)                                                           \
    "vldrb.u8 %q[x], [%[plane], #%c[stride] * " at "]\n\t"                                         \
    "vmladav.s8 " sum ", %q[x], %q[w]\n\t"
    __asm__ volatile("dls lr, %[runs]\n"
            ".if %c[advance] <= 127\n\t"
            "sub %[plane], %[plane], #%c[advance]\n"
            ".endif\n"
            "1:\n\t"
            ".if %c[advance] <= 127\n\t"
            "vldrb.u8 %q[x], [%[plane], #%c[advance]]!\n\t"
            ".else\n\t"
            "vldrb.u8 %q[x], [%[plane]]\n\t"
            ".endif\n\t"
            "vmladav.s8 r0, %q[x], %q[w]\n\t"
            ".if %c[count] > 1\n\t" EDGEPRUNE_MVE_RUN_SECOND("r2", "1") ".endif\n\t"
            ".if %c[count] > 2\n\t" EDGEPRUNE_MVE_RUN_FIRST("r4", "2") ".endif\n\t"
            ".if %c[count] > 3\n\t" EDGEPRUNE_MVE_RUN_SECOND("r6", "3") ".endif\n\t"
            ".if %c[count] > 4\n\t" EDGEPRUNE_MVE_RUN_FIRST("r8", "4") ".endif\n\t"
            ".if %c[count] > 5\n\t" EDGEPRUNE_MVE_RUN_SECOND("r10", "5") ".endif\n\t"
            ".if %c[count] == 1\n\tstr r0, [%[sums]], #4\n\t.endif\n\t"
            ".if %c[count] == 2\n\tstm %[sums]!, {r0, r2}\n\t.endif\n\t"
            ".if %c[count] == 3\n\tstm %[sums]!, {r0, r2, r4}\n\t.endif\n\t"
            ".if %c[count] == 4\n\tstm %[sums]!, {r0, r2, r4, r6}\n\t.endif\n\t"
            ".if %c[count] == 5\n\tstm %[sums]!, {r0, r2, r4, r6, r8}\n\t.endif\n\t"
            ".if %c[count] == 6\n\tstm %[sums]!, {r0, r2, r4, r6, r8, r10}\n\t.endif\n\t"
            ".if %c[advance] > 127\n\t"
            "add %[plane], %[plane], #%c[advance]\n\t"
            ".endif\n\t"
            "le lr, 1b"
            : [plane] "+r"(plane), [sums] "+r"(sums), [x] "=&w"(x)
            : [w] "w"(weights), [next] "w"(next), [runs] "r"(runs), [count] "i"(count),
              [stride] "i"(stride), [advance] "i"(advance), [paired] "i"(paired)
            : "r0", "r2", "r4", "r6", "r8", "r10", "lr", "memory");
#undef EDGEPRUNE_MVE_RUN_SECOND
#undef EDGEPRUNE_MVE_RUN_FIRST
#else
    (void)next;
    (void)paired;
    for (; runs > 0; runs--) {
        for (int32_t n = 0; n < count; n++) {
            int32_t sum = 0;
            for (int32_t i = 0; i < 16; i++) {
                sum += weights.lane[i] * plane[n * stride + i];
            }
            *sums++ = sum;
        }
        plane += advance;
    }
#endif
    return sums;
}

/* All sums of one channel, in the order of the output's pixels. */
EDGEPRUNE_INLINE void edgeprune_mve_correlate(const int8_t *plane, int32_t *sums,
                                              edgeprune_mve_bytes weights, int32_t height,
                                              int32_t width, int32_t stride_height,
                                              int32_t stride_width, int32_t pitch, int32_t paired)
{
    const edgeprune_mve_bytes next =
        paired != 0 ? edgeprune_mve_move_up(weights, stride_width) : weights;
    if (width <= 6) {
        (void)edgeprune_mve_runs(plane, sums, weights, next, height, width, stride_width,
                                 stride_height * pitch, paired);
        return;
    }
    for (int32_t y = 0; y < height; y++) {
        (void)edgeprune_mve_runs(plane, sums, weights, next, (width + 5) / 6, 6, stride_width,
                                 6 * stride_width, paired);
        plane += stride_height * pitch;
        sums += width;
    }
}

/* Eight sums of one channel to eight pixels. */
EDGEPRUNE_INLINE void edgeprune_mve_put_channel(const int32_t *sums, int8_t *output,
                                                edgeprune_mve_offsets pixels,
                                                int32_t bias_and_shift, int32_t multiplier,
                                                edgeprune_mve_limits limits, int32_t away,
                                                int32_t clamp)
{
    const edgeprune_mve_words even = edgeprune_mve_rescale(edgeprune_mve_load_words(sums),
                                                           bias_and_shift, multiplier, away);
    const edgeprune_mve_words odd = edgeprune_mve_rescale(edgeprune_mve_load_words(sums + 4),
                                                          bias_and_shift, multiplier, away);
    edgeprune_mve_scatter(output, pixels, edgeprune_mve_narrow(even, odd, limits, clamp));
}

EDGEPRUNE_INLINE void edgeprune_kernel_mve_depthwise_conv_2d(
    const edgeprune_mve_depthwise_conv_2d *layer, const int8_t *input, int8_t *output,
    int8_t *scratch, int32_t batches, int32_t input_height, int32_t input_width,
    int32_t output_height, int32_t output_width, int32_t channels, int32_t taps, int32_t lanes,
    int32_t stride_height, int32_t stride_width, int32_t origin, int32_t pitch, int32_t paired,
    int32_t sums_size, int32_t plane_size, int32_t away, int32_t clamp)
{
    const int32_t pixels = output_height * output_width;
    int32_t *sums = (int32_t *)(void *)scratch;
    int8_t *plane = scratch + sums_size;
    const edgeprune_mve_limits limits = edgeprune_mve_spread(&layer->range);
    const edgeprune_mve_offsets in_order = edgeprune_mve_places(channels);
    const edgeprune_mve_offsets in_turn = edgeprune_mve_turn_places(channels);
    for (int32_t i = 0; i < plane_size; i += 16) {
        edgeprune_mve_store(plane + i, edgeprune_mve_all((int8_t)layer->input_zero_point));
    }
    for (int32_t batch = 0; batch < batches; batch++) {
        const int8_t *weights = layer->weights;
        const int32_t *channel = layer->channels;
        for (int32_t c = 0; c < channels; c++) {
            for (int32_t x = 0; x < input_width; x += 8) {
                edgeprune_mve_gather_rows(plane + origin + x, pitch, input + c + x * channels,
                                          input_width * channels, in_order, input_height,
                                          input_width - x);
            }
            edgeprune_mve_correlate(plane, sums,
                                    edgeprune_mve_pick(weights, layer->taps, lanes), output_height,
                                    output_width, stride_height, stride_width, pitch, paired);
            const int32_t bias_and_shift = channel[0];
            const int32_t multiplier = channel[1];
            int8_t *to = output + c;
            for (int32_t pixel = 0; pixel + 8 <= pixels; pixel += 8) {
                edgeprune_mve_put_channel(sums + pixel, to, in_turn, bias_and_shift, multiplier,
                                          limits, away, clamp);
                to += 8 * channels;
            }
            if (pixels % 8 != 0) {
                /* The last eight, some of them for the second time. */
                edgeprune_mve_put_channel(sums + pixels - 8, output + c + (pixels - 8) * channels,
                                          in_turn, bias_and_shift, multiplier, limits, away,
                                          clamp);
            }
            weights += taps;
            channel += 2;
        }
        input += input_height * input_width * channels;
        output += pixels * channels;
    }
}

#endif
