/* SPDX-License-Identifier: MIT */
/*
 * What admission knows and does not touch: refusals that are remembered, a deadline that is tried for once
 * more, blocks of runs that other sessions' creation leaves alone, creations inside creations.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <threads.h>

#include <cmocka.h>

#include "graphs.h"
#include "test_ort.h"

static ortp_pool_info pool_of(const ortp_runtime *runtime)
{
    ortp_pool_info info = ORTP_POOL_INFO_INIT;
    ortp_pool_get_info(ortp_runtime_pool(runtime), &info);
    return info;
}

/* Builds that cannot throw grant what they refuse. */
static void skip_where_granted(void)
{
    if (!TEST_THROWS) {
        print_message("skipped: this build grants what it refuses\n");
        skip();
    }
}

/*
 * A run that finds out in ORT that it does not fit is made once more, for what it wanted, and does not enter ORT
 * then; the next one enters again, since that may have been for its input's values.
 */
static void a_refused_run_asks_once_more(void **state)
{
    (void)state;
    skip_where_granted();
    ortp_runtime *runtime = test_runtime_create(NULL);
    ortp_budget *budget = ortp_runtime_budget(runtime);
    ortp_session *session = graph_session(runtime, GRAPH_ENCODER, NULL);
    graph_feed feed;
    graph_feed_make(&feed, GRAPH_ENCODER, 100);
    graph_place place;
    graph_place_make(&place, &feed);
    assert_int_equal(ortp_budget_set_limit(budget, test_charged(runtime) + 300000, NULL), ORTP_OK);
    ortp_error error = ORTP_ERROR_INIT;
    assert_int_equal(graph_run_into(session, NULL, &feed, &place, &error), ORTP_E_BUDGET);
    const ortp_session_info first = test_session_info(session);
    assert_int_equal(first.refusals, 1);
    assert_int_equal(first.turned_away, 1);
    assert_int_equal(first.run_bytes, 0); /* a wish is no need */
    assert_int_equal(graph_run_into(session, NULL, &feed, &place, &error), ORTP_E_BUDGET);
    const ortp_session_info second = test_session_info(session);
    assert_int_equal(second.refusals, 2);
    assert_int_equal(second.turned_away, 2);
    assert_int_equal(ortp_budget_set_limit(budget, ORTP_UNLIMITED, NULL), ORTP_OK);
    assert_ok(graph_run_into(session, NULL, &feed, &place, &error), error);
    assert_true(test_session_info(session).run_bytes > second.run_bytes);
    graph_place_free(&place);
    graph_feed_free(&feed);
    assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
    test_runtime_destroy(runtime);
}

/*
 * What one run wanted because of its input's values bars no run of the same shapes that wants less, nor
 * warm-up.
 */
static void a_wish_bars_nobody(void **state)
{
    (void)state;
    skip_where_granted();
    static const int64_t sizes[] = {100000000, (int64_t)1 << 60};
    for (size_t i = 0; i < 2; ++i) {
        ortp_runtime *runtime = test_runtime_create(NULL);
        ortp_session *session = graph_session(runtime, GRAPH_SIZED, NULL);
        graph_feed huge, small;
        graph_place place;
        graph_feed_make(&huge, GRAPH_SIZED, sizes[i]);
        graph_feed_make(&small, GRAPH_SIZED, 1000);
        graph_place_make(&place, &small);
        assert_int_equal(ortp_budget_set_limit(ortp_runtime_budget(runtime),
                                               test_charged(runtime) + (1 << 20), NULL),
                         ORTP_OK);
        ortp_error error = ORTP_ERROR_INIT;
        assert_int_not_equal(graph_run_into(session, NULL, &huge, &place, &error), ORTP_OK);
        for (int again = 0; again < 3; ++again) {
            assert_ok(graph_run_into(session, NULL, &small, &place, &error), error);
            assert_true(((const float *)place.data)[0] == 1000.0f);
        }
        const ortp_session_info info = test_session_info(session);
        assert_true(info.run_bytes >= 4000 && info.run_bytes < 8192);
        assert_int_equal(info.turned_away,
                         i == 0); /* the other wish is none that could be granted */
        assert_int_equal(ortp_session_warm_runs(session, 1), ORTP_OK);
        graph_place_free(&place);
        graph_feed_free(&huge);
        graph_feed_free(&small);
        assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
        test_runtime_destroy(runtime);
    }
}

