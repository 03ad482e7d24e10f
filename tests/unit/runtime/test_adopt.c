/* SPDX-License-Identifier: MIT */
/*
 * Sessions of the application's own in ortpool's memory: prepare, create, adopt; what the env's other
 * owner has registered; lives that end in any order; outputs that outlive everything but the runtime.
 */
#include "graphs.h"
#include "host_memory.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>

#include <cmocka.h>

static OrtSessionOptions *plain_options(void)
{
    OrtSessionOptions *options = NULL;
    assert_null(test_ort_api()->CreateSessionOptions(&options));
    assert_null(test_ort_api()->SetIntraOpNumThreads(options, 1));
    return options;
}

static ortp_session *prepared(ortp_runtime *runtime, graph_kind kind,
                              OrtSessionOptions *ort_options)
{
    ortp_session_options options = ORTP_SESSION_OPTIONS_INIT;
    options.runtime = runtime;
    options.path = graph_file(kind);
    ortp_session *session = NULL;
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(ortp_session_options_prepare(&options, ort_options, &session, &error), error);
    return session;
}

static own_session own_open(ortp_runtime *runtime, graph_kind kind, const own_options *options)
{
    own_session own;
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(own_session_open(&own, runtime, kind, options, &error), error);
    return own;
}

static void results_are_those_of_the_hosts_run(void **state)
{
    (void)state;
    static const struct {
        graph_kind kind;
        int64_t size;
    } cases[] = {{GRAPH_ADD, 5},      {GRAPH_TINY_ENCODER, 32}, {GRAPH_TINY_DECODER, 3},
                 {GRAPH_ENCODER, 32}, {GRAPH_ENCODER, 33},      {GRAPH_DECODER, 8}};
    static const own_options ways[] = {{.threads = 1},
                                       {.threads = 2},
                                       {.threads = 1, .parallel = true},
                                       {.threads = 2, .parallel = true}};
    const size_t way_count = TEST_ORT_THREADS ? sizeof(ways) / sizeof(ways[0]) : 1;
    ortp_runtime *runtime = test_runtime_create(NULL);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); ++i) {
        graph_feed feed;
        graph_feed_make(&feed, cases[i].kind, cases[i].size);
        for (size_t w = 0; w < way_count; ++w) {
            graph_answer expected;
            graph_answer_by_host(&expected, runtime, &feed, ways[w].threads);
            own_session own = own_open(runtime, cases[i].kind, &ways[w]);
            assert_ptr_equal(ortp_session_ort(own.session), own.ort);
            for (int round = 0; round < 3; ++round) {
                graph_check(own.session, &feed, &expected);
            }
            const ortp_session_info info = test_session_info(own.session);
            assert_int_equal(info.runs, 3);
            assert_int_equal(info.memory, ORTP_ORT_MEMORY_POOL);
            assert_true(info.allocs > 0);
            assert_int_equal(info.refusals, 0);
            graph_answer direct; /* the session is still ORT's: Run past ortpool works, too, */
            graph_answer_by(&direct, own.ort, &feed);
            const ortp_session_info past = test_session_info(own.session); /* with no ticket */
            assert_int_equal(past.runs, 3);
            assert_true(past.allocs > info.allocs);
            assert_int_equal(past.overflows - info.overflows, past.allocs - info.allocs);
            assert_int_equal(direct.bytes, expected.bytes);
            assert_memory_equal(direct.data, expected.data, expected.bytes);
            graph_answer_free(&direct);
            own_session_close(&own);
            graph_answer_free(&expected);
        }
        graph_feed_free(&feed);
    }
    const test_use none = {.in_use_blocks = 0};
    test_assert_use(runtime, &none);
    test_runtime_destroy(runtime);
}

