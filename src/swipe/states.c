/* SPDX-License-Identifier: MIT */
/*
 * The pool of decode states: a stack of idle ones, so that the last used is used next. A
 * prediction that finds none idle makes one and never waits. `threads` of them are kept until
 * trim, reclaim or destroy; of more than that the least warm go as they come back.
 *
 * A warm-up step takes one state at a time. Where predictions hold all that it could take it queues up,
 * and the next state that comes back is handed to it: left among the idle ones it would be gone again
 * before the step wakes.
 */
#include "model_run.h"
#include "predictor_internal.h"

#include <assert.h>

/* Without its decoder. */
static size_t state_bytes(const ortp_predictor *p)
{
    const size_t row = ORTP_SWIPE_FEATURES * sizeof(float) + sizeof(int32_t);
    return sizeof(ortp__state) + p->config.max_points * row;
}

static void state_free(ortp_predictor *p, ortp__state *state)
{
    ortp_decoder_destroy(state->decoder, NULL);
    ortp__room_give(p->runtime, state, state_bytes(p));
}

static ortp_status state_make(ortp_predictor *p, ortp__state **out, ortp_error *error)
{
    void *memory = NULL;
    ortp_status status = ortp__room_take(p->runtime, state_bytes(p), &memory);
    if (status != ORTP_OK) {
        return ortp__fail(error, status, "predictor: %zu bytes for a decode state: %s",
                          state_bytes(p), ortp_status_text(status));
    }
    ortp__state *state = memory;
    state->features = (float *)(void *)(state + 1);
    state->keys = (int32_t *)(void *)(state->features + p->config.max_points * ORTP_SWIPE_FEATURES);
    status = ortp_decoder_create(
        &(const ortp_decoder_options){.struct_size = sizeof(ortp_decoder_options),
                                      .model = p->model,
                                      .tensors = p->tensors,
                                      .beam_width_max = p->params.beam_width},
        &state->decoder, error);
    if (status != ORTP_OK) {
        ortp__room_give(p->runtime, state, state_bytes(p));
        return status;
    }
    *out = state;
    return ORTP_OK;
}

/* ---- under the lock ---- */

static void count_new_locked(ortp_predictor *p)
{
    ortp__assert_held(&p->mutex);
    p->state_count++;
    p->level_count[0]++;
}

static void uncount_locked(ortp_predictor *p, size_t level)
{
    ortp__assert_held(&p->mutex);
    assert(p->state_count > 0 && p->level_count[level] > 0);
    p->state_count--;
    p->level_count[level]--;
    ortp__cond_broadcast(&p->returned); /* a step may make one now */
}

/* States of at least `level`. */
static size_t warm_enough_locked(const ortp_predictor *p, size_t level)
{
    ortp__assert_held(&p->mutex);
    size_t count = 0;
    for (size_t i = level; i <= ORTP_BUCKETS_MAX; i++) {
        count += p->level_count[i];
    }
    return count;
}

/* The link to the least warm idle state, of these the one that lies idle longest. */
static ortp__state **least_warm_locked(ortp_predictor *p)
{
    ortp__assert_held(&p->mutex);
    ortp__state **least = &p->idle;
    for (ortp__state **at = &p->idle; *at != NULL; at = &(*at)->next) {
        if ((*at)->warmed <= (*least)->warmed) {
            least = at;
        }
    }
    return least;
}

static ortp__state *unlink_state(ortp__state **link)
{
    ortp__state *state = *link;
    *link = state->next;
    state->next = NULL;
    return state;
}

/*
 * Of more than `threads` states those that are idle and not needed: as many others are as warm. So a
 * step's work is never thrown away for a colder state that a prediction holds.
 */
static ortp__state *take_surplus_locked(ortp_predictor *p)
{
    ortp__state *list = NULL;
    while (p->state_count > p->threads && p->idle != NULL) {
        ortp__state **least = least_warm_locked(p);
        if (warm_enough_locked(p, (*least)->warmed) <= p->threads) {
            break;
        }
        ortp__state *state = unlink_state(least);
        uncount_locked(p, state->warmed);
        state->next = list;
        list = state;
    }
    return list;
}

