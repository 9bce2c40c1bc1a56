/*
 * edgeprune: DEPTHWISE_CONV_2D of one image with the DSP extension: one output channel an input
 * channel, no dilation, stride 1 along the width.
 *
 * Shapes: input [input_height][input_width][channels], output [output_height][output_width]
 * [channels]. One channel after the other is widened to int16 rows with the input's zero point
 * around them, as the bias expects it, so that no tap needs a condition. It writes a channel's
 * bytes after it has read all of them: the output may be the input's memory, starting at the same
 * address.
 *
 * Values lie in words (x0, x1), (x2, x3), ... of a row. For an output at an even position the taps
 * are paired as (w0, w1), (w2, w3), ..., for one at an odd position as (0, w0), (w1, w2), ..., so
 * that each word of values meets one word of taps of either kind. Taps are doubled: the
 * accumulators are twice the sums, as dsp_requantize.h wants them.
 *
 * Scratch: the taps of a channel, then its rows; edgeprune_dsp_plane gives their sizes. It starts
 * at a multiple of 8.
 * Bounds: |bias| + 128 * sum of |weights| of a channel is below 2^23, which the generator has
 * checked; the factor of 2 stays within int32.
 */
#ifndef EDGEPRUNE_DSP_DEPTHWISE_CONV_2D_H
#define EDGEPRUNE_DSP_DEPTHWISE_CONV_2D_H

#include "dsp_requantize.h"

typedef struct edgeprune_dsp_depthwise {
    const int8_t *weights;   /* [channels][kernel_height][kernel_width] */
    const int32_t *channels; /* [channels][2], see dsp_requantize.h */
} edgeprune_dsp_depthwise;

typedef struct edgeprune_dsp_nested_depthwise {
    edgeprune_dsp_depthwise layer; /* the first channels of a wider layer's weights */
    int32_t input_zero_point;
} edgeprune_dsp_nested_depthwise;

/* Numbers of a layer; compile-time constants. */
typedef struct edgeprune_dsp_plane {
    int32_t channels;
    int32_t input_height;
    int32_t input_width;
    int32_t output_height;
    int32_t output_width;
    int32_t kernel_height;
    int32_t kernel_width;
    int32_t stride_height;
    int32_t padding_top;
    int32_t padding_left;
    int32_t rows;  /* of the widened channel */
    int32_t pitch; /* words of such a row */
} edgeprune_dsp_plane;

/* Accumulators of neighbours in a row; the first starts at an even position. */
typedef struct edgeprune_dsp_row {
    int32_t a0, a1, a2, a3, a4;
} edgeprune_dsp_row;

/* Words of taps that belong to one row of a kernel: three taps in two words, else see above. */
#define EDGEPRUNE_DSP_TAP_WORDS(width) ((width) == 3 ? 2 : 2 * ((width) / 2 + 1))

/*
 * One row of a kernel of width 3: the first one starts from `bias`, the others add to the sums.
 * The taps are (w0, w1) and (w1, w2). Values and taps of a row are behind those of the last.
 */
#if defined(__ARM_FEATURE_DSP)
#define EDGEPRUNE_DSP_TAPS_3_OF_4(first, second, third, fourth)                                    \
    "ldm %[x]!, {r0, r1, r2}\n\t"                                                                  \
    "ldrd r3, r4, [%[taps]], #8\n\t"                                                               \
    "smlad %[a0], r0, r3, %[" first "]\n\t"                                                        \
    "smlatb %[a1], r0, r3, %[" second "]\n\t"                                                      \
    "smlad %[a2], r1, r3, %[" third "]\n\t"                                                        \
    "smlatb %[a3], r1, r3, %[" fourth "]\n\t"                                                      \
    "smlabt %[a0], r1, r4, %[a0]\n\t"                                                              \
    "smlad %[a1], r1, r4, %[a1]\n\t"                                                               \
    "smlabt %[a2], r2, r4, %[a2]\n\t"                                                              \
    "smlad %[a3], r2, r4, %[a3]"
