/* The tables that frontend.c reads; frontend_tables.c is generated from a recipe's front-end. */
#ifndef EDGEPRUNE_FRONTEND_TABLES_H
#define EDGEPRUNE_FRONTEND_TABLES_H

#include <stdint.h>

#include "frontend_config.h"

/* Periodic Hann window, Q15 (1.0 is 32768), with a zero after an odd length. */
extern const uint16_t
    edgeprune_frontend_window[EDGEPRUNE_FRONTEND_WINDOW + EDGEPRUNE_FRONTEND_WINDOW % 2];

/* The first point of each first-stage butterfly; the other three follow, N/8 points apart each. */
extern const uint8_t edgeprune_frontend_order[EDGEPRUNE_FRONTEND_FFT / 8];

/* -sin(2 pi j / FFT) for j = 0 ... FFT / 4, Q15: the sign lets it hold -1 exactly. */
extern const int16_t edgeprune_frontend_minus_sine[EDGEPRUNE_FRONTEND_FFT / 4 + 1];

/* Bins between each two neighbouring edges of mel filters, from EDGEPRUNE_FRONTEND_FIRST_BIN. */
extern const uint8_t edgeprune_frontend_segment[EDGEPRUNE_FRONTEND_MEL_BINS + 1];

/* For each of those bins its weight in the filter that rises there, Q15. The filter that falls
 * there has the rest: 32768 minus it. */
extern const uint16_t edgeprune_frontend_rising[EDGEPRUNE_FRONTEND_BINS];

/* log2(1 + i / 32), Q15. */
extern const uint16_t edgeprune_frontend_log2[33];

#if EDGEPRUNE_FRONTEND_MFCC
/* The left half of the orthonormal DCT-II, one row a coefficient, with
 * EDGEPRUNE_FRONTEND_DCT_BITS fraction bits; the right half is its mirror image, negated in odd
 * rows. The middle column of an odd number of mel bins is halved, because both halves count it. */
extern const int16_t edgeprune_frontend_dct[EDGEPRUNE_FRONTEND_FEATURES]
                                           [(EDGEPRUNE_FRONTEND_MEL_BINS + 1) / 2];
#endif

#endif
