/* SPDX-License-Identifier: MIT */
/*
 * After warm-up nothing is taken any more: no tensor, no block, no control structure, no ORT object,
 * over a thousand predictions of swipes that warm-up has not seen.
 */
#include "machine.h"
#include "rig.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define PREDICTIONS (test_thin() ? 100u : 1000u)
#define THREADS 4u

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

typedef struct level {
    uint64_t alloc_calls;
    size_t alloc_live;
    ortp_pool_info pool;
    ortp_budget_info budget;
    ortp_stats stats;
    uint64_t ort_calls, ort_runs;
    int64_t ort_live;
} level;

static level measure(const rig *r)
{
    return (level){
        .alloc_calls = r->alloc.calls,
        .alloc_live = r->alloc.live_bytes,
        .pool = rig_pool(r),
        .budget = rig_budget(r),
        .stats = rig_stats(r),
        .ort_calls = counting_api_total(),
        .ort_runs = counting_api_calls(COUNTING_Run),
        .ort_live = counting_api_live(),
    };
}

static void assert_nothing_taken(const level *before, const level *after)
{
    assert_int_equal(after->alloc_calls, before->alloc_calls);
    assert_int_equal(after->alloc_live, before->alloc_live);
    assert_int_equal(after->pool.maps, before->pool.maps);
    assert_int_equal(after->pool.unmaps, before->pool.unmaps);
    assert_int_equal(after->stats.tensor_creates, before->stats.tensor_creates);
    assert_int_equal(after->budget.charged_bytes, before->budget.charged_bytes);
    assert_int_equal(after->budget.peak_bytes, before->budget.peak_bytes);
    assert_int_equal(after->ort_live, before->ort_live);
    /* ORT was called to run, and for nothing else. */
    assert_true(after->ort_runs > before->ort_runs);
    assert_int_equal(after->ort_calls - before->ort_calls, after->ort_runs - before->ort_runs);
    assert_int_equal(after->stats.encoder_runs + after->stats.decoder_runs -
                         before->stats.encoder_runs - before->stats.decoder_runs,
                     after->ort_runs - before->ort_runs);
}

static void steady(rig_options options, size_t predictions)
{
    counting_api_reset();
    options.api = counting_api_use(test_ort_api());
    options.pool_kind =
        ORTP_POOL_STRIPED; /* no cache per thread, which would be made on first use */
    rig r;
    rig_open(&r, &options);
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(ortp_predictor_warm(r.predictor, NULL, NULL, &error), error);
    const level before = measure(&r);
    for (size_t i = 0; i < predictions; i++) {
        (void)rig_predict(&r, &rows.rows[i * 7 % rows.count], 5);
    }
    const level after = measure(&r);
    assert_nothing_taken(&before, &after);
    assert_int_equal(after.stats.predictions, predictions);
    assert_int_equal(after.pool.in_use_blocks - before.pool.in_use_blocks,
                     options.predictor.cache_off ? 0 : 4); /* the keys of the cache's entries */
    rig_close(&r);
    assert_int_equal(counting_api_live(), 0);
}

static void thousand_batched(void **state)
{
    (void)state;
    steady((rig_options){0}, PREDICTIONS);
}

static void thousand_sequential(void **state)
{
    (void)state;
    steady((rig_options){.predictor = {.path = ORTP_PATH_SEQUENTIAL}}, PREDICTIONS);
}

/* One letter of each beam in a step, where this ONNX Runtime can. */
static void thousand_incremental(void **state)
{
    (void)state;
    steady((rig_options){.model = STEP_MODEL}, PREDICTIONS);
}

/* Weighed by ctc, and looking ahead. */
static void second_score(void **state)
{
    (void)state;
    static const ortp_path paths[] = {ORTP_PATH_AUTO, ORTP_PATH_BATCHED, ORTP_PATH_SEQUENTIAL};
    for (size_t i = 0; i < 3; i++) {
        steady((rig_options){.model = CTC_MODEL, .predictor = {.path = paths[i]}}, PREDICTIONS / 4);
    }
    steady((rig_options){.model = CTC_MODEL, .predictor = {.cache_off = true}}, PREDICTIONS / 4);
}

static void without_cache(void **state)
{
    (void)state;
    steady((rig_options){.predictor = {.cache_off = true}}, PREDICTIONS / 4);
}

/* Replicated memory and source masks: every bucket has values of its own in the decoder's buffers. */
static void replicated(void **state)
{
    (void)state;
    steady((rig_options){.model = "tests/graphs/mask", .predictor = {.cache_off = true}}, 200);
}

/* ---- as many threads as warm-up prepared for ---- */

typedef struct worker {
    pthread_t thread;
    ortp_predictor *predictor;
    size_t first, failed;
} worker;

static void *work(void *ctx)
{
    worker *w = ctx;
    for (size_t i = 0; i < PREDICTIONS / THREADS; i++) {
        const ortp_swipe *swipe = &rows.rows[(w->first + i * 7) % rows.count].swipe;
        ortp_prediction out = ORTP_PREDICTION_INIT;
        w->failed +=
            ortp_predictor_predict(w->predictor, swipe, NULL, &out, NULL) == ORTP_OK ? 0 : 1;
    }
    return NULL;
}

static void several_threads(const char *model)
{
    counting_api_reset();
    const rig_options options = {.model = model,
                                 .predictor = {.threads = THREADS},
                                 .pool_kind = ORTP_POOL_STRIPED,
                                 .api = counting_api_use(test_ort_api())};
    rig r;
    rig_open(&r, &options);
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(ortp_predictor_warm(r.predictor, NULL, NULL, &error), error);
    const level before = measure(&r);
    worker workers[THREADS] = {0};
    for (size_t i = 0; i < THREADS; i++) {
        workers[i].predictor = r.predictor;
        workers[i].first = i * 11;
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
        assert_int_equal(workers[i].failed, 0);
    }
    const level after = measure(&r);
    assert_nothing_taken(&before, &after);
    rig_close(&r);
    assert_int_equal(counting_api_live(), 0);
}

static void four_threads(void **state)
{
    (void)state;
    several_threads(TINY);
    several_threads("tests/graphs/mask");
    several_threads(CTC_MODEL);
}

/* Without warm-up the first predictions take what they need, then it stops. */
static void without_warm_up(void **state)
{
    (void)state;
    counting_api_reset();
    rig r;
    const rig_options options = {.api = counting_api_use(test_ort_api()),
                                 .pool_kind = ORTP_POOL_STRIPED};
    rig_open(&r, &options);
    const level cold = measure(&r);
    for (size_t i = 0; i < 2 * rows.count; i++) {
        (void)rig_predict(&r, &rows.rows[i % rows.count], 5);
    }
    const level before = measure(&r);
    assert_true(before.stats.tensor_creates > cold.stats.tensor_creates);
    for (size_t i = 0; i < 2 * rows.count; i++) {
        (void)rig_predict(&r, &rows.rows[i % rows.count], 5);
    }
    const level after = measure(&r);
    assert_nothing_taken(&before, &after);
    rig_close(&r);
}

int main(void)
{
    if (!test_ort_found()) {
        return TEST_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thousand_batched),     cmocka_unit_test(thousand_sequential),
        cmocka_unit_test(thousand_incremental), cmocka_unit_test(second_score),
        cmocka_unit_test(without_cache),        cmocka_unit_test(replicated),
        cmocka_unit_test(four_threads),         cmocka_unit_test(without_warm_up),
    };
    return cmocka_run_group_tests(tests, read_rows, free_rows);
}