static void ports_are_the_graphs(void **state)
{
    (void)state;
    ortp_runtime *runtime = test_runtime_create(NULL);
    own_session own = own_open(runtime, GRAPH_ENCODER, NULL);
    assert_int_equal(ortp_session_input_count(own.session), 3);
    const size_t keys = ortp_session_find_input(own.session, "nearest_keys");
    assert_true(keys < 3);
    assert_int_equal(ortp_session_input(own.session, keys)->type, ORTP_TYPE_INT32);
    assert_int_equal(ortp_session_find_output(own.session, "memory"), 0);
    assert_true(ortp_session_declared_bytes(own.session) > 0);
    own_session_close(&own);
    test_runtime_destroy(runtime);
}

/* prepare() took hold of the env; whatever becomes of the creation, destroy() lets go of it. */
static void a_creation_that_fails_in_between_leaves_nothing(void **state)
{
    (void)state;
    ortp_runtime *runtime = test_runtime_create(NULL);
    own_session first = own_open(runtime, GRAPH_ADD, NULL); /* first uses are behind us */
    own_session_close(&first);
    const test_use before = test_use_of(runtime);
    for (int round = 0; round < 3; ++round) {
        OrtSessionOptions *ort_options = plain_options();
        ortp_session *session = prepared(runtime, GRAPH_ADD, ort_options);
        OrtSession *ort = NULL;
        OrtStatus *status = test_ort_api()->CreateSession(
            ortp_runtime_env(runtime), test_file("no/such/graph"), ort_options, &ort);
        assert_non_null(status);
        test_ort_api()->ReleaseStatus(status);
        ortp_error error = ORTP_ERROR_INIT;
        assert_int_equal(ortp_session_adopt(session, ort, &error), ORTP_E_INVAL);
        assert_true(error.message[0] != '\0');
        assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
        test_ort_api()->ReleaseSessionOptions(ort_options);
        test_assert_use(runtime, &before);
    }
    own_session after = own_open(runtime, GRAPH_ADD, NULL);
    own_session_close(&after);
    test_assert_use(runtime, &before);
    test_runtime_destroy(runtime);
}

static void destroy_without_adopt_is_legal(void **state)
{
    (void)state;
    ortp_runtime *runtime = test_runtime_create(NULL);
    const test_use before = test_use_of(runtime);
    for (int round = 0; round < 3; ++round) {
        OrtSessionOptions *ort_options = plain_options();
        ortp_session *session = prepared(runtime, GRAPH_ENCODER, ort_options);
        assert_true(test_use_of(runtime).declared_bytes > before.declared_bytes);
        assert_int_equal(ortp_runtime_destroy(runtime, NULL), ORTP_E_BUSY);
        assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
        test_ort_api()->ReleaseSessionOptions(ort_options);
        test_assert_use(runtime, &before);
    }
    /* The same with a session that ORT made and the application then does not want. */
    OrtSessionOptions *ort_options = plain_options();
    ortp_session *session = prepared(runtime, GRAPH_ENCODER, ort_options);
    OrtSession *ort = NULL;
    assert_null(test_ort_api()->CreateSession(ortp_runtime_env(runtime), graph_file(GRAPH_ENCODER),
                                              ort_options, &ort));
    assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
    test_ort_api()->ReleaseSession(ort);
    test_ort_api()->ReleaseSessionOptions(ort_options);
    test_assert_use(runtime, &before);
    test_runtime_destroy(runtime);
}

