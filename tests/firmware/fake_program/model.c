/* Two layers: twelve dot products with division, then three sums. */
#include "model.h"
#include "model_weights.h"

#define HIDDEN_OFFSET 40
#define OUTPUT_OFFSET 52

static int8_t saturate(int64_t value) {
    return (int8_t)(value < -128 ? -128 : value > 127 ? 127 : value);
}

__attribute__((noinline)) static void edgeprune_layer_00_dense(edgeprune_model *model) {
    const int8_t *input = model->memory.arena;
    int8_t *output = model->memory.arena + HIDDEN_OFFSET;
    for (int32_t unit = 0; unit < HIDDEN; ++unit) {
        int32_t sum = 0;
        for (int32_t i = 0; i < EDGEPRUNE_MODEL_INPUT_SIZE; ++i) {
            sum += input[i] * edgeprune_layer_00_weights[unit][i % 4];
        }
        const int64_t scaled = (int64_t)sum * 1234567;
        output[unit] = saturate(scaled >> 28);
    }
}

__attribute__((noinline)) static void edgeprune_layer_01_sum(edgeprune_model *model) {
    const int8_t *input = model->memory.arena + HIDDEN_OFFSET;
    int8_t *output = model->memory.arena + OUTPUT_OFFSET;
    for (int32_t label = 0; label < EDGEPRUNE_MODEL_OUTPUT_SIZE; ++label) {
        int32_t sum = 0;
        for (int32_t i = label; i < HIDDEN; i += EDGEPRUNE_MODEL_OUTPUT_SIZE) {
            sum += input[i];
        }
        output[label] = saturate(sum / edgeprune_layer_01_divisors[label]);
    }
}

int8_t *edgeprune_model_input(edgeprune_model *model) {
    return model->memory.arena;
}

const int8_t *edgeprune_model_output(const edgeprune_model *model) {
    return model->memory.arena + OUTPUT_OFFSET;
}

void edgeprune_model_invoke(edgeprune_model *model) {
    edgeprune_layer_00_dense(model);
    edgeprune_layer_01_sum(model);
}
