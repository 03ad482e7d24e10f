/* SPDX-License-Identifier: MIT */
/* The predictor's contract: options, words, deadline and cancel, the cache, its parts, its end. */
#define _POSIX_C_SOURCE 200809L /* nanosleep */

#include "rig.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static swipe_rows rows;

static int read_rows(void **state)
{
    (void)state;
    rows = swipe_rows_read(test_file(SAMPLES), SIZE_MAX);
    return 0;
}

static int free_rows(void **state)
{
    (void)state;
    swipe_rows_free(&rows);
    return 0;
}

static void refused(rig_options options, ortp_status expected, const char *message)
{
    rig r = {0};
    ortp_error error = ORTP_ERROR_INIT;
    assert_int_equal(rig_try(&r, &options, &error), expected);
    if (strstr(error.message, message) == NULL) {
        fail_msg("\"%s\", expected \"%s\"", error.message, message);
    }
    counting_alloc_assert_empty(&r.alloc);
}

static void bad_options(void **state)
{
    (void)state;
    refused((rig_options){.predictor = {.beam_width = ORTP_BEAM_MAX + 1}}, ORTP_E_INVAL,
            "beam_width: 33, expected at most 32");
    refused((rig_options){.predictor = {.path = (ortp_path)7}}, ORTP_E_INVAL, "path: unknown");
    refused((rig_options){.predictor = {.strategy = (ortp_strategy)7}}, ORTP_E_INVAL,
            "strategy: unknown");
    refused((rig_options){.predictor = {.threads = 1025}}, ORTP_E_INVAL,
            "threads: 1025, expected at most 1024");
    refused((rig_options){.predictor = {.cache_entries = 65537}}, ORTP_E_INVAL,
            "cache_entries: 65537, expected at most 65536");
    refused((rig_options){.model = "models/none"}, ORTP_E_NOTFOUND, "models/none/model.json");
    ortp_predictor *predictor = (ortp_predictor *)&rows;
    assert_int_equal(ortp_predictor_create(NULL, &predictor, NULL), ORTP_E_INVAL);
    assert_null(predictor);
    assert_int_equal(ortp_predictor_create(NULL, NULL, NULL), ORTP_E_INVAL);
    assert_int_equal(ortp_predictor_close(NULL, 0), ORTP_OK);
    assert_int_equal(ortp_predictor_destroy(NULL, NULL), ORTP_OK);
}

static void bad_arguments(void **state)
{
    (void)state;
    rig r;
    rig_open(&r, NULL);
    ortp_prediction out = ORTP_PREDICTION_INIT;
    ortp_error error = ORTP_ERROR_INIT;
    const ortp_swipe *swipe = &rows.rows[0].swipe;
    assert_int_equal(ortp_predictor_predict(NULL, swipe, NULL, &out, NULL), ORTP_E_INVAL);
    assert_int_equal(ortp_predictor_predict(r.predictor, NULL, NULL, &out, NULL), ORTP_E_INVAL);
    assert_int_equal(ortp_predictor_predict(r.predictor, swipe, NULL, NULL, NULL), ORTP_E_INVAL);
    ortp_predict_options options = ORTP_PREDICT_OPTIONS_INIT;
    options.top = ORTP_CANDIDATES_MAX + 1;
    assert_int_equal(ortp_predictor_predict(r.predictor, swipe, &options, &out, &error),
                     ORTP_E_INVAL);
    assert_non_null(strstr(error.message, "top: 17, expected at most 16"));
    ortp_swipe bad = *swipe;
    bad.width = 0;
    assert_int_equal(ortp_predictor_predict(r.predictor, &bad, NULL, &out, &error), ORTP_E_INVAL);
    assert_non_null(strstr(error.message, "swipe: width"));
    assert_int_equal(ortp_predictor_warm(NULL, NULL, NULL, NULL), ORTP_E_INVAL);
    assert_int_equal(ortp_predictor_warm_start(r.predictor, NULL, NULL, NULL), ORTP_E_INVAL);
    assert_int_equal(ortp_predictor_trim(NULL, 0, false, NULL), ORTP_E_INVAL);
    const ortp_prediction good = rig_predict(&r, &rows.rows[0], 0);
    assert_true(good.candidate_count > 0 && good.candidate_count <= 3);
    const ortp_stats stats = rig_stats(&r);
    assert_int_equal(stats.predictions, 1);
    assert_int_equal(stats.failures, 1); /* the swipe; misuse of the call is not a prediction */
    rig_close(&r);
}

