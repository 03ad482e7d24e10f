/* SPDX-License-Identifier: MIT */
/*
 * Runs by name, and the ticket that each works in: one thread. test_run_threads.c has several.
 */
#include "counting_api.h"
#include "graphs.h"
#include "needs.h"

#include <setjmp.h>
#include <stdarg.h>
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

static float element(const OrtValue *value, size_t at)
{
    void *data = NULL;
    assert_null(test_ort_api()->GetTensorMutableData((OrtValue *)(uintptr_t)value, &data));
    return ((const float *)data)[at];
}

static void names_say_which_value_is_which(void **state)
{
    (void)state;
    ortp_runtime *runtime = test_runtime_create(NULL);
    ortp_session *session = graph_session(runtime, GRAPH_TWO, NULL);
    graph_feed feed;
    graph_place place;
    graph_feed_make(&feed, GRAPH_TWO, 4);
    graph_place_make(&place, &feed);
    const float x = element(feed.inputs[0], 1), y = element(feed.inputs[1], 1);
    assert_true(x != y);
    const char *const swapped[2] = {"y", "x"};
    const OrtValue *const inputs[2] = {feed.inputs[1], feed.inputs[0]};
    const OrtValue *const crossed[2] = {feed.inputs[0], feed.inputs[1]}; /* x is y */
    const char *const both[2] = {"product", "sum"}; /* not in the session's order */
    ortp_error error = ORTP_ERROR_INIT;
    for (int round = 0; round < 4; ++round) { /* the first learns what the later ones use */
        OrtValue *outputs[2] = {NULL, NULL};
        assert_ok(ortp_session_run(session, NULL, swapped, inputs, 2, both, outputs, 2,
                                   &error), error);
        assert_true(element(outputs[0], 1) == (x + y) * y && element(outputs[1], 1) == x + y);
        test_ort_api()->ReleaseValue(outputs[0]);
        test_ort_api()->ReleaseValue(outputs[1]);

        outputs[0] = NULL; /* a subset: the first, then the second */
        assert_ok(ortp_session_run(session, NULL, swapped, crossed, 2, &both[0], outputs, 1,
                                   &error),
                  error);
        assert_true(element(outputs[0], 1) == (x + y) * x);
        test_ort_api()->ReleaseValue(outputs[0]);
        outputs[0] = NULL;
        assert_ok(ortp_session_run(session, NULL, swapped, inputs, 2, &both[1], outputs, 1,
                                   &error), error);
        assert_true(element(outputs[0], 1) == x + y);
        test_ort_api()->ReleaseValue(outputs[0]);

        memset(place.data, 0, 16); /* one that is given beside one that ORT makes */
        outputs[0] = place.value;
        outputs[1] = NULL;
        assert_ok(ortp_session_run(session, NULL, swapped, inputs, 2, both, outputs, 2,
                                   &error), error);
        assert_ptr_equal(outputs[0], place.value);
        assert_true(((float *)place.data)[1] == (x + y) * y && element(outputs[1], 1) == x + y);
        test_ort_api()->ReleaseValue(outputs[1]);
    }
    assert_int_equal(ortp_session_runs(session), 16);
    assert_int_equal(test_session_info(session).runs, 16);
    graph_place_free(&place);
    graph_feed_free(&feed);
    assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
    test_runtime_destroy(runtime);
}

