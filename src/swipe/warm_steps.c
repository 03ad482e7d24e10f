/* SPDX-License-Identifier: MIT */
/*
 * The steps of the warm-up plan. To have n tensors or blocks ready, n are held at the same time and
 * then given back; a step done twice finds them and makes nothing new.
 *
 * Decode states are warmed one by one, so that predictions find the others. A state has levels: it has
 * reached level n when it has made its run of the most rows for the n largest buckets, which is when
 * its buffers and their views exist. A step of level n is done when `threads` states have reached n,
 * whichever they are by then: a state that is new meanwhile catches up.
 */
#include "model_run.h"
#include "predictor_internal.h"

ortp_status ortp__warm_states(ortp_predictor *p, size_t bucket, size_t beams, ortp_error *error)
{
    (void)bucket;
    (void)beams;
    return ortp__state_fill(p, p->threads, error);
}

/* ---- tensors of the encoder ---- */

typedef struct held {
    ortp_tensor **tensors;
    size_t count;
} held;

/* Warm-up's own runs touch one tensor of each shape; the others are for predictions beside it. */
static void make_present(const ortp_tensor *tensor)
{
    ortp__pages_populate(ortp_tensor_data(tensor), ortp_tensor_bytes(tensor));
}

static ortp_status hold_encoded(ortp_predictor *p, held *h, size_t source, ortp_error *error)
{
    const ortp_status status =
        ortp__encoded_acquire(p->model, source, &h->tensors[h->count], error);
    if (status == ORTP_OK) {
        make_present(h->tensors[h->count++]);
    }
    return status;
}

/* One tensor for the encoder's input of this name; NULL: a role that the model lacks. */
static ortp_status hold_input(ortp_predictor *p, held *h, const char *name, const int64_t *shape,
                              size_t rank, ortp_error *error)
{
    if (name == NULL) {
        return ORTP_OK;
    }
    const ortp_session *encoder = ortp_model_encoder(p->model);
    const size_t index = ortp_session_find_input(encoder, name);
    const ortp_port *port = ortp_session_input(encoder, index);
    const ortp_status status =
        ortp_tensor_acquire(p->tensors, port->type, shape, rank, &h->tensors[h->count], error);
    if (status == ORTP_OK) {
        make_present(h->tensors[h->count++]);
    }
    return status;
}

static ortp_status hold_inputs(ortp_predictor *p, held *h, size_t source, ortp_error *error)
{
    const ortp_manifest *m = ortp_model_manifest(p->model);
    const int64_t features[] = {1, (int64_t)source, (int64_t)m->features};
    const int64_t one[] = {1};
    ortp_status status = hold_input(p, h, m->encoder.features, features, 3, error);
    if (status == ORTP_OK) {
        status = hold_input(p, h, m->encoder.keys, features, 2, error);
    }
    if (status == ORTP_OK) {
        status = hold_input(p, h, m->encoder.length, one, 1, error);
    }
    if (status == ORTP_OK) {
        status = hold_input(p, h, m->encoder.source_mask, features, 2, error);
    }
    return status;
}

ortp_status ortp__warm_tensors(ortp_predictor *p, size_t bucket, size_t beams, ortp_error *error)
{
    (void)beams;
    enum { INPUTS_MAX = 4 };
    const ortp_manifest *m = ortp_model_manifest(p->model);
    const size_t source = m->buckets[bucket];
    const size_t memories =
        p->cache_entries > 0 ? p->cache_entries + ortp__entries_beyond(p) : p->threads;
    const size_t bytes = (p->threads * INPUTS_MAX + memories) * sizeof(ortp_tensor *);
    void *room = NULL;
    ortp_status status = ortp__room_take(p->runtime, bytes, &room);
    if (status != ORTP_OK) {
        return ortp__fail(error, status, "%s", ortp_status_text(status));
    }
    held h = {.tensors = room};
    for (size_t i = 0; i < p->threads && status == ORTP_OK; i++) {
        status = hold_inputs(p, &h, source, error);
    }
    for (size_t i = 0; i < memories && status == ORTP_OK; i++) {
        status = hold_encoded(p, &h, source, error);
    }
    while (h.count > 0) {
        (void)ortp_tensor_release(h.tensors[--h.count]);
    }
    ortp__room_give(p->runtime, room, bytes);
    return status;
}

/* ---- runs ---- */

ortp_status ortp__warm_encoder(ortp_predictor *p, size_t bucket, size_t beams, ortp_error *error)
{
    (void)beams;
    return ortp_model_warm(p->model, bucket, error);
}

/*
 * A decoder needs its buffers and a view of them per number of rows, all made by its run of the most
 * rows for the largest bucket; where memory or mask are among its buffers, there are views per bucket
 * too. 0: no state needs this step for itself.
 */
static size_t level_of(const ortp_predictor *p, size_t bucket, size_t beams)
{
    const ortp_manifest *m = ortp_model_manifest(p->model);
    const bool views_by_bucket =
        ortp_model_path(p->model) != ORTP_PATH_INCREMENTAL &&
        (m->decoder.layout == ORTP_MEMORY_REPLICATED || m->decoder.source_mask != NULL);
    const bool needed =
        beams == ortp__rows_most(p) && (views_by_bucket || bucket + 1 == m->bucket_count);
    return needed ? m->bucket_count - bucket : 0;
}

