/* SPDX-License-Identifier: MIT */
/* The runtime room: environment, sessions, tensors, warm-up; with real ONNX Runtime. */
#include "sweep.h"

#include "session_internal.h"
#include "test_ort.h"

#include <ortpool/ortpool.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "counting_api.h"

#define ADD "tests/graphs/shapes/add.onnx"

typedef struct world {
    counting_alloc alloc;
    OrtEnv *env; /* a host's; NULL: the runtime's own */
    void *graph; /* in memory; NULL: from the file */
    size_t graph_bytes;
} world;

static ortp_status try_tensors(ortp_tensor_pool *tensors, ortp_error *error)
{
    static const ortp_type types[] = {ORTP_TYPE_FLOAT, ORTP_TYPE_INT32, ORTP_TYPE_BOOL};
    static const int64_t shape[] = {3, 7}, part[] = {2, 7};
    ortp_status status = ORTP_OK;
    for (size_t i = 0; i < 3 && status == ORTP_OK; i++) {
        ortp_tensor *tensor = NULL;
        OrtValue *view = NULL;
        status = ortp_tensor_acquire(tensors, types[i], shape, 2, &tensor, error);
        if (status != ORTP_OK) {
            assert_null(tensor);
            break;
        }
        memset(ortp_tensor_data(tensor), 1, ortp_tensor_bytes(tensor));
        status = ortp_tensor_view(tensor, types[i], part, 2, &view, error);
        assert_int_equal(status == ORTP_OK, view != NULL);
        assert_int_equal(ortp_tensor_release(tensor), ORTP_OK);
    }
    return status;
}

/* One float in, one float out: the graph adds its input to itself or to a second one. */
static ortp_status try_run(ortp_session *session, ortp_tensor_pool *tensors, ortp_error *error)
{
    enum { PORTS = 4 };
    ortp_tensor *held[PORTS] = {NULL};
    OrtValue *values[PORTS] = {NULL};
    const size_t inputs = ortp_session_input_count(session);
    assert_true(inputs + 1 <= PORTS && ortp_session_output_count(session) == 1);
    ortp_status status = ORTP_OK;
    for (size_t i = 0; i < inputs + 1 && status == ORTP_OK; i++) {
        const ortp_port *port =
            i < inputs ? ortp_session_input(session, i) : ortp_session_output(session, 0);
        int64_t shape[ORTP_RANK_MAX];
        for (size_t d = 0; d < port->rank; d++) {
            shape[d] = port->shape[d] < 0 ? 2 : port->shape[d];
        }
        status = ortp_tensor_acquire(tensors, port->type, shape, port->rank, &held[i], error);
        if (status == ORTP_OK) {
            memset(ortp_tensor_data(held[i]), 0, ortp_tensor_bytes(held[i]));
            values[i] = ortp_tensor_value(held[i]);
        }
    }
    if (status == ORTP_OK) {
        status = ortp_session_run(session, NULL, NULL, (const OrtValue *const *)values, inputs,
                                  NULL, &values[inputs], 1, error);
    }
    for (size_t i = 0; i < PORTS; i++) {
        assert_int_equal(ortp_tensor_release(held[i]), ORTP_OK);
    }
    return status;
}

static ortp_status warm_step(void *ctx, size_t argument, ortp_error *error)
{
    (void)argument;
    return try_tensors(ctx, error);
}

static ortp_status try_warmups(ortp_runtime *runtime, ortp_tensor_pool *tensors, ortp_error *error)
{
    const ortp_warmup_step steps[] = {{.name = "tensors", .run = warm_step, .ctx = tensors}};
    ortp_status status = ortp_warmup_run(runtime, steps, 1, NULL, NULL, error);
    if (status != ORTP_OK) {
        return status;
    }
    ortp_warmup *warmup = NULL;
    status = ortp_warmup_start(runtime, steps, 1, NULL, &warmup, error);
    assert_int_equal(status == ORTP_OK, warmup != NULL);
    return status != ORTP_OK ? status : ortp_warmup_join(warmup, NULL, error);
}

/* A destroy that is refused leaves a runtime that only waits for another one. */
static void refuse_destroy(ortp_runtime *runtime)
{
    ortp_budget *budget = ortp_runtime_budget(runtime);
    if (ortp_budget_charge(budget, ORTP_ACCOUNT_DECLARED, 100, ORTP_RECLAIM_NONE) == ORTP_OK) {
        assert_int_equal(ortp_runtime_destroy(runtime, NULL), ORTP_E_BUSY);
        assert_int_equal(ortp_budget_refund(budget, ORTP_ACCOUNT_DECLARED, 100), ORTP_OK);
    }
}

static void log_nowhere(void *ctx, ortp_log_level level, const char *message)
{
    (void)ctx;
    (void)level;
    (void)message;
}