static void wrong_arguments_are_refused(void **state)
{
    (void)state;
    ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
    options.api = counting_api_use(test_ort_api());
    ortp_runtime *runtime = test_runtime_create(&options);
    ortp_session *session = graph_session(runtime, GRAPH_ADD, NULL);
    graph_feed feed;
    graph_feed_make(&feed, GRAPH_ADD, 4);
    const OrtValue *const *inputs = (const OrtValue *const *)feed.inputs;
    const OrtValue *const missing[2] = {feed.inputs[0], NULL};
    const char *const nameless[2] = {"x", NULL};
    const char *const names[1] = {"z"};
    OrtValue *output = NULL;
    const uint64_t calls = counting_api_calls(COUNTING_Run);
    ortp_error error = ORTP_ERROR_INIT;
    assert_int_equal(
        ortp_session_run(NULL, NULL, feed.input_names, inputs, 2, names, &output, 1, &error),
        ORTP_E_INVAL);
    assert_int_equal(
        ortp_session_run(session, NULL, feed.input_names, missing, 2, names, &output, 1, &error),
        ORTP_E_INVAL);
    assert_non_null(strstr(error.message, "no value for input y"));
    assert_int_equal(
        ortp_session_run(session, NULL, nameless, inputs, 2, names, &output, 1, &error),
        ORTP_E_INVAL);
    assert_int_equal( /* without names the count is the graph's */
        ortp_session_run(session, NULL, NULL, inputs, 1, names, &output, 1, &error), ORTP_E_INVAL);
    assert_non_null(strstr(error.message, "1 inputs given without names; the graph has 2"));
    assert_int_equal(
        ortp_session_run(session, NULL, feed.input_names, inputs, 2, NULL, &output, 2, &error),
        ORTP_E_INVAL);
    assert_non_null(strstr(error.message, "2 outputs given without names; the graph has 1"));
    assert_int_equal(
        ortp_session_run(session, NULL, feed.input_names, inputs, 2, names, &output, 0, &error),
        ORTP_E_INVAL);
    assert_int_equal(
        ortp_session_run(session, NULL, feed.input_names, NULL, 2, names, &output, 1, &error),
        ORTP_E_INVAL);
    assert_int_equal(
        ortp_session_run(session, NULL, feed.input_names, inputs, 2, names, NULL, 1, &error),
        ORTP_E_INVAL);
    ortp_run_options run = {.struct_size = 0};
    assert_int_equal(
        ortp_session_run(session, &run, feed.input_names, inputs, 2, names, &output, 1, &error),
        ORTP_E_VERSION);
    assert_int_equal(counting_api_calls(COUNTING_Run), calls); /* ORT saw none of it */
    assert_null(output);

    const test_use before = test_use_of(runtime);
    const char *const unknown[1] = {"nothing"};
    assert_int_equal(
        ortp_session_run(session, NULL, feed.input_names, inputs, 2, unknown, &output, 1, &error),
        ORTP_E_ORT);
    assert_int_equal(error.ort_code, ORT_INVALID_ARGUMENT);
    assert_non_null(strstr(error.message, "nothing")); /* ORT names it */
    assert_int_equal(
        ortp_session_run(session, NULL, feed.input_names, inputs, 1, names, &output, 1, &error),
        ORTP_E_ORT);
    assert_null(output);
    test_assert_use(runtime, &before);
    assert_int_equal(test_session_info(session).runs, 0);
    assert_ok(graph_run(session, NULL, &feed, &output, &error), error);
    test_ort_api()->ReleaseValue(output);
    graph_feed_free(&feed);
    assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
    test_runtime_destroy(runtime);
}

static void the_hosts_run_options_are_passed_on(void **state)
{
    (void)state;
    ortp_runtime *runtime = test_runtime_create(NULL);
    ortp_session *session = graph_session(runtime, GRAPH_ENCODER, NULL);
    graph_feed feed;
    graph_feed_make(&feed, GRAPH_ENCODER, 32);
    OrtRunOptions *ort = NULL;
    assert_null(test_ort_api()->CreateRunOptions(&ort));
    assert_null(test_ort_api()->RunOptionsSetTerminate(ort));
    ortp_run_options options = ORTP_RUN_OPTIONS_INIT;
    options.ort = ort;
    const test_use before = test_use_of(runtime);
    OrtValue *output = NULL;
    ortp_error error = ORTP_ERROR_INIT;
    assert_int_equal(graph_run(session, &options, &feed, &output, &error), ORTP_E_ORT);
    assert_null(output);
    test_assert_use(runtime, &before);
    assert_null(test_ort_api()->RunOptionsUnsetTerminate(ort));
    assert_ok(graph_run(session, &options, &feed, &output, &error), error);
    test_ort_api()->ReleaseValue(output);
    test_ort_api()->ReleaseRunOptions(ort);
    graph_feed_free(&feed);
    assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
    test_runtime_destroy(runtime);
}

