/* SPDX-License-Identifier: MIT */
/*
 * One prediction:  features -> encoder cache, else encoder -> search over the lexicon -> words.
 */
#include "model_run.h"
#include "predictor_internal.h"
#include "session_run.h"

#include <ortpool/swipe_shape.h>

#include <math.h>
#include <string.h>

/*
 * The encoder's output while it is searched: held by a lease of the cache (a hit, or put by us), or
 * by us alone where the cache declined.
 */
typedef struct source {
    ortp_lease *lease;
    ortp_tensor *owned;
    ortp_tensor *encoded; /* of one of the two */
    size_t length;
    uint64_t run_us; /* that the encoder took; 0: the cache had it */
    bool hit;
} source;

static void source_release(source *s)
{
    ortp_lease_release(s->lease);
    (void)ortp_tensor_release(s->owned);
}

static void free_attachment(void *attachment)
{
    (void)ortp_tensor_release(attachment);
}

static void source_from_lease(source *s, ortp_lease *lease)
{
    const ortp_cache_value *value = ortp_lease_value(lease);
    s->lease = lease;
    s->encoded = value->attachment;
    s->length = (size_t)value->actual_length;
}

/* Asked by the search before each decoder run; here, before the encoder's. */
static ortp_status poll(const ortp_predictor *p, const ortp__asked *asked, ortp_error *error)
{
    if (asked->stop != NULL && asked->stop(asked->stop_ctx)) {
        return ortp__fail(error, ORTP_E_CANCELLED, "predict: stopped before the encoder's run");
    }
    if (asked->deadline_at_ms > 0 && ortp_runtime_now_ms(p->runtime) >= asked->deadline_at_ms) {
        return ortp__fail(error, ORTP_E_TIMEOUT,
                          "predict: the deadline passed before the encoder's run");
    }
    return ORTP_OK;
}

size_t ortp__cache_key_bytes(size_t bucket)
{
    return bucket * (ORTP_SWIPE_FEATURES * sizeof(float) + sizeof(int32_t)) + sizeof(int32_t);
}

/*
 * Pads to the bucket, as the encoder's input is, and so gives the key one size per bucket: the blocks
 * that keys live in can then be warmed.
 */
static ortp_cache_key make_key(const ortp_predictor *p, ortp__state *state, const int32_t *length)
{
    const size_t rows = (size_t)*length;
    const size_t bucket = ortp_manifest_bucket(ortp_model_manifest(p->model), rows);
    float *features = state->features + rows * ORTP_SWIPE_FEATURES;
    memset(features, 0, (bucket - rows) * ORTP_SWIPE_FEATURES * sizeof *features);
    memset(state->keys + rows, 0, (bucket - rows) * sizeof *state->keys);
    return (ortp_cache_key){
        .model_id = ortp_model_id(p->model),
        .parts = {state->features, state->keys, length},
        .part_bytes = {bucket * ORTP_SWIPE_FEATURES * sizeof *features,
                       bucket * sizeof *state->keys, sizeof *length},
        .part_count = 3,
    };
}

/* Gives the encoder's output to the cache; keeps it where the cache declines, which is benign. */
static void offer(ortp_predictor *p, const ortp_cache_key *key, int32_t length, source *s)
{
    const ortp_cache_value value = {
        .actual_length = length,
        .attachment = s->owned,
        .attachment_free = free_attachment,
        .attachment_bytes = ortp_tensor_bytes(s->owned),
    };
    ortp_lease *lease = NULL;
    if (ortp_cache_put(p->cache, key, &value, &lease) == ORTP_OK) {
        s->owned = NULL;
        source_from_lease(s, lease);
    }
}

static ortp_status encode(ortp_predictor *p, ortp__state *state, size_t rows,
                          const ortp__asked *asked, bool beside, bool rehearsal, source *s,
                          ortp_error *error)
{
    const int32_t length = (int32_t)rows;
    const ortp_cache_key key = make_key(p, state, &length);
    const bool cached = !rehearsal && p->cache_entries > 0;
    ortp_status status = ORTP_OK;
    if (cached) {
        ortp_lease *lease = NULL;
        status = ortp_cache_get(p->cache, &key, &lease);
        if (status != ORTP_OK) {
            return ortp__fail(error, status, "predict: encoder cache: %s",
                              ortp_status_text(status));
        }
        if (lease != NULL) {
            source_from_lease(s, lease);
            s->hit = true;
            return ORTP_OK;
        }
    }
    status = poll(p, asked, error);
    if (status != ORTP_OK) {
        return status;
    }
    const ortp_encoder_input input = {
        .features = state->features, .keys = state->keys, .length = rows};
    const ortp__patience patience = {asked->deadline_at_ms, asked->stop, asked->stop_ctx, beside};
    const uint64_t start_us = ortp__now_us();
    status = ortp__model_encode_patient(p->model, &input, &patience, &s->owned, error);
    s->run_us = ortp__now_us() - start_us;
    if (status != ORTP_OK) {
        return status;
    }
    s->encoded = s->owned;
    s->length = rows;
    if (cached) {
        offer(p, &key, length, s);
    }
    return ORTP_OK;
}

