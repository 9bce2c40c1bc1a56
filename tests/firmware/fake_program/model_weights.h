#ifndef EDGEPRUNE_MODEL_WEIGHTS_H
#define EDGEPRUNE_MODEL_WEIGHTS_H

#include <stdint.h>

#define HIDDEN 12

extern const int8_t edgeprune_layer_00_weights[HIDDEN][4];
extern const int16_t edgeprune_layer_01_divisors[3];

#endif
