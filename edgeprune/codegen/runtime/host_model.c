/*
 * edgeprune, host only: many inferences a call, and the outputs of all layers.
 *
 * Compiled instead of model.c, which it includes with a trace of its own.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model.h"

/* The caller's memory: the network's state, and where the outputs of its layers go. */
typedef struct host_state {
    edgeprune_model model; /* first: a pointer to it is a pointer to the whole */
    int8_t *trace;         /* NULL: nobody looks on */
} host_state;

static void copy_bytes(int8_t *to, const int8_t *from, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        to[i] = from[i];
    }
}

static void trace_layer(edgeprune_model *model, const int8_t *data, size_t size)
{
    host_state *state = (host_state *)(void *)model;
    if (state->trace != NULL) {
        copy_bytes(state->trace, data, size);
        state->trace += size;
    }
}

#define EDGEPRUNE_MODEL_TRACE(index, data, size) trace_layer(model, data, size)
#include "model.c"

static void set_level(edgeprune_model *model, int32_t level)
{
#if defined(EDGEPRUNE_MODEL_LEVELS)
    edgeprune_set_level(model, level);
#else
    (void)model;
    (void)level;
#endif
}

size_t edgeprune_host_state_size(void);
void edgeprune_host_invoke(host_state *state, const int8_t *inputs, size_t count, bool sequence,
                           int32_t level, int8_t *outputs, int8_t *trace);

size_t edgeprune_host_state_size(void)
{
    return sizeof(host_state);
}

/*
 * inputs [count][EDGEPRUNE_MODEL_INPUT_BYTES], outputs [count][EDGEPRUNE_MODEL_OUTPUT_BYTES];
 * sequence: variables last from one inference to the next, and are reset before the first only;
 * level: of all inferences, 0 for a network without levels;
 * trace: NULL, or memory for the outputs of all layers of all inferences, one after the other.
 */
void edgeprune_host_invoke(host_state *state, const int8_t *inputs, size_t count, bool sequence,
                           int32_t level, int8_t *outputs, int8_t *trace)
{
    state->trace = trace;
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || !sequence) {
            edgeprune_model_reset(&state->model);
            set_level(&state->model, level);
        }
        copy_bytes((int8_t *)edgeprune_model_input(&state->model),
                   inputs + i * EDGEPRUNE_MODEL_INPUT_BYTES, EDGEPRUNE_MODEL_INPUT_BYTES);
        edgeprune_model_invoke(&state->model);
        copy_bytes(outputs + i * EDGEPRUNE_MODEL_OUTPUT_BYTES,
                   (const int8_t *)edgeprune_model_output(&state->model),
                   EDGEPRUNE_MODEL_OUTPUT_BYTES);
    }
}
