#include "model_weights.h"

const int8_t edgeprune_layer_00_weights[HIDDEN][4] = {
    {1, -2, 3, -4}, {5, 6, -7, 8}, {-9, 10, 11, -12}, {13, -14, 15, 16},
    {1, 2, 3, 4}, {-5, -6, -7, -8}, {9, 10, 11, 12}, {-13, 14, -15, 16},
    {0, 1, 0, -1}, {2, 0, -2, 0}, {3, 3, -3, -3}, {7, -7, 7, -7},
};
const int16_t edgeprune_layer_01_divisors[3] = {3, 5, 7};
