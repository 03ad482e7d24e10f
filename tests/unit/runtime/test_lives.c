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
#include <string.h>
#include <threads.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct world {
    graph_feed feed;
    graph_answer expected;
} world;

static void world_open(world *w, graph_kind kind, int64_t size)
{
    ortp_runtime *runtime = test_runtime_create(NULL);
    graph_feed_make(&w->feed, kind, size);
    graph_answer_by_host(&w->expected, runtime, &w->feed, 1);
    test_runtime_destroy(runtime);
}

static void world_close(world *w)
{
    graph_answer_free(&w->expected);
    graph_feed_free(&w->feed);
}

static OrtValue *output_of(ortp_session *session, const world *w)
{
    OrtValue *output = NULL;
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(graph_run(session, NULL, &w->feed, &output, &error), error);
    assert_true(graph_answer_equals(&w->expected, output));
    return output;
}

static void *release_value(void *value)
{
    test_ort_api()->ReleaseValue(value);
    return NULL;
}

static void release_elsewhere(OrtValue *value)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, release_value, value), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

/* The first escapes from its run's block, later ones from what was learned of it: many of each. */
static void outputs_outlive_their_runs(void **state)
{
    (void)state;
    enum { KEPT = 12 };
    world w;
    world_open(&w, GRAPH_ENCODER, 32);
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
            kept[i] = output_of(own.session, &w);
            assert_int_equal(test_session_info(own.session).live_count, live + i + 1);
        }
        for (size_t i = 0; i < KEPT; ++i) { /* others' runs did not write into them */
            assert_true(graph_answer_equals(&w.expected, kept[i]));
        }
        for (size_t i = 0; i < KEPT; ++i) { /* in no order, by two threads */
            OrtValue *value = kept[i * 5 % KEPT];
            assert_true(graph_answer_equals(&w.expected, value));
            if (i % 2 == 0) {
                release_elsewhere(value);
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
    world_close(&w);
}

static uint64_t overflows_of(ortp_session *session)
{
    return test_session_info(session).overflows;
}

static ortp_pool_info pool_of(const ortp_runtime *runtime)
{
    ortp_pool_info info;
    ortp_pool_get_info(ortp_runtime_pool(runtime), &info);
    return info;
}

/* An output that is freed before another run begins lies in its run's block, which is then there whole. */
static void outputs_freed_in_time_stay_in_their_block(void **state)
{
    (void)state;
    enum { SHAPES = 5 };
    ortp_runtime *runtime = test_runtime_create(NULL);
    ortp_session *session = graph_session(runtime, GRAPH_ENCODER, NULL);
    const size_t pages = pool_of(runtime).idle_bytes; /* of slabs */
    for (size_t i = 0; i < SHAPES; ++i) {
        world w;
        world_open(&w, GRAPH_ENCODER, 150 - 10 * (int64_t)i);
        const ortp_pool_info before = pool_of(runtime);
        OrtValue *output = output_of(session, &w);
        if (i % 2 == 0) {
            release_elsewhere(output);
        } else {
            test_ort_api()->ReleaseValue(output);
        }
        const ortp_pool_info after = pool_of(runtime);
        assert_int_equal(after.maps, before.maps + (i == 0 ? 1 : 0));
        assert_int_equal(after.unmaps, before.unmaps);
        assert_int_equal(after.in_use_bytes[ORTP_LABEL_RUN], 0);
        assert_true(i == 0 || after.idle_bytes == before.idle_bytes);
        assert_true(after.idle_bytes > pages + w.expected.bytes);
        world_close(&w);
    }
    assert_int_equal(overflows_of(session), 0);
    assert_int_equal(ortp_session_destroy(session), ORTP_OK);
    test_runtime_destroy(runtime);
}

/* What is free around a held output goes back when memory is asked for, and outputs stay where they were. */
static void held_blocks_give_back_on_demand(void **state)
{
    (void)state;
    ortp_runtime *runtime = test_runtime_create(NULL);
    ortp_session *session = graph_session(runtime, GRAPH_ENCODER, NULL);
    world w;
    world_open(&w, GRAPH_ENCODER, 150);
    const test_use before = test_use_of(runtime);
    static const ortp_pressure pressures[2] = {ORTP_PRESSURE_LOW, ORTP_PRESSURE_MODERATE};
    for (int round = 0; round < 3; ++round) {
        OrtValue *output = output_of(session, &w);
        const size_t held = pool_of(runtime).in_use_bytes[ORTP_LABEL_RUN];
        size_t freed = 0;
        if (round < 2) {
            assert_int_equal(ortp_runtime_relieve(runtime, pressures[round], &freed), ORTP_OK);
        } else { /* by a charge that has no room else */
            ortp_budget *const budget = ortp_runtime_budget(runtime);
            assert_int_equal(ortp_budget_set_limit(budget, test_charged(runtime) + 4096, NULL),
                             ORTP_OK);
            assert_int_equal(
                ortp_budget_charge(budget, ORTP_ACCOUNT_DECLARED, 65536, ORTP_RECLAIM_BLOCKS),
                ORTP_OK);
            assert_int_equal(ortp_budget_refund(budget, ORTP_ACCOUNT_DECLARED, 65536), ORTP_OK);
        }
        const size_t left = pool_of(runtime).in_use_bytes[ORTP_LABEL_RUN];
        assert_true(left < held && left >= w.expected.bytes);
        assert_true(round == 2 || freed >= held - left);
        assert_true(graph_answer_equals(&w.expected, output));
        test_ort_api()->ReleaseValue(output);
        assert_int_equal(pool_of(runtime).in_use_bytes[ORTP_LABEL_RUN], 0);
    }
    assert_int_equal(overflows_of(session), 0); /* nobody ran meanwhile */
    test_assert_use(runtime, &before);
    assert_int_equal(ortp_budget_set_limit(ortp_runtime_budget(runtime), ORTP_UNLIMITED, NULL),
                     ORTP_OK);
    OrtValue *output = output_of(session, &w);
    const size_t held = pool_of(runtime).in_use_bytes[ORTP_LABEL_RUN];
    assert_int_equal(ortp_session_destroy(session), ORTP_OK); /* with it nobody runs any more */
    const size_t left = pool_of(runtime).in_use_bytes[ORTP_LABEL_RUN];
    assert_true(left < held && left >= w.expected.bytes);
    assert_true(graph_answer_equals(&w.expected, output));
    test_ort_api()->ReleaseValue(output);
    assert_int_equal(pool_of(runtime).in_use_bytes[ORTP_LABEL_RUN], 0);
    world_close(&w);
    test_runtime_destroy(runtime);
}

/* Of several outputs in one block, each gives its own pages back, in whatever order they are freed. */
static void outputs_of_one_block_give_back_each(void **state)
{
    (void)state;
    enum { SIZE = 100003 }; /* no whole pages */
    const size_t bytes = SIZE * sizeof(float), page = (size_t)sysconf(_SC_PAGESIZE);
    graph_feed feed;
    graph_feed_make(&feed, GRAPH_TWO, SIZE);
    ortp_runtime *runtime = test_runtime_create(NULL);
    const char *names[2] = {"sum", feed.output_name};
    for (int first = 0; first < 2; ++first) {
        ortp_session *session = graph_session(runtime, GRAPH_TWO, NULL);
        const test_use before = test_use_of(runtime);
        OrtValue *outputs[2] = {NULL, NULL};
        ortp_error error = ORTP_ERROR_INIT;
        assert_ok(ortp_run(session, NULL, feed.input_names, (const OrtValue *const *)feed.inputs,
                           feed.input_count, names, outputs, 2, &error),
                  error);
        const size_t all = pool_of(runtime).in_use_bytes[ORTP_LABEL_RUN];
        assert_true(all >= 2 * bytes);
        assert_int_equal(ortp_runtime_relieve(runtime, ORTP_PRESSURE_MODERATE, NULL), ORTP_OK);
        const size_t settled = pool_of(runtime).in_use_bytes[ORTP_LABEL_RUN];
        assert_true(settled >= 2 * bytes && settled < 2 * bytes + 6 * page);
        test_ort_api()->ReleaseValue(outputs[first]);
        const size_t left = pool_of(runtime).in_use_bytes[ORTP_LABEL_RUN];
        assert_true(left >= bytes && left < bytes + 6 * page);
        test_ort_api()->ReleaseValue(outputs[1 - first]);
        assert_int_equal(pool_of(runtime).in_use_bytes[ORTP_LABEL_RUN], 0);
        test_assert_use(runtime, &before);
        assert_int_equal(ortp_session_destroy(session), ORTP_OK);
    }
    test_runtime_destroy(runtime);
    graph_feed_free(&feed);
}

/* Runs the shape until its outputs have blocks of their own. */
static void hold_over_runs(ortp_session *session, const world *w)
{
    OrtValue *held = output_of(session, w);
    for (int run = 0; run < 3; ++run) {
        test_ort_api()->ReleaseValue(output_of(session, w));
    }
    test_ort_api()->ReleaseValue(held);
    assert_true(overflows_of(session) > 0);
}

/* Where there is no memory for an output's own block a hole in the run's does. */
static void an_output_that_has_no_block_finds_a_hole(void **state)
{
    (void)state;
    world w;
    world_open(&w, GRAPH_ENCODER, 150);
    ortp_runtime *runtime = test_runtime_create(NULL);
    ortp_session *session = graph_session(runtime, GRAPH_ENCODER, NULL);
    hold_over_runs(session, &w);
    ortp_budget *const budget = ortp_runtime_budget(runtime);
    (void)ortp_budget_reclaim(budget, ORTP_RECLAIM_BLOCKS, ORTP_UNLIMITED);
    ortp_budget_info info;
    ortp_budget_get_info(budget, &info);
    const size_t room = test_session_info(session).run_bytes + w.expected.bytes / 2;
    assert_int_equal(ortp_budget_set_limit(budget, info.charged_bytes + room, NULL), ORTP_OK);
    for (int run = 0; run < 3; ++run) {
        test_ort_api()->ReleaseValue(output_of(session, &w));
    }
    assert_int_equal(test_session_info(session).refusals, 0);
    assert_int_equal(ortp_session_destroy(session), ORTP_OK);
    test_runtime_destroy(runtime);
    world_close(&w);
}

/* What is known of a session's outputs ends with it, whoever gets its allocator. */
static void the_next_session_begins_anew(void **state)
{
    (void)state;
    world w;
    world_open(&w, GRAPH_ENCODER, 64);
    ortp_runtime *runtime = test_runtime_create(NULL);
    ortp_session *session = graph_session(runtime, GRAPH_ENCODER, NULL);
    hold_over_runs(session, &w);
    assert_int_equal(ortp_session_destroy(session), ORTP_OK);
    session = graph_session(runtime, GRAPH_ENCODER, NULL);
    for (int run = 0; run < 4; ++run) {
        test_ort_api()->ReleaseValue(output_of(session, &w));
    }
    assert_int_equal(overflows_of(session), 0);
    assert_int_equal(ortp_session_destroy(session), ORTP_OK);
    test_runtime_destroy(runtime);
    world_close(&w);
}

/* Outputs that are held over runs are expected to be so of shapes not seen yet. */
static void what_outlives_is_known_of_other_shapes(void **state)
{
    (void)state;
    enum { SHAPES = 7 };
    ortp_runtime *runtime = test_runtime_create(NULL);
    ortp_session *session = graph_session(runtime, GRAPH_ENCODER, NULL);
    OrtValue *last = NULL;
    for (size_t i = 0; i < SHAPES; ++i) {
        world w;
        world_open(&w, GRAPH_ENCODER, 150 - 10 * (int64_t)i);
        const ortp_pool_info before = pool_of(runtime);
        OrtValue *output = output_of(session, &w);
        assert_int_equal(overflows_of(session), i > 1 ? i - 1 : 0);
        if (last) {
            test_ort_api()->ReleaseValue(last);
        }
        last = output;
        if (i > 4) { /* a block for runs, two for values, and no more */
            assert_int_equal(pool_of(runtime).maps, before.maps);
        }
        world_close(&w);
    }
    test_ort_api()->ReleaseValue(last);
    assert_int_equal(ortp_session_destroy(session), ORTP_OK);
    test_runtime_destroy(runtime);
}

static OrtValue *output_named(ortp_session *session, const graph_feed *feed, const char *name)
{
    OrtValue *output = NULL;
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(ortp_run(session, NULL, feed->input_names, (const OrtValue *const *)feed->inputs,
                       feed->input_count, &name, &output, 1, &error),
              error);
    return output;
}

static void run_for(ortp_session *session, const graph_feed *feed, const char *name)
{
    test_ort_api()->ReleaseValue(output_named(session, feed, name));
}

/* The first output is the first allocation; where only the second is asked for, it ends with the run. */
static void a_wrong_guess_of_what_outlives_is_seen(void **state)
{
    (void)state;
    graph_feed feed;
    graph_feed_make(&feed, GRAPH_TWO, 100000);
    ortp_runtime *runtime = test_runtime_create(NULL);
    ortp_session *session = graph_session(runtime, GRAPH_TWO, NULL);
    const test_use before = test_use_of(runtime);
    OrtValue *held = output_named(session, &feed, "sum");
    run_for(session, &feed, "sum");
    run_for(session, &feed, "sum");
    test_ort_api()->ReleaseValue(held);
    assert_int_equal(overflows_of(session), 1);
    run_for(session, &feed, feed.output_name); /* the sum is taken for one that outlives */
    assert_int_equal(overflows_of(session), 2);
    run_for(session, &feed, feed.output_name); /* now the right one */
    run_for(session, &feed, feed.output_name);
    assert_int_equal(overflows_of(session), 4);
    test_assert_use(runtime, &before);
    assert_int_equal(ortp_session_destroy(session), ORTP_OK);
    test_runtime_destroy(runtime);
    graph_feed_free(&feed);
}

static void outputs_outlive_their_session_but_not_the_runtime(void **state)
{
    (void)state;
    enum { KEPT = 6 };
    world w;
    world_open(&w, GRAPH_ENCODER, 32);
    ortp_runtime *runtime = test_runtime_create(NULL);
    const test_use before = test_use_of(runtime);
    own_session own;
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(own_session_open(&own, runtime, GRAPH_ENCODER, NULL, &error), error);
    OrtValue *kept[KEPT];
    for (size_t i = 0; i < KEPT; ++i) {
        kept[i] = output_of(own.session, &w);
    }
    own_session_close(&own);
    for (size_t i = 0; i < KEPT; ++i) {
        assert_true(graph_answer_equals(&w.expected, kept[i]));
        error = (ortp_error)ORTP_ERROR_INIT;
        assert_int_equal(ortp_runtime_destroy(runtime, &error), ORTP_E_BUSY);
        assert_non_null(strstr(error.message, "OrtValues"));
        ortp_session *next = graph_session(runtime, GRAPH_ENCODER, NULL); /* it stays usable */
        assert_int_equal(ortp_session_destroy(next), ORTP_OK);
        if (i % 2 == 0) {
            release_elsewhere(kept[i]);
        } else {
            test_ort_api()->ReleaseValue(kept[i]);
        }
    }
    test_assert_use(runtime, &before);
    test_runtime_destroy(runtime);
    world_close(&w);
}

/* A pool of the host's does not keep the runtime, the values must. */
static void outputs_in_a_hosts_pool_keep_the_runtime(void **state)
{
    (void)state;
    world w;
    world_open(&w, GRAPH_TINY_ENCODER, 32);
    ortp_budget *budget = NULL;
    assert_int_equal(ortp_budget_create(NULL, &budget), ORTP_OK);
    ortp_pool_options pool_options = ORTP_POOL_OPTIONS_INIT;
    pool_options.budget = budget;
    ortp_pool *pool = NULL;
    assert_int_equal(ortp_pool_create(&pool_options, &pool, NULL), ORTP_OK);
    ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
    options.budget = budget;
    options.pool = pool;
    ortp_runtime *runtime = test_runtime_create(&options);
    ortp_session *session = graph_session(runtime, GRAPH_TINY_ENCODER, NULL);
    OrtValue *kept = output_of(session, &w);
    assert_int_equal(ortp_session_destroy(session), ORTP_OK);
    ortp_error error = ORTP_ERROR_INIT;
    assert_int_equal(ortp_runtime_destroy(runtime, &error), ORTP_E_BUSY);
    assert_non_null(strstr(error.message, "OrtValues"));
    assert_true(graph_answer_equals(&w.expected, kept));
    test_ort_api()->ReleaseValue(kept);
    const test_use none = {.in_use_blocks = 0};
    test_assert_use(runtime, &none);
    test_runtime_destroy(runtime);
    assert_int_equal(ortp_pool_destroy(pool, NULL), ORTP_OK);
    assert_int_equal(ortp_budget_destroy(budget), ORTP_OK);
    world_close(&w);
}

/* The application's OrtSession holds packed weights until it releases it. */
static void a_session_that_is_not_released_keeps_the_runtime(void **state)
{
    (void)state;
    ortp_runtime *runtime = test_runtime_create(NULL);
    const test_use before = test_use_of(runtime);
    own_session own;
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(own_session_open(&own, runtime, GRAPH_ENCODER, NULL, &error), error);
    assert_true(test_session_info(own.session).weights_bytes > 0);
    assert_true(test_use_of(runtime).in_use_bytes[ORTP_LABEL_WEIGHTS] >=
                test_session_info(own.session).weights_bytes);
    const size_t weights = pool_of(runtime).in_use_bytes[ORTP_LABEL_WEIGHTS];
    assert_int_equal(ortp_session_destroy(own.session), ORTP_OK);
    assert_int_equal(pool_of(runtime).in_use_bytes[ORTP_LABEL_WEIGHTS], weights);
    assert_int_equal(ortp_runtime_destroy(runtime, NULL), ORTP_E_BUSY);
    world w;
    graph_feed_make(&w.feed, GRAPH_ENCODER, 20);
    graph_answer_by_host(&w.expected, runtime, &w.feed, 1);
    graph_answer still; /* it can still run, past ortpool */
    graph_answer_by(&still, own.ort, &w.feed);
    assert_memory_equal(still.data, w.expected.data, still.bytes);
    graph_answer_free(&still);
    world_close(&w);
    test_ort_api()->ReleaseSession(own.ort);
    test_assert_use(runtime, &before);
    test_runtime_destroy(runtime);
}

/* Nothing of ours is in it, so nobody is kept; ORT lets go of an allocator that is gone. */
static void a_session_without_weights_may_be_released_last(void **state)
{
    (void)state;
    OrtEnv *env = NULL;
    assert_null(test_ort_api()->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "host", &env));
    ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
    options.env = env;
    ortp_runtime *runtime = test_runtime_create(&options);
    own_session own;
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(own_session_open(&own, runtime, GRAPH_ADD, NULL, &error), error);
    world w;
    graph_feed_make(&w.feed, GRAPH_ADD, 100);
    graph_answer_by_host(&w.expected, runtime, &w.feed, 1);
    graph_check(own.session, &w.feed, &w.expected);
    assert_int_equal(test_session_info(own.session).live_count, 0);
    assert_int_equal(ortp_session_destroy(own.session), ORTP_OK);
    test_runtime_destroy(runtime);
    test_ort_api()->ReleaseSession(own.ort);
    test_ort_api()->ReleaseEnv(env);
    world_close(&w);
}

