/* SPDX-License-Identifier: MIT */
/* See shared_rig.h. */
#include "shared_rig.h"

#include "page_watch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define TOP 5u

static const char *const models[2] = {SWIPE_EN, TINY};

static void open_predictor(shared_rig *r, size_t i)
{
    ortp_predictor_options options = ORTP_PREDICTOR_OPTIONS_INIT;
    options.runtime = r->runtimes[i];
    options.model_directory = test_file(models[i]);
    options.beam_width = 4;
    options.path = ORTP_PATH_BATCHED;
    options.cache_entries = SHARED_SWIPES;
    options.cache_stale_ms = 3600000; /* no entry goes for its age */
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(ortp_predictor_create(&options, &r->predictors[i], &error), error);
}

static ortp_status predict(const shared_rig *r, size_t model, size_t swipe, ortp_prediction *out,
                           ortp_error *error)
{
    const ortp_predict_options options = {.struct_size = sizeof options, .top = TOP};
    return ortp_predictor_predict(r->predictors[model], &r->rows->rows[swipe].swipe, &options, out,
                                  error);
}

void shared_open(shared_rig *r, const swipe_rows *rows, size_t runtimes)
{
    memset(r, 0, sizeof *r);
    r->rows = rows;
    assert_int_equal(page_watch_get().mapped_bytes, 0); /* else a test before, red, has left it */
    page_watch_start();
    const ortp_budget_options budget = {.struct_size = sizeof budget, .alloc = page_watch_alloc()};
    assert_int_equal(ortp_budget_create(&budget, &r->budget, NULL), ORTP_OK);
    r->own_bytes = shared_budget(r).charged_bytes;
    for (size_t i = 0; i < 2; i++) {
        ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
        options.budget = r->budget;
        options.alloc = page_watch_alloc();
        r->runtimes[i] = i < runtimes ? test_runtime_create(&options) : r->runtimes[0];
        open_predictor(r, i);
    }
    for (size_t model = 0; model < 2; model++) {
        for (size_t i = 0; i < SHARED_SWIPES; i++) {
            ortp_error error = ORTP_ERROR_INIT;
            r->expected[model][i] = (ortp_prediction)ORTP_PREDICTION_INIT;
            assert_ok(predict(r, model, i, &r->expected[model][i], &error), error);
            assert_true(r->expected[model][i].candidate_count > 0);
        }
    }
}

void shared_close(shared_rig *r)
{
    shared_lift(r);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(ortp_predictor_destroy(r->predictors[i], NULL), ORTP_OK);
    }
    if (r->runtimes[1] != r->runtimes[0]) {
        test_runtime_destroy(r->runtimes[1]);
    }
    test_runtime_destroy(r->runtimes[0]);
    const ortp_budget_info info = shared_budget(r);
    assert_int_equal(info.charged_bytes, r->own_bytes);
    assert_int_equal(info.refund_errors, 0);
    assert_int_equal(ortp_budget_destroy(r->budget, NULL), ORTP_OK);
    const page_watch_counts counts = page_watch_get();
    assert_int_equal(counts.mapped_bytes, 0);
    assert_int_equal(counts.control_bytes, 0);
}

ortp_budget_info shared_budget(const shared_rig *r)
{
    ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(r->budget, &info);
    return info;
}

ortp_cache_info shared_cache(const shared_rig *r, size_t model)
{
    ortp_cache_info info = ORTP_CACHE_INFO_INIT;
    ortp_cache_get_info(ortp_predictor_cache(r->predictors[model]), &info);
    return info;
}

size_t shared_idle_blocks(const shared_rig *r)
{
    ortp_pool_info info = ORTP_POOL_INFO_INIT;
    ortp_pool_get_info(ortp_runtime_pool(r->runtimes[0]), &info);
    return info.idle_bytes;
}

size_t shared_idle_tensors(const shared_rig *r)
{
    ortp_stats stats = ORTP_STATS_INIT;
    assert_int_equal(ortp_stats_collect_budget(r->budget, &stats), ORTP_OK);
    size_t blocks = shared_idle_blocks(r);
    if (r->runtimes[1] != r->runtimes[0]) {
        ortp_pool_info info = ORTP_POOL_INFO_INIT;
        ortp_pool_get_info(ortp_runtime_pool(r->runtimes[1]), &info);
        blocks += info.idle_bytes;
    }
    return stats.idle - blocks; /* of both kinds, less the blocks */
}

size_t shared_limit(shared_rig *r, size_t headroom)
{
    const ortp_budget_info info = shared_budget(r);
    const size_t limit = info.charged_bytes + headroom;
    assert_int_equal(ortp_budget_set_limit(r->budget, limit, NULL), ORTP_OK);
    page_watch_start();
    page_watch_limit(limit, info.account_bytes[ORTP_ACCOUNT_DECLARED]);
    return limit;
}

void shared_lift(shared_rig *r)
{
    const page_watch_counts counts = page_watch_get();
    if (counts.violations > 0) {
        fail_msg("%llu steps above the limit, the first: %s", (unsigned long long)counts.violations,
                 counts.first);
    }
    page_watch_limit(SIZE_MAX, 0);
    assert_int_equal(ortp_budget_set_limit(r->budget, ORTP_UNLIMITED, NULL), ORTP_OK);
}

const char *shared_try(const shared_rig *r, size_t model, size_t swipe, bool *refused)
{
    ortp_prediction out = ORTP_PREDICTION_INIT;
    ortp_error error = ORTP_ERROR_INIT;
    const ortp_status status = predict(r, model, swipe, &out, &error);
    *refused = status == ORTP_E_BUDGET;
    if (status != ORTP_OK) {
        return *refused ? NULL : ortp_status_name(status);
    }
    return same_but_ties(&out, &r->expected[model][swipe], 0.0) ? NULL : "other words";
}

bool shared_predict(const shared_rig *r, size_t model, size_t swipe)
{
    bool refused;
    const char *wrong = shared_try(r, model, swipe, &refused);
    if (wrong != NULL) {
        fail_msg("model %zu, swipe %zu: %s", model, swipe, wrong);
    }
    return !refused;
}

void shared_all_right(shared_rig *r)
{
    shared_lift(r);
    for (size_t model = 0; model < 2; model++) {
        for (size_t i = 0; i < SHARED_SWIPES; i++) {
            assert_true(shared_predict(r, model, i));
        }
    }
}
