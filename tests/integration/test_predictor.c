/* SPDX-License-Identifier: MIT */
/* The predictor's contract on the tiny model: options, failures, budget, warm-up, trim. */
#include "rig.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
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
    assert_int_equal(ortp_predictor_destroy(NULL), ORTP_OK);
}

static void bad_arguments(void **state)
{
    (void)state;
    rig r;
    rig_open(&r, NULL);
    ortp_prediction out;
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

/* Every word is one of the lexicon, best first; `top` only cuts the list. */
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
        ortp_prediction out;
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
    ortp_prediction out;
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
    ortp_prediction out;
    predict.deadline_ms = 1000; /* reached already */
    assert_int_equal(ortp_predictor_predict(r.predictor, &rows.rows[0].swipe, &predict, &out, NULL),
                     ORTP_E_TIMEOUT);
    predict.deadline_ms = 1001; /* the clock stands still */
    assert_int_equal(ortp_predictor_predict(r.predictor, &rows.rows[0].swipe, &predict, &out, NULL),
                     ORTP_OK);
    ticking t = {.clock = &clock, .per_poll = 1};
    predict.stop = tick; /* each poll takes a millisecond: time for the encoder and one step */
    predict.stop_ctx = &t;
    predict.deadline_ms = 1003;
    assert_int_equal(ortp_predictor_predict(r.predictor, &rows.rows[0].swipe, &predict, &out, NULL),
                     ORTP_E_TIMEOUT);
    assert_int_equal(clock.now_ms, 1003);
    const ortp_prediction again = rig_predict(&r, &rows.rows[0], 0);
    assert_same_words(&again, &whole, 0.0);
    assert_int_equal(rig_stats(&r).failures, 2);
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

/* ---- memory ---- */

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
        ortp_prediction out;
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
    ortp_cache_info cache;
    ortp_cache_get_info(ortp_predictor_cache(r.predictor), &cache);
    assert_int_equal(cache.entries, 0);
    assert_int_equal(rig_pool(&r).in_use_bytes[ORTP_LABEL_DECODE], 0);
    ortp_prediction out;
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
    ortp_prediction out;
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
    ortp_warmup_report report;
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
    ortp_cache_info cache;
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
    ortp_warmup_report report;
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
        ortp_warmup_report report;
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
        assert_int_equal(ortp_predictor_destroy(r.predictor), ORTP_E_BUSY);
        assert_int_equal(ortp_lease_value(lease)->actual_length, 1);
        ortp_prediction out;
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
    assert_int_equal(ortp_predictor_destroy(r.predictor), ORTP_E_BUSY);
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
    assert_ok(ortp_decoder_create(ortp_predictor_model(r.predictor), tensors, 0, &decoder, &error),
              error);
    assert_int_equal(ortp_predictor_destroy(r.predictor), ORTP_E_BUSY);
    assert_ok(ortp_decoder_warm(decoder, 0, 1, &error), error); /* the model is still there */
    ortp_decoder_destroy(decoder);
    assert_int_equal(ortp_tensor_pool_destroy(tensors, NULL), ORTP_OK);
    rig_close(&r);
}

/* A caller built against an older stats.h: nothing beyond its struct is touched. */
static void older_stats(void **state)
{
    (void)state;
    rig r;
    rig_open(&r, NULL);
    (void)rig_predict(&r, &rows.rows[0], 0);
    for (int i = 0; i < 2; i++) {
        ortp_stats stats;
        memset(&stats, 0xA5, sizeof stats);
        const size_t known =
            i == 0 ? offsetof(ortp_stats, tensor_acquires) : offsetof(ortp_stats, failures);
        memset(&stats, 0, known);
        stats.struct_size = known;
        ortp_predictor_stats(r.predictor, &stats);
        assert_true(stats.charged > 0);
        assert_int_equal(stats.predictions, i == 0 ? 0xA5A5A5A5A5A5A5A5u : 1);
        for (size_t k = known; k < sizeof stats; k++) {
            assert_int_equal(((const unsigned char *)&stats)[k], 0xA5);
        }
    }
    ortp_stats sum = ORTP_STATS_INIT; /* additive, as all of stats.h */
    ortp_predictor_stats(r.predictor, &sum);
    ortp_predictor_stats(r.predictor, &sum);
    assert_int_equal(sum.predictions, 2);
    rig_close(&r);
}

