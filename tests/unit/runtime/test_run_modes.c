/* SPDX-License-Identifier: MIT */
/*
 * The choices of ortp_session_options that change whose memory ORT works in, and what can be read of it:
 * info, ORT's own statistics, the runtime's.
 */
#include "graphs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static ortp_pool_info pool_of(const ortp_runtime *runtime)
{
    ortp_pool_info info = ORTP_POOL_INFO_INIT;
    ortp_pool_get_info(ortp_runtime_pool(runtime), &info);
    return info;
}

static void orts_own_memory_takes_no_ticket(void **state)
{
    (void)state;
    static const ortp_ort_memory memories[] = {ORTP_ORT_MEMORY_ARENA, ORTP_ORT_MEMORY_NO_ARENA};
    for (size_t i = 0; i < 4; ++i) {
        ortp_runtime *runtime = test_runtime_create(NULL);
        graph_feed feed;
        graph_answer expected;
        graph_feed_make(&feed, GRAPH_ENCODER, 64);
        graph_answer_by_host(&expected, runtime, &feed, 1);
        const ortp_session_options options = {.memory = memories[i % 2]};
        own_session own = {NULL, NULL};
        ortp_error error = ORTP_ERROR_INIT;
        const ortp_pool_info before = pool_of(runtime);
        const test_use use_before = test_use_of(runtime);
        if (i < 2) {
            own.session = graph_session(runtime, GRAPH_ENCODER, &options);
        } else {
            const own_options ways = {.session = options};
            assert_ok(own_session_open(&own, runtime, GRAPH_ENCODER, &ways, &error), error);
        }
        assert_true(ortp_session_declared_bytes(own.session) > 0);
        OrtValue *kept = NULL;
        for (int round = 0; round < 3; ++round) {
            graph_check(own.session, &feed, &expected);
        }
        assert_int_equal(ortp_session_warm_runs(own.session, 4), ORTP_OK); /* nothing to do */
        assert_ok(graph_run(own.session, NULL, &feed, &kept, &error), error);
        const ortp_pool_info after = pool_of(runtime);
        assert_int_equal(after.acquires, before.acquires);
        assert_int_equal(after.maps, before.maps);
        const ortp_session_info info = test_session_info(own.session);
        assert_int_equal(info.memory, memories[i % 2]);
        assert_int_equal(info.runs, 4);
        assert_true(info.allocs == 0 && info.overflows == 0 && info.run_bytes == 0 &&
                    info.weights_bytes == 0 && info.live_count == 0 && info.refusals == 0);
        assert_true(graph_answer_equals(&expected, kept));
        test_ort_api()->ReleaseValue(kept);
        if (i < 2) {
            assert_int_equal(ortp_session_destroy(own.session, NULL), ORTP_OK);
        } else {
            own_session_close(&own);
        }
        test_assert_use(runtime, &use_before);
        graph_answer_free(&expected);
        graph_feed_free(&feed);
        test_runtime_destroy(runtime);
    }
}

static void other_memories_are_refused(void **state)
{
    (void)state;
    ortp_runtime *runtime = test_runtime_create(NULL);
    ortp_session_options options = ORTP_SESSION_OPTIONS_INIT;
    options.runtime = runtime;
    options.path = graph_file(GRAPH_ADD);
    options.memory = (ortp_ort_memory)3;
    ortp_session *session = NULL;
    ortp_error error = ORTP_ERROR_INIT;
    assert_int_equal(ortp_session_create(&options, &session, &error), ORTP_E_INVAL);
    assert_null(session);
    assert_true(error.message[0] != '\0');
    test_runtime_destroy(runtime);
}