/* A later session may have what the first one's allocator was made of. */
static void late_frees_find_their_own_allocator(void **state)
{
    (void)state;
    enum { LIVES = 8, KEPT = 3 };
    world w;
    world_open(&w, GRAPH_TINY_ENCODER, 32);
    ortp_runtime *runtime = test_runtime_create(NULL);
    const test_use before = test_use_of(runtime);
    OrtValue *kept[LIVES][KEPT];
    for (size_t i = 0; i < LIVES; ++i) {
        ortp_session *session = graph_session(runtime, GRAPH_TINY_ENCODER, NULL);
        const size_t live = test_session_info(session).live_count;
        for (size_t k = 0; k < KEPT; ++k) {
            kept[i][k] = output_of(session, &w);
        }
        for (size_t k = 0; i > 0 && k < KEPT; ++k) { /* those of the session before, now dead */
            assert_true(graph_answer_equals(&w.expected, kept[i - 1][k]));
            test_ort_api()->ReleaseValue(kept[i - 1][k]);
            assert_int_equal(test_session_info(session).live_count, live + KEPT);
        }
        for (size_t k = 0; k < KEPT; ++k) {
            assert_true(graph_answer_equals(&w.expected, kept[i][k]));
        }
        assert_int_equal(ortp_session_destroy(session), ORTP_OK);
    }
    assert_int_equal(ortp_runtime_destroy(runtime, NULL), ORTP_E_BUSY);
    for (size_t k = 0; k < KEPT; ++k) {
        release_elsewhere(kept[LIVES - 1][k]);
    }
    test_assert_use(runtime, &before);
    test_runtime_destroy(runtime);
    world_close(&w);
}

