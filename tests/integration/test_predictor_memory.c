/* SPDX-License-Identifier: MIT */
/* The predictor's memory on the tiny model: limits and failures, warm-up, trim. */
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

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

/* ---- limits and failures ---- */

/* From a limit of nothing upward: each failure is clean, and the first that holds predicts. */
static void creation_under_every_limit(void **state)
{
    (void)state;
    rig probe;
    rig_open(&probe, NULL);
    const size_t enough = rig_budget(&probe).peak_bytes + ((size_t)1 << 20);
    rig_close(&probe);
    size_t failed = 0;
    bool created = false;
    for (size_t limit = 256; limit < 2 * enough && !created;
         limit += limit < 16384 ? 1024 : enough / 40) {
        rig r = {0};
        const rig_options options = {.limit_bytes = limit, .pool_kind = ORTP_POOL_STRIPED};
        ortp_error error = ORTP_ERROR_INIT;
        const ortp_status status = rig_try(&r, &options, &error);
        if (status == ORTP_OK) {
            created = true;
            assert_true(rig_budget(&r).peak_bytes <= limit);
            rig_close(&r);
        } else {
            assert_int_equal(status, ORTP_E_BUDGET);
            counting_alloc_assert_empty(&r.alloc);
            failed++;
        }
    }
    assert_true(created);
    assert_true(failed > 5);
}

static void creation_without_memory(void **state)
{
    (void)state;
    bool created = false;
    size_t failed = 0;
    for (uint64_t nth = 1; nth < 500 && !created; nth++) {
        rig r = {0};
        counting_alloc_fail(&r.alloc, nth, false);
        const rig_options options = {.pool_kind = ORTP_POOL_STRIPED};
        ortp_error error = ORTP_ERROR_INIT;
        const ortp_status status = rig_try(&r, &options, &error);
        counting_alloc_fail(&r.alloc, 0, false);
        if (status == ORTP_OK) {
            created = true;
            rig_close(&r);
        } else {
            assert_int_equal(status, ORTP_E_NOMEM);
            counting_alloc_assert_empty(&r.alloc);
            failed++;
        }
    }
    assert_true(created);
    assert_true(failed > 20);
}

/* Each allocation of a first prediction fails once; the next prediction works. */
static void predictions_without_memory(void **state)
{
    (void)state;
    bool whole = false;
    size_t failed = 0;
    for (uint64_t nth = 1; nth < 500 && !whole; nth++) {
        rig r;
        const rig_options options = {.pool_kind = ORTP_POOL_STRIPED};
        rig_open(&r, &options);
        counting_alloc_fail(&r.alloc, nth, false);
        ortp_prediction out = ORTP_PREDICTION_INIT;
        ortp_error error = ORTP_ERROR_INIT;
        const ortp_status status =
            ortp_predictor_predict(r.predictor, &rows.rows[0].swipe, NULL, &out, &error);
        whole = atomic_load(&r.alloc.failed) == 0;
        counting_alloc_fail(&r.alloc, 0, false);
        assert_true(status == ORTP_OK || status == ORTP_E_NOMEM); /* the cache may have declined */
        failed += status == ORTP_OK ? 0 : 1;
        rig_assert_ledger(&r);
        const ortp_prediction again = rig_predict(&r, &rows.rows[0], 0);
        assert_true(again.candidate_count > 0);
        rig_close(&r);
    }
    assert_true(whole);
    assert_true(failed > 3);
}