/* With patterns ORT asks for a run's memory in one piece, once it knows a shape. */
static void memory_patterns_may_be_left_on(void **state)
{
    (void)state;
    ortp_runtime *runtime = test_runtime_create(NULL);
    const ortp_session_options options = {.memory_patterns = true};
    ortp_session *with = graph_session(runtime, GRAPH_ENCODER, &options);
    ortp_session *without = graph_session(runtime, GRAPH_ENCODER, NULL);
    OrtSession *host = graph_host_session(runtime, GRAPH_ENCODER, 1);
    static const int64_t sizes[] = {32, 32, 32, 150, 150, 32, 33, 32, 150};
    const size_t live = test_session_info(with).live_count;
    uint64_t first = 0, third = 0, plain = 0;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); ++i) {
        graph_feed feed;
        graph_answer expected;
        graph_feed_make(&feed, GRAPH_ENCODER, sizes[i]);
        graph_answer_by(&expected, host, &feed);
        const uint64_t before = test_session_info(with).allocs;
        graph_check(with, &feed, &expected);
        const uint64_t allocs = test_session_info(with).allocs - before;
        const uint64_t plain_before = test_session_info(without).allocs;
        graph_check(without, &feed, &expected);
        plain = test_session_info(without).allocs - plain_before;
        first = i == 0 ? allocs : first;
        third = i == 2 ? allocs : third;
        graph_answer_free(&expected);
        graph_feed_free(&feed);
    }
    print_message("allocations of a run: %llu, %llu with patterns, %llu without\n",
                  (unsigned long long)first, (unsigned long long)third, (unsigned long long)plain);
    assert_true(third < first / 4); /* they are on in the one, and off in the other */
    assert_int_equal(plain, first);
    assert_int_equal(test_session_info(with).live_count, live);
    assert_int_equal(pool_of(runtime).in_use_bytes[ORTP_LABEL_RUN], 0);
    test_ort_api()->ReleaseSession(host);
    assert_int_equal(ortp_session_destroy(with, NULL), ORTP_OK);
    assert_int_equal(ortp_session_destroy(without, NULL), ORTP_OK);
    test_runtime_destroy(runtime);
}

static void a_session_without_prepacking_takes_less(void **state)
{
    (void)state;
    static const graph_kind kinds[] = {GRAPH_ENCODER, GRAPH_DECODER};
    static const int64_t sizes[] = {64, 8};
    for (size_t i = 0; i < 2; ++i) {
        ortp_runtime *runtime = test_runtime_create(NULL);
        graph_feed feed;
        graph_answer expected;
        graph_feed_make(&feed, kinds[i], sizes[i]);
        graph_answer_by_host(&expected, runtime, &feed, 1);
        const ortp_session_options options = {.disable_prepacking = true};
        ortp_session *packed = graph_session(runtime, kinds[i], NULL);
        ortp_session *plain = graph_session(runtime, kinds[i], &options);
        OrtValue *output = NULL;
        ortp_error error = ORTP_ERROR_INIT;
        assert_ok(graph_run(plain, NULL, &feed, &output, &error), error);
        const double difference = graph_answer_difference(&expected, output);
        test_ort_api()->ReleaseValue(output);
        const size_t packed_bytes = test_session_info(packed).weights_bytes;
        const size_t plain_bytes = test_session_info(plain).weights_bytes;
        print_message("weights: %zu bytes packed, %zu plain; results differ by %.2g\n",
                      packed_bytes, plain_bytes, difference);
        assert_true(difference <= 1e-4);
        assert_true(packed_bytes > 1000000 && plain_bytes < packed_bytes);
        if (test_ort_library()->api_version >= 29) { /* up to 1.22 the plain ones are here, too */
            assert_true(plain_bytes < packed_bytes / 4);
        }
        assert_true(pool_of(runtime).in_use_bytes[ORTP_LABEL_WEIGHTS] >=
                    packed_bytes + plain_bytes);
        assert_int_equal(ortp_session_destroy(packed, NULL), ORTP_OK);
        assert_int_equal(ortp_session_destroy(plain, NULL), ORTP_OK);
        assert_int_equal(pool_of(runtime).in_use_bytes[ORTP_LABEL_WEIGHTS], 0);
        graph_answer_free(&expected);
        graph_feed_free(&feed);
        test_runtime_destroy(runtime);
    }
}

/* ---- figures ---- */