/* ORT frees NULL for these. */
static void outputs_without_elements(void **state)
{
    (void)state;
    static const graph_kind kinds[] = {GRAPH_IDENTITY, GRAPH_ADD};
    for (size_t i = 0; i < 2; ++i) {
        world w;
        world_open(&w, kinds[i], 0);
        ortp_runtime *runtime = test_runtime_create(NULL);
        ortp_session *session = graph_session(runtime, kinds[i], NULL);
        const test_use before = test_use_of(runtime);
        const size_t live = test_session_info(session).live_count;
        OrtValue *kept[3];
        for (size_t k = 0; k < 3; ++k) {
            kept[k] = output_of(session, &w);
        }
        for (size_t k = 0; k < 3; ++k) {
            test_ort_api()->ReleaseValue(kept[k]);
        }
        assert_int_equal(test_session_info(session).live_count, live);
        test_assert_use(runtime, &before);
        assert_int_equal(ortp_session_destroy(session), ORTP_OK);
        test_runtime_destroy(runtime);
        world_close(&w);
    }
}

static void lives_leave_the_budget_where_it_was(void **state)
{
    (void)state;
    static const graph_kind kinds[] = {GRAPH_TINY_ENCODER, GRAPH_ENCODER};
    for (size_t kind = 0; kind < 2; ++kind) {
        world w;
        world_open(&w, kinds[kind], 32);
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
        world_close(&w);
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
        assert_int_equal(ortp_session_destroy(t->session), ORTP_OK);
    }
    test_ort_api()->ReleaseValue(t->value);
}