static void write_word(const ortp_predictor *p, const ortp_hypothesis *found, ortp_candidate *out)
{
    const size_t length =
        found->length < ORTP_LEXICON_WORD_MAX ? found->length : ORTP_LEXICON_WORD_MAX;
    for (size_t i = 0; i < length; i++) {
        out->word[i] = (char)('a' + (found->tokens[i] - p->config.first_letter));
    }
    out->word[length] = '\0';
    out->score = found->score;
}

/* Scores less what the shape tells against a word, and their order; of equal ones the first stays so. */
static void rank_by_shape(const ortp_predictor *p, const ortp__state *state, size_t length,
                          ortp_hypothesis *results, size_t count)
{
    ortp_swipe_shape shape = ORTP_SWIPE_SHAPE_INIT;
    (void)ortp_swipe_shape_of(&p->config, state->features, length, &shape);
    for (size_t i = 0; i < count; i++) {
        ortp_candidate word;
        write_word(p, &results[i], &word);
        ortp_hypothesis moved = results[i];
        moved.score -=
            p->config.shape_weight * ortp_swipe_shape_distance(&p->config, &shape, word.word);
        size_t at = i;
        while (at > 0 && results[at - 1].score < moved.score) {
            results[at] = results[at - 1];
            at--;
        }
        results[at] = moved;
    }
}

/* How likely a result is, against the first. */
static double odds(const ortp_predictor *p, const ortp_hypothesis *results, size_t index)
{
    return exp((results[index].score - results[0].score) / p->config.temperature);
}

/* The confidences of all results, from the scores; `out` has the first of them. */
static void tell_confidence(const ortp_predictor *p, const ortp_hypothesis *results, size_t count,
                            ortp_prediction *out)
{
    double sum = 0.0;
    for (size_t i = 0; i < count; i++) {
        sum += odds(p, results, i);
    }
    for (size_t i = 0; i < out->candidate_count; i++) {
        out->candidates[i].confidence = odds(p, results, i) / sum;
    }
}

static ortp_status search(ortp_predictor *p, ortp__state *state, const source *s,
                          const ortp__asked *asked, ortp_prediction *out, ortp_error *error)
{
    ortp_search_params params = p->params;
    params.stop = asked->stop;
    params.stop_ctx = asked->stop_ctx;
    params.deadline_at_ms = asked->deadline_at_ms;
    const uint64_t start_us = ortp__now_us();
    size_t count = 0;
    state->results[0].struct_size = sizeof state->results[0];
    const ortp_status status =
        ortp_decoder_search(state->decoder, s->encoded, s->length, &params, &p->constraint,
                            state->results, ORTP_CANDIDATES_MAX, &count, error);
    if (status != ORTP_OK) {
        return status;
    }
    if (p->config.shape_weight > 0.0) {
        rank_by_shape(p, state, s->length, state->results, count);
    }
    out->candidate_count = count < asked->top ? count : asked->top;
    for (size_t i = 0; i < out->candidate_count; i++) {
        write_word(p, &state->results[i], &out->candidates[i]);
    }
    tell_confidence(p, state->results, count, out);
    out->cache_hit = s->hit;
    out->points = s->length;
    out->decoder_runs = ortp_decoder_last_runs(state->decoder);
    out->decoder_us = ortp__decoder_last_run_us(state->decoder);
    out->search_us = ortp__now_us() - start_us - out->decoder_us;
    return ORTP_OK;
}

