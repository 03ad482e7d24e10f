/* SPDX-License-Identifier: MIT */
/*
 * What lives how long: outputs that ONNX Runtime made outlive run and session, sessions and runtimes end
 * in any order, and after each life the ledger is where it was.
 */
#include "graphs.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <threads.h>

#include <cmocka.h>

/* The first escapes from its run's block, later ones from what was learned of it: many of each. */
static void outputs_outlive_their_runs(void **state)
{
    (void)state;
    enum { KEPT = 12 };
    graph_world w;
    graph_world_open(&w, GRAPH_ENCODER, 32);
    for (int parallel = 0; parallel <= TEST_ORT_THREADS; ++parallel) {
        ortp_runtime *runtime = test_runtime_create(NULL);
        const own_options options = {.parallel = parallel != 0};
        own_session own;
        ortp_error error = ORTP_ERROR_INIT;
        assert_ok(own_session_open(&own, runtime, GRAPH_ENCODER, &options, &error), error);
        const test_use before = test_use_of(runtime);
        const size_t live = test_session_info(own.session).live_count;
        OrtValue *kept[KEPT];
        for (size_t i = 0; i < KEPT; ++i) {
            kept[i] = graph_world_output(own.session, &w);
            assert_int_equal(test_session_info(own.session).live_count, live + i + 1);
        }
        for (size_t i = 0; i < KEPT; ++i) { /* others' runs did not write into them */
            assert_true(graph_answer_equals(&w.expected, kept[i]));
        }
        for (size_t i = 0; i < KEPT; ++i) { /* in no order, by two threads */
            OrtValue *value = kept[i * 5 % KEPT];
            assert_true(graph_answer_equals(&w.expected, value));
            if (i % 2 == 0) {
                test_release_elsewhere(value);
            } else {
                test_ort_api()->ReleaseValue(value);
            }
            assert_int_equal(test_session_info(own.session).live_count, live + KEPT - i - 1);
        }
        test_assert_use(runtime, &before);
        const ortp_session_info info = test_session_info(own.session);
        assert_true(info.live_bytes_peak >= info.live_bytes + KEPT * w.expected.bytes);
        own_session_close(&own);
        test_runtime_destroy(runtime);
    }
    graph_world_close(&w);
}

static void outputs_outlive_their_session_but_not_the_runtime(void **state)
{
    (void)state;
    enum { KEPT = 6 };
    graph_world w;
    graph_world_open(&w, GRAPH_ENCODER, 32);
    ortp_runtime *runtime = test_runtime_create(NULL);
    const test_use before = test_use_of(runtime);
    own_session own;
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(own_session_open(&own, runtime, GRAPH_ENCODER, NULL, &error), error);
    OrtValue *kept[KEPT];
    for (size_t i = 0; i < KEPT; ++i) {
        kept[i] = graph_world_output(own.session, &w);
    }
    own_session_close(&own);
    for (size_t i = 0; i < KEPT; ++i) {
        assert_true(graph_answer_equals(&w.expected, kept[i]));
        error = (ortp_error)ORTP_ERROR_INIT;
        assert_int_equal(ortp_runtime_destroy(runtime, &error), ORTP_E_BUSY);
        assert_non_null(strstr(error.message, "OrtValues"));
        ortp_session *next = graph_session(runtime, GRAPH_ENCODER, NULL); /* it stays usable */
        assert_int_equal(ortp_session_destroy(next, NULL), ORTP_OK);
        if (i % 2 == 0) {
            test_release_elsewhere(kept[i]);
        } else {
            test_ort_api()->ReleaseValue(kept[i]);
        }
    }
    test_assert_use(runtime, &before);
    test_runtime_destroy(runtime);
    graph_world_close(&w);
}