static void calls_in_the_wrong_order_are_refused(void **state)
{
    (void)state;
    ortp_runtime *runtime = test_runtime_create(NULL);
    graph_feed feed;
    graph_feed_make(&feed, GRAPH_ADD, 3);
    OrtSessionOptions *ort_options = plain_options();
    ortp_session *session = prepared(runtime, GRAPH_ADD, ort_options);
    OrtSession *ort = NULL;
    assert_null(test_ort_api()->CreateSession(ortp_runtime_env(runtime), graph_file(GRAPH_ADD),
                                              ort_options, &ort));
    OrtValue *output = NULL;
    ortp_error error = ORTP_ERROR_INIT;
    assert_int_equal(graph_run(session, NULL, &feed, &output, &error), ORTP_E_INVAL);
    assert_true(error.message[0] != '\0');
    assert_null(output);
    OrtValue *outputs[1] = {feed.inputs[0]};
    assert_int_equal(
        ortp_session_run(session, (const OrtValue *const *)feed.inputs, outputs, &error),
        ORTP_E_INVAL);
    assert_ok(ortp_session_adopt(session, ort, &error), error);
    assert_int_equal(ortp_session_adopt(session, ort, &error), ORTP_E_INVAL); /* twice */
    assert_non_null(strstr(error.message, "adopted already"));
    assert_int_equal(ortp_session_adopt(session, NULL, &error), ORTP_E_INVAL);
    assert_ok(graph_run(session, NULL, &feed, &output, &error), error); /* it is still whole */
    test_ort_api()->ReleaseValue(output);
    assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
    test_ort_api()->ReleaseSession(ort);

    ortp_session *loaded = graph_session(runtime, GRAPH_ADD, NULL); /* was never prepared */
    assert_int_equal(ortp_session_adopt(loaded, ortp_session_ort(loaded), &error), ORTP_E_INVAL);
    assert_ok(graph_run(loaded, NULL, &feed, &output, &error), error);
    test_ort_api()->ReleaseValue(output);
    assert_int_equal(ortp_session_destroy(loaded, NULL), ORTP_OK);
    assert_int_equal(ortp_session_adopt(NULL, NULL, &error), ORTP_E_INVAL);

    session = (ortp_session *)&session;
    assert_int_equal(ortp_session_options_prepare(NULL, ort_options, &session, &error),
                     ORTP_E_INVAL);
    assert_null(session);
    ortp_session_options options = ORTP_SESSION_OPTIONS_INIT;
    options.runtime = runtime;
    options.path = graph_file(GRAPH_ADD);
    session = (ortp_session *)&session;
    assert_int_equal(ortp_session_options_prepare(&options, NULL, &session, &error), ORTP_E_INVAL);
    assert_null(session);
    assert_int_equal(ortp_session_options_prepare(&options, ort_options, NULL, &error),
                     ORTP_E_INVAL);
    options.path = test_file("no/such/graph");
    assert_int_equal(ortp_session_options_prepare(&options, ort_options, &session, &error),
                     ORTP_E_NOTFOUND);
    assert_null(session);
    test_ort_api()->ReleaseSessionOptions(ort_options);
    graph_feed_free(&feed);
    const test_use none = {.in_use_blocks = 0};
    test_assert_use(runtime, &none); /* and the env's lock is free: */
    own_session own = own_open(runtime, GRAPH_ADD, NULL);
    own_session_close(&own);
    test_runtime_destroy(runtime);
}

/* One that was created with other options has no memory of ours. */
static void a_session_of_other_options_is_refused(void **state)
{
    (void)state;
    ortp_runtime *runtime = test_runtime_create(NULL);
    OrtSessionOptions *ort_options = plain_options(), *others = plain_options();
    ortp_session *session = prepared(runtime, GRAPH_ENCODER, ort_options);
    OrtSession *ort = NULL;
    ortp_error error = ORTP_ERROR_INIT;
    assert_null(test_ort_api()->CreateSession(ortp_runtime_env(runtime), graph_file(GRAPH_ENCODER),
                                              others, &ort));
    assert_int_equal(ortp_session_adopt(session, ort, &error), ORTP_E_INVAL);
    assert_non_null(strstr(error.message, "prepared options"));
    assert_int_equal(test_session_info(session).allocs, 0);
    assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
    test_ort_api()->ReleaseSession(ort);
    test_ort_api()->ReleaseSessionOptions(ort_options);
    test_ort_api()->ReleaseSessionOptions(others);
    const test_use none = {.in_use_blocks = 0};
    test_assert_use(runtime, &none);
    test_runtime_destroy(runtime);
}

