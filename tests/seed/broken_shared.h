/* SPDX-License-Identifier: MIT */
/*
 * A predictor with the reference application's defect: the trajectory buffers belong to the handle,
 * not to the call, so that a second thread overwrites the features of the first before the encoder
 * reads them. Filling and reading are each under a lock, so nothing is unsafe, it is only wrong.
 */
#ifndef SEED_BROKEN_SHARED_H
#define SEED_BROKEN_SHARED_H

#include "seed.h"

#define SHARED_THREADS_MAX 8u

typedef struct shared_predictor shared_predictor;

/* Model, lexicon and settings are the predictor's; `threads` must call together (they meet between
 * filling and reading, so that the defect shows every time, not once a week). NULL on failure. */
shared_predictor *shared_create(const seed_world *world, const ortp_predictor *parts,
                                unsigned threads);
void shared_destroy(shared_predictor *s);
/* One call at a time for each `thread`. */
bool shared_predict(shared_predictor *s, unsigned thread, const ortp_swipe *swipe,
                    ortp_prediction *out);

#endif
