/* SPDX-License-Identifier: MIT */
/* See rig.h. */
#include "rig.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

ortp_status rig_try(rig *r, const rig_options *given, ortp_error *error)
{
    const rig_options none = {0};
    const rig_options *options = given != NULL ? given : &none;
    ortp_runtime_options runtime = ORTP_RUNTIME_OPTIONS_INIT;
    runtime.api = options->api != NULL ? options->api : test_ort_api();
    runtime.ort_version = test_ort_library()->version;
    runtime.pool_kind = options->pool_kind;
    runtime.limit_bytes = options->limit_bytes;
    runtime.alloc = counting_alloc_use(&r->alloc);
    if (options->clock != NULL) {
        runtime.clock = fake_clock_use(options->clock);
    }
    r->runtime = NULL;
    r->predictor = NULL;
    ortp_status status = ortp_runtime_create(&runtime, &r->runtime, error);
    if (status != ORTP_OK) {
        assert_null(r->runtime);
        return status;
    }
    ortp_predictor_options predictor = options->predictor;
    predictor.struct_size = sizeof predictor;
    predictor.runtime = r->runtime;
    predictor.model_directory = test_file(options->model != NULL ? options->model : TINY);
    status = ortp_predictor_create(&predictor, &r->predictor, error);
    if (status != ORTP_OK) {
        assert_null(r->predictor);
        rig_assert_ledger(r);
        assert_int_equal(rig_pool(r).in_use_blocks, 0);
        assert_int_equal(rig_budget(r).account_bytes[ORTP_ACCOUNT_DECLARED], 0);
        test_runtime_destroy(r->runtime);
        r->runtime = NULL;
    }
    return status;
}

void rig_open(rig *r, const rig_options *options)
{
    memset(r, 0, sizeof *r);
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(rig_try(r, options, &error), error);
}

void rig_close(rig *r)
{
    rig_assert_ledger(r);
    assert_int_equal(ortp_predictor_destroy(r->predictor, NULL), ORTP_OK);
    rig_assert_ledger(r);
    assert_int_equal(rig_pool(r).in_use_blocks, 0);
    assert_int_equal(rig_budget(r).account_bytes[ORTP_ACCOUNT_DECLARED], 0);
    assert_int_equal(rig_budget(r).refund_errors, 0);
    test_runtime_destroy(r->runtime);
    counting_alloc_assert_empty(&r->alloc);
}

void rig_assert_ledger(const rig *r)
{
    test_assert_ledger(ortp_runtime_budget(r->runtime), ortp_runtime_pool(r->runtime));
}

ortp_prediction rig_predict(const rig *r, const swipe_row *row, size_t top)
{
    ortp_predict_options options = ORTP_PREDICT_OPTIONS_INIT;
    options.top = top;
    ortp_prediction out = ORTP_PREDICTION_INIT;
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(ortp_predictor_predict(r->predictor, &row->swipe, &options, &out, &error), error);
    return out;
}

void assert_same_words(const ortp_prediction *a, const ortp_prediction *b, double tolerance)
{
    assert_int_equal(a->candidate_count, b->candidate_count);
    for (size_t i = 0; i < a->candidate_count; i++) {
        assert_string_equal(a->candidates[i].word, b->candidates[i].word);
        assert_true(fabs(a->candidates[i].score - b->candidates[i].score) <= tolerance);
    }
}

bool same_but_ties(const ortp_prediction *a, const ortp_prediction *b, double gap)
{
    if (a->candidate_count != b->candidate_count) {
        return false;
    }
    for (size_t i = 0; i < a->candidate_count; i++) {
        if (fabs(a->candidates[i].score - b->candidates[i].score) > gap) {
            return false;
        }
        if (strcmp(a->candidates[i].word, b->candidates[i].word) == 0) {
            continue;
        }
        /* A tie: the neighbours of the same score may have changed places. */
        const double here = a->candidates[i].score;
        const bool before = i > 0 && a->candidates[i - 1].score - here < gap;
        const bool after = i + 1 == a->candidate_count || here - a->candidates[i + 1].score < gap;
        if (!before && !after) {
            return false;
        }
    }
    return true;
}

ortp_budget_info rig_budget(const rig *r)
{
    ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(ortp_runtime_budget(r->runtime), &info);
    return info;
}

ortp_pool_info rig_pool(const rig *r)
{
    ortp_pool_info info = ORTP_POOL_INFO_INIT;
    ortp_pool_get_info(ortp_runtime_pool(r->runtime), &info);
    return info;
}

ortp_stats rig_stats(const rig *r)
{
    ortp_stats stats = ORTP_STATS_INIT;
    assert_int_equal(ortp_stats_collect(r->runtime, &stats), ORTP_OK);
    return stats;
}