static void close_in_order(const int *order, const world *w)
{
    ortp_runtime *runtimes[RUNTIMES] = {test_runtime_create(NULL), test_runtime_create(NULL)};
    thing things[THINGS] = {
        {.runtime = 0}, {.runtime = 1}, {.runtime = 0}, {.runtime = 0}, {.runtime = 1}};
    size_t alive[RUNTIMES] = {0, 0};
    for (int i = 0; i < 3; ++i) {
        things[i].session = graph_session(runtimes[things[i].runtime], GRAPH_ADD, NULL);
    }
    things[3].value = output_of(things[0].session, w);
    things[4].value = output_of(things[1].session, w);
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
    world w;
    world_open(&w, GRAPH_ADD, 1000);
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
    world_close(&w);
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
    world w;
    world_open(&w, GRAPH_TINY_ENCODER, 32);
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
            OrtValue *value = output_of(session, &w);
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
        assert_int_equal(ortp_session_destroy(session), ORTP_OK);
    }
    atomic_store(&h.done, true);
    for (size_t i = 0; i < 2; ++i) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(h.errors, 0);
    assert_int_equal(h.released, SESSIONS * RUNS);
    test_assert_use(runtime, &before);
    test_runtime_destroy(runtime);
    world_close(&w);
}

int main(void)
{
    if (!test_ort_found()) {
        return TEST_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outputs_outlive_their_runs),
        cmocka_unit_test(outputs_freed_in_time_stay_in_their_block),
        cmocka_unit_test(held_blocks_give_back_on_demand),
        cmocka_unit_test(outputs_of_one_block_give_back_each),
        cmocka_unit_test(an_output_that_has_no_block_finds_a_hole),
        cmocka_unit_test(the_next_session_begins_anew),
        cmocka_unit_test(what_outlives_is_known_of_other_shapes),
        cmocka_unit_test(a_wrong_guess_of_what_outlives_is_seen),
        cmocka_unit_test(outputs_outlive_their_session_but_not_the_runtime),
        cmocka_unit_test(outputs_in_a_hosts_pool_keep_the_runtime),
        cmocka_unit_test(a_session_that_is_not_released_keeps_the_runtime),
        cmocka_unit_test(a_session_without_weights_may_be_released_last),
        cmocka_unit_test(late_frees_find_their_own_allocator),
        cmocka_unit_test(outputs_without_elements),
        cmocka_unit_test(lives_leave_the_budget_where_it_was),
        cmocka_unit_test(sessions_and_runtimes_end_in_any_order),
        cmocka_unit_test(others_release_while_sessions_come_and_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