static void limit_lowered_and_raised(void **state)
{
    (void)state;
    rig r;
    const rig_options options = {.pool_kind = ORTP_POOL_STRIPED, .limit_bytes = (size_t)1 << 30};
    rig_open(&r, &options);
    ortp_budget *budget = ortp_runtime_budget(r.runtime);
    const size_t bare = rig_budget(&r).charged_bytes;
    const ortp_prediction expected = rig_predict(&r, &rows.rows[0], 0);
    for (size_t i = 1; i < 5; i++) {
        (void)rig_predict(&r, &rows.rows[i], 0);
    }
    /* Idle decoders, tensors, cache entries and blocks all go when the limit falls. */
    size_t excess = 0;
    const ortp_status lowered = ortp_budget_set_limit(budget, bare, &excess);
    assert_true(lowered == ORTP_OK || lowered == ORTP_E_BUSY);
    rig_assert_ledger(&r);
    ortp_cache_info cache = ORTP_CACHE_INFO_INIT;
    ortp_cache_get_info(ortp_predictor_cache(r.predictor), &cache);
    assert_int_equal(cache.entries, 0);
    assert_int_equal(rig_pool(&r).in_use_bytes[ORTP_LABEL_DECODE], 0);
    ortp_prediction out = ORTP_PREDICTION_INIT;
    ortp_error error = ORTP_ERROR_INIT;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(
            ortp_predictor_predict(r.predictor, &rows.rows[0].swipe, NULL, &out, &error),
            ORTP_E_BUDGET);
        assert_true(error.message[0] != '\0');
        rig_assert_ledger(&r);
    }
    assert_int_equal(ortp_budget_set_limit(budget, (size_t)1 << 30, NULL), ORTP_OK);
    const ortp_prediction again = rig_predict(&r, &rows.rows[0], 0);
    assert_same_words(&again, &expected, 0.0);
    rig_close(&r);
}

/* Room for one prediction but for no cache entry: it works, and says so by missing every time. */
static void cache_declines_under_pressure(void **state)
{
    (void)state;
    rig r;
    const rig_options options = {.pool_kind = ORTP_POOL_STRIPED, .limit_bytes = (size_t)1 << 30};
    rig_open(&r, &options);
    const ortp_prediction expected = rig_predict(&r, &rows.rows[0], 0);
    size_t room = 0;
    ortp_status status = ORTP_E_BUDGET;
    assert_int_equal(ortp_predictor_trim(r.predictor, 0, true, NULL), ORTP_OK);
    const size_t bare = rig_budget(&r).charged_bytes;
    ortp_prediction out = ORTP_PREDICTION_INIT;
    size_t refusals = 0;
    for (; status != ORTP_OK; room += 4096) {
        assert_true(room < (size_t)16 << 20);
        const ortp_status set =
            ortp_budget_set_limit(ortp_runtime_budget(r.runtime), bare + room, NULL);
        assert_true(set == ORTP_OK || set == ORTP_E_BUSY);
        ortp_error error = ORTP_ERROR_INIT;
        status = ortp_predictor_predict(r.predictor, &rows.rows[0].swipe, NULL, &out, &error);
        assert_true(status == ORTP_OK || status == ORTP_E_BUDGET);
        refusals += status == ORTP_OK ? 0 : 1;
        rig_assert_ledger(&r);
    }
    assert_true(refusals > 0);
    assert_same_words(&out, &expected, 0.0);
    assert_true(rig_budget(&r).charged_bytes <= rig_budget(&r).limit_bytes);
    for (size_t i = 0; i < 10; i++) { /* tight, and works on */
        (void)rig_predict(&r, &rows.rows[0], 0);
    }
    rig_close(&r);
}

/* ---- warm-up and trim ---- */

typedef struct watcher {
    size_t calls, cancel_at, last_done, total;
    bool encoder_seen;
} watcher;

static bool watch(void *ctx, size_t done, size_t total, const char *step)
{
    watcher *w = ctx;
    w->calls++;
    assert_int_equal(done, w->last_done + 1);
    w->last_done = done;
    w->total = total;
    w->encoder_seen = w->encoder_seen || strcmp(step, "encoder 1x64x6") == 0;
    return w->calls != w->cancel_at;
}

static void warm_up_is_idempotent(void **state)
{
    (void)state;
    rig r;
    const rig_options options = {.predictor = {.threads = 2}, .pool_kind = ORTP_POOL_STRIPED};
    rig_open(&r, &options);
    watcher w = {0};
    ortp_warmup_options warmup = ORTP_WARMUP_OPTIONS_INIT;
    warmup.progress = watch;
    warmup.progress_ctx = &w;
    ortp_warmup_report report = ORTP_WARMUP_REPORT_INIT;
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(ortp_predictor_warm(r.predictor, &warmup, &report, &error), error);
    assert_true(w.encoder_seen);
    assert_int_equal(w.calls, report.steps_total);
    /* states, runs, keys; for four buckets: tensors, encoder, eight beam counts, a rehearsal */
    assert_int_equal(report.steps_total, 3 + 4 * (2 + 8 + 1));
    assert_int_equal(report.steps_done, report.steps_total);
    const ortp_budget_info budget = rig_budget(&r);
    const ortp_pool_info pool = rig_pool(&r);
    const uint64_t calls = r.alloc.calls;
    const size_t live = r.alloc.live_bytes;
    w = (watcher){0};
    assert_ok(ortp_predictor_warm(r.predictor, &warmup, &report, &error), error);
    assert_int_equal(rig_budget(&r).charged_bytes, budget.charged_bytes);
    assert_int_equal(rig_pool(&r).maps, pool.maps);
    assert_int_equal(r.alloc.live_bytes, live);
    assert_int_equal(report.mapped_bytes, 0);
    /* room for the tensors held and for the rehearsed path, once a bucket each */
    assert_int_equal(r.alloc.calls - calls, 8);
    ortp_cache_info cache = ORTP_CACHE_INFO_INIT;
    ortp_cache_get_info(ortp_predictor_cache(r.predictor), &cache);
    assert_int_equal(cache.entries + cache.puts + cache.hits + cache.misses, 0);
    assert_int_equal(rig_stats(&r).predictions, 0);
    rig_close(&r);
}

