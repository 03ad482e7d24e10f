/* SPDX-License-Identifier: MIT */
/*
 * The pool of decode states from inside: warm-up while predictions hold states, how many are kept, what
 * reclaim and trim take.
 */
#include "gate.h"
#include "rig.h"

#include "predictor_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <threads.h>
#include <time.h>

#include <cmocka.h>

#define BUCKETS 4u
#define BEAMS 8u

static swipe_rows rows;

static int read_rows(void **state)
{
    (void)state;
    rows = swipe_rows_read(test_file(SAMPLES), 20);
    return 0;
}

static int free_rows(void **state)
{
    (void)state;
    swipe_rows_free(&rows);
    return 0;
}

static void nap(void)
{
    (void)thrd_sleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
}

static size_t state_count(const rig *r)
{
    ortp__lock(&r->predictor->mutex);
    const size_t count = r->predictor->state_count;
    ortp__unlock(&r->predictor->mutex);
    return count;
}

static size_t level_count(const rig *r, size_t level)
{
    ortp__lock(&r->predictor->mutex);
    const size_t count = r->predictor->level_count[level];
    ortp__unlock(&r->predictor->mutex);
    return count;
}

static bool count_steps(void *ctx, size_t done, size_t total, const char *step)
{
    (void)total;
    (void)step;
    atomic_store((atomic_size_t *)ctx, done);
    return true;
}

/* A warm-up in the background, held up where it first needs a state that there is not. */
static ortp_warmup *start_and_wait(const rig *r, atomic_size_t *done, size_t steps)
{
    ortp_warmup_options options = ORTP_WARMUP_OPTIONS_INIT;
    options.progress = count_steps;
    options.progress_ctx = done;
    ortp_warmup *warmup = NULL;
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(ortp_predictor_warm_start(r->predictor, &options, &warmup, &error), error);
    while (atomic_load(done) < steps) {
        thrd_yield();
    }
    nap();
    assert_int_equal(atomic_load(done), steps);
    return warmup;
}

/* Quiet: as many states as threads, all idle and all warm, and nothing more to be taken. */
static void assert_warm(rig *r, size_t level)
{
    const ortp_predictor *p = r->predictor;
    assert_int_equal(p->state_count, p->threads);
    assert_int_equal(p->level_count[level], p->threads);
    size_t idle = 0;
    for (const ortp__state *s = p->idle; s != NULL; s = s->next) {
        assert_int_equal(s->warmed, level);
        idle++;
    }
    assert_int_equal(idle, p->threads);
    const uint64_t creates = rig_stats(r).tensor_creates;
    const uint64_t maps = rig_pool(r).maps;
    const uint64_t calls = r->alloc.calls;
    for (size_t i = 0; i < rows.count; i++) {
        (void)rig_predict(r, &rows.rows[i], 5);
    }
    assert_int_equal(rig_stats(r).tensor_creates, creates);
    assert_int_equal(rig_pool(r).maps, maps);
    assert_int_equal(r->alloc.calls, calls);
}

/* The decoder runs of a warm-up that nothing disturbs. */
static uint64_t undisturbed_runs(const rig_options *options)
{
    rig r;
    rig_open(&r, options);
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(ortp_predictor_warm(r.predictor, NULL, NULL, &error), error);
    const uint64_t runs = rig_stats(&r).decoder_runs;
    rig_close(&r);
    return runs;
}

/* states, tensors and encoder go on; the decoder's first step waits for the prediction. */
static void warm_up_waits_for_the_only_state(void **state)
{
    (void)state;
    const rig_options options = {.pool_kind = ORTP_POOL_STRIPED};
    const uint64_t runs = undisturbed_runs(&options);
    assert_true(runs >= BUCKETS * BEAMS);
    rig r;
    rig_open(&r, &options);
    guest g;
    guest_enter(&g, r.predictor, &rows.rows[0].swipe, BEFORE_ENCODER);
    atomic_size_t done = 0;
    ortp_warmup *warmup = start_and_wait(&r, &done, 3);
    guest_leave(&g);
    assert_int_equal(g.status, ORTP_OK);
    ortp_warmup_report report = ORTP_WARMUP_REPORT_INIT;
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(ortp_warmup_join(warmup, &report, &error), error);
    assert_int_equal(report.steps_done, report.steps_total);
    assert_int_equal(rig_stats(&r).decoder_runs, runs + g.out.decoder_runs);
    assert_warm(&r, 1);
    rig_close(&r);
}

