#ifndef EDGEPRUNE_QUANTIZE_H
#define EDGEPRUNE_QUANTIZE_H

#include <stdint.h>

void edgeprune_input_quantize(const int16_t *frame, int8_t *out);

#endif