ortp_status ortp__predict(ortp_predictor *p, ortp__state *state, const ortp_swipe *swipe,
                          const ortp__asked *asked, bool beside, bool rehearsal,
                          ortp_prediction *out, ortp_error *error)
{
    source s = {0};
    ortp__decoder_wait_beside(state->decoder, beside);
    size_t rows = 0;
    const uint64_t start_us = ortp__now_us();
    ortp_status status =
        ortp_swipe_features(&p->config, swipe, state->features, state->keys, &rows, error);
    out->features_us = ortp__now_us() - start_us;
    if (status == ORTP_OK) {
        status = encode(p, state, rows, asked, beside, rehearsal, &s, error);
    }
    if (status == ORTP_OK) {
        out->encoder_us = s.run_us;
        status = search(p, state, &s, asked, out, error);
    }
    source_release(&s);
    return status;
}

static ortp_status check_options(const ortp_predictor *p, const ortp_predict_options *given,
                                 ortp__asked *asked, ortp_error *error)
{
    ortp_predict_options options;
    const ortp_status status = ortp__options_copy(&options, sizeof options, given);
    if (status != ORTP_OK) {
        return ortp__fail(error, status, "predict: " ORTP__OTHER_VERSION);
    }
    if (options.top > ORTP_CANDIDATES_MAX) {
        return ortp__fail(error, ORTP_E_INVAL, "predict: top: %zu, expected at most %u",
                          options.top, ORTP_CANDIDATES_MAX);
    }
    *asked = (ortp__asked){.top = options.top > 0 ? options.top : 3,
                           .stop = options.stop,
                           .stop_ctx = options.stop_ctx};
    if (options.timeout_ms > 0) {
        asked->deadline_at_ms =
            ortp__deadline_after(ortp_runtime_now_ms(p->runtime), options.timeout_ms);
    }
    return ORTP_OK;
}

/*
 * Runs wait for memory by themselves, beside others that run. What they cannot wait for (a decode
 * state, a tensor, a cache entry's block, or a run while nobody else runs) is waited for here with
 * nothing held: first for those beside it to be done, and then alone for whoever else uses the
 * runtime.
 */
static ortp_status predict_patiently(ortp_predictor *p, const ortp_swipe *swipe,
                                     const ortp__asked *asked, ortp_prediction *out,
                                     ortp_error *error)
{
    ortp__patience patience = {asked->deadline_at_ms, asked->stop, asked->stop_ctx, .beside = true};
    for (bool alone = false;; alone = true) {
        *out = (ortp_prediction)ORTP_PREDICTION_INIT;
        ortp_status status = ortp__turn_take(p, alone, &patience, error);
        if (status != ORTP_OK) {
            return status;
        }
        patience.beside = !alone;
        ortp__state *state = NULL;
        status = ortp__state_acquire(p, &state, error);
        if (status == ORTP_OK) {
            status = ortp__predict(p, state, swipe, asked, !alone, false, out, error);
            ortp__state_release(p, state);
        }
        if (status == ORTP_E_BUDGET && patience.deadline_ms > 0 && alone) {
            const ortp_status waited = ortp__wait_for_room(p->runtime, &patience);
            if (waited != ORTP_OK) {
                status = ortp__fail(error, waited, "predict: waiting for memory: %s",
                                    ortp_status_text(waited));
            }
        }
        ortp__turn_give(p, alone);
        if (status != ORTP_E_BUDGET || patience.deadline_ms == 0) {
            return status;
        }
    }
}

ortp_status ortp_predictor_predict(ortp_predictor *p, const ortp_swipe *swipe,
                                   const ortp_predict_options *given, ortp_prediction *out,
                                   ortp_error *error)
{
    if (p == NULL || swipe == NULL || out == NULL) {
        return ortp__fail(error, ORTP_E_INVAL, "predict: predictor, swipe and out are required");
    }
    const uint64_t start_us = ortp__now_us();
    ortp_status status = ortp__out_check(out);
    if (status != ORTP_OK) {
        return ortp__fail(error, status, "predict: out without struct_size");
    }
    ortp__asked asked;
    status = check_options(p, given, &asked, error);
    if (status != ORTP_OK) {
        return status;
    }
    status = ortp__predictor_enter(p, error);
    if (status != ORTP_OK) {
        return status;
    }
    ortp_prediction found;
    status = predict_patiently(p, swipe, &asked, &found, error);
    ortp__predictor_leave(p, status == ORTP_OK ? ORTP__SUCCEEDED : ORTP__FAILED);
    found.microseconds = ortp__now_us() - start_us;
    (void)ortp__out_fill(out, &found, sizeof found);
    return status;
}