/* Neither path nor bytes: the host's word is what is declared, none is nothing. */
static void what_is_declared_may_be_the_hosts_word(void **state)
{
    (void)state;
    ortp_runtime *runtime = test_runtime_create(NULL);
    const size_t words[] = {777, 0};
    for (size_t i = 0; i < 2; ++i) {
        OrtSessionOptions *ort_options = plain_options();
        ortp_session_options options = ORTP_SESSION_OPTIONS_INIT;
        options.runtime = runtime;
        options.declared_bytes = words[i];
        options.name = "mine";
        ortp_session *session = NULL;
        ortp_error error = ORTP_ERROR_INIT;
        assert_ok(ortp_session_options_prepare(&options, ort_options, &session, &error), error);
        assert_int_equal(test_use_of(runtime).declared_bytes, words[i]);
        OrtSession *ort = NULL;
        assert_null(test_ort_api()->CreateSession(ortp_runtime_env(runtime), graph_file(GRAPH_ADD),
                                                  ort_options, &ort));
        assert_ok(ortp_session_adopt(session, ort, &error), error);
        if (words[i] > 0) {
            assert_int_equal(ortp_session_declared_bytes(session), words[i]);
        }
        assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
        assert_int_equal(test_use_of(runtime).declared_bytes, 0);
        test_ort_api()->ReleaseSession(ort);
        test_ort_api()->ReleaseSessionOptions(ort_options);
    }
    test_runtime_destroy(runtime);
}

static void a_budget_too_small_is_said_by_prepare(void **state)
{
    (void)state;
    ortp_runtime_options runtime_options = ORTP_RUNTIME_OPTIONS_INIT;
    runtime_options.limit_bytes = (size_t)4 << 20;
    ortp_runtime *runtime = test_runtime_create(&runtime_options);
    const test_use before = test_use_of(runtime);
    own_session own;
    ortp_error error = ORTP_ERROR_INIT;
    assert_int_equal(own_session_open(&own, runtime, GRAPH_ENCODER, NULL, &error), ORTP_E_BUDGET);
    assert_non_null(strstr(error.message, "bytes"));
    test_assert_use(runtime, &before);
    own_options options = {.session = {.declared_bytes = 1000}}; /* packed weights do not fit */
    const ortp_status status = own_session_open(&own, runtime, GRAPH_ENCODER, &options, &error);
    if (TEST_THROWS) {
        assert_int_equal(status, ORTP_E_ORT); /* the host asked ORT itself */
    } else {
        assert_int_equal(status, ORTP_OK);
        const ortp_session_info info = test_session_info(own.session);
        assert_true(info.overdrafts > 0 && info.overdraft_bytes > ((size_t)4 << 20));
        own_session_close(&own);
    }
    test_assert_use(runtime, &before);
    own = own_open(runtime, GRAPH_ADD, &(own_options){.session = {.declared_bytes = 1000}});
    own_session_close(&own);
    test_assert_use(runtime, &before);
    test_runtime_destroy(runtime);
}

typedef struct stranger {
    ortp_session *session;
    OrtSession *ort;
    ortp_status adopted, destroyed;
} stranger;

static void *end_it_elsewhere(void *ctx)
{
    stranger *s = ctx;
    ortp_error error = ORTP_ERROR_INIT;
    s->adopted = ortp_session_adopt(s->session, s->ort, &error);
    s->destroyed = ortp_session_destroy(s->session, NULL);
    return NULL;
}

/* What a thread has prepared it ends itself: its own ORT calls go there until then. */
static void another_thread_cannot_end_it(void **state)
{
    (void)state;
    ortp_runtime *runtime = test_runtime_create(NULL);
    const test_use before = test_use_of(runtime);
    OrtSessionOptions *ort_options = plain_options();
    stranger s = {.session = prepared(runtime, GRAPH_ADD, ort_options)};
    assert_null(test_ort_api()->CreateSession(ortp_runtime_env(runtime), graph_file(GRAPH_ADD),
                                              ort_options, &s.ort));
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, end_it_elsewhere, &s), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(s.adopted, ORTP_E_INVAL);
    assert_int_equal(s.destroyed, ORTP_E_INVAL);
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(ortp_session_adopt(s.session, s.ort, &error), error); /* all is as it was */
    assert_int_equal(pthread_create(&thread, NULL, end_it_elsewhere, &s), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(s.destroyed, ORTP_OK); /* and then any thread may */
    test_ort_api()->ReleaseSession(s.ort);
    test_ort_api()->ReleaseSessionOptions(ort_options);
    test_assert_use(runtime, &before);
    test_runtime_destroy(runtime);
}

