/* SPDX-License-Identifier: MIT */
/*
 * Two models on one budget, on one runtime or on a runtime each, with their words without pressure,
 * over the count of pages that is not ortpool's own.
 */
#ifndef TEST_SHARED_RIG_H
#define TEST_SHARED_RIG_H

#include "rig.h"

#define SHARED_SWIPES 4u /* as many as the cache has entries */

typedef struct shared_rig {
    ortp_budget *budget;
    ortp_runtime *runtimes[2]; /* the same twice where there is one */
    ortp_predictor *predictors[2];
    const swipe_rows *rows;
    ortp_prediction expected[2][SHARED_SWIPES];
    size_t own_bytes; /* of the budget's struct */
} shared_rig;

/* cmocka: no limit yet; every swipe predicted once, so that caches, tensors and blocks are there. */
void shared_open(shared_rig *r, const swipe_rows *rows, size_t runtimes);
/* cmocka: everything came back, no step was above the limit. */
void shared_close(shared_rig *r);

ortp_budget_info shared_budget(const shared_rig *r);
ortp_cache_info shared_cache(const shared_rig *r, size_t model);
/* Bytes of blocks that nobody uses; of tensors that nobody uses, of both models. One runtime. */
size_t shared_idle_blocks(const shared_rig *r);
size_t shared_idle_tensors(const shared_rig *r);

/* The limit is what is charged now and `headroom`; every step from now on is held against it. */
size_t shared_limit(shared_rig *r, size_t headroom);
void shared_lift(shared_rig *r);

/* cmocka: true with the right words, false with BUDGET; all else fails. */
bool shared_predict(const shared_rig *r, size_t model, size_t swipe);
/* The same without cmocka, for threads: what went wrong, or NULL. */
const char *shared_try(const shared_rig *r, size_t model, size_t swipe, bool *refused);
/* cmocka: lifts the limit; every swipe of both models is right. */
void shared_all_right(shared_rig *r);

#endif