/* A pool of the host's does not keep the runtime, the values must. */
static void outputs_in_a_hosts_pool_keep_the_runtime(void **state)
{
    (void)state;
    graph_world w;
    graph_world_open(&w, GRAPH_TINY_ENCODER, 32);
    ortp_budget *budget = NULL;
    assert_int_equal(ortp_budget_create(NULL, &budget, NULL), ORTP_OK);
    ortp_pool_options pool_options = ORTP_POOL_OPTIONS_INIT;
    pool_options.budget = budget;
    ortp_pool *pool = NULL;
    assert_int_equal(ortp_pool_create(&pool_options, &pool, NULL), ORTP_OK);
    ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
    options.budget = budget;
    options.pool = pool;
    ortp_runtime *runtime = test_runtime_create(&options);
    ortp_session *session = graph_session(runtime, GRAPH_TINY_ENCODER, NULL);
    OrtValue *kept = graph_world_output(session, &w);
    assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
    ortp_error error = ORTP_ERROR_INIT;
    assert_int_equal(ortp_runtime_destroy(runtime, &error), ORTP_E_BUSY);
    assert_non_null(strstr(error.message, "OrtValues"));
    assert_true(graph_answer_equals(&w.expected, kept));
    test_ort_api()->ReleaseValue(kept);
    const test_use none = {.in_use_blocks = 0};
    test_assert_use(runtime, &none);
    test_runtime_destroy(runtime);
    assert_int_equal(ortp_pool_destroy(pool, NULL), ORTP_OK);
    assert_int_equal(ortp_budget_destroy(budget, NULL), ORTP_OK);
    graph_world_close(&w);
}

/* A later session may have what the first one's allocator was made of. */
static void late_frees_find_their_own_allocator(void **state)
{
    (void)state;
    enum { LIVES = 8, KEPT = 3 };
    graph_world w;
    graph_world_open(&w, GRAPH_TINY_ENCODER, 32);
    ortp_runtime *runtime = test_runtime_create(NULL);
    const test_use before = test_use_of(runtime);
    OrtValue *kept[LIVES][KEPT];
    for (size_t i = 0; i < LIVES; ++i) {
        ortp_session *session = graph_session(runtime, GRAPH_TINY_ENCODER, NULL);
        const size_t live = test_session_info(session).live_count;
        for (size_t k = 0; k < KEPT; ++k) {
            kept[i][k] = graph_world_output(session, &w);
        }
        for (size_t k = 0; i > 0 && k < KEPT; ++k) { /* those of the session before, now dead */
            assert_true(graph_answer_equals(&w.expected, kept[i - 1][k]));
            test_ort_api()->ReleaseValue(kept[i - 1][k]);
            assert_int_equal(test_session_info(session).live_count, live + KEPT);
        }
        for (size_t k = 0; k < KEPT; ++k) {
            assert_true(graph_answer_equals(&w.expected, kept[i][k]));
        }
        assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
    }
    assert_int_equal(ortp_runtime_destroy(runtime, NULL), ORTP_E_BUSY);
    for (size_t k = 0; k < KEPT; ++k) {
        test_release_elsewhere(kept[LIVES - 1][k]);
    }
    test_assert_use(runtime, &before);
    test_runtime_destroy(runtime);
    graph_world_close(&w);
}

/* ORT frees NULL for these. */
static void outputs_without_elements(void **state)
{
    (void)state;
    static const graph_kind kinds[] = {GRAPH_IDENTITY, GRAPH_ADD};
    for (size_t i = 0; i < 2; ++i) {
        graph_world w;
        graph_world_open(&w, kinds[i], 0);
        ortp_runtime *runtime = test_runtime_create(NULL);
        ortp_session *session = graph_session(runtime, kinds[i], NULL);
        const test_use before = test_use_of(runtime);
        const size_t live = test_session_info(session).live_count;
        OrtValue *kept[3];
        for (size_t k = 0; k < 3; ++k) {
            kept[k] = graph_world_output(session, &w);
        }
        for (size_t k = 0; k < 3; ++k) {
            test_ort_api()->ReleaseValue(kept[k]);
        }
        assert_int_equal(test_session_info(session).live_count, live);
        test_assert_use(runtime, &before);
        assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
        test_runtime_destroy(runtime);
        graph_world_close(&w);
    }
}

