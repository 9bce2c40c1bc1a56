/* The audio front-end: 16-bit PCM to log-mel or MFCC features, in integer arithmetic only.
 *
 * The same files are compiled for the host, the emulator and the board, and give the same bits
 * there. The one thing that they ask of the compiler beyond C99 is that `>>` of a negative integer
 * is an arithmetic shift; every compiler for these cores does that.
 *
 * The caller owns the state, so that several streams can run at once. No heap, no globals.
 */
#ifndef EDGEPRUNE_FRONTEND_H
#define EDGEPRUNE_FRONTEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frontend_config.h"

/* Raised by one whenever the same PCM would give other features. */
#define EDGEPRUNE_FRONTEND_ALGORITHM 1

#if EDGEPRUNE_FRONTEND_TABLES_ALGORITHM != EDGEPRUNE_FRONTEND_ALGORITHM
#error "frontend_config.h was generated for another version of frontend.c"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* A point of the complex transform; after that the low and the high word of a bin's power. */
typedef struct {
    int32_t re;
    int32_t im;
} edgeprune_frontend_point;

/* One stream. Private: reset it, push to it, look at nothing else. */
typedef struct edgeprune_frontend {
    edgeprune_frontend_point work[EDGEPRUNE_FRONTEND_FFT / 2]; /* free between frames */
    int16_t pcm[EDGEPRUNE_FRONTEND_WINDOW + EDGEPRUNE_FRONTEND_WINDOW % 2];
    uint32_t filled; /* samples in pcm */
} edgeprune_frontend;

/* Begin a new stream: the next frame is ready after EDGEPRUNE_FRONTEND_WINDOW samples. */
void edgeprune_frontend_reset(edgeprune_frontend *state);

/* Take samples up to the end of the next frame.
 *
 * pcm: `count` samples; may be null when count is 0.
 * frame: EDGEPRUNE_FRONTEND_FEATURES values, written when a frame is complete: fixed point with
 *     EDGEPRUNE_FRONTEND_FRACTION_BITS fraction bits.
 * ready: tells whether a frame was written.
 * Returns the samples taken; call again with the rest. After the first frame another one follows
 * every EDGEPRUNE_FRONTEND_HOP samples. Nothing is padded.
 */
size_t edgeprune_frontend_push(edgeprune_frontend *state, const int16_t *pcm, size_t count,
                               int16_t *frame, bool *ready);

#ifdef __cplusplus
}
#endif

#endif
