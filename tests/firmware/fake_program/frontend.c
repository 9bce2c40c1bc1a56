#include "frontend.h"

#define PART (EDGEPRUNE_FRONTEND_WINDOW / EDGEPRUNE_FRONTEND_FEATURES)
#define KEPT (EDGEPRUNE_FRONTEND_WINDOW - EDGEPRUNE_FRONTEND_HOP)

void edgeprune_frontend_reset(edgeprune_frontend *state) {
    state->filled = 0u;
}

size_t edgeprune_frontend_push(edgeprune_frontend *state, const int16_t *pcm, size_t count,
                               int16_t *frame, bool *ready) {
    size_t taken = 0;
    while (taken < count && state->filled < EDGEPRUNE_FRONTEND_WINDOW) {
        state->pcm[state->filled++] = pcm[taken++];
    }
    *ready = state->filled == EDGEPRUNE_FRONTEND_WINDOW;
    if (*ready) {
        for (size_t i = 0; i < EDGEPRUNE_FRONTEND_FEATURES; ++i) {
            int32_t sum = 0;
            for (size_t j = 0; j < PART; ++j) {
                sum += state->pcm[i * PART + j];
            }
            frame[i] = (int16_t)(sum / PART);
        }
        for (size_t i = 0; i < KEPT; ++i) {
            state->pcm[i] = state->pcm[i + EDGEPRUNE_FRONTEND_HOP];
        }
        state->filled = KEPT;
    }
    return taken;
}
