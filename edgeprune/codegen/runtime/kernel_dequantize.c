#include "kernel_dequantize.h"

enum { FRACTION_BITS = 23 };

/* The float's bits of mantissa * 2^(exponent - 150) * value. */
static uint32_t product_bits(uint32_t mantissa, int32_t exponent, int32_t value)
{
    const uint32_t sign = value < 0 ? UINT32_C(0x80000000) : 0;
    uint32_t product = mantissa * (uint32_t)(value < 0 ? -value : value);
    int32_t shift = 0;
    if (value == 0) {
        return 0;
    }
    while ((product >> shift) >> (FRACTION_BITS + 1) != 0) {
        shift++;
    }
    if (shift > 0) {
        product += ((uint32_t)1 << (shift - 1)) - 1 + ((product >> shift) & 1);
    }
    /* The leading one adds 1 to the exponent; one more where rounding carries. */
    return sign | (((uint32_t)(exponent + shift - 1) << FRACTION_BITS) + (product >> shift));
}

void edgeprune_kernel_dequantize(const edgeprune_dequantize *layer, const int8_t *input,
                                 int8_t *output)
{
    const uint32_t mantissa = (uint32_t)layer->mantissa;
    for (int32_t i = 0; i < layer->count; i++) {
        const int32_t value = (input[i] ^ layer->flip) + layer->offset;
        const uint32_t bits = product_bits(mantissa, layer->exponent, value);
        for (int32_t byte = 0; byte < 4; byte++) {
            *output++ = (int8_t)(uint8_t)(bits >> (8 * byte));
        }
    }
}