/* A softmax of the scores of all candidates, also where fewer were wanted. */
static void check_confidences(const ortp_prediction *all, const ortp_prediction *few)
{
    double sum = 0.0;
    for (size_t i = 0; i < all->candidate_count; i++) {
        sum += exp(all->candidates[i].score);
    }
    for (size_t i = 0; i < all->candidate_count; i++) {
        assert_true(fabs(all->candidates[i].confidence - exp(all->candidates[i].score) / sum) <
                    1e-9);
        assert_true(i >= few->candidate_count ||
                    few->candidates[i].confidence == all->candidates[i].confidence);
    }
}

/* Every word is one of the lexicon, best first; `top` only cuts the list. */
static void words(void **state)
{
    (void)state;
    rig r;
    const rig_options options = {.predictor = {.cache_off = true}};
    rig_open(&r, &options);
    const ortp_lexicon *lexicon = ortp_predictor_lexicon(r.predictor);
    size_t most = 0;
    for (size_t i = 0; i < rows.count; i++) {
        const ortp_prediction all = rig_predict(&r, &rows.rows[i], ORTP_CANDIDATES_MAX);
        most = all.candidate_count > most ? all.candidate_count : most;
        for (size_t k = 0; k < all.candidate_count; k++) {
            assert_true(ortp_lexicon_contains(lexicon, all.candidates[k].word));
            assert_true(k == 0 || all.candidates[k - 1].score >= all.candidates[k].score);
            for (size_t j = 0; j < k; j++) {
                assert_string_not_equal(all.candidates[j].word, all.candidates[k].word);
            }
        }
        ortp_prediction few = rig_predict(&r, &rows.rows[i], 2);
        check_confidences(&all, &few);
        assert_true(few.candidate_count <= 2);
        for (size_t k = 0; k < few.candidate_count; k++) {
            assert_string_equal(few.candidates[k].word, all.candidates[k].word);
        }
        assert_false(few.cache_hit);
    }
    assert_true(most > 2);
    rig_close(&r);
}

static void strategies(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        rig r;
        const rig_options options = {
            .predictor = {.strategy = i < 2 ? ORTP_STRATEGY_GREEDY : ORTP_STRATEGY_BEAM,
                          .path = i % 2 == 0 ? ORTP_PATH_BATCHED : ORTP_PATH_SEQUENTIAL,
                          .beam_width = 1}};
        rig_open(&r, &options);
        ortp_error error = ORTP_ERROR_INIT;
        assert_ok(ortp_predictor_warm(r.predictor, NULL, NULL, &error), error);
        const ortp_prediction got = rig_predict(&r, &rows.rows[0], 16);
        assert_true(i >= 2 || got.candidate_count <= 1);
        rig_close(&r);
    }
}

/* One word at most, and of the lexicon, though beams may leave it. */
static void greedy(void **state)
{
    (void)state;
    size_t found = 0;
    for (int path = ORTP_PATH_AUTO; path <= ORTP_PATH_BATCHED; path++) {
        rig r;
        const rig_options options = {
            .model = WEIGHED_MODEL,
            .predictor = {.strategy = ORTP_STRATEGY_GREEDY, .path = (ortp_path)path}};
        rig_open(&r, &options);
        assert_true(ortp_predictor_config(r.predictor)->free_score < 0.0);
        for (size_t i = 0; i < rows.count; i++) {
            const ortp_prediction got = rig_predict(&r, &rows.rows[i], ORTP_CANDIDATES_MAX);
            assert_true(got.candidate_count <= 1);
            for (size_t k = 0; k < got.candidate_count; k++) {
                assert_true(ortp_lexicon_contains(ortp_predictor_lexicon(r.predictor),
                                                  got.candidates[k].word));
                assert_true(got.candidates[k].confidence == 1.0);
            }
            found += got.candidate_count;
        }
        rig_close(&r);
    }
    assert_true(found > 0);
}

/* ---- deadline and cancel ---- */

typedef struct stopper {
    size_t asked, stop_at;
} stopper;

static bool stop_at(void *ctx)
{
    stopper *s = ctx;
    return ++s->asked >= s->stop_at;
}