/* More dimensions than a port describes, and none. */
static void values_of_any_rank(void **state)
{
    (void)state;
    static const int64_t shapes[4][9] = {
        {1, 1, 1, 1, 1, 1, 1, 2, 3}, {1, 1, 1, 1, 1, 1, 1, 3, 2}, {1}, {6}};
    static const size_t ranks[4] = {9, 9, 0, 1};
    for (int told = 0; told < 2; ++told) {
        ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
        options.api = test_ort_api();
        options.api_version = told ? test_ort_library()->api_version : 18;
        ortp_runtime *runtime = test_runtime_create(&options);
        ortp_session *session = graph_session(runtime, GRAPH_IDENTITY, NULL);
        float data[6] = {1, 2, 3, 4, 5, 6};
        OrtMemoryInfo *cpu = NULL;
        assert_null(
            test_ort_api()->CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &cpu));
        for (size_t i = 0; i < 8; ++i) {
            const char *const in[1] = {"x"}, *const out[1] = {"y"};
            OrtValue *input = NULL, *output = NULL;
            const size_t count = ranks[i % 4] == 0 ? 1 : 6;
            assert_null(test_ort_api()->CreateTensorWithDataAsOrtValue(
                cpu, data, count * sizeof(float), shapes[i % 4], ranks[i % 4],
                ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &input));
            ortp_error error = ORTP_ERROR_INIT;
            const OrtValue *const inputs[1] = {input};
            assert_ok(ortp_session_run(session, NULL, in, inputs, 1, out, &output, 1,
                                       &error), error);
            assert_true(element(output, count - 1) == data[count - 1]);
            test_ort_api()->ReleaseValue(output);
            test_ort_api()->ReleaseValue(input);
        }
        test_ort_api()->ReleaseMemoryInfo(cpu);
        assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
        test_runtime_destroy(runtime);
    }
}

/* ---- the ticket ---- */

#define EACH_KIND(kind)                                                                            \
    for (int kind = ORTP_POOL_THREAD_CACHED; kind <= (int)ORTP_POOL_STRIPED; ++kind)

static ortp_runtime *runtime_of(ortp_pool_kind kind)
{
    ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
    options.pool_kind = kind;
    /* Told the version, a run reads shapes by a call that only later versions have. */
    options.api = test_ort_api();
    options.api_version = kind == ORTP_POOL_STRIPED ? test_ort_library()->api_version : 18;
    return test_runtime_create(&options);
}

