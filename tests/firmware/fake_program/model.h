#ifndef EDGEPRUNE_MODEL_H
#define EDGEPRUNE_MODEL_H

#include <stdint.h>

#define EDGEPRUNE_MODEL_INPUT_SIZE 40
#define EDGEPRUNE_MODEL_OUTPUT_SIZE 3
#define EDGEPRUNE_MODEL_ARENA_SIZE 64
#define EDGEPRUNE_MODEL_LAYERS 2
#define EDGEPRUNE_MODEL_IDENTITY "fedcba9876543210"
#define EDGEPRUNE_MODEL_IDENTITY_WORDS {0xfedcba98u, 0x76543210u}

typedef struct {
    union {
        int8_t arena[EDGEPRUNE_MODEL_ARENA_SIZE];
        uint64_t alignment;
    } memory;
} edgeprune_model;

int8_t *edgeprune_model_input(edgeprune_model *model);
const int8_t *edgeprune_model_output(const edgeprune_model *model);
void edgeprune_model_invoke(edgeprune_model *model);

#endif