/* A host that says neither the graph's file nor a number: what the process grew by is all there is. */
static void what_nobody_told_is_measured_in_full(void **state)
{
    (void)state;
    ortp_runtime *runtime = test_runtime_create(NULL);
    OrtSessionOptions *ort_options = plain_options();
    ortp_session_options options = ORTP_SESSION_OPTIONS_INIT;
    options.runtime = runtime;
    options.memory = ORTP_ORT_MEMORY_PLAIN;
    ortp_session *session = NULL;
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(ortp_session_options_prepare(&options, ort_options, &session, &error), error);
    assert_int_equal(test_use_of(runtime).declared_bytes, 0);
    OrtSession *ort = NULL;
    assert_null(test_ort_api()->CreateSession(ortp_runtime_env(runtime), graph_file(GRAPH_ENCODER),
                                              ort_options, &ort));
    assert_ok(ortp_session_adopt(session, ort, &error), error);
    assert_true(test_use_of(runtime).declared_bytes > (size_t)9
                                                          << 20); /* the file has 10.7 million */
    assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
    test_ort_api()->ReleaseSession(ort);
    test_ort_api()->ReleaseSessionOptions(ort_options);
    test_runtime_destroy(runtime);
}

/* A preparation that was refused leaves the options as they were. */
static void options_are_set_last(void **state)
{
    (void)state;
    ortp_runtime_options runtime_options = ORTP_RUNTIME_OPTIONS_INIT;
    runtime_options.limit_bytes = (size_t)4 << 20;
    ortp_runtime *runtime = test_runtime_create(&runtime_options);
    OrtSessionOptions *ort_options = plain_options();
    ortp_session_options options = ORTP_SESSION_OPTIONS_INIT;
    options.runtime = runtime;
    options.path = graph_file(GRAPH_ENCODER);
    ortp_session *session = NULL;
    ortp_error error = ORTP_ERROR_INIT;
    assert_int_equal(ortp_session_options_prepare(&options, ort_options, &session, &error),
                     ORTP_E_BUDGET);
    int has = 1;
    assert_null(
        test_ort_api()->HasSessionConfigEntry(ort_options, "session.use_env_allocators", &has));
    assert_int_equal(has, 0);
    test_ort_api()->ReleaseSessionOptions(ort_options);
    test_runtime_destroy(runtime);
}

/* Whoever creates a session in the env after us gets none of our memory. */
static void the_env_is_left_without_an_allocator(void **state)
{
    (void)state;
    ortp_runtime *runtime = test_runtime_create(NULL);
    OrtMemoryInfo *cpu = NULL;
    assert_null(test_ort_api()->CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &cpu));
    for (int way = 0; way < 3; ++way) { /* loaded, adopted, given up */
        if (way == 0) {
            ortp_session *session = graph_session(runtime, GRAPH_ADD, NULL);
            assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
        } else if (way == 1) {
            own_session own = own_open(runtime, GRAPH_ADD, NULL);
            own_session_close(&own);
        } else {
            OrtSessionOptions *ort_options = plain_options();
            ortp_session *session = prepared(runtime, GRAPH_ADD, ort_options);
            assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
            test_ort_api()->ReleaseSessionOptions(ort_options);
        }
        OrtStatus *status = test_ort_api()->UnregisterAllocator(ortp_runtime_env(runtime), cpu);
        assert_non_null(status); /* there is none */
        test_ort_api()->ReleaseStatus(status);
    }
    test_ort_api()->ReleaseMemoryInfo(cpu);
    test_runtime_destroy(runtime);
}