static void cancel(void **state)
{
    (void)state;
    rig r;
    const rig_options options = {.predictor = {.cache_off = true}};
    rig_open(&r, &options);
    const ortp_prediction whole = rig_predict(&r, &rows.rows[0], 0);
    const size_t polls = whole.decoder_runs + 1; /* the encoder's run too */
    for (size_t at = 1; at <= polls; at++) {
        stopper s = {.stop_at = at};
        ortp_predict_options predict = ORTP_PREDICT_OPTIONS_INIT;
        predict.stop = stop_at;
        predict.stop_ctx = &s;
        ortp_prediction out = ORTP_PREDICTION_INIT;
        ortp_error error = ORTP_ERROR_INIT;
        assert_int_equal(
            ortp_predictor_predict(r.predictor, &rows.rows[0].swipe, &predict, &out, &error),
            ORTP_E_CANCELLED);
        assert_int_equal(s.asked, at);
        rig_assert_ledger(&r);
    }
    stopper never = {.stop_at = SIZE_MAX};
    ortp_predict_options predict = ORTP_PREDICT_OPTIONS_INIT;
    predict.stop = stop_at;
    predict.stop_ctx = &never;
    ortp_prediction out = ORTP_PREDICTION_INIT;
    assert_int_equal(ortp_predictor_predict(r.predictor, &rows.rows[0].swipe, &predict, &out, NULL),
                     ORTP_OK);
    assert_same_words(&out, &whole, 0.0);
    assert_int_equal(never.asked, polls);
    rig_close(&r);
}

typedef struct ticking {
    fake_clock *clock;
    uint64_t per_poll;
} ticking;

static bool tick(void *ctx)
{
    const ticking *t = ctx;
    fake_clock_advance(t->clock, t->per_poll);
    return false;
}

static void deadline(void **state)
{
    (void)state;
    fake_clock clock = {.now_ms = 1000};
    rig r;
    const rig_options options = {.predictor = {.cache_off = true}, .clock = &clock};
    rig_open(&r, &options);
    const ortp_prediction whole = rig_predict(&r, &rows.rows[0], 0);
    ortp_predict_options predict = ORTP_PREDICT_OPTIONS_INIT;
    ortp_prediction out = ORTP_PREDICTION_INIT;
    predict.timeout_ms = 1; /* the clock stands still */
    assert_int_equal(ortp_predictor_predict(r.predictor, &rows.rows[0].swipe, &predict, &out, NULL),
                     ORTP_OK);
    ticking t = {.clock = &clock, .per_poll = 1};
    predict.stop = tick; /* each poll takes a millisecond: time for the encoder and one step */
    predict.stop_ctx = &t;
    predict.timeout_ms = 3;
    assert_int_equal(ortp_predictor_predict(r.predictor, &rows.rows[0].swipe, &predict, &out, NULL),
                     ORTP_E_TIMEOUT);
    assert_int_equal(clock.now_ms, 1003);
    t.per_poll = 1000000;
    predict.timeout_ms = UINT64_MAX; /* no time ends it, and the sum of now and it does not wrap */
    assert_int_equal(ortp_predictor_predict(r.predictor, &rows.rows[0].swipe, &predict, &out, NULL),
                     ORTP_OK);
    const ortp_prediction again = rig_predict(&r, &rows.rows[0], 0);
    assert_same_words(&again, &whole, 0.0);
    assert_int_equal(rig_stats(&r).failures, 1);
    rig_close(&r);
}

/* ---- the cache ---- */

static void staleness(void **state)
{
    (void)state;
    fake_clock clock = {.now_ms = 1};
    rig r;
    const rig_options options = {.predictor = {.cache_entries = 2, .cache_stale_ms = 100},
                                 .clock = &clock};
    rig_open(&r, &options);
    assert_false(rig_predict(&r, &rows.rows[0], 0).cache_hit);
    assert_true(rig_predict(&r, &rows.rows[0], 0).cache_hit);
    fake_clock_advance(&clock, 101);
    assert_false(rig_predict(&r, &rows.rows[0], 0).cache_hit);
    assert_false(rig_predict(&r, &rows.rows[1], 0).cache_hit);
    assert_false(rig_predict(&r, &rows.rows[2], 0).cache_hit); /* least recently used: 0 goes */
    assert_true(rig_predict(&r, &rows.rows[1], 0).cache_hit);
    assert_false(rig_predict(&r, &rows.rows[0], 0).cache_hit);
    assert_int_equal(ortp_cache_clear(ortp_predictor_cache(r.predictor)), 2);
    assert_false(rig_predict(&r, &rows.rows[0], 0).cache_hit);
    rig_close(&r);
}