static void a_known_shape_takes_one_block_and_maps_nothing(void **state)
{
    (void)state;
    static const struct {
        graph_kind kind;
        int64_t size;
    } cases[] = {{GRAPH_ENCODER, 64}, {GRAPH_DECODER, 8}, {GRAPH_TINY_ENCODER, 32}};
    EACH_KIND(kind)
    {
        ortp_runtime *runtime = runtime_of((ortp_pool_kind)kind);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); ++i) {
            ortp_session *session = graph_session(runtime, cases[i].kind, NULL);
            graph_feed feed;
            graph_answer expected;
            graph_place place;
            graph_feed_make(&feed, cases[i].kind, cases[i].size);
            graph_answer_by_host(&expected, runtime, &feed, 1);
            graph_place_make(&place, &feed);
            ortp_error error = ORTP_ERROR_INIT;
            assert_int_equal(test_session_info(session).run_bytes, 0);
            assert_ok(graph_run_into(session, NULL, &feed, &place, &error), error);
            const size_t need = test_session_info(session).run_bytes;
            assert_true(need > 0);
            for (int round = 0; round < 5; ++round) {
                const ortp_pool_info before = pool_of(runtime);
                const ortp_session_info session_before = test_session_info(session);
                memset(place.data, 0, expected.bytes);
                assert_ok(graph_run_into(session, NULL, &feed, &place, &error), error);
                assert_true(graph_answer_equals(&expected, place.value));
                const ortp_pool_info after = pool_of(runtime);
                const ortp_session_info session_after = test_session_info(session);
                assert_int_equal(after.maps, before.maps);
                assert_int_equal(after.unmaps, before.unmaps);
                assert_int_equal(after.acquires, before.acquires + 1);
                assert_int_equal(after.releases, before.releases + 1);
                assert_int_equal(after.in_use_bytes[ORTP_LABEL_RUN], 0);
                assert_true(session_after.allocs > session_before.allocs);
                assert_int_equal(session_after.overflows, session_before.overflows);
                assert_int_equal(session_after.run_bytes, need);
            }
            graph_place_free(&place);
            graph_answer_free(&expected);
            graph_feed_free(&feed);
            assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
        }
        test_runtime_destroy(runtime);
    }
}

/* An output that is kept would keep its run's whole block: where runs begin meanwhile it has its own. */
static void outputs_that_ort_makes_come_to_lie_beside_the_ticket(void **state)
{
    (void)state;
    EACH_KIND(kind)
    {
        ortp_runtime *runtime = runtime_of((ortp_pool_kind)kind);
        ortp_session *session = graph_session(runtime, GRAPH_ENCODER, NULL);
        graph_feed feed;
        graph_feed_make(&feed, GRAPH_ENCODER, 64);
        OrtValue *kept[4];
        ortp_error error = ORTP_ERROR_INIT;
        for (size_t i = 0; i < 4; ++i) {
            const uint64_t overflows = test_session_info(session).overflows;
            assert_ok(graph_run(session, NULL, &feed, &kept[i], &error), error);
            assert_int_equal(test_session_info(session).overflows - overflows, i > 1 ? 1 : 0);
        }
        const size_t need = test_session_info(session).run_bytes;
        const size_t bytes = (size_t)64 * 256 * sizeof(float);
        const ortp_pool_info held = pool_of(runtime);
        assert_true(held.in_use_bytes[ORTP_LABEL_RUN] < need + 4 * (bytes + 65536));
        for (size_t i = 0; i < 4; ++i) {
            test_ort_api()->ReleaseValue(kept[i]);
        }
        for (size_t i = 0; i < 4; ++i) { /* and all of it is there for the next */
            const ortp_pool_info before = pool_of(runtime);
            assert_ok(graph_run(session, NULL, &feed, &kept[0], &error), error);
            test_ort_api()->ReleaseValue(kept[0]);
            const ortp_pool_info after = pool_of(runtime);
            assert_int_equal(after.maps, before.maps);
            assert_int_equal(after.acquires, before.acquires + 2);
            assert_int_equal(after.in_use_bytes[ORTP_LABEL_RUN], 0);
        }
        graph_feed_free(&feed);
        assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
        test_runtime_destroy(runtime);
    }
}