/* The session that is being created has the thread's memory; others' runs must not end up in it. */
static void others_run_between_prepare_and_adopt(void **state)
{
    (void)state;
    ortp_runtime *runtime = test_runtime_create(NULL);
    graph_feed feed;
    graph_answer expected, direct;
    graph_feed_make(&feed, GRAPH_TINY_ENCODER, 32);
    graph_answer_by_host(&expected, runtime, &feed, 1);
    ortp_session *other = graph_session(runtime, GRAPH_TINY_ENCODER, NULL);
    graph_check(other, &feed, &expected);
    const test_use before = test_use_of(runtime);
    OrtSessionOptions *ort_options = plain_options();
    ortp_session *session = prepared(runtime, GRAPH_TINY_ENCODER, ort_options);
    const ortp_session_info info = test_session_info(other);
    graph_check(other, &feed, &expected);
    assert_true(test_session_info(other).overflows <= info.overflows + 1); /* its output */
    const uint64_t overflows = test_session_info(other).overflows;
    graph_answer_by(&direct, ortp_session_ort(other), &feed); /* without a ticket */
    assert_memory_equal(direct.data, expected.data, expected.bytes);
    assert_true(test_session_info(other).overflows > overflows + 5);
    assert_int_equal(test_session_info(other).live_count, info.live_count);
    assert_int_equal(test_session_info(session).live_count, 0);
    OrtSession *ort = NULL;
    ortp_error error = ORTP_ERROR_INIT;
    assert_null(test_ort_api()->CreateSession(ortp_runtime_env(runtime),
                                              graph_file(GRAPH_TINY_ENCODER), ort_options, &ort));
    assert_ok(ortp_session_adopt(session, ort, &error), error);
    graph_check(session, &feed, &expected);
    assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
    test_ort_api()->ReleaseSession(ort);
    test_ort_api()->ReleaseSessionOptions(ort_options);
    test_assert_use(runtime, &before);
    assert_int_equal(ortp_session_destroy(other, NULL), ORTP_OK);
    graph_answer_free(&direct);
    graph_answer_free(&expected);
    graph_feed_free(&feed);
    test_runtime_destroy(runtime);
}

static void a_host_may_own_the_env(void **state)
{
    (void)state;
    OrtEnv *env = NULL;
    assert_null(test_ort_api()->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "host", &env));
    ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
    options.env = env;
    ortp_runtime *runtime = test_runtime_create(&options);
    assert_ptr_equal(ortp_runtime_env(runtime), env);
    graph_feed feed;
    graph_answer expected;
    graph_feed_make(&feed, GRAPH_TINY_ENCODER, 20);
    OrtSession *before = graph_host_session(runtime, GRAPH_TINY_ENCODER, 1);
    graph_answer_by(&expected, before, &feed);
    own_session own = own_open(runtime, GRAPH_TINY_ENCODER, NULL);
    graph_check(own.session, &feed, &expected);
    own_session_close(&own);
    test_runtime_destroy(runtime);
    graph_answer again; /* the env and the host's session go on */
    graph_answer_by(&again, before, &feed);
    assert_memory_equal(again.data, expected.data, expected.bytes);
    test_ort_api()->ReleaseSession(before);
    test_ort_api()->ReleaseEnv(env);
    graph_answer_free(&again);
    graph_answer_free(&expected);
    graph_feed_free(&feed);
}

/* The host's allocator serves the sessions that the host makes afterwards, as it did before. */
static void assert_host_memory_serves(host_memory *host, const ortp_runtime *runtime)
{
    const uint64_t calls = atomic_load(&host->allocs);
    OrtSessionOptions *options = plain_options();
    assert_null(test_ort_api()->AddSessionConfigEntry(options, "session.use_env_allocators", "1"));
    OrtSession *ort = NULL;
    assert_null(test_ort_api()->CreateSession(ortp_runtime_env(runtime),
                                              graph_file(GRAPH_TINY_ENCODER), options, &ort));
    graph_feed feed;
    graph_answer answer;
    graph_feed_make(&feed, GRAPH_TINY_ENCODER, 20);
    graph_answer_by(&answer, ort, &feed);
    test_ort_api()->ReleaseSession(ort);
    test_ort_api()->ReleaseSessionOptions(options);
    graph_answer_free(&answer);
    graph_feed_free(&feed);
    assert_true(atomic_load(&host->allocs) > calls);
    assert_int_equal(atomic_load(&host->live), 0);
}

