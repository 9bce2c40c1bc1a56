/*
 * edgeprune, host only: clips to scores, through the front-end that the device has.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frontend.h"
#include "frontend_config.h"
#include "model.h"
#include "quantize.h"

#if EDGEPRUNE_FRONTEND_FRAMES * EDGEPRUNE_FRONTEND_FEATURES != EDGEPRUNE_MODEL_INPUT_SIZE
#error "the front-end's frames do not fill the network's input"
#endif

size_t edgeprune_host_frontend_size(void);
size_t edgeprune_host_clip_samples(void);
void edgeprune_host_quantize_clips(edgeprune_frontend *state, const int16_t *clips, size_t count,
                                   int8_t *inputs);

size_t edgeprune_host_frontend_size(void)
{
    return sizeof(edgeprune_frontend);
}

size_t edgeprune_host_clip_samples(void)
{
    return EDGEPRUNE_FRONTEND_CLIP_SAMPLES;
}

/*
 * clips [count][EDGEPRUNE_FRONTEND_CLIP_SAMPLES] to the network's inputs
 * [count][EDGEPRUNE_MODEL_INPUT_SIZE].
 */
void edgeprune_host_quantize_clips(edgeprune_frontend *state, const int16_t *clips, size_t count,
                                   int8_t *inputs)
{
    int16_t frame[EDGEPRUNE_FRONTEND_FEATURES];
    for (size_t clip = 0; clip < count; clip++) {
        size_t taken = 0;
        size_t frames = 0;
        edgeprune_frontend_reset(state);
        while (taken < EDGEPRUNE_FRONTEND_CLIP_SAMPLES && frames < EDGEPRUNE_FRONTEND_FRAMES) {
            bool ready = false;
            taken += edgeprune_frontend_push(state, clips + taken,
                                             EDGEPRUNE_FRONTEND_CLIP_SAMPLES - taken, frame,
                                             &ready);
            if (ready) {
                edgeprune_input_quantize(frame, inputs + frames * EDGEPRUNE_FRONTEND_FEATURES);
                frames++;
            }
        }
        clips += EDGEPRUNE_FRONTEND_CLIP_SAMPLES;
        inputs += EDGEPRUNE_MODEL_INPUT_SIZE;
    }
}