static void lives_leave_the_budget_where_it_was(void **state)
{
    (void)state;
    static const graph_kind kinds[] = {GRAPH_TINY_ENCODER, GRAPH_ENCODER};
    for (size_t kind = 0; kind < 2; ++kind) {
        graph_world w;
        graph_world_open(&w, kinds[kind], 32);
        ortp_runtime *runtime = test_runtime_create(NULL);
        size_t charged = 0;
        test_use use = {.in_use_blocks = 0};
        for (int life = 0; life < 12; ++life) {
            own_session own;
            ortp_error error = ORTP_ERROR_INIT;
            const own_options options = {.parallel = TEST_ORT_THREADS && life % 3 == 2};
            assert_ok(own_session_open(&own, runtime, kinds[kind], &options, &error), error);
            for (int run = 0; run < 3; ++run) {
                graph_check(own.session, &w.feed, &w.expected);
            }
            own_session_close(&own);
            assert_int_equal(ortp_runtime_trim(runtime, ORTP_UNLIMITED, NULL), ORTP_OK);
            if (life == 2) { /* each way was gone once: what is kept for good is there */
                charged = test_charged(runtime);
                use = test_use_of(runtime);
                assert_int_equal(use.in_use_blocks, 0);
                assert_int_equal(use.declared_bytes, 0);
            } else if (life > 2) {
                assert_int_equal(test_charged(runtime), charged);
                test_assert_use(runtime, &use);
            }
        }
        test_runtime_destroy(runtime);
        graph_world_close(&w);
    }
}

/* ---- any order ---- */

enum { RUNTIMES = 2, THINGS = 5 };

/* Three sessions and two outputs, of two runtimes: closed in each of the 120 orders. */
typedef struct thing {
    int runtime;
    ortp_session *session; /* or */
    OrtValue *value;
} thing;

static void close_thing(thing *t)
{
    if (t->session) {
        assert_int_equal(ortp_session_destroy(t->session, NULL), ORTP_OK);
    }
    test_ort_api()->ReleaseValue(t->value);
}

static void close_in_order(const int *order, const graph_world *w)
{
    ortp_runtime *runtimes[RUNTIMES] = {test_runtime_create(NULL), test_runtime_create(NULL)};
    thing things[THINGS] = {
        {.runtime = 0}, {.runtime = 1}, {.runtime = 0}, {.runtime = 0}, {.runtime = 1}};
    size_t alive[RUNTIMES] = {0, 0};
    for (int i = 0; i < 3; ++i) {
        things[i].session = graph_session(runtimes[things[i].runtime], GRAPH_ADD, NULL);
    }
    things[3].value = graph_world_output(things[0].session, w);
    things[4].value = graph_world_output(things[1].session, w);
    for (int i = 0; i < THINGS; ++i) {
        ++alive[things[i].runtime];
    }
    for (int i = 0; i < THINGS; ++i) {
        thing *t = &things[order[i]];
        close_thing(t);
        --alive[t->runtime];
        for (int v = 3; v < THINGS; ++v) {
            bool gone = false;
            for (int j = 0; j <= i; ++j) {
                gone = gone || order[j] == v;
            }
            assert_true(gone || graph_answer_equals(&w->expected, things[v].value));
        }
        for (int r = 0; r < RUNTIMES; ++r) {
            if (runtimes[r] && alive[r] > 0) {
                assert_int_equal(ortp_runtime_destroy(runtimes[r], NULL), ORTP_E_BUSY);
            } else if (runtimes[r]) {
                const test_use none = {.in_use_blocks = 0};
                test_assert_use(runtimes[r], &none);
                test_runtime_destroy(runtimes[r]);
                runtimes[r] = NULL;
            }
        }
    }
    assert_null(runtimes[0]);
    assert_null(runtimes[1]);
}