static void a_hosts_own_allocator_is_put_back(void **state)
{
    (void)state;
    ortp_runtime *runtime = test_runtime_create(NULL);
    host_memory host;
    host_memory_register(&host, ortp_runtime_env(runtime));
    assert_host_memory_serves(&host, runtime);
    graph_feed feed;
    graph_answer expected;
    graph_feed_make(&feed, GRAPH_TINY_ENCODER, 20);
    graph_answer_by_host(&expected, runtime, &feed, 1);
    const own_options named = {.session = {.env_allocator = &host.base}};
    for (int round = 0; round < 3; ++round) {
        own_session own = own_open(runtime, GRAPH_TINY_ENCODER, &named);
        const uint64_t calls = atomic_load(&host.allocs);
        graph_check(own.session, &feed, &expected);
        assert_int_equal(atomic_load(&host.allocs), calls); /* ours served it */
        assert_true(test_session_info(own.session).allocs > 0);
        assert_host_memory_serves(&host, runtime);
        own_session_close(&own);
    }
    ortp_session *loaded = graph_session(runtime, GRAPH_TINY_ENCODER, &named.session);
    graph_check(loaded, &feed, &expected);
    assert_int_equal(ortp_session_destroy(loaded, NULL), ORTP_OK);
    assert_host_memory_serves(&host, runtime);

    OrtSessionOptions *ort_options = plain_options(); /* and where nothing comes of it */
    ortp_session_options options = named.session;
    options.struct_size = sizeof(options);
    options.runtime = runtime;
    options.path = graph_file(GRAPH_ADD);
    ortp_session *session = NULL;
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(ortp_session_options_prepare(&options, ort_options, &session, &error), error);
    assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
    test_ort_api()->ReleaseSessionOptions(ort_options);
    assert_host_memory_serves(&host, runtime);

    host_memory_unregister(&host, ortp_runtime_env(runtime));
    graph_answer_free(&expected);
    graph_feed_free(&feed);
    test_runtime_destroy(runtime);
}

/* One that nobody told us of: ORT up to 1.22 refuses a second, later ones replace it. */
static void a_hosts_allocator_that_is_not_named(void **state)
{
    (void)state;
    ortp_runtime *runtime = test_runtime_create(NULL);
    host_memory host;
    host_memory_register(&host, ortp_runtime_env(runtime));
    const bool replaces = host_memory_is_replaced(&host, ortp_runtime_env(runtime));
    const test_use before = test_use_of(runtime);
    own_session own;
    ortp_error error = ORTP_ERROR_INIT;
    const ortp_status status = own_session_open(&own, runtime, GRAPH_ADD, NULL, &error);
    print_message("this ONNX Runtime %s a second allocator: %s\n", replaces ? "takes" : "refuses",
                  ortp_status_name(status));
    if (replaces) {
        assert_int_equal(status, ORTP_OK);
        own_session_close(&own);
        assert_null(test_ort_api()->RegisterAllocator(ortp_runtime_env(runtime), &host.base));
    } else {
        assert_int_equal(status, ORTP_E_ORT);
        assert_non_null(strstr(error.message, "env_allocator"));
        assert_null(own.session);
        test_assert_use(runtime, &before);
        assert_host_memory_serves(&host, runtime); /* it was not touched */
        const own_options named = {.session = {.env_allocator = &host.base}};
        own = own_open(runtime, GRAPH_ADD, &named);
        own_session_close(&own);
    }
    host_memory_unregister(&host, ortp_runtime_env(runtime));
    test_assert_use(runtime, &before);
    test_runtime_destroy(runtime);
}

/* Creation is exclusive in the process; each thread between prepare and adopt sees its own. */
typedef struct creator {
    ortp_runtime *runtime;
    const char *path;
    const graph_feed *feed;
    const graph_answer *expected;
    _Atomic size_t *inside, *errors;
} creator;

