/* SPDX-License-Identifier: MIT */
/*
 * Sessions from options of the application's own, and from its own call of ORT: what becomes of its options,
 * of an OrtSession that is not what was asked for, of creations inside creations; what the env's other owner
 * has registered; what is allocated outside of runs.
 */
#include "counting_api.h"
#include "graphs.h"
#include "host_memory.h"
#include "session_internal.h"

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

static ortp_session_options options_for(ortp_runtime *runtime, graph_kind kind)
{
    ortp_session_options options = ORTP_SESSION_OPTIONS_INIT;
    options.runtime = runtime;
    options.path = graph_file(kind);
    options.intra_threads = 1;
    return options;
}

static own_session own_open(ortp_runtime *runtime, graph_kind kind, const own_options *options)
{
    own_session own;
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(own_session_open(&own, runtime, kind, options, &error), error);
    return own;
}

static void assert_refused(const ortp_session_options *options, ortp_status expected,
                           const char *says)
{
    ortp_session *session = (ortp_session *)&session;
    ortp_error error = ORTP_ERROR_INIT;
    const test_use before = test_use_of(options->runtime);
    const ortp_status status = ortp_session_create(options, &session, &error);
    if (status != expected || !strstr(error.message, says)) {
        fail_msg("%s: %s", ortp_status_name(status), error.message);
    }
    assert_null(session);
    test_assert_use(options->runtime, &before);
}

/* ---- a create callback, and what it may do wrong ---- */

typedef struct callback {
    ortp_runtime *runtime;
    const char *path;
    const char *says;          /* fails with a status of its own, ... */
    OrtErrorCode code;         /* ... of this code; 0: ORT_FAIL */
    bool fails;                /* with one of ORT's, */
    bool makes;                /* and with a session all the same */
    OrtSessionOptions *others; /* in place of those given */
    void (*inside)(struct callback *c);
    void *ctx;
    size_t calls;
} callback;

static OrtStatus *create(void *ctx, OrtEnv *env, const OrtSessionOptions *options, OrtSession **out)
{
    callback *c = ctx;
    const OrtApi *api = ortp_runtime_api(c->runtime);
    assert_ptr_equal(env, ortp_runtime_env(c->runtime));
    assert_null(*out);
    c->calls++;
    if (c->inside != NULL) {
        c->inside(c);
    }
    if (c->says != NULL) {
        return api->CreateStatus(c->code != ORT_OK ? c->code : ORT_FAIL, c->says);
    }
    OrtStatus *status = NULL;
    if (!c->fails || c->makes) {
        status = api->CreateSession(env, c->path, c->others != NULL ? c->others : options, out);
    }
    if (c->fails) {
        OrtSession *none = NULL;
        status = api->CreateSession(env, test_file("no/such/graph"), options, &none);
        assert_non_null(status);
    }
    return status;
}

static OrtStatus *create_nothing(void *ctx, OrtEnv *env, const OrtSessionOptions *options,
                                 OrtSession **out)
{
    (void)ctx, (void)env, (void)options, (void)out;
    return NULL;
}