static void sessions_and_runtimes_end_in_any_order(void **state)
{
    (void)state;
    graph_world w;
    graph_world_open(&w, GRAPH_ADD, 1000);
    size_t orders = 0;
    for (int number = 0; number < 120; ++number) {
        int order[THINGS], left[THINGS] = {0, 1, 2, 3, 4};
        int rest = number;
        for (int i = 0; i < THINGS; ++i) { /* its digits in the factorial system */
            const int count = THINGS - i, at = rest % count;
            rest /= count;
            order[i] = left[at];
            left[at] = left[count - 1];
        }
        close_in_order(order, &w);
        ++orders;
    }
    assert_int_equal(orders, 120);
    graph_world_close(&w);
}

/* Runs here, frees there, sessions come and go meanwhile: under a thread sanitizer, too. */
typedef struct hand {
    _Atomic(OrtValue *) slots[16];
    const graph_answer *expected;
    atomic_bool done;
    _Atomic size_t errors, released;
} hand;

static void *release_what_comes(void *ctx)
{
    hand *h = ctx;
    bool last = false;
    for (;;) {
        for (size_t i = 0; i < 16; ++i) {
            OrtValue *value = atomic_exchange(&h->slots[i], NULL);
            if (value) {
                if (!graph_answer_equals(h->expected, value)) {
                    atomic_fetch_add(&h->errors, 1);
                }
                test_ort_api()->ReleaseValue(value);
                atomic_fetch_add(&h->released, 1);
            }
        }
        if (last) {
            return NULL;
        }
        last = atomic_load(&h->done);
    }
}

static void others_release_while_sessions_come_and_go(void **state)
{
    (void)state;
    enum { SESSIONS = 15, RUNS = 40 };
    graph_world w;
    graph_world_open(&w, GRAPH_TINY_ENCODER, 32);
    ortp_runtime *runtime = test_runtime_create(NULL);
    const test_use before = test_use_of(runtime);
    static hand h;
    h.expected = &w.expected;
    pthread_t threads[2];
    for (size_t i = 0; i < 2; ++i) {
        assert_int_equal(pthread_create(&threads[i], NULL, release_what_comes, &h), 0);
    }
    for (int s = 0; s < SESSIONS; ++s) {
        ortp_session *session = graph_session(runtime, GRAPH_TINY_ENCODER, NULL);
        for (int run = 0; run < RUNS; ++run) {
            OrtValue *value = graph_world_output(session, &w);
            value = atomic_exchange(&h.slots[(size_t)run % 16], value);
            if (value) {
                assert_true(graph_answer_equals(&w.expected, value));
                test_ort_api()->ReleaseValue(value);
                atomic_fetch_add(&h.released, 1);
            }
        }
        /* What values hold of a session ORT counts unseen by ThreadSanitizer: there nobody else ends it. */
        while (!TEST_ORT_THREADS && h.released < (size_t)(s + 1) * RUNS) {
            (void)thrd_sleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        }
        assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
    }
    atomic_store(&h.done, true);
    for (size_t i = 0; i < 2; ++i) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(h.errors, 0);
    assert_int_equal(h.released, SESSIONS * RUNS);
    test_assert_use(runtime, &before);
    test_runtime_destroy(runtime);
    graph_world_close(&w);
}

int main(void)
{
    if (!test_ort_found()) {
        return TEST_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outputs_outlive_their_runs),
        cmocka_unit_test(outputs_outlive_their_session_but_not_the_runtime),
        cmocka_unit_test(outputs_in_a_hosts_pool_keep_the_runtime),
        cmocka_unit_test(late_frees_find_their_own_allocator),
        cmocka_unit_test(outputs_without_elements),
        cmocka_unit_test(lives_leave_the_budget_where_it_was),
        cmocka_unit_test(sessions_and_runtimes_end_in_any_order),
        cmocka_unit_test(others_release_while_sessions_come_and_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
