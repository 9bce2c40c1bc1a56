/*
 * Streaming keyword spotting: samples in, scores out. This is the part to keep when the mailbox
 * of main.c is replaced by a microphone.
 */
#ifndef EDGEPRUNE_APP_H
#define EDGEPRUNE_APP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frontend.h"
#include "frontend_config.h"
#include "model.h"

/* The state of one stream; the caller owns it. */
typedef struct {
    edgeprune_model model;
    edgeprune_frontend frontend;
    uint32_t frames;                                      /* since the clip began */
    uint32_t oldest;                                      /* row of `window`, once it is full */
    int16_t last_frame[EDGEPRUNE_FRONTEND_FEATURES];
    int8_t window[EDGEPRUNE_FRONTEND_FRAMES][EDGEPRUNE_FRONTEND_FEATURES];
} edgeprune_app;

/* Forgets all samples and frames: a new clip. */
void edgeprune_app_reset(edgeprune_app *app);

/* Takes `count` samples; each frame that they complete enters the clip window. */
void edgeprune_app_push(edgeprune_app *app, const int16_t *pcm, size_t count);

/* Takes one frame of features, quantizes it, and drops the oldest frame of a full window. */
void edgeprune_app_push_frame(edgeprune_app *app, const int16_t frame[EDGEPRUNE_FRONTEND_FEATURES]);

/*
 * Runs the model on the clip window. Returns EDGEPRUNE_MODEL_OUTPUT_SIZE scores, valid until the
 * next call, or NULL while the window is not full.
 */
const int8_t *edgeprune_app_infer(edgeprune_app *app);

#endif
