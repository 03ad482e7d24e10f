/* SPDX-License-Identifier: MIT */
/*
 * Outputs that lie in their run's block: freed in time they leave it whole; held longer, or on demand,
 * all but their pages goes back, and the session's next ones get blocks of their own.
 */
#include "graphs.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <threads.h>
#include <unistd.h>

#include <cmocka.h>

static uint64_t overflows_of(ortp_session *session)
{
    return test_session_info(session).overflows;
}

/* An output that is freed before another run begins lies in its run's block, which is then there whole. */
static void outputs_freed_in_time_stay_in_their_block(void **state)
{
    (void)state;
    enum { SHAPES = 5 };
    ortp_runtime *runtime = test_runtime_create(NULL);
    ortp_session *session = graph_session(runtime, GRAPH_ENCODER, NULL);
    const size_t pages = test_pool_info(runtime).idle_bytes; /* of slabs */
    for (size_t i = 0; i < SHAPES; ++i) {
        graph_world w;
        graph_world_open(&w, GRAPH_ENCODER, 150 - 10 * (int64_t)i);
        const ortp_pool_info before = test_pool_info(runtime);
        OrtValue *output = graph_world_output(session, &w);
        if (i % 2 == 0) {
            test_release_elsewhere(output);
        } else {
            test_ort_api()->ReleaseValue(output);
        }
        const ortp_pool_info after = test_pool_info(runtime);
        assert_int_equal(after.maps, before.maps + (i == 0 ? 1 : 0));
        assert_int_equal(after.unmaps, before.unmaps);
        assert_int_equal(after.in_use_bytes[ORTP_LABEL_RUN], 0);
        assert_true(i == 0 || after.idle_bytes == before.idle_bytes);
        assert_true(after.idle_bytes > pages + w.expected.bytes);
        graph_world_close(&w);
    }
    assert_int_equal(overflows_of(session), 0);
    assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
    test_runtime_destroy(runtime);
}

/* What is free around a held output goes back when memory is asked for, and outputs stay where they were. */
static void held_blocks_give_back_on_demand(void **state)
{
    (void)state;
    ortp_runtime *runtime = test_runtime_create(NULL);
    ortp_session *session = graph_session(runtime, GRAPH_ENCODER, NULL);
    graph_world w;
    graph_world_open(&w, GRAPH_ENCODER, 150);
    const test_use before = test_use_of(runtime);
    static const ortp_pressure pressures[2] = {ORTP_PRESSURE_LOW, ORTP_PRESSURE_MODERATE};
    for (int round = 0; round < 3; ++round) {
        OrtValue *output = graph_world_output(session, &w);
        const size_t held = test_pool_info(runtime).in_use_bytes[ORTP_LABEL_RUN];
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
        const size_t left = test_pool_info(runtime).in_use_bytes[ORTP_LABEL_RUN];
        assert_true(left < held && left >= w.expected.bytes);
        assert_true(round == 2 || freed >= held - left);
        assert_true(graph_answer_equals(&w.expected, output));
        test_ort_api()->ReleaseValue(output);
        assert_int_equal(test_pool_info(runtime).in_use_bytes[ORTP_LABEL_RUN], 0);
    }
    assert_int_equal(overflows_of(session), 0); /* nobody ran meanwhile */
    test_assert_use(runtime, &before);
    assert_int_equal(ortp_budget_set_limit(ortp_runtime_budget(runtime), ORTP_UNLIMITED, NULL),
                     ORTP_OK);
    OrtValue *output = graph_world_output(session, &w);
    const size_t held = test_pool_info(runtime).in_use_bytes[ORTP_LABEL_RUN];
    assert_int_equal(ortp_session_destroy(session, NULL),
                     ORTP_OK); /* with it nobody runs any more */
    const size_t left = test_pool_info(runtime).in_use_bytes[ORTP_LABEL_RUN];
    assert_true(left < held && left >= w.expected.bytes);
    assert_true(graph_answer_equals(&w.expected, output));
    test_ort_api()->ReleaseValue(output);
    assert_int_equal(test_pool_info(runtime).in_use_bytes[ORTP_LABEL_RUN], 0);
    graph_world_close(&w);
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
        assert_ok(ortp_session_run(session, NULL, feed.input_names,
                                   (const OrtValue *const *)feed.inputs, feed.input_count, names,
                                   outputs, 2, &error),
                  error);
        const size_t all = test_pool_info(runtime).in_use_bytes[ORTP_LABEL_RUN];
        assert_true(all >= 2 * bytes);
        assert_int_equal(ortp_runtime_relieve(runtime, ORTP_PRESSURE_MODERATE, NULL), ORTP_OK);
        const size_t settled = test_pool_info(runtime).in_use_bytes[ORTP_LABEL_RUN];
        assert_true(settled >= 2 * bytes && settled < 2 * bytes + 6 * page);
        test_ort_api()->ReleaseValue(outputs[first]);
        const size_t left = test_pool_info(runtime).in_use_bytes[ORTP_LABEL_RUN];
        assert_true(left >= bytes && left < bytes + 6 * page);
        test_ort_api()->ReleaseValue(outputs[1 - first]);
        assert_int_equal(test_pool_info(runtime).in_use_bytes[ORTP_LABEL_RUN], 0);
        test_assert_use(runtime, &before);
        assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
    }
    test_runtime_destroy(runtime);
    graph_feed_free(&feed);
}

static void *relieve_once(void *runtime)
{
    (void)ortp_runtime_relieve(runtime, ORTP_PRESSURE_MODERATE, NULL);
    return NULL;
}