/* Inside ORT tensors cannot be dropped for a run; so it is made again, and fits. */
static void idle_tensors_make_room_for_a_first_run(void **state)
{
    (void)state;
    skip_where_granted();
    enum { COUNT = 32 }; /* many, so that what the run begins with drops few of them */
    ortp_runtime *runtime = test_runtime_create(NULL);
    ortp_budget *budget = ortp_runtime_budget(runtime);
    ortp_session *session = graph_session(runtime, GRAPH_ENCODER, NULL);
    ortp_tensor_pool_options options = ORTP_TENSOR_POOL_OPTIONS_INIT;
    options.runtime = runtime;
    ortp_tensor_pool *tensors = NULL;
    assert_int_equal(ortp_tensor_pool_create(&options, &tensors, NULL), ORTP_OK);
    const int64_t shape[1] = {256 << 10};
    ortp_tensor *idle[COUNT];
    for (size_t i = 0; i < COUNT; ++i) {
        assert_int_equal(ortp_tensor_acquire(tensors, ORTP_TYPE_UINT8, shape, 1, &idle[i], NULL),
                         ORTP_OK);
    }
    for (size_t i = 0; i < COUNT; ++i) {
        assert_int_equal(ortp_tensor_release(idle[i]), ORTP_OK);
    }
    assert_int_equal(ortp_budget_set_limit(budget, test_charged(runtime), NULL), ORTP_OK);
    graph_feed feed;
    graph_feed_make(&feed, GRAPH_ENCODER, 100);
    graph_place place;
    graph_place_make(&place, &feed);
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(graph_run_into(session, NULL, &feed, &place, &error), error);
    assert_true(test_session_info(session).refusals > 0);
    assert_int_equal(test_session_info(session).turned_away, 0);
    assert_int_equal(test_session_info(session).runs, 1);
    graph_place_free(&place);
    graph_feed_free(&feed);
    assert_int_equal(ortp_tensor_pool_destroy(tensors, NULL), ORTP_OK);
    assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
    test_runtime_destroy(runtime);
}

/* What fits once fits again: an output that is freed before the next run lies in its run's block. */
static void outputs_are_paid_once(void **state)
{
    (void)state;
    static const int64_t sizes[] = {1 << 18, 1 << 15, 3000};
    for (size_t i = 0; i < 3; ++i) {
        ortp_runtime *runtime = test_runtime_create(NULL);
        ortp_session *session = graph_session(runtime, GRAPH_ADD, NULL);
        graph_feed feed;
        graph_feed_make(&feed, GRAPH_ADD, sizes[i]);
        assert_int_equal(
            ortp_budget_set_limit(
                ortp_runtime_budget(runtime),
                test_charged(runtime) + (size_t)sizes[i] * sizeof(float) * 5 / 4 + 262144, NULL),
            ORTP_OK);
        size_t charged = 0;
        for (int run = 0; run < 5; ++run) {
            OrtValue *output = NULL;
            ortp_error error = ORTP_ERROR_INIT;
            assert_ok(graph_run(session, NULL, &feed, &output, &error), error);
            assert_true(run < 1 || test_charged(runtime) == charged);
            charged = test_charged(runtime);
            test_ort_api()->ReleaseValue(output);
        }
        const size_t run_bytes = test_session_info(session).run_bytes;
        assert_true(run_bytes >= (size_t)sizes[i] * sizeof(float));
        assert_true(run_bytes < (size_t)sizes[i] * sizeof(float) + 4096);
        graph_feed_free(&feed);
        assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
        test_runtime_destroy(runtime);
    }
}

typedef struct holder {
    pthread_t thread;
    ortp_session *session;
    OrtValue *value;
    uint64_t waits;
} holder;

/* Gives its value back when a run waits for it. */
static void *give_back(void *ctx)
{
    holder *h = ctx;
    while (test_session_info(h->session).refusals == h->waits) {
        thrd_yield();
    }
    test_ort_api()->ReleaseValue(h->value);
    return NULL;
}

