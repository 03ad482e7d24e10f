/* SPDX-License-Identifier: MIT */
/* One predictor, several threads: equal results, close, trim and limits in the middle of it. */
#include "gate.h"
#include "rig.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <threads.h>

#include <cmocka.h>

#define THREADS 4
#define SWIPES 20u
#define CLOSE_ROUNDS 40

static swipe_rows rows;
static ortp_prediction expected[SWIPES];

static int prepare(void **state)
{
    (void)state;
    rows = swipe_rows_read(test_file(SAMPLES), SWIPES);
    rig r;
    const rig_options options = {.predictor = {.cache_off = true}};
    rig_open(&r, &options);
    for (size_t i = 0; i < SWIPES; i++) {
        expected[i] = rig_predict(&r, &rows.rows[i], 5);
    }
    rig_close(&r);
    return 0;
}

static int clean(void **state)
{
    (void)state;
    swipe_rows_free(&rows);
    return 0;
}

/* cmocka's assertions belong to the test's thread: workers count what went wrong. */
typedef struct worker {
    pthread_t thread;
    ortp_predictor *predictor;
    size_t first, limit; /* starts with this swipe; makes so many predictions */
    size_t ok, closed, budget, other, different;
    atomic_size_t *done;
} worker;

static bool equals(const ortp_prediction *a, const ortp_prediction *b)
{
    if (a->candidate_count != b->candidate_count) {
        return false;
    }
    for (size_t i = 0; i < a->candidate_count; i++) {
        if (strcmp(a->candidates[i].word, b->candidates[i].word) != 0 ||
            a->candidates[i].score != b->candidates[i].score) {
            return false;
        }
    }
    return true;
}

static void *work(void *ctx)
{
    worker *w = ctx;
    ortp_predict_options options = ORTP_PREDICT_OPTIONS_INIT;
    options.top = 5;
    for (size_t i = 0; i < w->limit; i++) {
        const size_t which = (w->first + i * 7) % SWIPES;
        ortp_prediction out = ORTP_PREDICTION_INIT;
        const ortp_status status =
            ortp_predictor_predict(w->predictor, &rows.rows[which].swipe, &options, &out, NULL);
        if (status == ORTP_OK) {
            w->ok++;
            w->different += equals(&out, &expected[which]) ? 0 : 1;
        } else if (status == ORTP_E_CLOSED) {
            w->closed++;
            break;
        } else if (status == ORTP_E_BUDGET) {
            w->budget++;
        } else {
            w->other++;
        }
        (void)atomic_fetch_add(w->done, 1);
    }
    return NULL;
}

typedef struct crew {
    worker workers[THREADS];
    atomic_size_t done;
} crew;

static void crew_start(crew *c, const rig *r, size_t limit)
{
    memset(c->workers, 0, sizeof c->workers);
    atomic_init(&c->done, 0);
    for (size_t i = 0; i < THREADS; i++) {
        c->workers[i].predictor = r->predictor;
        c->workers[i].first = i * 5;
        c->workers[i].limit = limit;
        c->workers[i].done = &c->done;
        assert_int_equal(pthread_create(&c->workers[i].thread, NULL, work, &c->workers[i]), 0);
    }
}

/* Waits until that many predictions came back, whatever their status. */
static void crew_wait(const crew *c, size_t predictions)
{
    while (atomic_load(&c->done) < predictions) {
        thrd_yield();
    }
}

/* The sum over all workers. */
static worker crew_join(crew *c)
{
    worker sum = {0};
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(c->workers[i].thread, NULL), 0);
        sum.ok += c->workers[i].ok;
        sum.closed += c->workers[i].closed;
        sum.budget += c->workers[i].budget;
        sum.other += c->workers[i].other;
        sum.different += c->workers[i].different;
    }
    assert_int_equal(sum.other, 0);
    assert_int_equal(sum.different, 0);
    return sum;
}

static void equal_to_one_thread(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++) {
        rig r;
        const rig_options options = {
            .pool_kind = i % 2 == 0 ? ORTP_POOL_THREAD_CACHED : ORTP_POOL_STRIPED,
            .predictor = {
                .cache_off = i / 2 % 2 == 0, .threads = THREADS, .path = ORTP_PATH_BATCHED}};
        rig_open(&r, &options);
        ortp_error error = ORTP_ERROR_INIT;
        if (i < 4) {
            assert_ok(ortp_predictor_warm(r.predictor, NULL, NULL, &error), error);
        }
        crew c;
        crew_start(&c, &r, 40);
        const worker sum = crew_join(&c);
        assert_int_equal(sum.ok, THREADS * 40);
        assert_int_equal(rig_stats(&r).predictions, THREADS * 40);
        rig_close(&r);
    }
}

static void close_during_predictions(void **state)
{
    (void)state;
    size_t closed = 0;
    for (size_t round = 0; round < CLOSE_ROUNDS; round++) {
        rig r;
        const rig_options options = {.pool_kind = round % 2 == 0 ? ORTP_POOL_THREAD_CACHED
                                                                 : ORTP_POOL_STRIPED};
        rig_open(&r, &options);
        crew c;
        crew_start(&c, &r, SIZE_MAX);
        crew_wait(&c, round % 8);
        assert_int_equal(ortp_predictor_close(r.predictor, UINT64_MAX), ORTP_OK);
        /* Whoever was inside is out: nothing is in use but what is kept. */
        const uint64_t finished = rig_stats(&r).predictions;
        const worker sum = crew_join(&c);
        assert_int_equal(sum.ok, finished);
        assert_int_equal(sum.closed, THREADS);
        closed += sum.closed;
        rig_close(&r);
    }
    assert_int_equal(closed, THREADS * CLOSE_ROUNDS);
}

