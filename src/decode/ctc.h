/* SPDX-License-Identifier: MIT */
/*
 * A second score of a sequence: how well the encoder's own reading of the points (CTC) agrees with it. No
 * ORT, no allocation: it works in memory that its owner gives it once.
 *
 * The encoder tells for each point the probability of every token, `blank` standing for none. A sequence
 * has the probability of all ways to spread its tokens over the points, in order, repeated or with blanks
 * between. For each live beam two numbers a point are kept,
 *
 *     prefixes[beam][0][t] = P(the first t points say the beam's tokens, the last of them its last token)
 *     prefixes[beam][1][t] = P(the same, the last of them blank)
 *
 * from which follow both the probability that the beam is all there is, and that of all sequences that
 * begin with the beam and one more token. Not logarithms but doubles: with at least 1e-300 they reach
 * further down than any sequence worth keeping, and a sum over the points is all that a candidate costs.
 *
 * Sources: Graves et al., "Connectionist Temporal Classification", 2006 (the prefixes: section 3.2);
 * Watanabe et al., "Hybrid CTC/Attention Architecture for End-to-End Speech Recognition", 2017, section
 * III.B (as the second score of a beam search).
 */
#ifndef ORTP_CTC_H
#define ORTP_CTC_H

#include "beams.h"

typedef struct ortp__ctc {
    /* set once */
    double *tokens;   /* [vocabulary, points_max]: each token's probability, point by point */
    double *prefixes; /* [2, width, 2, points_max + 1]: live beams, and those of the step before */
    size_t width, points_max, vocabulary;
    int32_t blank;
    /* one search */
    size_t points;
    size_t half; /* which of the two the live beams have */
    double most; /* no logarithm of this search is above it */
} ortp__ctc;

/* Bytes for searches of up to `width` beams over `points` points; SIZE_MAX: too many. */
size_t ortp__ctc_bytes(size_t width, size_t points, size_t vocabulary);
/* memory: that many bytes, aligned to 8. */
void ortp__ctc_place(ortp__ctc *ctc, void *memory, size_t width, size_t points, size_t vocabulary,
                     int32_t blank);

/* probabilities [points, vocabulary]; one live beam, the empty sequence. False: one is none. */
bool ortp__ctc_begin(ortp__ctc *ctc, const float *probabilities, size_t points);
/* ln of the probability of all sequences that begin with live beam `index` and `token`. */
double ortp__ctc_prefix(const ortp__ctc *ctc, const ortp__beams *beams, size_t index,
                        int32_t token);
/* ln of the probability of live beam `index` alone. */
double ortp__ctc_whole(const ortp__ctc *ctc, size_t index);
/* After ortp__beams_advance(): what is kept of the beams that are live now. */
void ortp__ctc_advance(ortp__ctc *ctc, const ortp__beams *beams);

#endif
