/* SPDX-License-Identifier: MIT */
/*
 * The pool of decode states: a stack of idle ones, so that the warmest is used next. A state is made
 * when a prediction finds none idle, and kept until trim, reclaim or destroy.
 */
#include "predictor_internal.h"

static size_t state_bytes(const ortp_predictor *p)
{
    const size_t row = ORTP_SWIPE_FEATURES * sizeof(float) + sizeof(int32_t);
    return sizeof(ortp__state) + p->config.max_points * row;
}

static void state_free(ortp_predictor *p, ortp__state *state)
{
    ortp_decoder_destroy(state->decoder);
    ortp__meta_free(p->runtime->budget, &p->runtime->alloc, state, state_bytes(p));
}

static ortp_status state_make(ortp_predictor *p, ortp__state **out, ortp_error *error)
{
    void *memory = NULL;
    ortp_status status = ortp__meta_alloc(p->runtime->budget, &p->runtime->alloc, state_bytes(p),
                                          ORTP_RECLAIM_CACHE, &memory);
    if (status != ORTP_OK) {
        return ortp__fail(error, status, "predictor: %zu bytes for a decode state: %s",
                          state_bytes(p), ortp_status_text(status));
    }
    ortp__state *state = memory;
    state->features = (float *)(void *)(state + 1);
    state->keys = (int32_t *)(void *)(state->features + p->config.max_points * ORTP_SWIPE_FEATURES);
    status = ortp_decoder_create(p->model, p->tensors, p->params.beam_width, &state->decoder, error);
    if (status != ORTP_OK) {
        ortp__meta_free(p->runtime->budget, &p->runtime->alloc, state, state_bytes(p));
        return status;
    }
    *out = state;
    return ORTP_OK;
}

ortp_status ortp__state_acquire(ortp_predictor *p, ortp__state **out, ortp_error *error)
{
    ortp__lock(&p->mutex);
    ortp__state *state = p->idle;
    if (state != NULL) {
        p->idle = state->next;
    } else {
        p->state_count++; /* the one that is made now */
    }
    ortp__unlock(&p->mutex);
    if (state != NULL) {
        state->next = NULL;
        *out = state;
        return ORTP_OK;
    }
    const ortp_status status = state_make(p, out, error);
    if (status != ORTP_OK) {
        ortp__lock(&p->mutex);
        p->state_count--;
        ortp__unlock(&p->mutex);
    }
    return status;
}

void ortp__state_release(ortp_predictor *p, ortp__state *list)
{
    ortp__lock(&p->mutex);
    while (list != NULL) {
        ortp__state *next = list->next;
        list->next = p->idle;
        p->idle = list;
        list = next;
    }
    ortp__unlock(&p->mutex);
}

static ortp__state *take_idle(ortp_predictor *p)
{
    ortp__lock(&p->mutex);
    ortp__state *list = p->idle;
    p->idle = NULL;
    ortp__unlock(&p->mutex);
    return list;
}

/* Counts one more state unless there are enough. */
static bool may_make(ortp_predictor *p)
{
    ortp__lock(&p->mutex);
    const bool make = p->state_count < p->threads;
    if (make) {
        p->state_count++;
    }
    ortp__unlock(&p->mutex);
    return make;
}

ortp_status ortp__state_hold(ortp_predictor *p, ortp__state **list, ortp_error *error)
{
    *list = take_idle(p);
    while (may_make(p)) {
        ortp__state *state = NULL;
        const ortp_status status = state_make(p, &state, error);
        if (status != ORTP_OK) {
            ortp__lock(&p->mutex);
            p->state_count--;
            ortp__unlock(&p->mutex);
            ortp__state_release(p, *list);
            *list = NULL;
            return status;
        }
        state->next = *list;
        *list = state;
    }
    return ORTP_OK;
}

void ortp__state_drop_idle(ortp_predictor *p)
{
    ortp__state *list = take_idle(p);
    size_t dropped = 0;
    while (list != NULL) {
        ortp__state *next = list->next;
        state_free(p, list);
        list = next;
        dropped++;
    }
    ortp__lock(&p->mutex);
    p->state_count -= dropped;
    ortp__unlock(&p->mutex);
}

size_t ortp__state_reclaim(void *ctx, size_t bytes_wanted)
{
    ortp_predictor *p = ctx;
    ortp__lock(&p->mutex);
    const bool any = p->idle != NULL;
    ortp__unlock(&p->mutex);
    if (!any || bytes_wanted == 0) {
        return 0;
    }
    ortp__state_drop_idle(p);
    size_t dropped = 0; /* a state's buffers are tensors, idle from now on */
    (void)ortp_tensor_pool_trim(p->tensors, 0, 0, &dropped);
    return dropped;
}
