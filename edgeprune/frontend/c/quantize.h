/* Front-end features to the int8 input of the network. */
#ifndef EDGEPRUNE_QUANTIZE_H
#define EDGEPRUNE_QUANTIZE_H

#include <stdint.h>

#include "frontend_config.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Generated: the affine map of each feature. The generator makes sure that, for every int16,
 * feature * multiplier + offset fits int32. */
extern const int32_t edgeprune_input_multipliers[EDGEPRUNE_FRONTEND_FEATURES];
extern const int32_t edgeprune_input_offsets[EDGEPRUNE_FRONTEND_FEATURES];
extern const uint8_t edgeprune_input_shift;

/* frame, out: EDGEPRUNE_FRONTEND_FEATURES values;
 * out = clamp((feature * multiplier + offset) >> shift) to -128 ... 127. */
void edgeprune_input_quantize(const int16_t *frame, int8_t *out);

#ifdef __cplusplus
}
#endif

#endif