/* Outputs are freed while others make their block give back what is free around them. */
static void outputs_are_freed_while_their_block_gives_back(void **state)
{
    (void)state;
    enum { ROUNDS = 200, SIZE = 20003 };
    graph_feed feed;
    graph_feed_make(&feed, GRAPH_TWO, SIZE);
    ortp_runtime *runtime = test_runtime_create(NULL);
    ortp_session *session = graph_session(runtime, GRAPH_TWO, NULL);
    const char *names[2] = {"sum", feed.output_name};
    const test_use before = test_use_of(runtime);
    for (int round = 0; round < ROUNDS; ++round) {
        OrtValue *outputs[2] = {NULL, NULL};
        ortp_error error = ORTP_ERROR_INIT;
        assert_ok(ortp_session_run(session, NULL, feed.input_names,
                                   (const OrtValue *const *)feed.inputs, feed.input_count, names,
                                   outputs, 2, &error),
                  error);
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, relieve_once, runtime), 0);
        (void)thrd_sleep(&(struct timespec){.tv_nsec = (long)(round % 10) * 20000}, NULL);
        test_ort_api()->ReleaseValue(outputs[round % 2]);
        test_ort_api()->ReleaseValue(outputs[1 - round % 2]);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(test_pool_info(runtime).in_use_bytes[ORTP_LABEL_RUN], 0);
    }
    test_assert_use(runtime, &before);
    assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
    test_runtime_destroy(runtime);
    graph_feed_free(&feed);
}

/* Runs the shape until its outputs have blocks of their own. */
static void hold_over_runs(ortp_session *session, const graph_world *w)
{
    OrtValue *held = graph_world_output(session, w);
    for (int run = 0; run < 3; ++run) {
        test_ort_api()->ReleaseValue(graph_world_output(session, w));
    }
    test_ort_api()->ReleaseValue(held);
    assert_true(overflows_of(session) > 0);
}

/* Where there is no memory for an output's own block a hole in the run's does. */
static void an_output_that_has_no_block_finds_a_hole(void **state)
{
    (void)state;
    graph_world w;
    graph_world_open(&w, GRAPH_ENCODER, 150);
    ortp_runtime *runtime = test_runtime_create(NULL);
    ortp_session *session = graph_session(runtime, GRAPH_ENCODER, NULL);
    hold_over_runs(session, &w);
    ortp_budget *const budget = ortp_runtime_budget(runtime);
    (void)ortp_budget_reclaim(budget, ORTP_RECLAIM_BLOCKS, ORTP_UNLIMITED);
    ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(budget, &info);
    const size_t room = test_session_info(session).run_bytes + w.expected.bytes / 2;
    assert_int_equal(ortp_budget_set_limit(budget, info.charged_bytes + room, NULL), ORTP_OK);
    for (int run = 0; run < 3; ++run) {
        test_ort_api()->ReleaseValue(graph_world_output(session, &w));
    }
    assert_int_equal(test_session_info(session).refusals, 0);
    assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
    test_runtime_destroy(runtime);
    graph_world_close(&w);
}

/* What is known of a session's outputs ends with it, whoever gets its allocator. */
static void the_next_session_begins_anew(void **state)
{
    (void)state;
    graph_world w;
    graph_world_open(&w, GRAPH_ENCODER, 64);
    ortp_runtime *runtime = test_runtime_create(NULL);
    ortp_session *session = graph_session(runtime, GRAPH_ENCODER, NULL);
    hold_over_runs(session, &w);
    assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
    session = graph_session(runtime, GRAPH_ENCODER, NULL);
    for (int run = 0; run < 4; ++run) {
        test_ort_api()->ReleaseValue(graph_world_output(session, &w));
    }
    assert_int_equal(overflows_of(session), 0);
    assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
    test_runtime_destroy(runtime);
    graph_world_close(&w);
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
        graph_world w;
        graph_world_open(&w, GRAPH_ENCODER, 150 - 10 * (int64_t)i);
        const ortp_pool_info before = test_pool_info(runtime);
        OrtValue *output = graph_world_output(session, &w);
        assert_int_equal(overflows_of(session), i > 1 ? i - 1 : 0);
        if (last) {
            test_ort_api()->ReleaseValue(last);
        }
        last = output;
        if (i > 4) { /* a block for runs, two for values, and no more */
            assert_int_equal(test_pool_info(runtime).maps, before.maps);
        }
        graph_world_close(&w);
    }
    test_ort_api()->ReleaseValue(last);
    assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
    test_runtime_destroy(runtime);
}

static OrtValue *output_named(ortp_session *session, const graph_feed *feed, const char *name)
{
    OrtValue *output = NULL;
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(ortp_session_run(session, NULL, feed->input_names,
                               (const OrtValue *const *)feed->inputs, feed->input_count, &name,
                               &output, 1, &error),
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
    assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
    test_runtime_destroy(runtime);
    graph_feed_free(&feed);
}

int main(void)
{
    if (!test_ort_found()) {
        return TEST_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outputs_freed_in_time_stay_in_their_block),
        cmocka_unit_test(held_blocks_give_back_on_demand),
        cmocka_unit_test(outputs_of_one_block_give_back_each),
        cmocka_unit_test(outputs_are_freed_while_their_block_gives_back),
        cmocka_unit_test(an_output_that_has_no_block_finds_a_hole),
        cmocka_unit_test(the_next_session_begins_anew),
        cmocka_unit_test(what_outlives_is_known_of_other_shapes),
        cmocka_unit_test(a_wrong_guess_of_what_outlives_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