/* What a build that cannot throw does when it must refuse. */
static ortp_status try_overdraft(ortp_session *session, ortp_error *error)
{
    ortp__allocator *allocator = session->allocator;
    void *data = ortp__allocator_overdraft(allocator, 100);
    if (data == NULL) {
        return ortp__fail(error, ORTP_E_NOMEM, "no overdraft");
    }
    memset(data, 1, 100);
    ortp__allocator_free(&allocator->ort, data);
    return ORTP_OK;
}

static ortp_status try_plain(ortp_session_options options, ortp_error *error)
{
    ortp_session *session = NULL;
    options.memory = ORTP_ORT_MEMORY_NO_ARENA;
    const ortp_status status = ortp_session_create(&options, &session, error);
    assert_int_equal(status == ORTP_OK, session != NULL);
    assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
    return status;
}

static OrtStatus *create_own(void *ctx, OrtEnv *env, const OrtSessionOptions *options,
                             OrtSession **out)
{
    return ((const OrtApi *)ctx)->CreateSession(env, test_file(ADD), options, out);
}

/* A session of the application's own options and call. */
static ortp_status try_own(ortp_session_options options, ortp_tensor_pool *tensors,
                           ortp_error *error)
{
    const OrtApi *api = test_ort_api();
    ortp_session *session = NULL;
    OrtSessionOptions *own = NULL;
    assert_null(api->CreateSessionOptions(&own));
    options.path = test_file(ADD);
    options.model = NULL;
    options.model_bytes = 0;
    options.ort_options = own;
    options.create = create_own;
    options.create_ctx = (void *)(uintptr_t)ortp_runtime_api(options.runtime);
    ortp_status status = ortp_session_create(&options, &session, error);
    assert_int_equal(status == ORTP_OK, session != NULL);
    api->ReleaseSessionOptions(own);
    if (status == ORTP_OK) {
        status = try_run(session, tensors, error);
    }
    assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
    return status;
}

static ortp_status live(void *world_, ortp_error *error)
{
    world *w = world_;
    ortp_runtime *runtime = NULL;
    ortp_tensor_pool *tensors = NULL;
    ortp_session *session = NULL;
    ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
    options.api = faults_api(test_ort_api());
    options.env = w->env;
    options.alloc = counting_alloc_use(&w->alloc);
    options.ort_version = "1.29.0";
    options.log = (ortp_logger){.fn = log_nowhere, .level = ORTP_LOG_WARNING};
    ortp_status status = ortp_runtime_create(&options, &runtime, error);
    if (status != ORTP_OK) {
        assert_null(runtime);
        return status;
    }
    ortp_tensor_pool_options pool = ORTP_TENSOR_POOL_OPTIONS_INIT;
    pool.runtime = runtime;
    status = ortp_tensor_pool_create(&pool, &tensors, error);
    if (status == ORTP_OK) {
        ortp_session_options graph = ORTP_SESSION_OPTIONS_INIT;
        graph.runtime = runtime;
        graph.path = w->graph == NULL ? test_file(ADD) : NULL;
        graph.model = w->graph;
        graph.model_bytes = w->graph_bytes;
        graph.intra_threads = 2;
        status = ortp_session_create(&graph, &session, error);
        assert_int_equal(status == ORTP_OK, session != NULL);
        if (status == ORTP_OK) {
            status = try_plain(graph, error);
        }
        if (status == ORTP_OK) {
            status = try_own(graph, tensors, error);
        }
    }
    if (status == ORTP_OK) {
        status = try_run(session, tensors, error);
    }
    if (status == ORTP_OK) {
        status = try_overdraft(session, error);
    }
    if (status == ORTP_OK) {
        status = try_warmups(runtime, tensors, error);
    }
    test_assert_ledger(ortp_runtime_budget(runtime), ortp_runtime_pool(runtime));
    assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
    assert_int_equal(ortp_tensor_pool_destroy(tensors, NULL), ORTP_OK);
    refuse_destroy(runtime);
    test_runtime_destroy(runtime);
    return status;
}

static void *open_own(void)
{
    world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    return w;
}

static void *open_host(void)
{
    world *w = open_own();
    const OrtApi *api = test_ort_api();
    assert_null(api->CreateEnv(ORT_LOGGING_LEVEL_FATAL, "host", &w->env));
    w->graph = test_read_file(test_file(ADD), &w->graph_bytes);
    return w;
}

static void check(void *world_)
{
    counting_alloc_assert_empty(&((world *)world_)->alloc);
    assert_int_equal(counting_api_live(), 0); /* every object of ORT released */
}

static void close_world(void *world_)
{
    world *w = world_;
    if (w->env != NULL) {
        test_ort_api()->ReleaseEnv(w->env);
    }
    free(w->graph);
    free(w);
}

const scenario scenarios_runtime[] = {
    {"runtime: a life, graph in a file", open_own, live, check, close_world, true},
    {"runtime: a life, host's env, graph in memory", open_host, live, check, close_world, true},
};
const size_t scenarios_runtime_count = sizeof scenarios_runtime / sizeof scenarios_runtime[0];
