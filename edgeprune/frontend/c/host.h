/* What the host library adds to the front-end. */
#ifndef EDGEPRUNE_FRONTEND_HOST_H
#define EDGEPRUNE_FRONTEND_HOST_H

#include "frontend.h"

/* pcm: clips x EDGEPRUNE_FRONTEND_CLIP_SAMPLES; features: clips x FRAMES x FEATURES. */
void edgeprune_host_clips(const int16_t *pcm, size_t clips, int16_t *features);

size_t edgeprune_host_state_bytes(void);

const char *edgeprune_host_identity(void);

#endif