static void callback_use(callback *c, ortp_session_options *options)
{
    c->path = options->path;
    options->create = create;
    options->create_ctx = c;
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
            assert_int_equal(info.outside_allocs, 0); /* threads of a run are inside, too */
            assert_int_equal(info.outside_bytes, 0);
            graph_answer direct; /* a forgotten call works, too, */
            graph_answer_by(&direct, own.ort, &feed);
            const ortp_session_info past = test_session_info(own.session); /* and shows */
            assert_int_equal(past.runs, 3);
            assert_true(past.allocs > info.allocs);
            assert_int_equal(past.overflows - info.overflows, past.allocs - info.allocs);
            assert_int_equal(past.outside_allocs, past.allocs - info.allocs);
            assert_true(past.outside_bytes > 0);
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

/* A session that ORT makes from the same options before, and one after: neither is in our memory. */
static void options_are_cloned(void **state)
{
    (void)state;
    const OrtApi *api = test_ort_api();
    ortp_runtime *runtime = test_runtime_create(NULL);
    OrtSessionOptions *settings = plain_options();
    graph_feed feed;
    graph_feed_make(&feed, GRAPH_TINY_ENCODER, 32);
    graph_answer expected, before, after;
    graph_answer_by_host(&expected, runtime, &feed, 1);
    OrtSession *host[2] = {NULL, NULL};
    const char *path = graph_file(GRAPH_TINY_ENCODER);
    assert_null(api->CreateSession(ortp_runtime_env(runtime), path, settings, &host[0]));
    ortp_session_options options = options_for(runtime, GRAPH_TINY_ENCODER);
    options.ort_options = settings;
    options.disable_prepacking = true;
    options.intra_threads = 2;
    ortp_session *session = NULL;
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(ortp_session_create(&options, &session, &error), error);
    assert_null(api->CreateSession(ortp_runtime_env(runtime), path, settings, &host[1]));
    const char *const keys[] = {"session.use_env_allocators", "session.disable_prepacking"};
    for (size_t i = 0; i < 2; i++) {
        int has = 1;
        assert_null(api->HasSessionConfigEntry(settings, keys[i], &has));
        assert_int_equal(has, 0);
    }
    const ortp_session_info info = test_session_info(session);
    graph_answer_by(&before, host[0], &feed);
    graph_answer_by(&after, host[1], &feed);
    assert_memory_equal(before.data, expected.data, expected.bytes);
    assert_memory_equal(after.data, expected.data, expected.bytes);
    assert_int_equal(test_session_info(session).allocs, info.allocs);
    api->ReleaseSessionOptions(settings); /* the session needs them no more */
    OrtValue *output = NULL;
    assert_ok(graph_run(session, NULL, &feed, &output, &error), error);
    assert_true(graph_answer_difference(&expected, output) < 1e-4); /* its weights are not packed */
    assert_true(test_session_info(session).allocs > info.allocs);
    api->ReleaseValue(output);
    assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
    api->ReleaseSession(host[0]);
    api->ReleaseSession(host[1]);
    graph_answer_free(&before);
    graph_answer_free(&after);
    graph_answer_free(&expected);
    graph_feed_free(&feed);
    test_runtime_destroy(runtime);
}

/* Whatever a callback does, nothing of it is left. */
static void a_callbacks_session_is_owned(void **state)
{
    (void)state;
    ortp_runtime_options runtime_options = ORTP_RUNTIME_OPTIONS_INIT;
    runtime_options.api = counting_api_use(test_ort_api());
    ortp_runtime *runtime = test_runtime_create(&runtime_options);
    graph_world w;
    graph_world_open(&w, GRAPH_ENCODER, 32);
    OrtSessionOptions *others = plain_options();
    ortp_session_options options = options_for(runtime, GRAPH_ENCODER);
    callback c = {.runtime = runtime};
    callback_use(&c, &options);
    ortp_session *session = NULL;
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(ortp_session_create(&options, &session, &error), error); /* first uses are behind us */
    assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
    const int64_t live = counting_api_live();
    assert_ok(ortp_session_create(&options, &session, &error), error);
    assert_int_equal(c.calls, 2);
    assert_true(test_session_info(session).weights_bytes > 0);
    graph_check(session, &w.feed, &w.expected);
    assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
    assert_int_equal(counting_api_live(), live);

    static const struct {
        bool fails, makes, others;
        ortp_status status;
        const char *text;
    } cases[] = {
        {true, false, false, ORTP_E_NOTFOUND, "no/such/graph"}, /* ORT's words */
        {true, true, false, ORTP_E_NOTFOUND, "no/such/graph"},
        {false, false, true, ORTP_E_INVAL, "other options than those given"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        c.fails = cases[i].fails;
        c.makes = cases[i].makes;
        c.others = cases[i].others ? others : NULL;
        assert_refused(&options, cases[i].status, cases[i].text);
        assert_int_equal(counting_api_live(), live);
    }
    options.create = create_nothing;
    assert_refused(&options, ORTP_E_INVAL, "without an OrtSession");
    assert_int_equal(counting_api_live(), live);
    test_ort_api()->ReleaseSessionOptions(others);
    graph_world_close(&w);
    test_runtime_destroy(runtime);
}

/* A code of ORT's that a graph is refused by, from a callback that has loaded none. */
static void a_callbacks_message_is_kept(void **state)
{
    (void)state;
    ortp_runtime *runtime = test_runtime_create(NULL);
    ortp_session_options options = options_for(runtime, GRAPH_ADD);
    callback c = {.runtime = runtime, .says = "no such provider", .code = ORT_INVALID_ARGUMENT};
    callback_use(&c, &options);
    ortp_session *session = NULL;
    ortp_error error = ORTP_ERROR_INIT;
    assert_int_equal(ortp_session_create(&options, &session, &error), ORTP_E_INVAL);
    assert_non_null(strstr(error.message, "no such provider"));
    assert_null(strstr(error.message, "expected an ONNX graph"));
    test_runtime_destroy(runtime);
}

static void *take_some(void *ctx)
{
    return ortp__allocator_take(ctx, 64, false);
}

/* What a creation asks for to see whose memory it is: no other thread's request gets that room, nor another size. */
static void a_probe_answers_its_own_request_alone(void **state)
{
    (void)state;
    ortp_runtime *runtime = test_runtime_create(NULL);
    ortp_session_options options = options_for(runtime, GRAPH_ADD);
    ortp_session *session = NULL;
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(ortp_session_create(&options, &session, &error), error);
    ortp__allocator *allocator = session->allocator;
    _Alignas(64) unsigned char memory[4 * ORTP__CHUNK_HEADER];
    ortp__chunk *room = (ortp__chunk *)(void *)memory;
    const size_t live = test_session_info(session).live_count;
    ortp__allocator_probe(allocator, room, 64);
    pthread_t thread;
    void *other = NULL;
    assert_int_equal(pthread_create(&thread, NULL, take_some, allocator), 0);
    assert_int_equal(pthread_join(thread, &other), 0);
    void *larger = ortp__allocator_take(allocator, 65, false);
    assert_int_equal(test_session_info(session).live_count, live + 2);
    void *own = take_some(allocator);
    assert_int_equal(test_session_info(session).live_count, live + 2);
    ortp__allocator_probe(allocator, NULL, 0);
    void *after = take_some(allocator);
    assert_ptr_equal(own, ortp__chunk_data(room));
    void *const served[] = {other, larger, after};
    for (size_t i = 0; i < sizeof served / sizeof *served; i++) {
        assert_non_null(served[i]);
        assert_ptr_not_equal(served[i], own);
        ortp__allocator_free(&allocator->ort, served[i]);
    }
    ortp__allocator_free(&allocator->ort, own);
    assert_int_equal(test_session_info(session).live_count, live);
    assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
    test_runtime_destroy(runtime);
}

/* With neither path nor bytes the application's word is declared; without one, what the process grew by. */
static void what_is_declared_without_a_file(void **state)
{
    (void)state;
    ortp_runtime *runtime = test_runtime_create(NULL);
    ortp_session_options options = options_for(runtime, GRAPH_ENCODER);
    callback c = {.runtime = runtime};
    callback_use(&c, &options);
    options.path = NULL;
    options.memory = ORTP_ORT_MEMORY_NO_ARENA;
    ortp_session *session = NULL;
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(ortp_session_create(&options, &session, &error), error);
    assert_true(ortp_session_declared_bytes(session) > (size_t)9 << 20); /* the file: 10.7 million */
    assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
    options.declared_bytes = 777;
    assert_ok(ortp_session_create(&options, &session, &error), error);
    assert_int_equal(ortp_session_declared_bytes(session), 777);
    assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
    assert_int_equal(test_use_of(runtime).declared_bytes, 0);
    test_runtime_destroy(runtime);
}

static void a_budget_too_small_is_said(void **state)
{
    (void)state;
    ortp_runtime_options runtime_options = ORTP_RUNTIME_OPTIONS_INIT;
    runtime_options.limit_bytes = (size_t)4 << 20;
    ortp_runtime *runtime = test_runtime_create(&runtime_options);
    ortp_session_options options = options_for(runtime, GRAPH_ENCODER);
    callback c = {.runtime = runtime};
    callback_use(&c, &options);
    assert_refused(&options, ORTP_E_BUDGET, "bytes");
    assert_int_equal(c.calls, 0);   /* before ORT is asked */
    options.declared_bytes = 1000; /* packed weights do not fit */
    if (TEST_THROWS) { /* ORT fails inside the callback, which passes its status on */
        assert_refused(&options, ORTP_E_BUDGET, "asked for");
    } else {
        const test_use before = test_use_of(runtime);
        ortp_session *session = NULL;
        ortp_error error = ORTP_ERROR_INIT;
        assert_ok(ortp_session_create(&options, &session, &error), error);
        const ortp_session_info info = test_session_info(session);
        assert_true(info.overdrafts > 0 && info.overdraft_bytes > ((size_t)4 << 20));
        assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
        test_assert_use(runtime, &before);
    }
    test_runtime_destroy(runtime);
}

/* Whoever creates a session in the env after us gets none of our memory. */
static void assert_env_without_allocator(const ortp_runtime *runtime)
{
    OrtMemoryInfo *cpu = NULL;
    assert_null(test_ort_api()->CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &cpu));
    OrtStatus *status = test_ort_api()->UnregisterAllocator(ortp_runtime_env(runtime), cpu);
    assert_non_null(status); /* there is none */
    test_ort_api()->ReleaseStatus(status);
    test_ort_api()->ReleaseMemoryInfo(cpu);
}

static void the_env_is_left_without_an_allocator(void **state)
{
    (void)state;
    ortp_runtime *runtime = test_runtime_create(NULL);
    own_session own = own_open(runtime, GRAPH_ADD, NULL);
    assert_env_without_allocator(runtime);
    own_session_close(&own);
    assert_env_without_allocator(runtime);
    ortp_session_options options = options_for(runtime, GRAPH_ADD);
    callback c = {.runtime = runtime, .fails = true};
    callback_use(&c, &options);
    assert_refused(&options, ORTP_E_NOTFOUND, "no/such/graph");
    assert_env_without_allocator(runtime);
    test_runtime_destroy(runtime);
}

/* ---- inside a creation ---- */

typedef struct inner {
    ortp_session *other;
    const graph_world *w;
    ortp_status nested;
    ortp_error error;
    ortp_session_info before, after;
} inner;

static void run_and_create(callback *c)
{
    inner *in = c->ctx;
    ortp_session_options options = options_for(c->runtime, GRAPH_ADD);
    ortp_session *session = (ortp_session *)&session;
    in->nested = ortp_session_create(&options, &session, &in->error);
    assert_null(session);
    graph_check(in->other, &in->w->feed, &in->w->expected);
    in->before = test_session_info(in->other);
    graph_answer direct; /* without a ticket */
    graph_answer_by(&direct, ortp_session_ort(in->other), &in->w->feed);
    assert_memory_equal(direct.data, in->w->expected.data, direct.bytes);
    graph_answer_free(&direct);
    in->after = test_session_info(in->other);
    assert_int_equal(ortp_runtime_destroy(c->runtime, NULL), ORTP_E_BUSY);
}

/* Creating another session is refused, since the gate would never open; others' runs go on as ever. */
static void a_creation_inside_a_creation_is_refused(void **state)
{
    (void)state;
    ortp_runtime *runtime = test_runtime_create(NULL);
    graph_world w;
    graph_world_open(&w, GRAPH_TINY_ENCODER, 32);
    inner in = {.other = graph_session(runtime, GRAPH_TINY_ENCODER, NULL),
                .w = &w,
                .error = ORTP_ERROR_INIT};
    graph_check(in.other, &w.feed, &w.expected);
    const test_use before = test_use_of(runtime);
    ortp_session_options options = options_for(runtime, GRAPH_TINY_ENCODER);
    callback c = {.runtime = runtime, .inside = run_and_create, .ctx = &in};
    callback_use(&c, &options);
    ortp_session *session = NULL;
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(ortp_session_create(&options, &session, &error), error);
    assert_int_equal(in.nested, ORTP_E_BUSY);
    assert_non_null(strstr(in.error.message, "this thread"));
    assert_true(in.after.outside_allocs > in.before.outside_allocs + 5);
    assert_int_equal(in.after.live_count, in.before.live_count);
    assert_int_equal(test_session_info(session).outside_allocs, 0);
    graph_check(session, &w.feed, &w.expected);
    assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
    test_assert_use(runtime, &before);
    c.inside = NULL; /* and afterwards it may */
    assert_ok(ortp_session_create(&options, &session, &error), error);
    assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
    assert_int_equal(ortp_session_destroy(in.other, NULL), ORTP_OK);
    graph_world_close(&w);
    test_runtime_destroy(runtime);
}

typedef struct log_sink {
    ortp_runtime *runtime;
    size_t calls, busy;
} log_sink;

static void create_while_logging(void *ctx, ortp_log_level level, const char *message)
{
    log_sink *sink = ctx;
    (void)level, (void)message;
    if (sink->runtime == NULL || strstr(message, "ONNX Runtime") == NULL) {
        return;
    }
    sink->calls++;
    ortp_session_options options = options_for(sink->runtime, GRAPH_ADD);
    ortp_session *session = NULL;
    sink->busy += ortp_session_create(&options, &session, NULL) == ORTP_E_BUSY ? 1 : 0;
}

static void a_creation_inside_a_log_function_is_refused(void **state)
{
    (void)state;
    log_sink sink = {NULL, 0, 0};
    ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
    options.log =
        (ortp_logger){.fn = create_while_logging, .ctx = &sink, .level = ORTP_LOG_DEBUG};
    ortp_runtime *runtime = test_runtime_create(&options);
    sink.runtime = runtime;
    ortp_session *session = graph_session(runtime, GRAPH_ADD, NULL);
    sink.runtime = NULL;
    assert_true(sink.calls > 0);
    assert_int_equal(sink.busy, sink.calls);
    assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
    test_runtime_destroy(runtime);
}

/* ---- outside of runs ---- */

static ortp_stats stats_of(const ortp_runtime *runtime)
{
    ortp_stats stats = ORTP_STATS_INIT;
    assert_int_equal(ortp_stats_collect(runtime, &stats), ORTP_OK);
    return stats;
}

static void run_with_binding(OrtSession *ort, const graph_feed *feed, const OrtMemoryInfo *cpu)
{
    const OrtApi *api = test_ort_api();
    OrtIoBinding *binding = NULL;
    assert_null(api->CreateIoBinding(ort, &binding));
    for (size_t i = 0; i < feed->input_count; i++) {
        assert_null(api->BindInput(binding, feed->input_names[i], feed->inputs[i]));
    }
    assert_null(api->BindOutputToDevice(binding, feed->output_name, cpu));
    assert_null(api->RunWithBinding(ort, NULL, binding));
    api->ReleaseIoBinding(binding);
}

/* Creation, runs and the end of a session are inside; every other call of ORT that allocates is not. */
static void allocations_outside_of_runs_are_counted_apart(void **state)
{
    (void)state;
    const OrtApi *api = test_ort_api();
    ortp_runtime *runtime = test_runtime_create(NULL);
    graph_world w;
    graph_world_open(&w, GRAPH_ENCODER, 32);
    OrtMemoryInfo *cpu = NULL;
    assert_null(api->CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &cpu));
    ortp_session *session = graph_session(runtime, GRAPH_ENCODER, NULL);
    for (int round = 0; round < 3; round++) {
        graph_check(session, &w.feed, &w.expected);
    }
    assert_true(test_session_info(session).allocs > 0);
    assert_int_equal(test_session_info(session).outside_allocs, 0);
    OrtAllocator *allocator = NULL;
    assert_null(api->CreateAllocator(ortp_session_ort(session), cpu, &allocator));
    void *memory = NULL;
    assert_null(api->AllocatorAlloc(allocator, 1234, &memory));
    assert_int_equal(test_session_info(session).outside_allocs, 1);
    assert_int_equal(test_session_info(session).outside_bytes, 1234);
    assert_null(api->AllocatorFree(allocator, memory));
    api->ReleaseAllocator(allocator);
    run_with_binding(ortp_session_ort(session), &w.feed, cpu);
    const ortp_session_info info = test_session_info(session);
    assert_true(info.outside_allocs > 1 && info.outside_bytes > 1234);
    assert_int_equal(info.runs, 3);
    graph_check(session, &w.feed, &w.expected);
    assert_int_equal(test_session_info(session).outside_allocs, info.outside_allocs);
    assert_int_equal(stats_of(runtime).outside_allocations, info.outside_allocs);
    assert_int_equal(stats_of(runtime).outside_bytes, info.outside_bytes);
    assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
    assert_int_equal(stats_of(runtime).outside_allocations, info.outside_allocs); /* kept */
    assert_int_equal(stats_of(runtime).outside_bytes, info.outside_bytes);
    session = graph_session(runtime, GRAPH_ENCODER, NULL); /* its counters are its own */
    assert_int_equal(test_session_info(session).outside_allocs, 0);
    assert_int_equal(test_session_info(session).outside_bytes, 0);
    assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
    api->ReleaseMemoryInfo(cpu);
    graph_world_close(&w);
    test_runtime_destroy(runtime);
}

