/* SPDX-License-Identifier: MIT */
/* What model.json says of words is what the predictor does: against a search by hand. */
#include "rig.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROWS 10
#define POINTS 150

static swipe_rows rows;

static int read_rows(void **state)
{
    (void)state;
    rows = swipe_rows_read(test_file(SAMPLES), ROWS);
    return 0;
}

static int free_rows(void **state)
{
    (void)state;
    swipe_rows_free(&rows);
    return 0;
}

/* ---- by hand, with the predictor's own parts ---- */

static void search(const rig *r, const ortp_swipe_config *config, const ortp_encoder_input *input,
                   ortp_prediction *out)
{
    ortp_error error = ORTP_ERROR_INIT;
    ortp_model *model = ortp_predictor_model(r->predictor);
    ortp_tensor_pool_options pool = ORTP_TENSOR_POOL_OPTIONS_INIT;
    pool.runtime = r->runtime;
    ortp_tensor_pool *tensors = NULL;
    ortp_tensor *encoded = NULL;
    ortp_decoder *decoder = NULL;
    assert_ok(ortp_tensor_pool_create(&pool, &tensors, &error), error);
    assert_ok(ortp_decoder_create(
                  &(const ortp_decoder_options){.struct_size = sizeof(ortp_decoder_options),
                                                .model = model,
                                                .tensors = tensors},
                  &decoder, &error),
              error);
    assert_ok(ortp_model_encode(model, input, &encoded, &error), error);
    ortp_lexicon_constraint words = {.struct_size = sizeof words,
                                     .lexicon = ortp_predictor_lexicon(r->predictor),
                                     .first_letter = config->first_letter,
                                     .weight = config->frequency_weight,
                                     .look_ahead = config->look_ahead,
                                     .count_limit = config->count_limit,
                                     .free_score = config->free_score};
    ortp_constraint constraint = ORTP_CONSTRAINT_INIT;
    assert_int_equal(ortp_lexicon_make_constraint(&words, &constraint), ORTP_OK);
    ortp_hypothesis found[ORTP_CANDIDATES_MAX] = {ORTP_HYPOTHESIS_INIT};
    assert_ok(ortp_decoder_search(decoder, encoded, input->length, NULL, &constraint, found,
                                  ORTP_CANDIDATES_MAX, &out->candidate_count, &error),
              error);
    for (size_t i = 0; i < out->candidate_count; i++) {
        for (size_t k = 0; k < found[i].length; k++) {
            out->candidates[i].word[k] = (char)('a' + found[i].tokens[k] - config->first_letter);
        }
        out->candidates[i].word[found[i].length] = '\0';
        out->candidates[i].score = found[i].score;
    }
    assert_int_equal(ortp_tensor_release(encoded), ORTP_OK);
    ortp_decoder_destroy(decoder, NULL);
    assert_ok(ortp_tensor_pool_destroy(tensors, &error), error);
}

static int by_score(const void *a, const void *b)
{
    const double x = ((const ortp_candidate *)a)->score;
    const double y = ((const ortp_candidate *)b)->score;
    return (x < y) - (x > y);
}

/* Ranks what was found by shapes too, and says how likely each is. */
static void weigh(const ortp_swipe_config *config, const float *features, size_t length,
                  ortp_prediction *out)
{
    ortp_swipe_shape shape = ORTP_SWIPE_SHAPE_INIT;
    ortp_swipe_shape_of(config, features, length, &shape);
    for (size_t i = 0; i < out->candidate_count; i++) {
        ortp_candidate *c = &out->candidates[i];
        c->score -= config->shape_weight * ortp_swipe_shape_distance(config, &shape, c->word);
    }
    qsort(out->candidates, out->candidate_count, sizeof out->candidates[0], by_score);
    double sum = 0.0;
    for (size_t i = 0; i < out->candidate_count; i++) {
        sum += exp(out->candidates[i].score / config->temperature);
    }
    for (size_t i = 0; i < out->candidate_count; i++) {
        out->candidates[i].confidence = exp(out->candidates[i].score / config->temperature) / sum;
    }
}

static ortp_prediction by_hand(const rig *r, const swipe_row *row, const ortp_swipe_config *config)
{
    ortp_error error = ORTP_ERROR_INIT;
    float features[POINTS * ORTP_SWIPE_FEATURES];
    int32_t keys[POINTS];
    ortp_encoder_input input = {features, keys, 0};
    assert_int_equal(config->max_points, POINTS);
    assert_ok(ortp_swipe_features(config, &row->swipe, features, keys, &input.length, &error),
              error);
    ortp_prediction out = {.candidate_count = 0};
    search(r, config, &input, &out);
    weigh(config, features, input.length, &out);
    return out;
}

static bool same(const ortp_prediction *a, const ortp_prediction *b)
{
    bool same = a->candidate_count == b->candidate_count;
    for (size_t i = 0; same && i < a->candidate_count; i++) {
        const ortp_candidate *x = &a->candidates[i], *y = &b->candidates[i];
        same = strcmp(x->word, y->word) == 0 && fabs(x->score - y->score) < 1e-9 &&
               fabs(x->confidence - y->confidence) < 1e-9;
    }
    return same;
}

/* ---- tests ---- */

/* All settings of the manifest, and each of them: without it, other candidates. */
static void every_setting_counts(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t at;
        double off;
    } settings[] = {
        {"frequency_weight", offsetof(ortp_swipe_config, frequency_weight), 0.0},
        {"count_limit", offsetof(ortp_swipe_config, count_limit), 0.0},
        {"look_ahead", offsetof(ortp_swipe_config, look_ahead), 0.0},
        {"free_score", offsetof(ortp_swipe_config, free_score), 0.0},
        {"shape_weight", offsetof(ortp_swipe_config, shape_weight), 0.0},
        {"temperature", offsetof(ortp_swipe_config, temperature), 1.0},
    };
    rig r;
    const rig_options options = {.model = WEIGHED_MODEL};
    rig_open(&r, &options);
    const ortp_swipe_config *config = ortp_predictor_config(r.predictor);
    ortp_prediction got[ROWS];
    for (size_t i = 0; i < ROWS; i++) {
        got[i] = rig_predict(&r, &rows.rows[i], ORTP_CANDIDATES_MAX);
        const ortp_prediction expected = by_hand(&r, &rows.rows[i], config);
        assert_true(expected.candidate_count > 1);
        assert_true(same(&got[i], &expected));
    }
    for (size_t k = 0; k < sizeof settings / sizeof settings[0]; k++) {
        ortp_swipe_config without = *config;
        *(double *)((char *)&without + settings[k].at) = settings[k].off;
        size_t others = 0;
        for (size_t i = 0; i < ROWS; i++) {
            const ortp_prediction other = by_hand(&r, &rows.rows[i], &without);
            others += same(&got[i], &other) ? 0 : 1;
        }
        if (others == 0) {
            fail_msg("%s: the same candidates without it", settings[k].name);
        }
    }
    rig_close(&r);
}

int main(void)
{
    if (!test_ort_found()) {
        return TEST_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_setting_counts),
    };
    return cmocka_run_group_tests(tests, read_rows, free_rows);
}
