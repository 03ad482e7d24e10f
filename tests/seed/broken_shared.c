/* SPDX-License-Identifier: MIT */
/* Shared trajectory buffers: see broken_shared.h. */
#define _GNU_SOURCE
#include "broken_shared.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define BEST 3u

struct shared_predictor {
    const ortp_predictor *parts;
    ortp_tensor_pool *tensors;
    ortp_decoder *decoders[SHARED_THREADS_MAX];
    unsigned threads;
    pthread_mutex_t lock;
    pthread_barrier_t filled;
    float *features; /* the shared buffers */
    int32_t *keys;
    size_t length;
};

shared_predictor *shared_create(const seed_world *world, const ortp_predictor *parts,
                                unsigned threads)
{
    shared_predictor *s = calloc(1, sizeof(*s));
    if (!s || threads == 0 || threads > SHARED_THREADS_MAX) {
        free(s);
        return NULL;
    }
    s->parts = parts;
    s->threads = threads;
    pthread_mutex_init(&s->lock, NULL);
    pthread_barrier_init(&s->filled, NULL, threads);
    size_t points = ortp_predictor_config(parts)->max_points;
    s->features = calloc(points * ORTP_SWIPE_FEATURES, sizeof(*s->features));
    s->keys = calloc(points, sizeof(*s->keys));

    ortp_tensor_pool_options options = ORTP_TENSOR_POOL_OPTIONS_INIT;
    options.runtime = world->runtime;
    ortp_error error = ORTP_ERROR_INIT;
    ortp_status status = ortp_tensor_pool_create(&options, &s->tensors, &error);
    for (unsigned i = 0; status == ORTP_OK && i < threads; i++) {
        status = ortp_decoder_create(
            &(const ortp_decoder_options){.struct_size = sizeof(ortp_decoder_options),
                                          .model = ortp_predictor_model(parts),
                                          .tensors = s->tensors},
            &s->decoders[i], &error);
    }
    if (status != ORTP_OK || !s->features || !s->keys) {
        seed_problem("creating the broken subject", status, &error);
        shared_destroy(s);
        return NULL;
    }
    return s;
}

void shared_destroy(shared_predictor *s)
{
    if (!s) {
        return;
    }
    for (unsigned i = 0; i < s->threads; i++) {
        ortp_decoder_destroy(s->decoders[i], NULL);
    }
    ortp_error error = ORTP_ERROR_INIT;
    if (s->tensors && ortp_tensor_pool_destroy(s->tensors, &error) != ORTP_OK) {
        seed_problem("destroying the broken subject", error.status, &error);
    }
    pthread_barrier_destroy(&s->filled);
    pthread_mutex_destroy(&s->lock);
    free(s->features);
    free(s->keys);
    free(s);
}

/* Fills the shared buffers, then reads them when all threads have filled them: the defect. */
static bool encode(shared_predictor *s, const ortp_swipe *swipe, ortp_tensor **memory,
                   size_t *length, ortp_swipe_shape *shape)
{
    const ortp_swipe_config *config = ortp_predictor_config(s->parts);
    ortp_error error = ORTP_ERROR_INIT;
    pthread_mutex_lock(&s->lock);
    ortp_status status =
        ortp_swipe_features(config, swipe, s->features, s->keys, &s->length, &error);
    pthread_mutex_unlock(&s->lock);
    pthread_barrier_wait(&s->filled);

    pthread_mutex_lock(&s->lock);
    if (status == ORTP_OK) {
        ortp_encoder_input input = {s->features, s->keys, s->length};
        *length = s->length;
        (void)ortp_swipe_shape_of(config, s->features, s->length, shape);
        status = ortp_model_encode(ortp_predictor_model(s->parts), &input, memory, &error);
    }
    pthread_mutex_unlock(&s->lock);
    pthread_barrier_wait(&s->filled); /* nobody fills for the next call before all have read */
    return status == ORTP_OK || seed_problem("the broken subject's encoder", status, &error);
}

static void spell(const ortp_hypothesis *h, int32_t first_letter, ortp_candidate *out)
{
    for (size_t i = 0; i < h->length; i++) {
        out->word[i] = (char)('a' + h->tokens[i] - first_letter);
    }
    out->word[h->length] = '\0';
    out->score = h->score;
}

/* Writes the best results of all, by their scores less what their shapes tell against them. */
static size_t pick(const shared_predictor *s, const ortp_swipe_shape *shape,
                   const ortp_hypothesis *found, size_t count, ortp_candidate out[BEST])
{
    const ortp_swipe_config *config = ortp_predictor_config(s->parts);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        ortp_candidate word;
        spell(&found[i], config->first_letter, &word);
        if (config->shape_weight > 0.0) {
            word.score -=
                config->shape_weight * ortp_swipe_shape_distance(config, shape, word.word);
        }
        size_t at = kept;
        while (at > 0 && out[at - 1].score < word.score) {
            at--;
        }
        if (at < BEST) {
            kept = kept < BEST ? kept + 1 : BEST;
            memmove(&out[at + 1], &out[at], (kept - 1 - at) * sizeof(*out));
            out[at] = word;
        }
    }
    return kept;
}

bool shared_predict(shared_predictor *s, unsigned thread, const ortp_swipe *swipe,
                    ortp_prediction *out)
{
    const ortp_swipe_config *config = ortp_predictor_config(s->parts);
    ortp_tensor *memory = NULL;
    size_t length = 0, count = 0;
    *out = (ortp_prediction)ORTP_PREDICTION_INIT;
    ortp_swipe_shape shape = ORTP_SWIPE_SHAPE_INIT;
    if (!encode(s, swipe, &memory, &length, &shape)) {
        return false;
    }
    ortp_search_params params = ORTP_SEARCH_PARAMS_INIT;
    ortp_search_params_from(ortp_model_manifest(ortp_predictor_model(s->parts)), &params);
    ortp_lexicon_constraint storage = {.struct_size = sizeof storage,
                                       .lexicon = ortp_predictor_lexicon(s->parts),
                                       .first_letter = config->first_letter,
                                       .weight = config->frequency_weight,
                                       .look_ahead = config->look_ahead,
                                       .count_limit = config->count_limit,
                                       .free_score = config->free_score};
    ortp_constraint constraint = ORTP_CONSTRAINT_INIT;
    (void)ortp_lexicon_make_constraint(&storage, &constraint);
    ortp_hypothesis found[ORTP_CANDIDATES_MAX] = {ORTP_HYPOTHESIS_INIT};
    ortp_error error = ORTP_ERROR_INIT;
    ortp_status status =
        ortp_decoder_search(s->decoders[thread], memory, length, &params, &constraint, found,
                            ORTP_CANDIDATES_MAX, &count, &error);
    ortp_tensor_release(memory);
    if (status != ORTP_OK) {
        return seed_problem("the broken subject's search", status, &error);
    }
    out->candidate_count = pick(s, &shape, found, count, out->candidates);
    out->points = length;
    return true;
}