/* One point more, or a pixel aside, is another swipe; the same rows in a longer bucket too. */
static void near_misses(void **state)
{
    (void)state;
    rig r;
    rig_open(&r, NULL);
    assert_false(rig_predict(&r, &rows.rows[0], 0).cache_hit);
    swipe_row other = rows.rows[0];
    other.swipe.count--;
    assert_false(rig_predict(&r, &other, 0).cache_hit);
    double x[512];
    memcpy(x, rows.rows[0].swipe.x, rows.rows[0].swipe.count * sizeof x[0]);
    x[7] += 1.0;
    other = rows.rows[0];
    other.swipe.x = x;
    assert_false(rig_predict(&r, &other, 0).cache_hit);
    x[7] -= 1.0;
    assert_true(rig_predict(&r, &other, 0).cache_hit);
    rig_close(&r);
}

/* ---- the host and the parts ---- */

static void destroy_with_a_lease(void **state)
{
    (void)state;
    rig r;
    rig_open(&r, NULL);
    (void)rig_predict(&r, &rows.rows[0], 0);
    ortp_cache *cache = ortp_predictor_cache(r.predictor);
    const int32_t bytes[] = {1, 2, 3};
    const ortp_cache_key key = {.parts = {bytes}, .part_bytes = {sizeof bytes}, .part_count = 1};
    const ortp_cache_value value = {.actual_length = 1};
    ortp_lease *lease = NULL;
    assert_int_equal(ortp_cache_put(cache, &key, &value, &lease), ORTP_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(ortp_predictor_destroy(r.predictor, NULL), ORTP_E_BUSY);
        assert_int_equal(ortp_lease_value(lease)->actual_length, 1);
        ortp_prediction out = ORTP_PREDICTION_INIT;
        assert_int_equal(ortp_predictor_predict(r.predictor, &rows.rows[0].swipe, NULL, &out, NULL),
                         ORTP_E_CLOSED);
    }
    ortp_lease_release(lease);
    rig_close(&r);
}

static void destroy_with_an_output(void **state)
{
    (void)state;
    rig r;
    rig_open(&r, NULL);
    ortp_error error = ORTP_ERROR_INIT;
    const float features[2 * ORTP_SWIPE_FEATURES] = {0};
    const int32_t keys[2] = {0};
    const ortp_encoder_input input = {.features = features, .keys = keys, .length = 2};
    ortp_tensor *memory = NULL;
    ortp_model *model = ortp_predictor_model(r.predictor);
    assert_ok(ortp_model_encode(model, &input, &memory, &error), error);
    assert_int_equal(ortp_predictor_destroy(r.predictor, NULL), ORTP_E_BUSY);
    assert_ptr_equal(ortp_predictor_model(r.predictor), model);
    assert_int_equal(ortp_tensor_release(memory), ORTP_OK);
    rig_close(&r);
}

static void destroy_with_a_decoder(void **state)
{
    (void)state;
    rig r;
    rig_open(&r, NULL);
    ortp_error error = ORTP_ERROR_INIT;
    ortp_tensor_pool_options options = ORTP_TENSOR_POOL_OPTIONS_INIT;
    options.runtime = r.runtime;
    ortp_tensor_pool *tensors = NULL;
    assert_ok(ortp_tensor_pool_create(&options, &tensors, &error), error);
    ortp_decoder *decoder = NULL;
    assert_ok(ortp_decoder_create(
                  &(const ortp_decoder_options){.struct_size = sizeof(ortp_decoder_options),
                                                .model = ortp_predictor_model(r.predictor),
                                                .tensors = tensors},
                  &decoder, &error),
              error);
    assert_int_equal(ortp_predictor_destroy(r.predictor, NULL), ORTP_E_BUSY);
    assert_ok(ortp_decoder_warm(decoder, 0, 1, &error), error); /* the model is still there */
    ortp_decoder_destroy(decoder, NULL);
    assert_int_equal(ortp_tensor_pool_destroy(tensors, NULL), ORTP_OK);
    rig_close(&r);
}

#define RUN_US 3000u  /* a run takes at least, in the test below */
#define STOP_US 2000u /* so does asking whether to stop */

static void sleep_us(unsigned microseconds)
{
    const struct timespec span = {.tv_nsec = (long)microseconds * 1000};
    (void)nanosleep(&span, NULL);
}

static OrtStatus *ORT_API_CALL slow_run(OrtSession *session, const OrtRunOptions *options,
                                        const char *const *input_names,
                                        const OrtValue *const *inputs, size_t input_count,
                                        const char *const *output_names, size_t output_count,
                                        OrtValue **outputs)
{
    sleep_us(RUN_US);
    return test_ort_api()->Run(session, options, input_names, inputs, input_count, output_names,
                               output_count, outputs);
}