#define EDGEPRUNE_DSP_TAPS_3_OF_5(first, second, third, fourth)                                    \
    "ldm %[x]!, {r0, r1, r2, r3}\n\t"                                                              \
    "ldrd r4, r5, [%[taps]], #8\n\t"                                                               \
    "smlad %[a0], r0, r4, %[" first "]\n\t"                                                        \
    "smlatb %[a1], r0, r4, %[" second "]\n\t"                                                      \
    "smlad %[a2], r1, r4, %[" third "]\n\t"                                                        \
    "smlatb %[a3], r1, r4, %[" fourth "]\n\t"                                                      \
    "smlad %[a4], r2, r4, %[a4]\n\t"                                                               \
    "smlabt %[a0], r1, r5, %[a0]\n\t"                                                              \
    "smlad %[a1], r1, r5, %[a1]\n\t"                                                               \
    "smlabt %[a2], r2, r5, %[a2]\n\t"                                                              \
    "smlad %[a3], r2, r5, %[a3]\n\t"                                                               \
    "smlabt %[a4], r3, r5, %[a4]"
#endif

EDGEPRUNE_INLINE void edgeprune_dsp_next_3_of_4(const int32_t **x, const int32_t **taps,
                                                edgeprune_dsp_row *row)
{
#if defined(__ARM_FEATURE_DSP)
    __asm__(EDGEPRUNE_DSP_TAPS_3_OF_4("a0", "a1", "a2", "a3")
            : [x] "+r"(*x), [taps] "+r"(*taps), [a0] "+r"(row->a0), [a1] "+r"(row->a1),
              [a2] "+r"(row->a2), [a3] "+r"(row->a3)
            :
            : "r0", "r1", "r2", "r3", "r4", "memory");
#else
    const int32_t *const v = *x;
    const int32_t *const w = *taps;
    const int32_t first = edgeprune_dsp_low(w[0]);
    const int32_t last = edgeprune_dsp_high(w[1]);
    row->a0 = edgeprune_dsp_smlad(v[0], w[0], row->a0) + edgeprune_dsp_low(v[1]) * last;
    row->a1 = edgeprune_dsp_smlad(v[1], w[1], row->a1) + edgeprune_dsp_high(v[0]) * first;
    row->a2 = edgeprune_dsp_smlad(v[1], w[0], row->a2) + edgeprune_dsp_low(v[2]) * last;
    row->a3 = edgeprune_dsp_smlad(v[2], w[1], row->a3) + edgeprune_dsp_high(v[1]) * first;
    *x = v + 3;
    *taps = w + 2;
#endif
}

EDGEPRUNE_INLINE void edgeprune_dsp_first_3_of_4(const int32_t **x, const int32_t **taps,
                                                 int32_t bias, edgeprune_dsp_row *row)
{
#if defined(__ARM_FEATURE_DSP)
    row->a3 = bias;
    __asm__(EDGEPRUNE_DSP_TAPS_3_OF_4("a3", "a3", "a3", "a3")
            : [x] "+r"(*x), [taps] "+r"(*taps), [a0] "=&r"(row->a0), [a1] "=&r"(row->a1),
              [a2] "=&r"(row->a2), [a3] "+r"(row->a3)
            :
            : "r0", "r1", "r2", "r3", "r4", "memory");
#else
    const edgeprune_dsp_row start = {bias, bias, bias, bias, bias};
    *row = start;
    edgeprune_dsp_next_3_of_4(x, taps, row);
#endif
}

