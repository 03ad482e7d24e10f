/* SPDX-License-Identifier: MIT */
/*
 * What the predictor's files share: its struct, the decode states, one prediction's way.
 *
 *     predictor.c  create, close, destroy, trim, statistics
 *     states.c     the pool of decode states
 *     predict.c    features -> encoder or cache -> search -> words
 *     warm.c       the warm-up plan; warm_steps.c its steps
 */
#ifndef ORTP_PREDICTOR_INTERNAL_H
#define ORTP_PREDICTOR_INTERNAL_H

#include "runtime_internal.h"

#include <ortpool/predictor.h>

/*
 * Everything one prediction works in, its own while it runs. `features` and `keys` follow the struct in
 * the same allocation.
 */
typedef struct ortp__state {
    struct ortp__state *next; /* while idle or held by warm-up */
    ortp_decoder *decoder;
    float *features; /* [max_points, 6] */
    int32_t *keys;   /* [max_points] */
    ortp_hypothesis results[ORTP_CANDIDATES_MAX];
} ortp__state;

/* One step of the warm-up plan; its index is the step's argument. */
typedef struct ortp__warm_entry {
    ortp_status (*run)(ortp_predictor *predictor, size_t bucket, size_t beams, ortp_error *error);
    size_t bucket; /* index */
    size_t beams;
    char name[40];
} ortp__warm_entry;

/*
 * Lock: `mutex` (ORTP_RANK_PREDICTOR) guards what stands below it. Nothing of another object is called
 * under it. Everything above it is set before the predictor is handed out and constant from then on.
 *
 *     active == predictions and warm-up steps between enter and leave
 *     state_count == idle states + states in use
 */
struct ortp_predictor {
    ortp_runtime *runtime;
    ortp_tensor_pool *tensors;
    ortp_model *model;
    ortp_lexicon *lexicon;
    ortp_cache *cache;
    ortp_reclaimer *reclaimer;
    ortp_swipe_config config;
    ortp_search_params params;
    ortp_lexicon_constraint words;
    ortp_constraint constraint; /* over `words` */
    size_t threads;
    size_t cache_entries; /* 0: the cache is off */
    ortp_warmup_step *steps;
    ortp__warm_entry *entries; /* as many */
    size_t step_count;
    bool locks_made;

    ortp__mutex mutex;
    ortp__cond quiet; /* close waits here for `active` to become 0 */
    bool closed;
    size_t active;
    ortp__state *idle;
    size_t state_count;
    uint64_t predictions;
    uint64_t failures;
};

/* CLOSED after close; each success is paired with one leave. */
ortp_status ortp__predictor_enter(ortp_predictor *predictor, ortp_error *error);
typedef enum ortp__outcome { ORTP__UNCOUNTED, ORTP__SUCCEEDED, ORTP__FAILED } ortp__outcome;
void ortp__predictor_leave(ortp_predictor *predictor, ortp__outcome outcome);

/* An idle state or a new one. */
ortp_status ortp__state_acquire(ortp_predictor *predictor, ortp__state **out, ortp_error *error);
/* Back to the idle ones, a list of them. */
void ortp__state_release(ortp_predictor *predictor, ortp__state *list);
/*
 * All idle states as a list, after making new ones until there are `threads` in all; those that
 * predictions have at this moment are not waited for.
 */
ortp_status ortp__state_hold(ortp_predictor *predictor, ortp__state **list, ortp_error *error);
/* Frees the idle states. */
void ortp__state_drop_idle(ortp_predictor *predictor);
/* A reclaimer of level ORTP_RECLAIM_TENSORS. */
size_t ortp__state_reclaim(void *ctx, size_t bytes_wanted);

/* A prediction between enter and leave. `rehearsal`: neither looks into the cache nor adds to it. */
ortp_status ortp__predict(ortp_predictor *predictor, const ortp_swipe *swipe,
                          const ortp_predict_options *options, bool rehearsal, ortp_prediction *out,
                          ortp_error *error);

/* Cache entries that may live at once beyond the table's. */
size_t ortp__entries_beyond(const ortp_predictor *predictor);
/* What the encoder cache compares: the encoder's whole input of a bucket. */
size_t ortp__cache_key_bytes(size_t bucket);

/* Makes the plan: steps, entries, step_count. */
ortp_status ortp__warm_plan(ortp_predictor *predictor, ortp_error *error);
void ortp__warm_plan_free(ortp_predictor *predictor);
/* The most rows that one decoder run has: the beam width, or one where beams run one by one. */
size_t ortp__rows_most(const ortp_predictor *predictor);

/* The steps. */
ortp_status ortp__warm_states(ortp_predictor *predictor, size_t bucket, size_t beams,
                              ortp_error *error);
ortp_status ortp__warm_tensors(ortp_predictor *predictor, size_t bucket, size_t beams,
                               ortp_error *error);
ortp_status ortp__warm_encoder(ortp_predictor *predictor, size_t bucket, size_t beams,
                               ortp_error *error);
ortp_status ortp__warm_decoder(ortp_predictor *predictor, size_t bucket, size_t beams,
                               ortp_error *error);
ortp_status ortp__warm_keys(ortp_predictor *predictor, size_t bucket, size_t beams,
                            ortp_error *error);
ortp_status ortp__warm_rehearsal(ortp_predictor *predictor, size_t bucket, size_t beams,
                                 ortp_error *error);

#endif