/* ---- the env's other owner ---- */

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

    ortp_session_options nothing = options_for(runtime, GRAPH_ADD); /* and where nothing comes of it */
    callback c = {.runtime = runtime, .says = "the callback's own words"};
    callback_use(&c, &nothing);
    nothing.env_allocator = &host.base;
    assert_refused(&nothing, ORTP_E_ORT, "callback's own words");
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

/* ---- creation is exclusive in the process ---- */

typedef struct creator {
    ortp_runtime *runtime;
    const char *path;
    const graph_world *w;
    _Atomic size_t *inside, *errors;
} creator;

static OrtStatus *create_alone(void *ctx, OrtEnv *env, const OrtSessionOptions *options,
                               OrtSession **out)
{
    creator *c = ctx;
    const bool alone = atomic_fetch_add(c->inside, 1) == 0;
    OrtStatus *status = test_ort_api()->CreateSession(env, c->path, options, out);
    if (atomic_fetch_sub(c->inside, 1) != 1 || !alone) {
        atomic_fetch_add(c->errors, 1);
    }
    return status;
}

static void *create_some(void *ctx)
{
    creator *c = ctx;
    for (int i = 0; i < 10; ++i) {
        ortp_session_options options = ORTP_SESSION_OPTIONS_INIT;
        options.runtime = c->runtime;
        options.path = c->path;
        options.intra_threads = 1;
        options.create = create_alone;
        options.create_ctx = c;
        ortp_session *session = NULL;
        OrtValue *output = NULL;
        if (ortp_session_create(&options, &session, NULL) != ORTP_OK ||
            graph_run(session, NULL, &c->w->feed, &output, NULL) != ORTP_OK ||
            !graph_answer_equals(&c->w->expected, output) ||
            test_session_info(session).allocs == 0 || ortp_session_destroy(session, NULL) != ORTP_OK ||
            ortp_value_release(c->runtime, output) != ORTP_OK) {
            atomic_fetch_add(c->errors, 1);
        }
    }
    return NULL;
}

