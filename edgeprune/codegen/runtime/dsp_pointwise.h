/*
 * edgeprune: CONV_2D with a 1 x 1 kernel and stride 1, and FULLY_CONNECTED, with the DSP extension:
 * dsp_matrix.h for every three pixels or rows.
 *
 * Shapes: input [pixels][depth], output [pixels][outputs]; scratch of 24 * ((depth + 3) / 4) + 12
 * bytes, starting at a multiple of 4. Three pixels are read before their outputs are written, so
 * that the output may start where the input does if outputs <= depth.
 * Bounds: those of dsp_matrix.h.
 */
#ifndef EDGEPRUNE_DSP_POINTWISE_H
#define EDGEPRUNE_DSP_POINTWISE_H

#include "dsp_matrix.h"

/* All pixels; `pitch` is not 0 for a nested layer. */
EDGEPRUNE_INLINE void edgeprune_dsp_pointwise_with(const int32_t *pairs, const int32_t *channels,
                                                   const int8_t *input, int8_t *output,
                                                   int8_t *scratch, int32_t pixels, int32_t depth,
                                                   int32_t outputs, int32_t pitch,
                                                   edgeprune_dsp_output range)
{
    edgeprune_dsp_block block = {
        pairs, (int32_t *)(void *)scratch, output, 0, 0, depth, outputs, channels, pitch};
    for (int32_t left = pixels; left > 0; left -= EDGEPRUNE_DSP_VECTORS) {
        const int32_t second = left > 1 ? 1 : 0;
        const int32_t third = left > 2 ? 2 : 0;
        edgeprune_dsp_widen(input, input + second * depth, input + third * depth, depth,
                            block.vectors);
        block.second = second * outputs;
        block.third = third * outputs;
        edgeprune_dsp_matrix_3(&block, depth, outputs, pitch != 0, range);
        input += EDGEPRUNE_DSP_VECTORS * depth;
        block.outputs += EDGEPRUNE_DSP_VECTORS * outputs;
    }
}

EDGEPRUNE_INLINE void edgeprune_dsp_pointwise(const edgeprune_dsp_matrix *layer,
                                              const int8_t *input, int8_t *output, int8_t *scratch,
                                              int32_t pixels, int32_t depth, int32_t outputs,
                                              int32_t zero_point, int32_t low, int32_t high)
{
    const edgeprune_dsp_output range = {zero_point, low, high, low < zero_point};
    edgeprune_dsp_pointwise_with(layer->pairs, layer->pairs, input, output, scratch, pixels, depth,
                                 outputs, 0, range);
}

EDGEPRUNE_INLINE void edgeprune_dsp_nested_pointwise(const edgeprune_dsp_nested_matrix *layer,
                                                     const int8_t *input, int8_t *output,
                                                     int8_t *scratch, int32_t pixels,
                                                     int32_t depth, int32_t outputs, int32_t pitch,
                                                     int32_t zero_point, int32_t low, int32_t high)
{
    const edgeprune_dsp_output range = {zero_point, low, high, low < zero_point};
    edgeprune_dsp_pointwise_with(layer->pairs, layer->channels, input, output, scratch, pixels,
                                 depth, outputs, pitch, range);
}

#endif
