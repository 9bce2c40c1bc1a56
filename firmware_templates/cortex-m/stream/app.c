#include "app.h"

#include "quantize.h"

#if EDGEPRUNE_MODEL_INPUT_SIZE != EDGEPRUNE_FRONTEND_FRAMES * EDGEPRUNE_FRONTEND_FEATURES
#error "the model's input is not one clip of this front-end"
#endif

void edgeprune_app_reset(edgeprune_app *app) {
    edgeprune_frontend_reset(&app->frontend);
    app->frames = 0u;
    app->oldest = 0u;
}

void edgeprune_app_push_frame(
    edgeprune_app *app, const int16_t frame[EDGEPRUNE_FRONTEND_FEATURES]) {
    edgeprune_input_quantize(frame, app->window[app->oldest]);
    app->oldest = app->oldest + 1u == EDGEPRUNE_FRONTEND_FRAMES ? 0u : app->oldest + 1u;
    if (app->frames < UINT32_MAX) {
        ++app->frames;
    }
}

void edgeprune_app_push(edgeprune_app *app, const int16_t *pcm, size_t count) {
    while (count > 0u) {
        bool ready = false;
        const size_t taken =
            edgeprune_frontend_push(&app->frontend, pcm, count, app->last_frame, &ready);
        pcm += taken;
        count -= taken;
        if (ready) {
            edgeprune_app_push_frame(app, app->last_frame);
        }
    }
}

const int8_t *edgeprune_app_infer(edgeprune_app *app) {
    if (app->frames < EDGEPRUNE_FRONTEND_FRAMES) {
        return NULL;
    }
    const size_t newer = (size_t)app->oldest * EDGEPRUNE_FRONTEND_FEATURES;
    const size_t older = sizeof app->window - newer;
    int8_t *input = edgeprune_model_input(&app->model);
    (void)__builtin_memcpy(input, app->window[app->oldest], older);
    (void)__builtin_memcpy(input + older, app->window[0], newer);
    edgeprune_model_invoke(&app->model);
    return edgeprune_model_output(&app->model);
}
