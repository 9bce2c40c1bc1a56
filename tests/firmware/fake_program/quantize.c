#include "quantize.h"

#include "frontend_config.h"

/* Right only if start-up copies .data and clears .bss; volatile, so that the compiler can't know. */
static volatile uint8_t shift = 8;
static volatile int8_t bias;

void edgeprune_input_quantize(const int16_t *frame, int8_t *out) {
    for (uint32_t i = 0; i < EDGEPRUNE_FRONTEND_FEATURES; ++i) {
        out[i] = (int8_t)((frame[i] >> shift) + bias);
    }
}