static void warm_up_cancelled_and_closed(void **state)
{
    (void)state;
    rig r;
    rig_open(&r, NULL);
    watcher w = {.cancel_at = 5};
    ortp_warmup_options warmup = ORTP_WARMUP_OPTIONS_INIT;
    warmup.progress = watch;
    warmup.progress_ctx = &w;
    ortp_warmup_report report = ORTP_WARMUP_REPORT_INIT;
    ortp_error error = ORTP_ERROR_INIT;
    assert_int_equal(ortp_predictor_warm(r.predictor, &warmup, &report, &error), ORTP_E_CANCELLED);
    assert_true(report.cancelled);
    assert_int_equal(report.steps_done, 5);
    (void)rig_predict(&r, &rows.rows[0], 0);
    ortp_warmup *running = NULL;
    assert_ok(ortp_predictor_warm_start(r.predictor, NULL, &running, &error), error);
    assert_ok(ortp_warmup_join(running, &report, &error), error);
    assert_int_equal(report.steps_done, report.steps_total);
    assert_int_equal(ortp_predictor_close(r.predictor, 0), ORTP_OK);
    assert_int_equal(ortp_predictor_warm(r.predictor, NULL, &report, &error), ORTP_E_CLOSED);
    rig_close(&r);
}

/* Each allocation of a warm-up fails once: the failed step is named, a second warm-up finishes. */
static void warm_up_without_memory(void **state)
{
    (void)state;
    bool whole = false;
    size_t failed = 0;
    for (uint64_t nth = 1; nth < 2000 && !whole; nth += nth < 40 ? 1 : 17) {
        rig r;
        const rig_options options = {.pool_kind = ORTP_POOL_STRIPED, .predictor = {.threads = 2}};
        rig_open(&r, &options);
        counting_alloc_fail(&r.alloc, nth, false);
        ortp_warmup_report report = ORTP_WARMUP_REPORT_INIT;
        ortp_error error = ORTP_ERROR_INIT;
        const ortp_status status = ortp_predictor_warm(r.predictor, NULL, &report, &error);
        whole = atomic_load(&r.alloc.failed) == 0;
        counting_alloc_fail(&r.alloc, 0, false);
        if (status != ORTP_OK) {
            assert_int_equal(status, ORTP_E_NOMEM);
            assert_true(report.failed_step[0] != '\0');
            assert_true(report.steps_done < report.steps_total);
            failed++;
        }
        rig_assert_ledger(&r);
        assert_ok(ortp_predictor_warm(r.predictor, NULL, &report, &error), error);
        rig_close(&r);
    }
    assert_true(whole);
    assert_true(failed > 20);
}