/* A run whose output finds no room beside its block is made again, until its deadline. */
static void an_output_is_waited_for(void **state)
{
    (void)state;
    skip_where_granted();
    ortp_runtime *runtime = test_runtime_create(NULL);
    ortp_session *session = graph_session(runtime, GRAPH_ADD, NULL);
    graph_feed feed;
    graph_feed_make(&feed, GRAPH_ADD, 1 << 18);
    OrtValue *output = NULL, *kept = NULL;
    ortp_error error = ORTP_ERROR_INIT;
    for (int run = 0; run < 3; run++) { /* held over runs, outputs get a place of their own */
        assert_ok(graph_run(session, NULL, &feed, &kept, &error), error);
        if (output) {
            test_ort_api()->ReleaseValue(output);
        }
        output = kept;
    }
    assert_true(test_session_info(session).run_bytes < 4096);
    assert_int_equal(
        ortp_budget_set_limit(ortp_runtime_budget(runtime), test_charged(runtime) + 65536, NULL),
        ORTP_OK);
    output = NULL;
    assert_int_equal(graph_run(session, NULL, &feed, &output, &error), ORTP_E_BUDGET);
    ortp_run_options options = ORTP_RUN_OPTIONS_INIT;
    options.timeout_ms = 50;
    assert_int_equal(graph_run(session, &options, &feed, &output, &error), ORTP_E_TIMEOUT);
    holder h = {.session = session, .value = kept, .waits = test_session_info(session).refusals};
    assert_int_equal(pthread_create(&h.thread, NULL, give_back, &h), 0);
    options.timeout_ms = 60000;
    assert_ok(graph_run(session, &options, &feed, &output, &error), error);
    assert_int_equal(pthread_join(h.thread, NULL), 0);
    test_ort_api()->ReleaseValue(output);
    graph_feed_free(&feed);
    assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
    test_runtime_destroy(runtime);
}

/* A block released in the runtime's pool where nothing else tells of it, with little time left. */
static ortp_block *to_release;

static uint64_t release_when_asked(void *ctx)
{
    uint64_t *now = ctx;
    *now += 2;
    if (*now >= 1030 && to_release != NULL) {
        (void)ortp_block_release(to_release);
        to_release = NULL;
    }
    return *now;
}

static void a_deadline_is_tried_for_once_more(void **state)
{
    (void)state;
    uint64_t now = 1000;
    ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
    options.pool_kind = ORTP_POOL_STRIPED;
    options.clock = (ortp_clock){.now_ms = release_when_asked, .ctx = &now};
    ortp_runtime *runtime = test_runtime_create(&options);
    ortp_session *session = graph_session(runtime, GRAPH_ENCODER, NULL);
    graph_feed feed;
    graph_feed_make(&feed, GRAPH_ENCODER, 100);
    graph_place place;
    graph_place_make(&place, &feed);
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(graph_run_into(session, NULL, &feed, &place, &error), error);
    const size_t need = test_session_info(session).run_bytes;
    assert_int_equal(ortp_runtime_trim(runtime, ORTP_UNLIMITED, NULL), ORTP_OK);
    ortp_budget *budget = ortp_runtime_budget(runtime);
    ortp_block *block = NULL;
    assert_int_equal(
        ortp_pool_acquire(ortp_runtime_pool(runtime), need + 65536, ORTP_LABEL_OTHER, &block),
        ORTP_OK);
    assert_int_equal(ortp_budget_set_limit(budget, test_charged(runtime) + 4096, NULL), ORTP_OK);
    now = 1000;
    to_release = block;
    ortp_run_options run = ORTP_RUN_OPTIONS_INIT;
    run.timeout_ms = 29;
    assert_ok(graph_run_into(session, &run, &feed, &place, &error), error);
    assert_null(to_release);
    graph_place_free(&place);
    graph_feed_free(&feed);
    assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
    test_runtime_destroy(runtime);
}

/* The ways in which room comes free where nobody tells of it; each is seen at the next look. */
typedef enum way { RELEASED, REFUNDED, RAISED, WAYS } way;

#define ROOM ((size_t)4 << 20)
#define LOOKS_BEFORE 3

typedef struct scene {
    way way;
    uint64_t looks; /* at the clock: one a slice */
    ortp_budget *budget;
    ortp_block *block;
} scene;

static uint64_t make_room_when_asked(void *ctx)
{
    scene *s = ctx;
    if (s->budget != NULL && ++s->looks == LOOKS_BEFORE) {
        if (s->way == RELEASED) {
            (void)ortp_block_release(s->block);
        } else if (s->way == REFUNDED) {
            (void)ortp_budget_refund(s->budget, ORTP_ACCOUNT_DECLARED, ROOM);
        } else {
            ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
            ortp_budget_get_info(s->budget, &info);
            assert_int_equal(ortp_budget_set_limit(s->budget, info.limit_bytes + ROOM, NULL),
                             ORTP_OK);
        }
    }
    return s->looks;
}