EDGEPRUNE_INLINE void edgeprune_dsp_next_3_of_5(const int32_t **x, const int32_t **taps,
                                                edgeprune_dsp_row *row)
{
#if defined(__ARM_FEATURE_DSP)
    __asm__(EDGEPRUNE_DSP_TAPS_3_OF_5("a0", "a1", "a2", "a3")
            : [x] "+r"(*x), [taps] "+r"(*taps), [a0] "+r"(row->a0), [a1] "+r"(row->a1),
              [a2] "+r"(row->a2), [a3] "+r"(row->a3), [a4] "+r"(row->a4)
            :
            : "r0", "r1", "r2", "r3", "r4", "r5", "memory");
#else
    const int32_t *const v = *x;
    row->a4 = edgeprune_dsp_smlad(v[2], (*taps)[0], row->a4) +
              edgeprune_dsp_low(v[3]) * edgeprune_dsp_high((*taps)[1]);
    edgeprune_dsp_next_3_of_4(x, taps, row);
    *x = v + 4;
#endif
}

EDGEPRUNE_INLINE void edgeprune_dsp_first_3_of_5(const int32_t **x, const int32_t **taps,
                                                 int32_t bias, edgeprune_dsp_row *row)
{
#if defined(__ARM_FEATURE_DSP)
    row->a4 = bias;
    __asm__(EDGEPRUNE_DSP_TAPS_3_OF_5("a4", "a4", "a4", "a4")
            : [x] "+r"(*x), [taps] "+r"(*taps), [a0] "=&r"(row->a0), [a1] "=&r"(row->a1),
              [a2] "=&r"(row->a2), [a3] "=&r"(row->a3), [a4] "+r"(row->a4)
            :
            : "r0", "r1", "r2", "r3", "r4", "r5", "memory");
#else
    const edgeprune_dsp_row start = {bias, bias, bias, bias, bias};
    *row = start;
    edgeprune_dsp_next_3_of_5(x, taps, row);
#endif
}

EDGEPRUNE_INLINE void edgeprune_dsp_next_3(const edgeprune_dsp_plane *plane, const int32_t **x,
                                           const int32_t **taps, int32_t count,
                                           edgeprune_dsp_row *row)
{
    if (count == 5) {
        *x += plane->pitch - 4;
        edgeprune_dsp_next_3_of_5(x, taps, row);
    } else {
        *x += plane->pitch - 3;
        edgeprune_dsp_next_3_of_4(x, taps, row);
    }
}

/* A kernel of width 3 for `count` outputs, four or five. */
EDGEPRUNE_INLINE void edgeprune_dsp_width_3(const edgeprune_dsp_plane *plane, const int32_t *x,
                                            const int32_t *taps, int32_t bias, int32_t count,
                                            edgeprune_dsp_row *row)
{
    if (count == 5) {
        edgeprune_dsp_first_3_of_5(&x, &taps, bias, row);
    } else {
        edgeprune_dsp_first_3_of_4(&x, &taps, bias, row);
    }
    /* Two rows more without a loop, which would cost as much as a row. */
    int32_t left = plane->kernel_height - 1;
    if (left > 0) {
        edgeprune_dsp_next_3(plane, &x, &taps, count, row);
    }
    if (left > 1) {
        edgeprune_dsp_next_3(plane, &x, &taps, count, row);
    }
    for (left -= 2; left > 0; left--) {
        edgeprune_dsp_next_3(plane, &x, &taps, count, row);
    }
}

/* Two taps of any kernel for four outputs: a word for even positions, one for odd ones. */
EDGEPRUNE_INLINE void edgeprune_dsp_taps_2_of_4(const int32_t *x, const int32_t *taps,
                                                edgeprune_dsp_row *row)
{
    const int32_t x0 = x[0];
    const int32_t x1 = x[1];
    const int32_t even = taps[0];
    const int32_t odd = taps[1];
    row->a0 = edgeprune_dsp_smlad(x0, even, row->a0);
    row->a1 = edgeprune_dsp_smlad(x0, odd, row->a1);
    row->a2 = edgeprune_dsp_smlad(x1, even, row->a2);
    row->a3 = edgeprune_dsp_smlad(x1, odd, row->a3);
}