static void close_refuses(void **state)
{
    (void)state;
    rig r;
    rig_open(&r, NULL);
    assert_int_equal(ortp_predictor_close(r.predictor, 0), ORTP_OK);
    assert_int_equal(ortp_predictor_close(r.predictor, UINT64_MAX), ORTP_OK);
    ortp_prediction out;
    ortp_error error = ORTP_ERROR_INIT;
    assert_int_equal(ortp_predictor_predict(r.predictor, &rows.rows[0].swipe, NULL, &out, &error),
                     ORTP_E_CLOSED);
    assert_int_equal(error.status, ORTP_E_CLOSED);
    assert_int_equal(rig_stats(&r).failures, 0);
    rig_close(&r);
}

/* The search by hand, with the predictor's own parts. */
static void search_with(const rig *r, const swipe_row *row, double look_ahead, ortp_prediction *out)
{
    ortp_error error = ORTP_ERROR_INIT;
    ortp_model *model = ortp_predictor_model(r->predictor);
    const ortp_swipe_config *config = ortp_predictor_config(r->predictor);
    float features[150 * 6];
    int32_t keys[150];
    ortp_encoder_input input = {features, keys, 0};
    assert_ok(ortp_swipe_features(config, &row->swipe, features, keys, &input.length, &error),
              error);
    ortp_tensor_pool_options pool = ORTP_TENSOR_POOL_OPTIONS_INIT;
    pool.runtime = r->runtime;
    ortp_tensor_pool *tensors = NULL;
    ortp_tensor *encoded = NULL;
    ortp_decoder *decoder = NULL;
    assert_ok(ortp_tensor_pool_create(&pool, &tensors, &error), error);
    assert_ok(ortp_decoder_create(model, tensors, 0, &decoder, &error), error);
    assert_ok(ortp_model_encode(model, &input, &encoded, &error), error);
    ortp_lexicon_constraint words = {.lexicon = ortp_predictor_lexicon(r->predictor),
                                     .first_letter = config->first_letter,
                                     .weight = config->frequency_weight,
                                     .look_ahead = look_ahead};
    const ortp_constraint constraint = ortp_lexicon_make_constraint(&words);
    ortp_hypothesis found[3];
    assert_ok(ortp_decoder_search(decoder, encoded, input.length, NULL, &constraint, found, 3,
                                  &out->candidate_count, &error),
              error);
    for (size_t i = 0; i < out->candidate_count; i++) {
        for (size_t k = 0; k < found[i].length; k++) {
            out->candidates[i].word[k] = (char)('a' + found[i].tokens[k] - config->first_letter);
        }
        out->candidates[i].word[found[i].length] = '\0';
        out->candidates[i].score = found[i].score;
    }
    assert_int_equal(ortp_tensor_release(encoded), ORTP_OK);
    ortp_decoder_destroy(decoder);
    assert_ok(ortp_tensor_pool_destroy(tensors, &error), error);
}

/* The predictor's lexicon looks as far ahead as the manifest says. */
static void looks_ahead_as_the_manifest_says(void **state)
{
    (void)state;
    rig r;
    const rig_options options = {.model = CTC_MODEL};
    rig_open(&r, &options);
    const double look_ahead = ortp_predictor_config(r.predictor)->look_ahead;
    assert_true(look_ahead > 0.0);
    size_t others = 0;
    for (size_t i = 0; i < 10 && i < rows.count; i++) {
        const ortp_prediction got = rig_predict(&r, &rows.rows[i], 3);
        ortp_prediction with, without;
        search_with(&r, &rows.rows[i], look_ahead, &with);
        search_with(&r, &rows.rows[i], 0.0, &without);
        assert_same_words(&got, &with, 0.0);
        others += same_but_ties(&got, &without, 1e-6) ? 0 : 1;
    }
    assert_true(others > 0);
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
        cmocka_unit_test(cancel),
        cmocka_unit_test(deadline),
        cmocka_unit_test(staleness),
        cmocka_unit_test(near_misses),
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
        cmocka_unit_test(destroy_with_a_lease),
        cmocka_unit_test(destroy_with_an_output),
        cmocka_unit_test(destroy_with_a_decoder),
        cmocka_unit_test(older_stats),
        cmocka_unit_test(close_refuses),
        cmocka_unit_test(looks_ahead_as_the_manifest_says),
    };
    return cmocka_run_group_tests(tests, read_rows, free_rows);
}