static ortp_status catch_up(ortp_predictor *p, ortp__state *state, size_t level, ortp_error *error)
{
    const size_t buckets = ortp_model_manifest(p->model)->bucket_count;
    ortp_status status = ORTP_OK;
    while (state->warmed < level && status == ORTP_OK) {
        status = ortp__decoder_warm(state->decoder, buckets - 1 - state->warmed, ortp__rows_most(p),
                                    ortp__weighs_ctc(p), error);
        if (status == ORTP_OK) {
            ortp__state_warmed(p, state);
        }
    }
    return status;
}

ortp_status ortp__warm_decoder(ortp_predictor *p, size_t bucket, size_t beams, ortp_error *error)
{
    const size_t level = level_of(p, bucket, beams);
    ortp__state *state = NULL;
    /* ORT needs one run per shape, on whichever decoder. */
    ortp_status status = ortp__state_borrow(p, ORTP__LEVEL_ANY, &state, error);
    if (status == ORTP_OK) {
        status = ortp__decoder_warm(state->decoder, bucket, beams, ortp__weighs_ctc(p), error);
        if (status == ORTP_OK && state->warmed + 1 == level) {
            ortp__state_warmed(p, state);
        }
        ortp__state_release(p, state);
    }
    const uint64_t before = ortp__state_reclaimed(p);
    while (status == ORTP_OK) {
        status = ortp__state_borrow(p, level, &state, error);
        if (status != ORTP_OK || state == NULL) {
            break;
        }
        status = catch_up(p, state, level, error);
        ortp__state_release(p, state);
        if (status == ORTP_OK) {
            status = ortp__state_turns(p, before, p->threads, error);
        }
    }
    return status;
}

/* All shapes have run: each session knows the most that a run needs. */
ortp_status ortp__warm_runs(ortp_predictor *p, size_t bucket, size_t beams, ortp_error *error)
{
    (void)bucket;
    (void)beams;
    ortp_status status = ortp_session_warm_runs(ortp_model_encoder(p->model), p->threads);
    if (status == ORTP_OK) {
        status = ortp_session_warm_runs(ortp_model_decoder(p->model), p->threads);
    }
    if (status != ORTP_OK) {
        return ortp__fail(error, status, "a run of the decoder or the encoder each: %s",
                          ortp_status_text(status));
    }
    return ORTP_OK;
}

ortp_status ortp__warm_keys(ortp_predictor *p, size_t bucket, size_t beams, ortp_error *error)
{
    (void)bucket;
    (void)beams;
    const ortp_manifest *m = ortp_model_manifest(p->model);
    for (size_t i = 0; i < m->bucket_count; i++) {
        const ortp_pool_need need = {.bytes = ortp__cache_key_bytes(m->buckets[i]),
                                     .count = p->cache_entries + ortp__entries_beyond(p)};
        const ortp_status status = ortp_pool_warm(ortp_runtime_pool(p->runtime), &need, 1);
        if (status != ORTP_OK) {
            return ortp__fail(error, status, "%zu blocks of %zu bytes: %s", need.count, need.bytes,
                              ortp_status_text(status));
        }
    }
    return ORTP_OK;
}

/* ---- rehearsal ---- */

/* Straight lines through the centres of five keys of the layout, at one size of the letter area. */
static void draw(const ortp_layout *layout, size_t points, size_t shape, double *x, double *y,
                 double *t)
{
    enum { KEYS = 5, STRIDE = 7, INTERVAL_MS = 16 };
    const double last = points > 1 ? (double)(points - 1) : 1.0;
    for (size_t i = 0; i < points; i++) {
        const double position = (double)i / last * (KEYS - 1);
        const size_t leg = position < KEYS - 1 ? (size_t)position : KEYS - 2;
        const double share = position - (double)leg;
        const size_t a = (shape + leg * STRIDE) % layout->key_count;
        const size_t b = (shape + (leg + 1) * STRIDE) % layout->key_count;
        x[i] = layout->keys[a].x + share * (layout->keys[b].x - layout->keys[a].x);
        y[i] = layout->keys[a].y + share * (layout->keys[b].y - layout->keys[a].y);
        t[i] = (double)i * INTERVAL_MS;
    }
}

ortp_status ortp__warm_rehearsal(ortp_predictor *p, size_t bucket, size_t beams, ortp_error *error)
{
    (void)beams;
    const size_t points = ortp_model_manifest(p->model)->buckets[bucket];
    const size_t bytes = points * 3 * sizeof(double);
    void *room = NULL;
    ortp_status status = ortp__room_take(p->runtime, bytes, &room);
    if (status != ORTP_OK) {
        return ortp__fail(error, status, "%s", ortp_status_text(status));
    }
    double *x = room;
    double *y = x + points;
    double *t = y + points;
    draw(&p->config.layout, points, bucket, x, y, t);
    const ortp_swipe swipe = {.x = x, .y = y, .t = t, .count = points, .width = 1.0, .height = 1.0};
    const ortp__asked asked = {.top = 3};
    ortp_prediction ignored = ORTP_PREDICTION_INIT;
    ortp__state *state = NULL;
    status = ortp__state_borrow(p, ORTP__LEVEL_ANY, &state, error);
    if (status == ORTP_OK) {
        status = ortp__predict(p, state, &swipe, &asked, false, true, &ignored, error);
        ortp__state_release(p, state);
    }
    ortp__room_give(p->runtime, room, bytes);
    return status;
}