/* A kernel of another width for four outputs. */
EDGEPRUNE_INLINE void edgeprune_dsp_any_width(const edgeprune_dsp_plane *plane, const int32_t *x,
                                              const int32_t *taps, int32_t bias,
                                              edgeprune_dsp_row *row)
{
    const edgeprune_dsp_row start = {bias, bias, bias, bias, bias};
    const int32_t words = plane->kernel_width / 2 + 1;
    *row = start;
    for (int32_t i = 0; i < plane->kernel_height; i++) {
        for (int32_t j = 0; j + 4 <= words; j += 4) {
            edgeprune_dsp_taps_2_of_4(x, taps, row);
            edgeprune_dsp_taps_2_of_4(x + 1, taps + 2, row);
            edgeprune_dsp_taps_2_of_4(x + 2, taps + 4, row);
            edgeprune_dsp_taps_2_of_4(x + 3, taps + 6, row);
            x += 4;
            taps += 8;
        }
        if (words % 4 > 0) {
            edgeprune_dsp_taps_2_of_4(x, taps, row);
        }
        if (words % 4 > 1) {
            edgeprune_dsp_taps_2_of_4(x + 1, taps + 2, row);
        }
        if (words % 4 > 2) {
            edgeprune_dsp_taps_2_of_4(x + 2, taps + 4, row);
        }
        x += plane->pitch - words / 4 * 4;
        taps += words % 4 * 2;
    }
}

/* Up to five neighbours of a row from an even position on, of which `x` is the first word. */
EDGEPRUNE_INLINE void edgeprune_dsp_depthwise_block(const edgeprune_dsp_plane *plane,
                                                    const int32_t *x, const int32_t *taps,
                                                    int32_t bias, edgeprune_dsp_channel channel,
                                                    edgeprune_dsp_output output, int32_t count,
                                                    int8_t *y)
{
    edgeprune_dsp_row row;
    if (plane->kernel_width == 3) {
        edgeprune_dsp_width_3(plane, x, taps, bias, count, &row);
    } else {
        edgeprune_dsp_any_width(plane, x, taps, bias, &row);
    }
    const int32_t step = plane->channels;
    y[0] = edgeprune_dsp_requantize(row.a0, channel, output);
    if (count > 1) {
        y[step] = edgeprune_dsp_requantize(row.a1, channel, output);
    }
    if (count > 2) {
        y[2 * step] = edgeprune_dsp_requantize(row.a2, channel, output);
    }
    if (count > 3) {
        y[3 * step] = edgeprune_dsp_requantize(row.a3, channel, output);
    }
    if (count > 4) {
        y[4 * step] = edgeprune_dsp_requantize(row.a4, channel, output);
    }
}

/* Words of twice the taps of one row of a kernel. */
EDGEPRUNE_INLINE void edgeprune_dsp_expand_taps(const int8_t *weights, int32_t width,
                                                int32_t *taps)
{
    if (width == 3) {
        taps[0] = edgeprune_dsp_pair(2 * weights[0], 2 * weights[1]);
        taps[1] = edgeprune_dsp_pair(2 * weights[1], 2 * weights[2]);
        return;
    }
    int32_t before = 0;
    for (int32_t i = 0; i <= width; i += 2) {
        const int32_t first = i < width ? 2 * weights[i] : 0;
        const int32_t second = i + 1 < width ? 2 * weights[i + 1] : 0;
        *taps++ = edgeprune_dsp_pair(first, second);
        *taps++ = edgeprune_dsp_pair(before, first);
        before = second;
    }
}

/* One channel of an image into the rows, inside the padding. */
EDGEPRUNE_INLINE void edgeprune_dsp_widen_channel(const edgeprune_dsp_plane *plane,
                                                  const int8_t *input, int8_t *to)
{
    const int32_t step = plane->channels;
    to += plane->padding_top * 4 * plane->pitch + 2 * plane->padding_left;
    for (int32_t i = 0; i < plane->input_height; i++) {
        int32_t j = 0;
        for (; j + 4 <= plane->input_width; j += 4) {
            edgeprune_dsp_store_half(to + 2 * j, input[0]);
            edgeprune_dsp_store_half(to + 2 * j + 2, input[step]);
            edgeprune_dsp_store_half(to + 2 * j + 4, input[2 * step]);
            edgeprune_dsp_store_half(to + 2 * j + 6, input[3 * step]);
            input += 4 * step;
        }
        for (; j < plane->input_width; j++) {
            edgeprune_dsp_store_half(to + 2 * j, *input);
            input += step;
        }
        to += 4 * plane->pitch;
    }
}