static void threads_and_runtimes_create_one_at_a_time(void **state)
{
    (void)state;
    ortp_runtime *runtimes[2] = {test_runtime_create(NULL), test_runtime_create(NULL)};
    graph_world w;
    graph_world_open(&w, GRAPH_TINY_ENCODER, 20);
    _Atomic size_t inside = 0, errors = 0;
    pthread_t threads[4];
    creator creators[4];
    const char *path = graph_file(GRAPH_TINY_ENCODER);
    for (size_t i = 0; i < 4; ++i) {
        creators[i] = (creator){runtimes[i % 2], path, &w, &inside, &errors};
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
    graph_world_close(&w);
}

static void values_are_released(void **state)
{
    (void)state;
    ortp_runtime *runtime = test_runtime_create(NULL);
    graph_world w;
    graph_world_open(&w, GRAPH_ADD, 4);
    ortp_session *session = graph_session(runtime, GRAPH_ADD, NULL);
    OrtValue *output = graph_world_output(session, &w);
    assert_int_equal(test_session_info(session).live_count, 1);
    assert_int_equal(ortp_value_release(NULL, output), ORTP_E_INVAL);
    assert_int_equal(ortp_value_release(runtime, NULL), ORTP_OK);
    assert_int_equal(ortp_value_release(runtime, output), ORTP_OK);
    assert_int_equal(test_session_info(session).live_count, 0);
    assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
    graph_world_close(&w);
    test_runtime_destroy(runtime);
}

int main(void)
{
    if (!test_ort_found()) {
        return TEST_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        /* first: memory that others freed is no growth of the process when it is used again */
        cmocka_unit_test(what_is_declared_without_a_file),
        cmocka_unit_test(results_are_those_of_the_hosts_run),
        cmocka_unit_test(options_are_cloned),
        cmocka_unit_test(a_callbacks_session_is_owned),
        cmocka_unit_test(a_callbacks_message_is_kept),
        cmocka_unit_test(a_probe_answers_its_own_request_alone),
        cmocka_unit_test(a_budget_too_small_is_said),
        cmocka_unit_test(the_env_is_left_without_an_allocator),
        cmocka_unit_test(a_creation_inside_a_creation_is_refused),
        cmocka_unit_test(a_creation_inside_a_log_function_is_refused),
        cmocka_unit_test(allocations_outside_of_runs_are_counted_apart),
        cmocka_unit_test(a_host_may_own_the_env),
        cmocka_unit_test(a_hosts_own_allocator_is_put_back),
        cmocka_unit_test(a_hosts_allocator_that_is_not_named),
        cmocka_unit_test(threads_and_runtimes_create_one_at_a_time),
        cmocka_unit_test(values_are_released),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
