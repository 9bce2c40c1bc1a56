#ifndef EDGEPRUNE_FRONTEND_H
#define EDGEPRUNE_FRONTEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frontend_config.h"

typedef struct edgeprune_frontend {
    int16_t pcm[EDGEPRUNE_FRONTEND_WINDOW];
    uint32_t filled;
} edgeprune_frontend;

void edgeprune_frontend_reset(edgeprune_frontend *state);
size_t edgeprune_frontend_push(edgeprune_frontend *state, const int16_t *pcm, size_t count,
                               int16_t *frame, bool *ready);

#endif