EDGEPRUNE_INLINE void edgeprune_dsp_depthwise_conv_2d(
    const edgeprune_dsp_depthwise *layer, const int8_t *input, int8_t *output, int8_t *scratch,
    int32_t channels, int32_t input_height, int32_t input_width, int32_t output_height,
    int32_t output_width, int32_t kernel_height, int32_t kernel_width, int32_t stride_height,
    int32_t padding_top, int32_t padding_left, int32_t rows, int32_t pitch,
    int32_t input_zero_point, int32_t zero_point, int32_t low, int32_t high)
{
    const edgeprune_dsp_plane plane = {channels,      input_height, input_width,   output_height,
                                       output_width,  kernel_height, kernel_width, stride_height,
                                       padding_top,   padding_left, rows,          pitch};
    const edgeprune_dsp_output range = {zero_point, low, high, low < zero_point};
    int32_t *const taps = (int32_t *)(void *)scratch;
    int32_t *const values = taps + kernel_height * EDGEPRUNE_DSP_TAP_WORDS(kernel_width);
    const int8_t *weights = layer->weights;
    const int32_t *words = layer->channels;
    for (int32_t i = 0; i < rows * pitch; i++) {
        values[i] = edgeprune_dsp_pair(input_zero_point, input_zero_point);
    }
    for (int32_t c = 0; c < channels; c++) {
        edgeprune_dsp_widen_channel(&plane, input + c, (int8_t *)values);
        for (int32_t i = 0; i < kernel_height; i++) {
            edgeprune_dsp_expand_taps(weights, kernel_width,
                                      taps + i * EDGEPRUNE_DSP_TAP_WORDS(kernel_width));
            weights += kernel_width;
        }
        const edgeprune_dsp_channel channel = edgeprune_dsp_channel_of(words[0], words[1], range);
        const int32_t bias = 2 * (words[0] >> 8);
        const int32_t *x = values;
        int8_t *y = output + c;
        /* Blocks of four, then what is left; five of a kernel of width 3, rather than one. */
        const int32_t odd = kernel_width == 3 && output_width > 4 && output_width % 4 == 1;
        const int32_t last = odd ? 5 : output_width % 4;
        for (int32_t i = 0; i < output_height; i++) {
            for (int32_t j = 0; j < output_width - last; j += 4) {
                edgeprune_dsp_depthwise_block(&plane, x + j / 2, taps, bias, channel, range, 4, y);
                y += 4 * channels;
            }
            if (last > 0) {
                edgeprune_dsp_depthwise_block(&plane, x + (output_width - last) / 2, taps, bias,
                                              channel, range, last, y);
                y += last * channels;
            }
            x += stride_height * pitch;
        }
        words += 2;
    }
}

/* The same, but layers of several input zero points share the function: levels have many. */
EDGEPRUNE_INLINE void edgeprune_dsp_nested_depthwise_conv_2d(
    const edgeprune_dsp_nested_depthwise *layer, const int8_t *input, int8_t *output,
    int8_t *scratch, int32_t channels, int32_t input_height, int32_t input_width,
    int32_t output_height, int32_t output_width, int32_t kernel_height, int32_t kernel_width,
    int32_t stride_height, int32_t padding_top, int32_t padding_left, int32_t rows, int32_t pitch,
    int32_t zero_point, int32_t low, int32_t high)
{
    edgeprune_dsp_depthwise_conv_2d(&layer->layer, input, output, scratch, channels, input_height,
                                    input_width, output_height, output_width, kernel_height,
                                    kernel_width, stride_height, padding_top, padding_left, rows,
                                    pitch, layer->input_zero_point, zero_point, low, high);
}

#endif