/* One block serves all shapes and sessions one after the other, whatever order they come in. */
static void shapes_share_the_idle_block(void **state)
{
    (void)state;
    static const int64_t orders[2][6] = {{150, 32, 96, 33, 64, 150}, {32, 33, 64, 96, 150, 32}};
    EACH_KIND(kind)
    {
        for (size_t o = 0; o < 2; ++o) {
            ortp_runtime *runtime = runtime_of((ortp_pool_kind)kind);
            ortp_session *first = graph_session(runtime, GRAPH_ENCODER, NULL);
            ortp_session *second = graph_session(runtime, GRAPH_DECODER, NULL);
            assert_int_equal(ortp_runtime_trim(runtime, ORTP_UNLIMITED, NULL), ORTP_OK);
            const size_t before = pool_of(runtime).idle_bytes;
            ortp_error error = ORTP_ERROR_INIT;
            uint64_t maps = pool_of(runtime).maps;
            for (size_t i = 0; i < 6; ++i) {
                graph_feed feed, small;
                graph_place place, small_place;
                graph_feed_make(&feed, GRAPH_ENCODER, orders[o][i]);
                graph_place_make(&place, &feed);
                assert_ok(graph_run_into(first, NULL, &feed, &place, &error), error);
                if (i == 0 && o == 0) {
                    maps = pool_of(runtime).maps; /* the largest came first */
                }
                graph_feed_make(&small, GRAPH_DECODER, 1);
                graph_place_make(&small_place, &small);
                assert_ok(graph_run_into(second, NULL, &small, &small_place, &error), error);
                assert_true(pool_of(runtime).idle_blocks >= 1);
                graph_place_free(&small_place);
                graph_feed_free(&small);
                graph_place_free(&place);
                graph_feed_free(&feed);
            }
            const ortp_pool_info after = pool_of(runtime);
            if (o == 0) {
                assert_int_equal(after.maps, maps);
            }
            const size_t most = test_session_info(first).run_bytes;
            assert_true(most >= test_session_info(second).run_bytes);
            assert_true(after.idle_bytes - before >= most);
            assert_true(after.idle_bytes - before < most + most / 4 + 65536);
            assert_int_equal(ortp_session_destroy(first, NULL), ORTP_OK);
            assert_int_equal(ortp_session_destroy(second, NULL), ORTP_OK);
            test_runtime_destroy(runtime);
        }
    }
}

#define SHAPES (ORTP__NEEDS_MAX + 50)

static void more_shapes_than_are_remembered(void **state)
{
    (void)state;
    ortp_runtime *runtime = test_runtime_create(NULL);
    ortp_session *session = graph_session(runtime, GRAPH_ADD, NULL);
    OrtSession *host = graph_host_session(runtime, GRAPH_ADD, 1);
    const size_t live = test_session_info(session).live_count;
    for (int round = 0; round < 2; ++round) {
        for (int64_t size = 1; size <= SHAPES; ++size) {
            graph_feed feed;
            graph_answer expected;
            graph_feed_make(&feed, GRAPH_ADD, 300 + size);
            graph_answer_by(&expected, host, &feed);
            graph_check(session, &feed, &expected);
            graph_answer_free(&expected);
            graph_feed_free(&feed);
        }
    }
    assert_int_equal(test_session_info(session).live_count, live);
    assert_int_equal(test_session_info(session).runs, 2 * SHAPES);
    test_ort_api()->ReleaseSession(host);
    assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
    const test_use none = {.in_use_blocks = 0};
    test_assert_use(runtime, &none);
    test_runtime_destroy(runtime);
}

/*
 * Least recently used out: a shape that comes again and again is known, however many others come. Where
 * memory lacks it is turned away, where one that is not known is refused in the middle.
 */