static void close_waits_and_gives_up(void **state)
{
    (void)state;
    rig r;
    rig_open(&r, NULL);
    guest who;
    guest_enter(&who, r.predictor, &rows.rows[0].swipe, BEFORE_ENCODER);
    assert_int_equal(ortp_predictor_close(r.predictor, 0), ORTP_E_TIMEOUT);
    assert_int_equal(ortp_predictor_close(r.predictor, 20), ORTP_E_TIMEOUT);
    ortp_prediction out = ORTP_PREDICTION_INIT;
    assert_int_equal(ortp_predictor_predict(r.predictor, &rows.rows[0].swipe, NULL, &out, NULL),
                     ORTP_E_CLOSED);
    guest_open(&who);
    assert_int_equal(ortp_predictor_close(r.predictor, UINT64_MAX), ORTP_OK);
    guest_leave(&who);
    assert_int_equal(who.status, ORTP_OK); /* it was in time */
    rig_close(&r);
}

/* ---- other calls in the middle ---- */

static void warm_up_in_the_background(void **state)
{
    (void)state;
    rig r;
    const rig_options options = {.predictor = {.threads = THREADS}};
    rig_open(&r, &options);
    crew c;
    crew_start(&c, &r, 60);
    ortp_warmup *warmups[2] = {0};
    ortp_error error = ORTP_ERROR_INIT;
    for (size_t i = 0; i < 2; i++) { /* two at once are legal too */
        assert_ok(ortp_predictor_warm_start(r.predictor, NULL, &warmups[i], &error), error);
    }
    for (size_t i = 0; i < 2; i++) {
        assert_ok(ortp_warmup_join(warmups[i], NULL, &error), error);
    }
    assert_int_equal(crew_join(&c).ok, THREADS * 60);
    assert_int_equal(rig_stats(&r).predictions, THREADS * 60);
    rig_close(&r);
}

static void close_ends_a_warm_up(void **state)
{
    (void)state;
    for (int round = 0; round < 10; round++) {
        rig r;
        rig_open(&r, NULL);
        ortp_warmup *warmup = NULL;
        ortp_error error = ORTP_ERROR_INIT;
        assert_ok(ortp_predictor_warm_start(r.predictor, NULL, &warmup, &error), error);
        assert_int_equal(ortp_predictor_close(r.predictor, UINT64_MAX), ORTP_OK);
        const ortp_status status = ortp_warmup_join(warmup, NULL, &error);
        assert_true(status == ORTP_OK || status == ORTP_E_CLOSED);
        rig_close(&r);
    }
}

static void trim_in_the_middle(void **state)
{
    (void)state;
    rig r;
    rig_open(&r, NULL);
    crew c;
    crew_start(&c, &r, 80);
    for (size_t i = 1; i <= 20; i++) {
        crew_wait(&c, i * 10);
        assert_int_equal(ortp_predictor_trim(r.predictor, i % 2 == 0 ? 0 : 65536, i % 3 == 0, NULL),
                         ORTP_OK);
        (void)rig_stats(&r);
    }
    assert_int_equal(crew_join(&c).ok, THREADS * 80);
    rig_close(&r);
}

/* The limit falls below need and rises again: predictions fail cleanly or are right. */
static void limits_in_the_middle(void **state)
{
    (void)state;
    rig r;
    const rig_options options = {.limit_bytes = (size_t)1 << 30, .pool_kind = ORTP_POOL_STRIPED};
    rig_open(&r, &options);
    ortp_budget *budget = ortp_runtime_budget(r.runtime);
    const size_t bare = rig_budget(&r).charged_bytes;
    crew c;
    crew_start(&c, &r, 300);
    for (size_t i = 1; i <= 20; i++) {
        crew_wait(&c, i * 40);
        const size_t limit = i % 2 == 0 ? (size_t)1 << 30 : bare + i * 4096;
        const ortp_status status = ortp_budget_set_limit(budget, limit, NULL);
        assert_true(status == ORTP_OK || status == ORTP_E_BUSY);
    }
    const worker sum = crew_join(&c);
    assert_int_equal(sum.ok + sum.budget, THREADS * 300);
    assert_true(sum.ok > 0);
    assert_int_equal(rig_stats(&r).failures, sum.budget);
    assert_int_equal(ortp_budget_set_limit(budget, ORTP_UNLIMITED, NULL), ORTP_OK);
    crew_start(&c, &r, 10);
    assert_int_equal(crew_join(&c).ok, THREADS * 10);
    rig_close(&r);
}

int main(void)
{
    if (!test_ort_found()) {
        return TEST_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_to_one_thread),      cmocka_unit_test(close_during_predictions),
        cmocka_unit_test(close_waits_and_gives_up), cmocka_unit_test(warm_up_in_the_background),
        cmocka_unit_test(close_ends_a_warm_up),     cmocka_unit_test(trim_in_the_middle),
        cmocka_unit_test(limits_in_the_middle),
    };
    return cmocka_run_group_tests(tests, prepare, clean);
}
