/* SPDX-License-Identifier: MIT */
/*
 * Where memory is short: predictions that would wait for each other take turns, and warm-up ends. The decode states
 * are large beside what one prediction needs: 32 beams with their keys and values.
 */
#include "machine.h"
#include "rig.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define THREADS 8u
#define ROUNDS (test_thin() ? 2u : 8u)
#define SWIPES 8u
#define SLACK ((size_t)64 << 10)

static swipe_rows rows;
static ortp_prediction expected[SWIPES];

static rig_options narrow(void)
{
    return (rig_options){
        .model = STEP_MODEL,
        .predictor = {.beam_width = ORTP_BEAM_MAX, .threads = THREADS, .cache_off = true}};
}

/* Sets the limit to what one prediction after the other needs; each of them is then known. */
static size_t limit_to_one(rig *r)
{
    ortp_budget *budget = ortp_runtime_budget(r->runtime);
    for (size_t i = 0; i < SWIPES; i++) {
        expected[i] = rig_predict(r, &rows.rows[i], 5);
    }
    assert_int_equal(ortp_predictor_trim(r->predictor, 0, true, NULL), ORTP_OK);
    ortp_budget_reset_peaks(budget);
    for (size_t i = 0; i < SWIPES; i++) {
        (void)rig_predict(r, &rows.rows[i], 5);
    }
    ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(budget, &info);
    const size_t limit = info.peak_bytes + SLACK;
    assert_int_equal(ortp_predictor_trim(r->predictor, 0, true, NULL), ORTP_OK);
    assert_int_equal(ortp_budget_set_limit(budget, limit, NULL), ORTP_OK);
    ortp_budget_reset_peaks(budget);
    return limit;
}

typedef struct worker {
    const rig *rig;
    size_t first;
    bool waits;
    size_t right, refused, wrong;
} worker;

static void *work(void *ctx)
{
    worker *w = ctx;
    for (size_t i = 0; i < ROUNDS; i++) {
        const size_t which = (w->first + i) % SWIPES;
        ortp_predict_options options = ORTP_PREDICT_OPTIONS_INIT;
        options.top = 5;
        options.timeout_ms = w->waits ? 30000 : 0;
        ortp_prediction out = ORTP_PREDICTION_INIT;
        const ortp_status status = ortp_predictor_predict(
            w->rig->predictor, &rows.rows[which].swipe, &options, &out, NULL);
        const bool same = status == ORTP_OK &&
                          out.candidate_count == expected[which].candidate_count &&
                          memcmp(out.candidates, expected[which].candidates,
                                 out.candidate_count * sizeof out.candidates[0]) == 0;
        w->right += same ? 1 : 0;
        w->refused += status == ORTP_E_BUDGET ? 1 : 0;
        w->wrong += same || status == ORTP_E_BUDGET ? 0 : 1;
    }
    return NULL;
}

static worker work_together(const rig *r, size_t impatient)
{
    worker workers[THREADS];
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        workers[i] = (worker){.rig = r, .first = i, .waits = i >= impatient};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    worker sum = {0};
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        sum.right += workers[i].right;
        sum.refused += workers[i].refused;
        sum.wrong += workers[i].wrong;
        assert_true(!workers[i].waits || workers[i].right == ROUNDS);
    }
    assert_int_equal(sum.wrong, 0);
    return sum;
}

/* Room for one, and for some states besides: eight threads hold one each and want a run; all get their words. */
static void who_finds_no_room_goes_alone(void **state)
{
    (void)state;
    rig r;
    const rig_options options = narrow();
    rig_open(&r, &options);
    const size_t limit = limit_to_one(&r);
    for (size_t more = 0; more < 10; more++) {
        ortp_budget *budget = ortp_runtime_budget(r.runtime);
        ortp_budget_reset_peaks(budget);
        assert_int_equal(ortp_budget_set_limit(budget, limit + more * 2 * SLACK, NULL), ORTP_OK);
        const worker sum = work_together(&r, 0);
        assert_int_equal(sum.right, THREADS * ROUNDS);
        ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
        ortp_budget_get_info(budget, &info);
        assert_true(info.peak_bytes <= limit + more * 2 * SLACK);
        assert_true(more > 0 || info.denials > 0);
        assert_int_equal(ortp_predictor_trim(r.predictor, 0, true, NULL), ORTP_OK);
    }
    rig_close(&r);
}

/* Those without a deadline wait for nobody: they are refused where the others go alone. */
static void who_may_not_wait_is_refused(void **state)
{
    (void)state;
    rig r;
    const rig_options options = narrow();
    rig_open(&r, &options);
    (void)limit_to_one(&r);
    const worker sum = work_together(&r, THREADS / 2);
    assert_int_equal(sum.right + sum.refused, THREADS * ROUNDS);
    rig_close(&r);
}

