#include "mve_depthwise_channels.h"

#include "mve_vector.h"
#include "mve_window.h"

/* The taps of a window that lie inside the image, and the first of them. */
typedef struct patch {
    const int8_t *x;
    const int8_t *weights;
    int32_t lines;
    int32_t taps; /* of a line */
    int32_t line_step; /* from a line to the next, in x */
    int32_t tap_step;  /* from a tap to the next, in x */
    int32_t weights_line_step;
    int32_t weights_tap_step;
} patch;

static void correlate(const edgeprune_mve_depthwise_channels *layer, const patch *under,
                      edgeprune_mve_limits limits, int8_t *output)
{
    const int32_t channels = layer->window.input_channels;
    const int32_t *parameters = layer->channels;
    const edgeprune_mve_halves offset = edgeprune_mve_all_halves(layer->input_offset);
    for (int32_t channel = 0; channel < channels; channel += 8) {
        const int32_t left = channels - channel;
        edgeprune_mve_words even = edgeprune_mve_no_sums();
        edgeprune_mve_words odd = edgeprune_mve_no_sums();
        for (int32_t line = 0; line < under->lines; line++) {
            const int8_t *x = under->x + line * under->line_step + channel;
            const int8_t *w = under->weights + line * under->weights_line_step + channel;
            for (int32_t tap = 0; tap < under->taps; tap++) {
                const edgeprune_mve_halves values =
                    edgeprune_mve_add_halves(edgeprune_mve_load_wide_first(x, left), offset);
                const edgeprune_mve_halves weights = edgeprune_mve_load_wide(w);
                even = edgeprune_mve_add_even_products(even, values, weights);
                odd = edgeprune_mve_add_odd_products(odd, values, weights);
                x += under->tap_step;
                w += under->weights_tap_step;
            }
        }
        even = edgeprune_mve_rescale_each(even, edgeprune_mve_load_words(parameters),
                                          edgeprune_mve_load_words(parameters + 4), layer->away);
        odd = edgeprune_mve_rescale_each(odd, edgeprune_mve_load_words(parameters + 8),
                                         edgeprune_mve_load_words(parameters + 12), layer->away);
        edgeprune_mve_store_narrow_first(
            output + channel, edgeprune_mve_narrow(even, odd, limits, layer->clamp), left);
        parameters += 16;
    }
}

void edgeprune_kernel_mve_depthwise_channels(const edgeprune_mve_depthwise_channels *layer,
                                             const int8_t *input, int8_t *output)
{
    const edgeprune_window *window = &layer->window;
    const int32_t channels = window->input_channels;
    const int32_t line = window->input_width * channels;
    const edgeprune_mve_limits limits = edgeprune_mve_spread(&layer->range);
    patch under;
    /* A window of one column is one line. */
    const int32_t is_column = window->kernel_width == 1;
    const int32_t line_step = window->dilation_height * line;
    const int32_t tap_step = window->dilation_width * channels;
    under.line_step = line_step;
    under.tap_step = is_column ? line_step : tap_step;
    under.weights_line_step = window->kernel_width * channels;
    under.weights_tap_step = channels;
    for (int32_t batch = 0; batch < window->batches; batch++) {
        for (int32_t y = 0; y < window->output_height; y++) {
            const int32_t top = y * window->stride_height - window->padding_top;
            const edgeprune_taps rows = edgeprune_mve_taps_inside(
                top, window->kernel_height, window->dilation_height, window->input_height);
            for (int32_t x = 0; x < window->output_width; x++) {
                const int32_t left = x * window->stride_width - window->padding_left;
                const edgeprune_taps columns = edgeprune_mve_taps_inside(
                    left, window->kernel_width, window->dilation_width, window->input_width);
                const int32_t first = top * line + left * channels + rows.begin * line_step +
                                      columns.begin * tap_step;
                under.x = input + first;
                const int32_t tap = rows.begin * window->kernel_width + columns.begin;
                under.weights = layer->weights + tap * channels;
                under.lines = is_column ? columns.end - columns.begin : rows.end - rows.begin;
                under.taps = is_column ? rows.end - rows.begin : columns.end - columns.begin;
                correlate(layer, &under, limits, output);
                output += channels;
            }
        }
        input += window->input_height * line;
    }
}