static void trim(void **state)
{
    (void)state;
    rig r;
    const rig_options options = {.predictor = {.threads = 2}};
    rig_open(&r, &options);
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(ortp_predictor_warm(r.predictor, NULL, NULL, &error), error);
    const ortp_prediction before = rig_predict(&r, &rows.rows[0], 0);
    const size_t warm = rig_budget(&r).mapped_bytes;
    size_t freed = 0;
    assert_int_equal(ortp_predictor_trim(r.predictor, 0, false, &freed), ORTP_OK);
    assert_true(freed > 0);
    assert_true(rig_budget(&r).mapped_bytes < warm);
    rig_assert_ledger(&r);
    assert_int_equal(rig_pool(&r).in_use_bytes[ORTP_LABEL_DECODE], 0);
    assert_int_equal(rig_pool(&r).in_use_bytes[ORTP_LABEL_TENSORS], 0);
    assert_true(rig_pool(&r).in_use_bytes[ORTP_LABEL_CACHE] > 0);
    const ortp_prediction hit = rig_predict(&r, &rows.rows[0], 0); /* the entry is still there */
    assert_true(hit.cache_hit);
    assert_same_words(&hit, &before, 0.0);
    assert_int_equal(ortp_predictor_trim(r.predictor, 0, true, NULL), ORTP_OK);
    assert_int_equal(rig_pool(&r).in_use_bytes[ORTP_LABEL_CACHE], 0);
    assert_int_equal(rig_pool(&r).in_use_blocks, 3); /* lexicon, weights of two sessions */
    const ortp_prediction cold = rig_predict(&r, &rows.rows[0], 0);
    assert_false(cold.cache_hit);
    assert_same_words(&cold, &before, 0.0);
    rig_close(&r);
}

/* Up to `keep` all stays as it is: a warm predictor stays warm. */
static void trim_keeps(void **state)
{
    (void)state;
    rig r;
    const rig_options options = {.predictor = {.threads = 2}, .pool_kind = ORTP_POOL_STRIPED};
    rig_open(&r, &options);
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(ortp_predictor_warm(r.predictor, NULL, NULL, &error), error);
    const size_t mapped = rig_budget(&r).mapped_bytes;
    const uint64_t creates = rig_stats(&r).tensor_creates;
    const uint64_t calls = r.alloc.calls;
    size_t freed = 1;
    assert_int_equal(ortp_predictor_trim(r.predictor, mapped, true, &freed), ORTP_OK);
    assert_int_equal(freed, 0);
    for (size_t i = 0; i < 20; i++) {
        (void)rig_predict(&r, &rows.rows[i], 0);
    }
    assert_int_equal(rig_budget(&r).mapped_bytes, mapped);
    assert_int_equal(rig_stats(&r).tensor_creates, creates);
    assert_int_equal(r.alloc.calls, calls);
    rig_close(&r);
}

/* Between nothing and all: as much goes as has to, decoders last and not all at once. */
static void trim_in_steps(void **state)
{
    (void)state;
    rig r;
    const rig_options options = {.predictor = {.threads = 4}, .pool_kind = ORTP_POOL_STRIPED};
    rig_open(&r, &options);
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(ortp_predictor_warm(r.predictor, NULL, NULL, &error), error);
    const size_t decode = rig_pool(&r).in_use_bytes[ORTP_LABEL_DECODE];
    const size_t idle = rig_pool(&r).idle_bytes;
    size_t freed = 0;
    /* Decoders and their control structures, and a little: tensors and blocks go. */
    assert_int_equal(ortp_predictor_trim(r.predictor, decode * 2, false, &freed), ORTP_OK);
    assert_int_equal(rig_pool(&r).in_use_bytes[ORTP_LABEL_DECODE], decode);
    assert_true(freed > 0 && rig_pool(&r).idle_bytes <= idle);
    assert_int_equal(ortp_predictor_trim(r.predictor, decode * 5 / 8, false, NULL), ORTP_OK);
    const ortp_pool_info half = rig_pool(&r);
    assert_true(half.in_use_bytes[ORTP_LABEL_DECODE] > 0);
    assert_true(half.in_use_bytes[ORTP_LABEL_DECODE] < decode);
    rig_assert_ledger(&r);
    (void)rig_predict(&r, &rows.rows[0], 0);
    rig_close(&r);
}

int main(void)
{
    if (!test_ort_found()) {
        return TEST_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(creation_under_every_limit),
        cmocka_unit_test(creation_without_memory),
        cmocka_unit_test(predictions_without_memory),
        cmocka_unit_test(limit_lowered_and_raised),
        cmocka_unit_test(cache_declines_under_pressure),
        cmocka_unit_test(warm_up_is_idempotent),
        cmocka_unit_test(warm_up_cancelled_and_closed),
        cmocka_unit_test(warm_up_without_memory),
        cmocka_unit_test(trim),
        cmocka_unit_test(trim_keeps),
        cmocka_unit_test(trim_in_steps),
    };
    return cmocka_run_group_tests(tests, read_rows, free_rows);
}