static void room_is_seen_at_the_next_look(void **state)
{
    (void)state;
    for (way w = 0; w < WAYS; ++w) {
        scene s = {.way = w};
        ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
        options.pool_kind = ORTP_POOL_STRIPED;
        options.clock = (ortp_clock){.now_ms = make_room_when_asked, .ctx = &s};
        ortp_runtime *runtime = test_runtime_create(&options);
        ortp_session *session = graph_session(runtime, GRAPH_ENCODER, NULL);
        graph_feed feed;
        graph_feed_make(&feed, GRAPH_ENCODER, 100);
        graph_place place;
        graph_place_make(&place, &feed);
        ortp_error error = ORTP_ERROR_INIT;
        assert_ok(graph_run_into(session, NULL, &feed, &place, &error), error);
        assert_true(test_session_info(session).run_bytes < ROOM);
        assert_int_equal(ortp_runtime_trim(runtime, ORTP_UNLIMITED, NULL), ORTP_OK);
        ortp_budget *budget = ortp_runtime_budget(runtime);
        if (w == RELEASED) {
            assert_int_equal(
                ortp_pool_acquire(ortp_runtime_pool(runtime), ROOM, ORTP_LABEL_OTHER, &s.block),
                ORTP_OK);
        } else if (w == REFUNDED) {
            assert_int_equal(
                ortp_budget_charge(budget, ORTP_ACCOUNT_DECLARED, ROOM, ORTP_RECLAIM_NONE),
                ORTP_OK);
        }
        assert_int_equal(ortp_budget_set_limit(budget, test_charged(runtime) + 4096, NULL),
                         ORTP_OK);
        s.budget = budget;
        ortp_run_options run = ORTP_RUN_OPTIONS_INIT;
        run.timeout_ms = 1000000;
        assert_ok(graph_run_into(session, &run, &feed, &place, &error), error);
        s.budget = NULL;
        assert_int_equal(test_session_info(session).waits, 1);
        if (s.looks > 10) { /* without a sign it tries every 20 */
            fail_msg("way %d: %llu looks", (int)w, (unsigned long long)s.looks);
        }
        graph_place_free(&place);
        graph_feed_free(&feed);
        assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
        test_runtime_destroy(runtime);
    }
}

/* Weights get a block of their own: neither is a run's kept, nor is it unmapped. */
static void creation_leaves_the_blocks_of_runs_alone(void **state)
{
    (void)state;
    ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
    options.pool_kind = ORTP_POOL_STRIPED;
    ortp_runtime *runtime = test_runtime_create(&options);
    ortp_session *fresh = graph_session(runtime, GRAPH_TINY_ENCODER, NULL);
    const size_t weights = test_session_info(fresh).weights_bytes;
    ortp_session *session = graph_session(runtime, GRAPH_ENCODER, NULL);
    graph_feed feed;
    graph_feed_make(&feed, GRAPH_ENCODER, 100);
    graph_place place;
    graph_place_make(&place, &feed);
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(graph_run_into(session, NULL, &feed, &place, &error), error);
    const ortp_pool_info before = pool_of(runtime);
    assert_true(before.idle_bytes > 1000000);
    ortp_session *second = graph_session(runtime, GRAPH_TINY_ENCODER, NULL);
    assert_int_equal(test_session_info(second).weights_bytes, weights);
    ortp_session *third = graph_session(runtime, GRAPH_ADD, NULL); /* packs none */
    assert_int_equal(test_session_info(third).weights_bytes, 0);
    assert_int_equal(pool_of(runtime).idle_bytes, before.idle_bytes);
    const uint64_t maps = pool_of(runtime).maps;
    assert_ok(graph_run_into(session, NULL, &feed, &place, &error), error);
    assert_int_equal(pool_of(runtime).maps, maps);
    graph_place_free(&place);
    graph_feed_free(&feed);
    ortp_session *const all[] = {fresh, session, second, third};
    for (size_t i = 0; i < 4; ++i) {
        assert_int_equal(ortp_session_destroy(all[i], NULL), ORTP_OK);
    }
    test_runtime_destroy(runtime);
}

int main(void)
{
    if (!test_ort_found()) {
        return TEST_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refused_run_asks_once_more),
        cmocka_unit_test(a_wish_bars_nobody),
        cmocka_unit_test(idle_tensors_make_room_for_a_first_run),
        cmocka_unit_test(outputs_are_paid_once),
        cmocka_unit_test(an_output_is_waited_for),
        cmocka_unit_test(a_deadline_is_tried_for_once_more),
        cmocka_unit_test(room_is_seen_at_the_next_look),
        cmocka_unit_test(creation_leaves_the_blocks_of_runs_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