/* An idle state below `level`; NULL: there is none. */
static ortp__state *take_idle_locked(ortp_predictor *p, size_t level)
{
    ortp__assert_held(&p->mutex);
    for (ortp__state **at = &p->idle; *at != NULL; at = &(*at)->next) {
        if ((*at)->warmed < level) {
            return unlink_state(at);
        }
    }
    return NULL;
}

/* Waits once, for a state of its own or for any change. */
static ortp__state *wait_locked(ortp_predictor *p, size_t level)
{
    ortp__assert_held(&p->mutex);
    ortp__state_waiter self = {.level = level};
    ortp__state_waiter **link = &p->waiters;
    while (*link != NULL) {
        link = &(*link)->next;
    }
    *link = &self;
    ortp__cond_wait(&p->returned, &p->mutex);
    if (self.state == NULL) {
        for (link = &p->waiters; *link != &self; link = &(*link)->next) {
        }
        *link = self.next;
    }
    return self.state;
}

/* Hands a state to the first waiter that can use it. */
static bool hand_over_locked(ortp_predictor *p, ortp__state *state)
{
    ortp__assert_held(&p->mutex);
    for (ortp__state_waiter **at = &p->waiters; *at != NULL; at = &(*at)->next) {
        if (state->warmed < (*at)->level) {
            (*at)->state = state;
            *at = (*at)->next;
            return true;
        }
    }
    return false;
}

/* ---- taking and giving back ---- */

/* The state that was counted before; uncounted where it cannot be made. */
static ortp_status make_counted(ortp_predictor *p, ortp__state **out, ortp_error *error)
{
    const ortp_status status = state_make(p, out, error);
    if (status != ORTP_OK) {
        ortp__lock(&p->mutex);
        uncount_locked(p, 0);
        ortp__unlock(&p->mutex);
    }
    return status;
}

ortp_status ortp__state_fill(ortp_predictor *p, size_t count, ortp_error *error)
{
    ortp_status status = ORTP_OK;
    bool more = true;
    const uint64_t before = ortp__state_reclaimed(p);
    while (status == ORTP_OK && more) {
        ortp__lock(&p->mutex);
        more = p->state_count < count;
        if (more) {
            count_new_locked(p);
        }
        ortp__unlock(&p->mutex);
        if (more) {
            ortp__state *state = NULL;
            status = make_counted(p, &state, error);
            ortp__state_release(p, state);
            if (status == ORTP_OK) {
                status = ortp__state_turns(p, before, count, error);
            }
        }
    }
    return status;
}

ortp_status ortp__state_acquire(ortp_predictor *p, ortp__state **out, ortp_error *error)
{
    ortp__lock(&p->mutex);
    ortp__state *state = take_idle_locked(p, ORTP__LEVEL_ANY);
    if (state == NULL) {
        count_new_locked(p);
    }
    ortp__unlock(&p->mutex);
    if (state == NULL) {
        const ortp_status status = make_counted(p, &state, error);
        if (status != ORTP_OK) {
            return status;
        }
    }
    *out = state;
    return ORTP_OK;
}

ortp_status ortp__state_borrow(ortp_predictor *p, size_t level, ortp__state **out,
                               ortp_error *error)
{
    *out = NULL;
    ortp__state *state = NULL;
    bool make = false;
    ortp__lock(&p->mutex);
    while (state == NULL && !make && !p->closed && warm_enough_locked(p, level) < p->threads) {
        state = take_idle_locked(p, level);
        if (state == NULL && p->state_count < p->threads) {
            count_new_locked(p);
            make = true;
        } else if (state == NULL) {
            state = wait_locked(p, level);
        }
    }
    const bool closed = p->closed;
    ortp__unlock(&p->mutex);
    if (make) {
        const ortp_status status = make_counted(p, &state, error);
        if (status != ORTP_OK) {
            return status;
        }
    }
    if (state == NULL) {
        return closed ? ortp__fail(error, ORTP_E_CLOSED, "the predictor is closed") : ORTP_OK;
    }
    *out = state;
    return ORTP_OK;
}