static void info_of_a_session(void **state)
{
    (void)state;
    ortp_runtime *runtime = test_runtime_create(NULL);
    ortp_session *session = graph_session(runtime, GRAPH_ENCODER, NULL);
    const ortp_session_info fresh = test_session_info(session);
    assert_int_equal(fresh.declared_bytes, ortp_session_declared_bytes(session));
    assert_true(fresh.live_count > 0 && fresh.live_bytes > 0); /* packed weights */
    assert_true(fresh.weights_bytes >= fresh.live_bytes);
    assert_true(fresh.allocs >= fresh.live_count);
    assert_true(fresh.live_bytes_peak >= fresh.live_bytes);
    assert_true(fresh.runs == 0 && fresh.run_bytes == 0 && fresh.waits == 0 &&
                fresh.turned_away == 0 && fresh.refusals == 0 && fresh.overdrafts == 0);
    graph_feed feed;
    graph_feed_make(&feed, GRAPH_ENCODER, 64);
    OrtValue *output = NULL;
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(graph_run(session, NULL, &feed, &output, &error), error);
    const size_t bytes = (size_t)64 * 256 * sizeof(float);
    const ortp_session_info held = test_session_info(session);
    assert_int_equal(held.live_count, fresh.live_count + 1);
    assert_int_equal(held.live_bytes, fresh.live_bytes + bytes);
    assert_true(held.run_bytes >= bytes && held.allocs > fresh.allocs + 50);
    assert_true(held.live_bytes_peak > held.live_bytes);
    /* The output, which outlives the run, is not the block's to hold the next time. */
    assert_true(held.live_bytes_peak - fresh.live_bytes <= held.run_bytes + bytes);
    test_ort_api()->ReleaseValue(output);
    const ortp_session_info after = test_session_info(session);
    assert_int_equal(after.live_count, fresh.live_count);
    assert_int_equal(after.live_bytes, fresh.live_bytes);
    assert_int_equal(after.live_bytes_peak, held.live_bytes_peak);
    graph_feed_free(&feed);
    assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
    test_runtime_destroy(runtime);
}

/* ORT's keys, by ORT's own way to them. */
static void ort_can_ask_for_statistics(void **state)
{
    (void)state;
    if (test_ort_library()->api_version < 23) {
        print_message("this ONNX Runtime, %s, has no GetStats\n", test_ort_library()->version);
        skip();
    }
    const OrtApi *api = test_ort_api();
    ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
    options.ort_version = test_ort_library()->version;
    options.limit_bytes = (size_t)256 << 20;
    ortp_runtime *runtime = test_runtime_create(&options);
    ortp_session *session = graph_session(runtime, GRAPH_ENCODER, NULL);
    graph_feed feed;
    graph_answer expected;
    graph_feed_make(&feed, GRAPH_ENCODER, 32);
    graph_answer_by_host(&expected, runtime, &feed, 1);
    graph_check(session, &feed, &expected);
    OrtMemoryInfo *cpu = NULL;
    OrtAllocator *allocator = NULL;
    OrtKeyValuePairs *pairs = NULL;
    assert_null(api->CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &cpu));
    assert_null(api->CreateAllocator(ortp_session_ort(session), cpu, &allocator));
    assert_null(api->AllocatorGetStats(allocator, &pairs));
    const ortp_session_info info = test_session_info(session);
    const struct {
        const char *key;
        uint64_t value;
    } figures[] = {{"Limit", (uint64_t)256 << 20},
                   {"InUse", info.live_bytes},
                   {"MaxInUse", info.live_bytes_peak},
                   {"NumAllocs", info.allocs}};
    for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); ++i) {
        const char *value = api->GetKeyValue(pairs, figures[i].key);
        assert_non_null(value);
        assert_int_equal(strtoull(value, NULL, 10), figures[i].value);
    }
    const char *reserves = api->GetKeyValue(pairs, "NumReserves");
    assert_non_null(reserves);
    assert_true(strtoull(reserves, NULL, 10) > 0);
    const char *largest = api->GetKeyValue(pairs, "MaxAllocSize");
    assert_non_null(largest);
    assert_true(strtoull(largest, NULL, 10) >= (size_t)32 * 256 * sizeof(float));
    api->ReleaseKeyValuePairs(pairs);
    api->ReleaseAllocator(allocator);
    api->ReleaseMemoryInfo(cpu);
    graph_answer_free(&expected);
    graph_feed_free(&feed);
    assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
    test_runtime_destroy(runtime);
}

static ortp_stats stats_of(const ortp_runtime *runtime)
{
    ortp_stats stats = ORTP_STATS_INIT;
    assert_int_equal(ortp_stats_collect(runtime, &stats), ORTP_OK);
    return stats;
}

