/* SPDX-License-Identifier: MIT */
/*
 * What the predictor's files share: its struct, the decode states, one prediction's way.
 *
 *     predictor.c  create, close, destroy, trim, statistics
 *     states.c     the pool of decode states
 *     turns.c      whose turn it is where memory is short
 *     predict.c    features -> encoder or cache -> search -> words
 *     warm.c       the warm-up plan; warm_steps.c its steps
 */
#ifndef ORTP_PREDICTOR_INTERNAL_H
#define ORTP_PREDICTOR_INTERNAL_H

#include "internal.h"
#include "reporter.h"
#include "runtime_parts.h"
#include "session_run.h"

#include <ortpool/predictor.h>

/*
 * Everything one prediction works in, its own while it runs. `features` and `keys` follow the struct in
 * the same allocation.
 */
typedef struct ortp__state {
    struct ortp__state *next; /* while idle */
    ortp_decoder *decoder;
    size_t warmed;        /* its level, see warm_steps.c: written by who has it, under the lock */
    size_t control_bytes; /* of it and its decoder, and in the buffers; both as it was given back */
    size_t buffer_bytes;
    float *features; /* [max_points, 6] */
    int32_t *keys;   /* [max_points] */
    ortp_hypothesis results[ORTP_CANDIDATES_MAX];
} ortp__state;

/* A warm-up step that waits for a state; on the waiter's stack. */
typedef struct ortp__state_waiter {
    struct ortp__state_waiter *next;
    size_t level;       /* wants one below it */
    ortp__state *state; /* what it was given */
} ortp__state_waiter;

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
 *     state_count == idle states + states in use == sum of level_count
 *     once all are idle, state_count <= threads
 */
struct ortp_predictor {
    ortp_runtime *runtime;
    ortp_tensor_pool *tensors;
    ortp_model *model;
    ortp_lexicon *lexicon;
    ortp_cache *cache;
    ortp_reclaimer *reclaimer;
    ortp__reporter reporter;
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
    ortp__cond quiet;    /* close waits here for `active` to become 0 */
    ortp__cond returned; /* warm-up steps wait here for a state, or the close */
    bool closed;
    size_t active;
    ortp__state *idle;
    ortp__state_waiter *waiters; /* first come, first served */
    size_t state_count;
    size_t level_count[ORTP_BUCKETS_MAX + 1]; /* states of each level */
    uint64_t reclaimed;                       /* states that went for lack of memory */
    size_t beside;                            /* predictions that go on beside others */
    size_t to_be_alone;                       /* that wait to be the only one, or are */
    bool alone;                               /* one is */
    uint64_t predictions;
    uint64_t failures;
};

/* Zeroed control memory on the runtime's budget, from its allocator. Errors: NOMEM, BUDGET. */
ortp_status ortp__room_take(ortp_runtime *runtime, size_t bytes, void **out);
void ortp__room_give(ortp_runtime *runtime, void *room, size_t bytes);

/* CLOSED after close; each success is paired with one leave. */
ortp_status ortp__predictor_enter(ortp_predictor *predictor, ortp_error *error);
typedef enum ortp__outcome { ORTP__UNCOUNTED, ORTP__SUCCEEDED, ORTP__FAILED } ortp__outcome;
void ortp__predictor_leave(ortp_predictor *predictor, ortp__outcome outcome);

/* Makes states until there are `count`; BUDGET where they do not fit at once. */
ortp_status ortp__state_fill(ortp_predictor *predictor, size_t count, ortp_error *error);
/* For a prediction: an idle state or a new one. */
ortp_status ortp__state_acquire(ortp_predictor *predictor, ortp__state **out, ortp_error *error);
/*
 * For a warm-up step: a state below `level` (ORTP__LEVEL_ANY: any), idle, new where there are
 * fewer than `threads`, or else the next that a prediction gives back. NULL where `threads` have
 * reached the level. CLOSED when the predictor is closed meanwhile.
 */
