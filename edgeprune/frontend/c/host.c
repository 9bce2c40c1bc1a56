/* Batches of clips, for the host library only. */
#include "host.h"

void edgeprune_host_clips(const int16_t *pcm, size_t clips, int16_t *features)
{
    for (size_t clip = 0; clip < clips; clip++) {
        const int16_t *const samples = pcm + clip * EDGEPRUNE_FRONTEND_CLIP_SAMPLES;
        edgeprune_frontend state;
        edgeprune_frontend_reset(&state);
        size_t at = 0;
        for (size_t frame = 0; frame < EDGEPRUNE_FRONTEND_FRAMES; frame++) {
            bool ready = false;
            at += edgeprune_frontend_push(&state, samples + at,
                                          EDGEPRUNE_FRONTEND_CLIP_SAMPLES - at, features, &ready);
            features += EDGEPRUNE_FRONTEND_FEATURES;
        }
    }
}

size_t edgeprune_host_state_bytes(void)
{
    return sizeof(edgeprune_frontend);
}

const char *edgeprune_host_identity(void)
{
    return EDGEPRUNE_FRONTEND_IDENTITY;
}