/* The text must say the figure: a number that stands nowhere else in it. */
static void assert_written(const ortp_stats *stats, uint64_t figure)
{
    char digits[32], text[8192];
    size_t length = 0;
    (void)snprintf(digits, sizeof digits, "%llu", (unsigned long long)figure);
    static const ortp_stats_format formats[] = {ORTP_STATS_TABLE, ORTP_STATS_JSON};
    for (size_t i = 0; i < 2; ++i) {
        assert_int_equal(ortp_stats_write(stats, formats[i], text, sizeof text, &length), ORTP_OK);
        assert_true(length < sizeof text);
        assert_non_null(strstr(text, digits));
    }
}

static void the_runtimes_figures_are_those_of_all_its_sessions(void **state)
{
    (void)state;
    ortp_runtime *runtime = test_runtime_create(NULL);
    ortp_session *sessions[2] = {graph_session(runtime, GRAPH_ENCODER, NULL),
                                 graph_session(runtime, GRAPH_TINY_ENCODER, NULL)};
    static const graph_kind kinds[2] = {GRAPH_ENCODER, GRAPH_TINY_ENCODER};
    uint64_t allocs = 0, overflows = 0;
    for (size_t i = 0; i < 2; ++i) {
        graph_feed feed;
        graph_answer expected;
        graph_feed_make(&feed, kinds[i], 32);
        graph_answer_by_host(&expected, runtime, &feed, 1);
        for (int round = 0; round < 3; ++round) {
            graph_check(sessions[i], &feed, &expected);
        }
        if (i == 0) { /* one that is turned away */
            assert_int_equal(ortp_runtime_trim(runtime, ORTP_UNLIMITED, NULL), ORTP_OK);
            assert_int_equal(ortp_budget_set_limit(ortp_runtime_budget(runtime),
                                                   test_charged(runtime) + 4096, NULL),
                             ORTP_OK);
            OrtValue *output = NULL;
            assert_int_equal(graph_run(sessions[0], NULL, &feed, &output, NULL), ORTP_E_BUDGET);
            assert_int_equal(
                ortp_budget_set_limit(ortp_runtime_budget(runtime), ORTP_UNLIMITED, NULL), ORTP_OK);
        }
        graph_answer_free(&expected);
        graph_feed_free(&feed);
        allocs += test_session_info(sessions[i]).allocs;
        overflows += test_session_info(sessions[i]).overflows;
    }
    const ortp_stats alive = stats_of(runtime);
    assert_int_equal(alive.ort_allocations, allocs);
    assert_int_equal(alive.ort_overflows, overflows);
    assert_int_equal(alive.runs, 6);
    assert_int_equal(alive.runs_turned_away, 1);
    assert_int_equal(alive.run_waits, 0);
    assert_int_equal(alive.ort_refusals, 0);
    assert_int_equal(alive.overdraft, 0);
    assert_written(&alive, allocs);

    for (size_t i = 0; i < 2; ++i) { /* those that are gone stay in */
        assert_int_equal(ortp_session_destroy(sessions[i], NULL), ORTP_OK);
        const ortp_stats now = stats_of(runtime);
        assert_int_equal(now.ort_allocations, allocs);
        assert_int_equal(now.ort_overflows, overflows);
        assert_int_equal(now.runs, 6);
        assert_int_equal(now.runs_turned_away, 1);
    }
    ortp_session *third = graph_session(runtime, GRAPH_ENCODER, NULL); /* takes an allocator over */
    const uint64_t more = test_session_info(third).allocs;
    assert_true(more > 0);
    assert_int_equal(stats_of(runtime).ort_allocations, allocs + more);
    assert_int_equal(ortp_session_destroy(third, NULL), ORTP_OK);
    assert_int_equal(stats_of(runtime).ort_allocations, allocs + more);
    test_runtime_destroy(runtime);
}

int main(void)
{
    if (!test_ort_found()) {
        return TEST_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(orts_own_memory_takes_no_ticket),
        cmocka_unit_test(other_memories_are_refused),
        cmocka_unit_test(memory_patterns_may_be_left_on),
        cmocka_unit_test(a_session_without_prepacking_takes_less),
        cmocka_unit_test(info_of_a_session),
        cmocka_unit_test(ort_can_ask_for_statistics),
        cmocka_unit_test(the_runtimes_figures_are_those_of_all_its_sessions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