static bool slow_stop(void *ctx)
{
    ++*(size_t *)ctx;
    sleep_us(STOP_US);
    return false;
}

static uint64_t stages_of(const ortp_prediction *p)
{
    return p->features_us + p->encoder_us + p->decoder_us + p->search_us;
}

/* Each stage has its own time and none of another's: else they would add up to more than there was. */
static void stages(void **state)
{
    (void)state;
    counting_api_reset();
    OrtApi *api = (OrtApi *)counting_api_use(test_ort_api());
    api->Run = slow_run;
    static const ortp_path paths[] = {ORTP_PATH_BATCHED, ORTP_PATH_SEQUENTIAL};
    for (size_t i = 0; i < 2; i++) {
        rig r;
        const rig_options options = {.api = api, .predictor = {.path = paths[i]}};
        rig_open(&r, &options);
        size_t asked = 0;
        ortp_predict_options predict = ORTP_PREDICT_OPTIONS_INIT;
        predict.stop = slow_stop;
        predict.stop_ctx = &asked;
        for (int hit = 0; hit < 2; hit++) {
            asked = 0;
            ortp_prediction out = ORTP_PREDICTION_INIT;
            ortp_error error = ORTP_ERROR_INIT;
            assert_ok(ortp_predictor_predict(r.predictor, &rows.rows[0].swipe, &predict, &out,
                                             &error),
                      error);
            assert_int_equal(out.cache_hit, hit);
            assert_true(out.decoder_runs > 0);
            assert_true(out.decoder_us >= out.decoder_runs * RUN_US);
            assert_true(out.search_us >= out.decoder_runs * STOP_US);
            assert_int_equal(asked, out.decoder_runs + (hit ? 0 : 1));
            if (hit) {
                assert_int_equal(out.encoder_us, 0);
                assert_true(stages_of(&out) <= out.microseconds);
            } else { /* it was asked once before the encoder's run, which is of no stage */
                assert_true(out.encoder_us >= RUN_US);
                assert_true(stages_of(&out) + STOP_US <= out.microseconds);
            }
        }
        rig_close(&r);
    }
    counting_api_reset();
}

/* As they come, without delays. */
static void stages_add_up(void **state)
{
    (void)state;
    rig r;
    rig_open(&r, NULL);
    uint64_t features = 0;
    for (size_t round = 0; round < 4; round++) {
        for (size_t i = 0; i < rows.count; i++) {
            const ortp_prediction p = rig_predict(&r, &rows.rows[i], 0);
            assert_true(stages_of(&p) <= p.microseconds);
            assert_true(p.decoder_us > 0);
            assert_int_equal(p.encoder_us == 0, p.cache_hit);
            features += p.features_us;
        }
    }
    assert_true(features > 0);
    rig_close(&r);
}

static void close_refuses(void **state)
{
    (void)state;
    rig r;
    rig_open(&r, NULL);
    assert_int_equal(ortp_predictor_close(r.predictor, 0), ORTP_OK);
    assert_int_equal(ortp_predictor_close(r.predictor, UINT64_MAX), ORTP_OK);
    ortp_prediction out = ORTP_PREDICTION_INIT;
    ortp_error error = ORTP_ERROR_INIT;
    assert_int_equal(ortp_predictor_predict(r.predictor, &rows.rows[0].swipe, NULL, &out, &error),
                     ORTP_E_CLOSED);
    assert_int_equal(error.status, ORTP_E_CLOSED);
    assert_int_equal(rig_stats(&r).failures, 0);
    rig_close(&r);
}

int main(void)
{
    if (!test_ort_found()) {
        return TEST_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_options),
        cmocka_unit_test(bad_arguments),
        cmocka_unit_test(words),
        cmocka_unit_test(strategies),
        cmocka_unit_test(greedy),
        cmocka_unit_test(cancel),
        cmocka_unit_test(deadline),
        cmocka_unit_test(staleness),
        cmocka_unit_test(near_misses),
        cmocka_unit_test(destroy_with_a_lease),
        cmocka_unit_test(destroy_with_an_output),
        cmocka_unit_test(destroy_with_a_decoder),
        cmocka_unit_test(stages),
        cmocka_unit_test(stages_add_up),
        cmocka_unit_test(close_refuses),
    };
    return cmocka_run_group_tests(tests, read_rows, free_rows);
}