#define ORTP__LEVEL_ANY SIZE_MAX
ortp_status ortp__state_borrow(ortp_predictor *predictor, size_t level, ortp__state **out,
                               ortp_error *error);
/* One level up. */
void ortp__state_warmed(ortp_predictor *predictor, ortp__state *state);
/* Back, from either; more than `threads` are not kept: the least warm go. NULL is a no-op. */
void ortp__state_release(ortp_predictor *predictor, ortp__state *state);
/* Frees one idle state, the least warm; its buffers are idle tensors then. Gives the control memory
 * that went; 0: there is none. */
size_t ortp__state_drop(ortp_predictor *predictor);
/* About what the idle states hold, their buffers included. */
size_t ortp__state_idle_bytes(ortp_predictor *predictor);
/* A reclaimer of level ORTP_RECLAIM_TENSORS; how many states it ever dropped. */
size_t ortp__state_reclaim(void *ctx, size_t bytes_wanted);
uint64_t ortp__state_reclaimed(ortp_predictor *predictor);
/* Whoever makes `count` states asks after each: BUDGET where new ones only take the place of others, more than
 * `count` having been dropped since `before`. */
ortp_status ortp__state_turns(ortp_predictor *predictor, uint64_t before, size_t count,
                              ortp_error *error);

/* What a prediction is asked for: ortp_predict_options with the end of its time. */
typedef struct ortp__asked {
    size_t top;
    uint64_t deadline_at_ms; /* 0: none */
    bool (*stop)(void *ctx);
    void *stop_ctx;
} ortp__asked;

/*
 * A prediction between enter and leave, in a state of its own. `beside`: its runs wait so.
 * `rehearsal`: neither looks into the cache nor adds to it.
 */
ortp_status ortp__predict(ortp_predictor *predictor, ortp__state *state, const ortp_swipe *swipe,
                          const ortp__asked *asked, bool beside, bool rehearsal,
                          ortp_prediction *out, ortp_error *error);

/* Cache entries that may live at once beyond the table's. */
size_t ortp__entries_beyond(const ortp_predictor *predictor);
/* What the encoder cache compares: the encoder's whole input of a bucket. */
size_t ortp__cache_key_bytes(size_t bucket);

/* Makes the plan: steps, entries, step_count. */
ortp_status ortp__warm_plan(ortp_predictor *predictor, ortp_error *error);
void ortp__warm_plan_free(ortp_predictor *predictor);
/* The most rows that one decoder run has: the beam width, or one where beams run one by one. */
size_t ortp__rows_most(const ortp_predictor *predictor);
/* Whether its searches weigh the encoder's own reading. */
bool ortp__weighs_ctc(const ortp_predictor *predictor);

/*
 * The turn of a prediction that may wait: beside others, or, once it had no room there, alone. It
 * holds nothing while it waits for its turn, so that who goes alone has all the memory there is.
 * Errors: TIMEOUT, CANCELLED.
 */
ortp_status ortp__turn_take(ortp_predictor *predictor, bool alone, const ortp__patience *patience,
                            ortp_error *error);
void ortp__turn_give(ortp_predictor *predictor, bool alone);

/* The steps. */
ortp_status ortp__warm_states(ortp_predictor *predictor, size_t bucket, size_t beams,
                              ortp_error *error);
ortp_status ortp__warm_tensors(ortp_predictor *predictor, size_t bucket, size_t beams,
                               ortp_error *error);
ortp_status ortp__warm_encoder(ortp_predictor *predictor, size_t bucket, size_t beams,
                               ortp_error *error);
ortp_status ortp__warm_decoder(ortp_predictor *predictor, size_t bucket, size_t beams,
                               ortp_error *error);
ortp_status ortp__warm_runs(ortp_predictor *predictor, size_t bucket, size_t beams,
                            ortp_error *error);
ortp_status ortp__warm_keys(ortp_predictor *predictor, size_t bucket, size_t beams,
                            ortp_error *error);
ortp_status ortp__warm_rehearsal(ortp_predictor *predictor, size_t bucket, size_t beams,
                                 ortp_error *error);

#endif