/* A turn that does not come ends with the deadline, or when it is stopped. */
static bool stop_at_once(void *ctx)
{
    ++*(size_t *)ctx;
    return true;
}

static void who_waits_in_vain_is_told(void **state)
{
    (void)state;
    rig r;
    const rig_options options = narrow();
    rig_open(&r, &options);
    const size_t limit = limit_to_one(&r);
    ortp_budget *budget = ortp_runtime_budget(r.runtime);
    ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(budget, &info);
    assert_int_equal(ortp_budget_set_limit(budget, info.charged_bytes + SLACK, NULL), ORTP_OK);
    ortp_prediction out = ORTP_PREDICTION_INIT;
    ortp_error error = ORTP_ERROR_INIT;
    ortp_predict_options patient = ORTP_PREDICT_OPTIONS_INIT;
    patient.timeout_ms = 100;
    assert_int_equal(
        ortp_predictor_predict(r.predictor, &rows.rows[0].swipe, &patient, &out, &error),
        ORTP_E_TIMEOUT);
    size_t asked = 0;
    patient.timeout_ms = 120000;
    patient.stop = stop_at_once;
    patient.stop_ctx = &asked;
    assert_int_equal(
        ortp_predictor_predict(r.predictor, &rows.rows[0].swipe, &patient, &out, &error),
        ORTP_E_CANCELLED);
    assert_true(asked > 0);
    assert_int_equal(ortp_budget_set_limit(budget, limit, NULL), ORTP_OK);
    (void)rig_predict(&r, &rows.rows[0], 5); /* the turn was given back */
    rig_close(&r);
}

/* Eight states do not fit: each one that is made takes the place of one that was ready. */
static void warm_up_ends_where_states_do_not_fit(void **state)
{
    (void)state;
    rig r;
    const rig_options options = narrow();
    rig_open(&r, &options);
    const size_t limit = limit_to_one(&r);
    ortp_budget *budget = ortp_runtime_budget(r.runtime);
    size_t refused = 0;
    for (size_t more = 0; more < 12; more++) {
        ortp_error error = ORTP_ERROR_INIT;
        assert_int_equal(ortp_budget_set_limit(budget, limit + more * (SLACK * 8), NULL), ORTP_OK);
        const ortp_status status = ortp_predictor_warm(r.predictor, NULL, NULL, &error);
        if (status != ORTP_OK) {
            assert_int_equal(status, ORTP_E_BUDGET);
            refused++;
        }
        assert_int_equal(ortp_predictor_trim(r.predictor, 0, true, NULL), ORTP_OK);
    }
    assert_true(refused > 0);
    assert_int_equal(ortp_budget_set_limit(budget, ORTP_UNLIMITED, NULL), ORTP_OK);
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(ortp_predictor_warm(r.predictor, NULL, NULL, &error), error);
    rig_close(&r);
}

/* The same of states that hold nothing yet: room for one to seven of them, and some bytes. */
static void warm_up_ends_where_empty_states_do_not_fit(void **state)
{
    (void)state;
    enum { STEP = 1000, STEPS = 128 };
    rig r;
    const rig_options options = narrow();
    rig_open(&r, &options);
    (void)limit_to_one(&r);
    ortp_budget *budget = ortp_runtime_budget(r.runtime);
    ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(budget, &info);
    for (size_t more = 0; more < STEPS; more++) {
        assert_int_equal(ortp_budget_set_limit(budget, info.charged_bytes + more * STEP, NULL),
                         ORTP_OK);
        assert_int_equal(ortp_predictor_warm(r.predictor, NULL, NULL, NULL), ORTP_E_BUDGET);
        assert_int_equal(ortp_predictor_trim(r.predictor, 0, true, NULL), ORTP_OK);
    }
    assert_int_equal(ortp_budget_set_limit(budget, ORTP_UNLIMITED, NULL), ORTP_OK);
    rig_close(&r);
}

int main(void)
{
    if (!test_ort_found()) {
        return TEST_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_finds_no_room_goes_alone),
        cmocka_unit_test(who_may_not_wait_is_refused),
        cmocka_unit_test(who_waits_in_vain_is_told),
        cmocka_unit_test(warm_up_ends_where_states_do_not_fit),
        cmocka_unit_test(warm_up_ends_where_empty_states_do_not_fit),
    };
    rows = swipe_rows_read(test_file(SAMPLES), SWIPES);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    swipe_rows_free(&rows);
    return failed;
}