static void a_shape_in_use_is_remembered(void **state)
{
    (void)state;
    ortp_runtime *runtime = test_runtime_create(NULL);
    ortp_budget *const budget = ortp_runtime_budget(runtime);
    ortp_session *session = graph_session(runtime, GRAPH_ADD, NULL);
    graph_feed feed;
    graph_answer expected;
    graph_feed_make(&feed, GRAPH_ADD, 5000);
    graph_answer_by_host(&expected, runtime, &feed, 1);
    graph_check(session, &feed, &expected);
    for (int64_t size = 1; size <= SHAPES; ++size) {
        graph_feed other;
        OrtValue *output = NULL;
        graph_feed_make(&other, GRAPH_ADD,
                        300 + size); /* small ones need nothing that is learned */
        ortp_error error = ORTP_ERROR_INIT;
        assert_ok(graph_run(session, NULL, &other, &output, &error), error);
        test_ort_api()->ReleaseValue(output);
        graph_feed_free(&other);
        (void)ortp_budget_reclaim(budget, ORTP_RECLAIM_BLOCKS, ORTP_UNLIMITED);
        assert_int_equal(ortp_budget_set_limit(budget, test_charged(runtime) + 10000, NULL),
                         ORTP_OK);
        assert_int_equal(graph_run(session, NULL, &feed, &output, &error), ORTP_E_BUDGET);
        assert_int_equal(test_session_info(session).turned_away, size);
        assert_int_equal(ortp_budget_set_limit(budget, ORTP_UNLIMITED, NULL), ORTP_OK);
    }
    assert_int_equal(test_session_info(session).refusals, 0);
    graph_check(session, &feed, &expected);
    graph_answer_free(&expected);
    graph_feed_free(&feed);
    assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
    test_runtime_destroy(runtime);
}

/* A ticket belongs to its session: what one leaves in the thread is nothing to the next. */
static void sessions_take_turns_on_one_thread(void **state)
{
    (void)state;
    ortp_runtime *runtimes[2] = {test_runtime_create(NULL), test_runtime_create(NULL)};
    static const graph_kind kinds[] = {GRAPH_TINY_ENCODER, GRAPH_TINY_DECODER, GRAPH_ENCODER,
                                       GRAPH_ENCODER};
    static const int64_t sizes[] = {32, 5, 20, 21};
    ortp_session *sessions[4];
    graph_feed feeds[4];
    graph_answer answers[4];
    size_t live[4];
    for (size_t i = 0; i < 4; ++i) {
        sessions[i] = graph_session(runtimes[i % 2], kinds[i], NULL);
        graph_feed_make(&feeds[i], kinds[i], sizes[i]);
        graph_answer_by_host(&answers[i], runtimes[0], &feeds[i], 1);
        live[i] = test_session_info(sessions[i]).live_count;
    }
    uint32_t random = 1;
    for (int round = 0; round < 60; ++round) {
        random = random * 1664525u + 1013904223u;
        const size_t i = (random >> 16) % 4;
        uint64_t allocs[4];
        for (size_t k = 0; k < 4; ++k) {
            allocs[k] = test_session_info(sessions[k]).allocs;
        }
        graph_check(sessions[i], &feeds[i], &answers[i]);
        for (size_t k = 0; k < 4; ++k) {
            assert_int_equal(test_session_info(sessions[k]).allocs > allocs[k], k == i);
            assert_int_equal(test_session_info(sessions[k]).live_count, live[k]);
        }
    }
    for (size_t i = 0; i < 4; ++i) {
        assert_int_equal(ortp_session_destroy(sessions[i], NULL), ORTP_OK);
        graph_answer_free(&answers[i]);
        graph_feed_free(&feeds[i]);
    }
    test_runtime_destroy(runtimes[0]);
    test_runtime_destroy(runtimes[1]);
}

/* ---- the budget ---- */

/* Room for ctc [1,150,30], the second output of the encoder. */
static OrtValue *second_output(float *data)
{
    const OrtApi *api = test_ort_api();
    const int64_t shape[] = {1, 150, 30};
    OrtMemoryInfo *cpu = NULL;
    OrtValue *value = NULL;
    assert_null(api->CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &cpu));
    assert_null(api->CreateTensorWithDataAsOrtValue(cpu, data, 150 * 30 * sizeof *data, shape, 3,
                                                    ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &value));
    api->ReleaseMemoryInfo(cpu);
    return value;
}