void ortp__state_warmed(ortp_predictor *p, ortp__state *state)
{
    ortp__lock(&p->mutex);
    assert(state->warmed < ORTP_BUCKETS_MAX);
    p->level_count[state->warmed]--;
    state->warmed++;
    p->level_count[state->warmed]++;
    ortp__unlock(&p->mutex);
}

void ortp__state_release(ortp_predictor *p, ortp__state *state)
{
    if (state == NULL) {
        return;
    }
    state->control_bytes = state_bytes(p) + ortp__decoder_control_bytes(state->decoder);
    state->buffer_bytes = ortp__decoder_buffer_bytes(state->decoder);
    ortp__lock(&p->mutex);
    if (p->waiters != NULL) {
        ortp__cond_broadcast(&p->returned); /* one may get it, others need none any more */
    }
    if (!hand_over_locked(p, state)) {
        state->next = p->idle;
        p->idle = state;
    }
    ortp__state *surplus = take_surplus_locked(p);
    ortp__unlock(&p->mutex);
    while (surplus != NULL) {
        ortp__state *next = surplus->next;
        state_free(p, surplus);
        surplus = next;
    }
}

/* ---- giving memory back ---- */

size_t ortp__state_drop(ortp_predictor *p)
{
    ortp__lock(&p->mutex);
    ortp__state *state = p->idle != NULL ? unlink_state(least_warm_locked(p)) : NULL;
    if (state != NULL) {
        uncount_locked(p, state->warmed);
    }
    ortp__unlock(&p->mutex);
    if (state == NULL) {
        return 0;
    }
    const size_t bytes = state->control_bytes;
    state_free(p, state);
    return bytes;
}

size_t ortp__state_idle_bytes(ortp_predictor *p)
{
    size_t bytes = 0;
    ortp__lock(&p->mutex);
    for (const ortp__state *state = p->idle; state != NULL; state = state->next) {
        bytes += state->control_bytes + state->buffer_bytes;
    }
    ortp__unlock(&p->mutex);
    return bytes;
}

/* One state at a time: what it held are idle tensors then, of which no more go than are wanted. */
size_t ortp__state_reclaim(void *ctx, size_t bytes_wanted)
{
    ortp_predictor *p = ctx;
    size_t given = 0;
    size_t state = 0;
    while (given < bytes_wanted && (state = ortp__state_drop(p)) > 0) {
        ortp__lock(&p->mutex);
        p->reclaimed++;
        ortp__unlock(&p->mutex);
        given += state;
        if (given < bytes_wanted) {
            ortp_tensor_pool_info info = ORTP_TENSOR_POOL_INFO_INIT;
            ortp_tensor_pool_get_info(p->tensors, &info);
            const size_t wanted = bytes_wanted - given;
            size_t dropped = 0;
            (void)ortp_tensor_pool_trim(
                p->tensors, info.idle_bytes > wanted ? info.idle_bytes - wanted : 0, 0, &dropped);
            given += dropped;
        }
    }
    return given;
}

uint64_t ortp__state_reclaimed(ortp_predictor *p)
{
    ortp__lock(&p->mutex);
    const uint64_t reclaimed = p->reclaimed;
    ortp__unlock(&p->mutex);
    return reclaimed;
}

ortp_status ortp__state_turns(ortp_predictor *p, uint64_t before, size_t count, ortp_error *error)
{
    if (ortp__state_reclaimed(p) - before <= count) {
        return ORTP_OK;
    }
    return ortp__fail(error, ORTP_E_BUDGET, "%zu decode states: %s", count,
                      ortp_status_text(ORTP_E_BUDGET));
}
