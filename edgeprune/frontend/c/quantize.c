#include "quantize.h"

void edgeprune_input_quantize(const int16_t *frame, int8_t *out)
{
    for (uint32_t i = 0; i < EDGEPRUNE_FRONTEND_FEATURES; i++) {
        const int32_t sum = frame[i] * edgeprune_input_multipliers[i] + edgeprune_input_offsets[i];
        const int32_t value = sum >> edgeprune_input_shift;
        out[i] = (int8_t)(value < -128 ? -128 : value > 127 ? 127 : value);
    }
}