static void a_known_run_that_does_not_fit_never_enters_ort(void **state)
{
    (void)state;
    ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
    options.api = counting_api_use(test_ort_api());
    ortp_runtime *runtime = test_runtime_create(&options);
    ortp_budget *budget = ortp_runtime_budget(runtime);
    ortp_session *session = graph_session(runtime, GRAPH_ENCODER, NULL);
    graph_feed feed, small;
    graph_place place, small_place;
    graph_answer expected;
    graph_feed_make(&feed, GRAPH_ENCODER, 150);
    graph_answer_by_host(&expected, runtime, &feed, 1);
    graph_place_make(&place, &feed);
    graph_feed_make(&small, GRAPH_ENCODER, 8);
    graph_place_make(&small_place, &small);
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(graph_run_into(session, NULL, &feed, &place, &error), error);
    assert_ok(graph_run_into(session, NULL, &small, &small_place, &error), error);
    static float ctc[150 * 30];
    OrtValue *outputs[] = {place.value, second_output(ctc)};
    const OrtValue *const *inputs = (const OrtValue *const *)feed.inputs;
    assert_ok(ortp_session_run(session, NULL, NULL, inputs, 3, NULL, outputs, 2, &error), error);
    assert_int_equal(ortp_runtime_trim(runtime, ORTP_UNLIMITED, NULL), ORTP_OK);
    const size_t need = test_session_info(session).run_bytes;
    const size_t charged = test_charged(runtime);
    assert_int_equal(ortp_budget_set_limit(budget, charged + need / 2, NULL), ORTP_OK);

    const test_use before = test_use_of(runtime);
    const uint64_t calls = counting_api_calls(COUNTING_Run);
    for (uint64_t round = 1; round <= 3; ++round) {
        error = (ortp_error)ORTP_ERROR_INIT;
        assert_int_equal(graph_run_into(session, NULL, &feed, &place, &error), ORTP_E_BUDGET);
        assert_int_equal(error.status, ORTP_E_BUDGET);
        char digits[32];
        (void)snprintf(digits, sizeof digits, "%zu", need);
        assert_non_null(strstr(error.message, "bytes"));
        if (!strstr(error.message, digits)) { /* the block may be said in whole pages */
            const char *number = error.message;
            bool said = false;
            for (; *number && !said; ++number) {
                char *end = NULL;
                const unsigned long long value = strtoull(number, &end, 10);
                said = end != number && value >= need && value <= need + 65536;
            }
            assert_true(said);
        }
        assert_int_equal(test_session_info(session).turned_away, round);
        assert_int_equal(test_session_info(session).refusals, 0);
        test_assert_use(runtime, &before);
    }
    assert_int_equal(counting_api_calls(COUNTING_Run), calls);
    assert_int_equal(
        ortp_session_run(session, NULL, NULL, inputs, 3, NULL, outputs, 2, &error), ORTP_E_BUDGET);
    assert_int_equal(counting_api_calls(COUNTING_Run), calls);
    assert_int_equal(test_session_info(session).runs, 3);
    assert_ok(graph_run_into(session, NULL, &small, &small_place, &error), error); /* fits */

    assert_int_equal(ortp_budget_set_limit(budget, charged + need + need / 4, NULL), ORTP_OK);
    memset(place.data, 0, expected.bytes);
    assert_ok(graph_run_into(session, NULL, &feed, &place, &error), error);
    assert_true(graph_answer_equals(&expected, place.value));
    assert_int_equal(test_session_info(session).turned_away, 4);
    test_ort_api()->ReleaseValue(outputs[1]);
    graph_place_free(&small_place);
    graph_feed_free(&small);
    graph_place_free(&place);
    graph_answer_free(&expected);
    graph_feed_free(&feed);
    assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
    test_runtime_destroy(runtime);
    assert_int_equal(counting_api_live(), 0);
}

/*
 * A first run finds out what it needs: below that, each limit ends it inside ORT with a status that says
 * so, above it is never refused; and the charged sum stays below the limit all the time.
 */