/* The same where every bucket is warmed per state: the one that was out catches up. */
static void warm_up_waits_for_the_last_state(void **state)
{
    (void)state;
    const rig_options options = {
        .model = "tests/graphs/mask", .pool_kind = ORTP_POOL_STRIPED, .predictor = {.threads = 2}};
    rig r;
    rig_open(&r, &options);
    guest g;
    guest_enter(&g, r.predictor, &rows.rows[0].swipe, BEFORE_ENCODER);
    atomic_size_t done = 0;
    ortp_warmup *warmup = start_and_wait(&r, &done, 3);
    assert_int_equal(state_count(&r), 2);
    while (level_count(&r, 1) !=
           1) { /* the one that it could have; slow machines take their time */
        thrd_yield();
    }
    guest_leave(&g);
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(ortp_warmup_join(warmup, NULL, &error), error);
    assert_warm(&r, ortp_model_manifest(ortp_predictor_model(r.predictor))->bucket_count);
    rig_close(&r);
}

static void close_ends_the_wait(void **state)
{
    (void)state;
    rig r;
    rig_open(&r, NULL);
    guest g;
    guest_enter(&g, r.predictor, &rows.rows[0].swipe, BEFORE_ENCODER);
    atomic_size_t done = 0;
    ortp_warmup *warmup = start_and_wait(&r, &done, 3);
    assert_int_equal(ortp_predictor_close(r.predictor, 0), ORTP_E_TIMEOUT);
    ortp_warmup_report report = ORTP_WARMUP_REPORT_INIT;
    ortp_error error = ORTP_ERROR_INIT;
    assert_int_equal(ortp_warmup_join(warmup, &report, &error), ORTP_E_CLOSED);
    assert_int_equal(report.steps_done, 3);
    guest_leave(&g);
    assert_int_equal(g.status, ORTP_OK);
    rig_close(&r);
}

/* More predictions at once than threads: each gets a state, `threads` of them stay. */
static void surplus_goes(void **state)
{
    (void)state;
    rig r;
    const rig_options options = {.predictor = {.threads = 2}};
    rig_open(&r, &options);
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(ortp_predictor_warm(r.predictor, NULL, NULL, &error), error);
    enum { GUESTS = 5 };
    guest guests[GUESTS];
    for (size_t i = 0; i < GUESTS; i++) {
        guest_enter(&guests[i], r.predictor, &rows.rows[i].swipe, BEFORE_ENCODER);
    }
    assert_int_equal(state_count(&r), GUESTS);
    for (size_t i = 0; i < GUESTS; i++) { /* the warm ones come back first */
        guest_leave(&guests[i]);
        assert_int_equal(guests[i].status, ORTP_OK);
    }
    assert_int_equal(state_count(&r), 2);
    assert_int_equal(level_count(&r, 1), 2);
    for (size_t i = 0; i < GUESTS; i++) {
        guest_enter(&guests[i], r.predictor, &rows.rows[i].swipe, BEFORE_ENCODER);
    }
    for (size_t i = GUESTS; i > 0; i--) { /* and last */
        guest_leave(&guests[i - 1]);
    }
    assert_int_equal(state_count(&r), 2);
    assert_int_equal(level_count(&r, 1), 2);
    rig_close(&r);
}

/* A warm-up gets its turn among more predictions than states. */
static void warm_up_under_load(void **state)
{
    (void)state;
    rig r;
    rig_open(&r, NULL);
    guest first;
    guest_enter(&first, r.predictor, &rows.rows[0].swipe, BEFORE_ENCODER);
    atomic_size_t done = 0;
    ortp_warmup *warmup = start_and_wait(&r, &done, 3);
    guest second;
    guest_enter(&second, r.predictor, &rows.rows[1].swipe, BEFORE_ENCODER);
    assert_int_equal(state_count(&r), 2);
    guest_leave(&first); /* its state goes to the warm-up, which needs no other */
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(ortp_warmup_join(warmup, NULL, &error), error);
    guest_leave(&second);
    assert_int_equal(state_count(&r), 1);
    assert_int_equal(level_count(&r, 1), 1);
    rig_close(&r);
}

/* Few bytes wanted: idle tensors go first, then one state, not all. */
static void reclaim_takes_one(void **state)
{
    (void)state;
    rig r;
    const rig_options options = {.predictor = {.threads = 4}};
    rig_open(&r, &options);
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(ortp_predictor_warm(r.predictor, NULL, NULL, &error), error);
    ortp_budget *budget = ortp_runtime_budget(r.runtime);
    size_t left = 4;
    for (size_t i = 0; i < 10000 && left > 0; i++) {
        (void)ortp_budget_reclaim(budget, ORTP_RECLAIM_TENSORS, 1);
        const size_t now = state_count(&r);
        assert_true(now == left || now == left - 1);
        left = now;
        rig_assert_ledger(&r);
    }
    assert_int_equal(left, 0);
    (void)rig_predict(&r, &rows.rows[0], 0);
    rig_close(&r);
}

