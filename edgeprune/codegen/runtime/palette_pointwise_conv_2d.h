/*
 * edgeprune: CONV_2D with a 1 x 1 kernel and stride 1 whose weights are compressed: unpacked to
 * memory once, then multiplied by dsp_pointwise.h.
 *
 * Shapes: input [pixels][depth], output [pixels][outputs]; outputs is even, depth a multiple of 4.
 * Scratch: outputs * (depth + 4) * 2 bytes, then what dsp_pointwise.h needs.
 * It starts at a multiple of 4.
 * Bounds and overlap: those of dsp_pointwise.h.
 */
#ifndef EDGEPRUNE_PALETTE_POINTWISE_CONV_2D_H
#define EDGEPRUNE_PALETTE_POINTWISE_CONV_2D_H

#include "dsp_pointwise.h"
#include "palette_unpack.h"

typedef struct edgeprune_palette_pointwise_conv_2d {
    const int8_t *weights;   /* the bytes of palette_unpack.h */
    const int8_t *tables;    /* what they refer to; NULL where the form has none */
    const int32_t *channels; /* [pairs][4]: of a pair of dsp_matrix.h what is around its weights */
} edgeprune_palette_pointwise_conv_2d;

EDGEPRUNE_INLINE void edgeprune_palette_pointwise_conv_2d_unpacked(
    const edgeprune_palette_pointwise_conv_2d *layer, const int8_t *input, int8_t *output,
    int8_t *scratch, int32_t form, int32_t pixels, int32_t depth, int32_t outputs,
    int32_t zero_point, int32_t low, int32_t high)
{
    const uint8_t *from = (const uint8_t *)layer->weights;
    int32_t *pair = (int32_t *)(void *)scratch;
    const edgeprune_dsp_matrix matrix = {pair};
    const int32_t *const end = layer->channels + 2 * outputs;
    for (const int32_t *channels = layer->channels; channels != end; channels += 4) {
        pair[0] = channels[0];
        pair[1] = channels[1];
        if (form == EDGEPRUNE_PALETTE_TABLES) {
            from = edgeprune_palette_unpack(from, layer->tables, pair + 2, depth);
        } else {
            from = edgeprune_palette_unpack_bitmap(from, pair + 2, depth);
        }
        pair += 2 + depth / 2;
        pair[0] = channels[2];
        pair[1] = channels[3];
        pair += 2;
    }
    edgeprune_dsp_pointwise(&matrix, input, output, (int8_t *)(void *)pair, pixels, depth,
                                    outputs, zero_point, low, high);
}

#endif