static void a_first_run_under_every_limit(void **state)
{
    (void)state;
    ortp_runtime *runtime = test_runtime_create(NULL);
    ortp_budget *budget = ortp_runtime_budget(runtime);
    graph_feed feed;
    graph_answer expected;
    graph_place place;
    graph_feed_make(&feed, GRAPH_ENCODER, 48);
    graph_answer_by_host(&expected, runtime, &feed, 1);
    graph_place_make(&place, &feed);
    ortp_session *probe = graph_session(runtime, GRAPH_ENCODER, NULL);
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(graph_run_into(probe, NULL, &feed, &place, &error), error);
    const size_t need = test_session_info(probe).run_bytes;
    assert_int_equal(ortp_session_destroy(probe, NULL), ORTP_OK);
    size_t refused = 0, done = 0;
    for (size_t part = 0; part <= 20; ++part) {
        ortp_session *session = graph_session(runtime, GRAPH_ENCODER, NULL);
        assert_int_equal(ortp_runtime_trim(runtime, ORTP_UNLIMITED, NULL), ORTP_OK);
        const test_use before = test_use_of(runtime);
        const size_t limit = test_charged(runtime) + need * part / 16;
        assert_int_equal(ortp_budget_set_limit(budget, limit, NULL), ORTP_OK);
        memset(place.data, 0, expected.bytes);
        error = (ortp_error)ORTP_ERROR_INIT;
        const ortp_status status = graph_run_into(session, NULL, &feed, &place, &error);
        const ortp_session_info info = test_session_info(session);
        if (status == ORTP_OK) {
            assert_true(graph_answer_equals(&expected, place.value));
            ++done;
        } else {
            assert_int_equal(status, ORTP_E_BUDGET);
            assert_non_null(strstr(error.message, "bytes"));
            assert_true(info.refusals > 0 || info.turned_away > 0);
            ++refused;
        }
        ortp_budget_info account = ORTP_BUDGET_INFO_INIT;
        ortp_budget_get_info(budget, &account);
        assert_true(account.charged_bytes <= limit);
        test_assert_use(runtime, &before);
        assert_int_equal(ortp_budget_set_limit(budget, ORTP_UNLIMITED, NULL), ORTP_OK);
        memset(place.data, 0, expected.bytes);
        assert_ok(graph_run_into(session, NULL, &feed, &place, &error), error);
        assert_true(graph_answer_equals(&expected, place.value));
        assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
        if (part > 16) { /* the run's block and its ticket, in whole pages */
            assert_int_equal(status, ORTP_OK);
            assert_true(info.refusals == 0 && info.overdrafts == 0);
        } else if (part < 15) {
            assert_true(TEST_THROWS ? status == ORTP_E_BUDGET
                                    : info.overdrafts > 0 || info.turned_away > 0);
        }
        assert_int_equal(info.overdraft_bytes, 0);
    }
    print_message("limits: %zu refused, %zu done\n", refused, done);
    graph_place_free(&place);
    graph_answer_free(&expected);
    graph_feed_free(&feed);
    test_runtime_destroy(runtime);
}

int main(void)
{
    if (!test_ort_found()) {
        return TEST_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_say_which_value_is_which),
        cmocka_unit_test(wrong_arguments_are_refused),
        cmocka_unit_test(the_hosts_run_options_are_passed_on),
        cmocka_unit_test(values_of_any_rank),
        cmocka_unit_test(a_known_shape_takes_one_block_and_maps_nothing),
        cmocka_unit_test(outputs_that_ort_makes_come_to_lie_beside_the_ticket),
        cmocka_unit_test(shapes_share_the_idle_block),
        cmocka_unit_test(more_shapes_than_are_remembered),
        cmocka_unit_test(a_shape_in_use_is_remembered),
        cmocka_unit_test(sessions_take_turns_on_one_thread),
        cmocka_unit_test(a_known_run_that_does_not_fit_never_enters_ort),
        cmocka_unit_test(a_first_run_under_every_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