static bool create_and_run(creator *c)
{
    const OrtApi *api = test_ort_api();
    OrtSessionOptions *ort_options = NULL;
    OrtSession *ort = NULL;
    OrtValue *output = NULL;
    ortp_session *session = NULL;
    ortp_session_options options = ORTP_SESSION_OPTIONS_INIT;
    options.runtime = c->runtime;
    options.path = c->path;
    bool good = api->CreateSessionOptions(&ort_options) == NULL &&
                api->SetIntraOpNumThreads(ort_options, 1) == NULL &&
                ortp_session_options_prepare(&options, ort_options, &session, NULL) == ORTP_OK;
    if (good) {
        good =
            atomic_fetch_add(c->inside, 1) == 0 &&
            api->CreateSession(ortp_runtime_env(c->runtime), c->path, ort_options, &ort) == NULL &&
            atomic_fetch_sub(c->inside, 1) == 1 &&
            ortp_session_adopt(session, ort, NULL) == ORTP_OK &&
            graph_run(session, NULL, c->feed, &output, NULL) == ORTP_OK &&
            graph_answer_equals(c->expected, output) && test_session_info(session).allocs > 0;
    }
    api->ReleaseSessionOptions(ort_options);
    good = ortp_session_destroy(session, NULL) == ORTP_OK && good;
    api->ReleaseSession(ort);
    api->ReleaseValue(output);
    return good;
}

static void *create_some(void *ctx)
{
    creator *c = ctx;
    for (int i = 0; i < 10; ++i) {
        if (!create_and_run(c)) {
            atomic_fetch_add(c->errors, 1);
        }
    }
    return NULL;
}

static void threads_and_runtimes_create_one_at_a_time(void **state)
{
    (void)state;
    ortp_runtime *runtimes[2] = {test_runtime_create(NULL), test_runtime_create(NULL)};
    graph_feed feed;
    graph_answer expected;
    graph_feed_make(&feed, GRAPH_TINY_ENCODER, 20);
    graph_answer_by_host(&expected, runtimes[0], &feed, 1);
    _Atomic size_t inside = 0, errors = 0;
    pthread_t threads[4];
    creator creators[4];
    const char *path = graph_file(GRAPH_TINY_ENCODER);
    for (size_t i = 0; i < 4; ++i) {
        creators[i] = (creator){runtimes[i % 2], path, &feed, &expected, &inside, &errors};
        assert_int_equal(pthread_create(&threads[i], NULL, create_some, &creators[i]), 0);
    }
    for (size_t i = 0; i < 4; ++i) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(errors, 0);
    for (size_t i = 0; i < 2; ++i) {
        const test_use none = {.in_use_blocks = 0};
        test_assert_use(runtimes[i], &none);
        test_runtime_destroy(runtimes[i]);
    }
    graph_answer_free(&expected);
    graph_feed_free(&feed);
}

int main(void)
{
    if (!test_ort_found()) {
        return TEST_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        /* first: memory that others freed is no growth of the process when it is used again */
        cmocka_unit_test(what_nobody_told_is_measured_in_full),
        cmocka_unit_test(results_are_those_of_the_hosts_run),
        cmocka_unit_test(ports_are_the_graphs),
        cmocka_unit_test(a_creation_that_fails_in_between_leaves_nothing),
        cmocka_unit_test(destroy_without_adopt_is_legal),
        cmocka_unit_test(calls_in_the_wrong_order_are_refused),
        cmocka_unit_test(a_session_of_other_options_is_refused),
        cmocka_unit_test(what_is_declared_may_be_the_hosts_word),
        cmocka_unit_test(a_budget_too_small_is_said_by_prepare),
        cmocka_unit_test(the_env_is_left_without_an_allocator),
        cmocka_unit_test(others_run_between_prepare_and_adopt),
        cmocka_unit_test(a_host_may_own_the_env),
        cmocka_unit_test(another_thread_cannot_end_it),
        cmocka_unit_test(options_are_set_last),
        cmocka_unit_test(a_hosts_own_allocator_is_put_back),
        cmocka_unit_test(a_hosts_allocator_that_is_not_named),
        cmocka_unit_test(threads_and_runtimes_create_one_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