/* The least warm goes first. */
static void trim_takes_the_cold(void **state)
{
    (void)state;
    rig r;
    const rig_options options = {.predictor = {.threads = 2}};
    rig_open(&r, &options);
    ortp_error error = ORTP_ERROR_INIT;
    guest g;
    guest_enter(&g, r.predictor, &rows.rows[0].swipe, BEFORE_ENCODER);
    atomic_size_t done = 0;
    ortp_warmup *warmup = start_and_wait(&r, &done, 3);
    assert_int_equal(ortp_predictor_close(r.predictor, 0), ORTP_E_TIMEOUT); /* one is left cold */
    assert_int_equal(ortp_warmup_join(warmup, NULL, &error), ORTP_E_CLOSED);
    guest_leave(&g);
    assert_int_equal(level_count(&r, 0), 1);
    assert_int_equal(level_count(&r, 1), 1);
    assert_true(ortp__state_drop(r.predictor));
    assert_int_equal(level_count(&r, 0), 0);
    assert_int_equal(level_count(&r, 1), 1);
    rig_close(&r);
}

/* What is told of states is what the ledger says: their control memory, and the blocks of their buffers. */
static void states_hold_what_they_tell(void **state)
{
    (void)state;
    rig r;
    const rig_options options = {.model = CTC_MODEL, .predictor = {.threads = 3}};
    rig_open(&r, &options);
    ortp_error error = ORTP_ERROR_INIT;
    for (size_t round = 0; round < 2; round++) { /* without buffers, and with them */
        ortp_predictor *p = r.predictor;
        assert_ok(ortp__state_fill(p, 3, &error), error);
        if (round > 0) {
            assert_ok(ortp_predictor_warm(p, NULL, NULL, &error), error);
        }
        const size_t told = ortp__state_idle_bytes(p);
        const size_t buffers = rig_pool(&r).in_use_bytes[ORTP_LABEL_DECODE];
        size_t control = 0;
        for (size_t left = 3; left > 0; left--) {
            const size_t before = rig_budget(&r).account_bytes[ORTP_ACCOUNT_METADATA];
            const size_t given = ortp__state_drop(p);
            assert_int_equal(before - rig_budget(&r).account_bytes[ORTP_ACCOUNT_METADATA], given);
            control += given;
        }
        assert_int_equal(ortp__state_drop(p), 0);
        assert_int_equal(ortp__state_idle_bytes(p), 0);
        /* Blocks are somewhat larger than what is asked for. */
        assert_in_range(told - control, buffers / 5 * 4, buffers);
        assert_int_equal(buffers > 0, round > 0);
    }
    rig_close(&r);
}

/* Greedy weighs nothing, and has no room for it. */
static void greedy_states_are_smaller(void **state)
{
    (void)state;
    size_t bytes[2];
    for (size_t i = 0; i < 2; i++) {
        rig r;
        const rig_options options = {
            .model = CTC_MODEL,
            .predictor = {.strategy = i == 0 ? ORTP_STRATEGY_GREEDY : ORTP_STRATEGY_BEAM,
                          .beam_width = 1}};
        rig_open(&r, &options);
        ortp_error error = ORTP_ERROR_INIT;
        assert_ok(ortp_predictor_warm(r.predictor, NULL, NULL, &error), error);
        bytes[i] = ortp__state_idle_bytes(r.predictor);
        assert_warm(&r, 1);
        assert_int_equal(ortp__state_idle_bytes(r.predictor), bytes[i]);
        rig_close(&r);
    }
    assert_int_equal(bytes[1] - bytes[0], (30 * 150 + 4 * 151) * sizeof(double));
}

int main(void)
{
    if (!test_ort_found()) {
        return TEST_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(warm_up_waits_for_the_only_state),
        cmocka_unit_test(warm_up_waits_for_the_last_state),
        cmocka_unit_test(close_ends_the_wait),
        cmocka_unit_test(surplus_goes),
        cmocka_unit_test(warm_up_under_load),
        cmocka_unit_test(reclaim_takes_one),
        cmocka_unit_test(trim_takes_the_cold),
        cmocka_unit_test(states_hold_what_they_tell),
        cmocka_unit_test(greedy_states_are_smaller),
    };
    return cmocka_run_group_tests(tests, read_rows, free_rows);
}
