/* SPDX-License-Identifier: MIT */
/*
 * The session over real ONNX Runtime: ports, runs, what is declared, and every way to fail.
 */
#include "counting_alloc.h"
#include "counting_api.h"
#include "platform.h"
#include "test_ort.h"

#include <ortpool/session.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pthread.h>

#include <cmocka.h>

#define ADD "tests/graphs/shapes/add.onnx"
#define ENCODER "models/swipe-en-usual/encoder.onnx"

static size_t declared_of(const ortp_runtime *runtime)
{
    ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(ortp_runtime_budget(runtime), &info);
    return info.account_bytes[ORTP_ACCOUNT_DECLARED];
}

static ortp_session_options options_for(ortp_runtime *runtime, const char *path)
{
    ortp_session_options options = ORTP_SESSION_OPTIONS_INIT;
    options.runtime = runtime;
    options.path = path;
    options.intra_threads = 1;
    return options;
}

static ortp_session *open_session(const ortp_session_options *options)
{
    ortp_session *session = NULL;
    ortp_error error = ORTP_ERROR_INIT;
    if (ortp_session_create(options, &session, &error) != ORTP_OK) {
        fail_msg("%s", error.message);
    }
    return session;
}

static void assert_refused(const ortp_session_options *options, ortp_status expected,
                           const char *says)
{
    ortp_session *session = (ortp_session *)&session;
    ortp_error error = ORTP_ERROR_INIT;
    const size_t declared = options->runtime ? declared_of(options->runtime) : 0;
    const ortp_status status = ortp_session_create(options, &session, &error);
    if (status != expected || !strstr(error.message, says)) {
        fail_msg("%s: %s", ortp_status_name(status), error.message);
    }
    assert_int_equal(error.status, expected);
    assert_null(session);
    if (options->runtime) {
        assert_int_equal(declared_of(options->runtime), declared);
    }
}

static void ports_are_described(void **state)
{
    (void)state;
    ortp_runtime *runtime = test_runtime_create(NULL);
    ortp_session_options options = options_for(runtime, test_file(ENCODER));
    ortp_session *session = open_session(&options);
    assert_int_equal(ortp_session_input_count(session), 3);
    const size_t features = ortp_session_find_input(session, "trajectory_features");
    assert_true(features < 3);
    const ortp_port *port = ortp_session_input(session, features);
    assert_string_equal(port->name, "trajectory_features");
    assert_int_equal(port->type, ORTP_TYPE_FLOAT);
    assert_int_equal(port->rank, 3);
    assert_int_equal(port->shape[1], -1);
    assert_int_equal(port->shape[2], 6);
    const size_t keys = ortp_session_find_input(session, "nearest_keys");
    assert_int_equal(ortp_session_input(session, keys)->type, ORTP_TYPE_INT32);
    assert_true(ortp_session_output_count(session) >= 1);
    assert_non_null(ortp_session_output(session, 0)->name);
    assert_int_equal(ortp_session_find_output(session, ortp_session_output(session, 0)->name), 0);
    assert_int_equal(ortp_session_find_input(session, "no such port"), SIZE_MAX);
    assert_int_equal(ortp_session_find_output(session, NULL), SIZE_MAX);
    assert_null(ortp_session_input(session, 3));
    assert_null(ortp_session_output(session, SIZE_MAX));
    assert_non_null(ortp_session_ort(session));
    ortp_error error = ORTP_ERROR_INIT;
    assert_int_equal(ortp_runtime_destroy(runtime, &error), ORTP_E_BUSY);
    assert_non_null(strstr(error.message, "1 sessions"));
    assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
    assert_int_equal(ortp_session_destroy(NULL, NULL), ORTP_OK);
    test_runtime_destroy(runtime);
}

static void weights_are_declared(void **state)
{
    (void)state;
    ortp_runtime *runtime = test_runtime_create(NULL);
    size_t file_bytes = 0;
    void *file = test_read_file(test_file(ENCODER), &file_bytes);
    ortp_session_options options = options_for(runtime, test_file(ENCODER));
    ortp_session *first = open_session(&options);
    const size_t declared = ortp_session_declared_bytes(first);
    ortp_session_info info = ORTP_SESSION_INFO_INIT;
    ortp_session_get_info(first, &info);
    assert_true(info.weights_bytes > 0); /* ORT's packed copies are not declared but mapped */
    assert_true(declared + info.weights_bytes >= file_bytes);
    assert_true(declared <= 5 * file_bytes + ((size_t)8 << 20));
    assert_int_equal(declared_of(runtime), declared);
    test_assert_ledger(ortp_runtime_budget(runtime), ortp_runtime_pool(runtime));

    options.path = NULL; /* the same from memory, and the host's own word */
    options.model = file;
    options.model_bytes = file_bytes;
    options.declared_bytes = 12345;
    options.name = "copy";
    options.intra_threads = 2;
    ortp_session *second = open_session(&options);
    assert_int_equal(ortp_session_declared_bytes(second), 12345);
    assert_int_equal(declared_of(runtime), declared + 12345);
    free(file);
    assert_int_equal(ortp_session_input_count(second), ortp_session_input_count(first));

    assert_int_equal(ortp_session_destroy(first, NULL), ORTP_OK);
    assert_int_equal(declared_of(runtime), 12345);
    assert_int_equal(ortp_session_destroy(second, NULL), ORTP_OK);
    assert_int_equal(declared_of(runtime), 0);
    test_runtime_destroy(runtime);
}

static void a_budget_too_small_is_said_before_ort_is_asked(void **state)
{
    (void)state;
    ortp_runtime_options runtime_options = ORTP_RUNTIME_OPTIONS_INIT;
    runtime_options.api = counting_api_use(test_ort_api());
    runtime_options.limit_bytes = (size_t)4 << 20;
    ortp_runtime *runtime = test_runtime_create(&runtime_options);
    ortp_session_options options = options_for(runtime, test_file(ENCODER));
    assert_refused(&options, ORTP_E_BUDGET, "would do");
    assert_int_equal(counting_api_calls(COUNTING_CreateSession), 0);
    assert_int_equal(declared_of(runtime), 0);
    test_assert_ledger(ortp_runtime_budget(runtime), ortp_runtime_pool(runtime));
    options.declared_bytes = 1000;          /* the host knows better */
    options.memory = ORTP_ORT_MEMORY_ARENA; /* or the packed weights would be mapped */
    ortp_session *session = open_session(&options);
    assert_int_equal(declared_of(runtime), 1000);
    assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
    test_runtime_destroy(runtime);
}

/* What the process holds, as the session's creation sees it: the linker puts this in its place. */
static struct {
    bool fake;
    bool fails;
    uint64_t before;
    uint64_t growth; /* from the first call to the next */
    size_t calls;
    ortp_pool *pool; /* not NULL: another thread maps map_bytes of it between the calls */
    size_t map_bytes;
    size_t mapped; /* by that, as the budget has it */
    ortp_block *block;
    bool watch; /* instead of faking: see that measurements of two threads never overlap */
    _Atomic int measuring;
    _Atomic uint64_t overlaps;
} process;

/* Each creation measures twice; what lies between must be one thread's alone. */
static void watch_measurement(void)
{
    static _Thread_local bool inside;
    inside = !inside;
    if (inside && atomic_fetch_add(&process.measuring, 1) > 0) {
        atomic_fetch_add(&process.overlaps, 1);
    } else if (!inside) {
        atomic_fetch_sub(&process.measuring, 1);
    }
}

static size_t mapped_of(const ortp_pool *pool)
{
    ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(ortp_pool_budget(pool), &info);
    return info.mapped_bytes;
}

extern bool __real_ortp__process_memory_get(ortp__process_memory *out);
bool __wrap_ortp__process_memory_get(ortp__process_memory *out);
bool __wrap_ortp__process_memory_get(ortp__process_memory *out)
{
    if (process.watch) {
        watch_measurement();
    }
    if (!process.fake) {
        return __real_ortp__process_memory_get(out);
    }
    if (process.calls == 1 && process.pool) {
        const size_t before = mapped_of(process.pool);
        assert_int_equal(
            ortp_pool_acquire(process.pool, process.map_bytes, ORTP_LABEL_OTHER, &process.block),
            ORTP_OK);
        process.mapped = mapped_of(process.pool) - before;
    }
    *out = (ortp__process_memory){.anonymous =
                                      process.before + (process.calls++ > 0 ? process.growth : 0)};
    return !process.fails;
}

static void fake_growth(uint64_t before, uint64_t growth)
{
    process.fake = true;
    process.fails = false;
    process.before = before;
    process.growth = growth;
    process.calls = 0;
}

static void growth_corrects_what_is_declared(void **state)
{
    (void)state;
    ortp_runtime *runtime = test_runtime_create(NULL);
    size_t file_bytes = 0;
    free(test_read_file(test_file(ADD), &file_bytes));
    const uint64_t mib = (uint64_t)1 << 20;
    const uint64_t bound = 4 * file_bytes + 8 * mib;
    const struct {
        uint64_t growth;
        uint64_t declared;
    } cases[] = {
        {0, file_bytes},
        {file_bytes, file_bytes},
        {file_bytes + 1, file_bytes + 1},
        {5 * mib, 5 * mib},
        {bound, bound},
        {bound + 1, bound},
        {1000 * mib, bound},
        {(uint64_t)0 - mib, file_bytes}, /* it shrank */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); ++i) {
        fake_growth(100 * mib, cases[i].growth);
        ortp_session_options options = options_for(runtime, test_file(ADD));
        ortp_session *session = open_session(&options);
        assert_int_equal(ortp_session_declared_bytes(session), cases[i].declared);
        assert_int_equal(declared_of(runtime), cases[i].declared);
        assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
        assert_int_equal(declared_of(runtime), 0);
    }
    fake_growth(100 * mib, 5 * mib);
    process.fails = true; /* a system that does not say */
    ortp_session_options options = options_for(runtime, test_file(ADD));
    ortp_session *session = open_session(&options);
    assert_int_equal(ortp_session_declared_bytes(session), file_bytes);
    assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
    fake_growth(100 * mib, 5 * mib);
    options.declared_bytes = 777; /* the host's word stands */
    session = open_session(&options);
    assert_int_equal(ortp_session_declared_bytes(session), 777);
    assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
    process.fake = false;
    test_runtime_destroy(runtime);
}

/* Pages of the pool are on the budget as blocks; the session's growth is the rest. */
static void growth_leaves_out_what_the_pool_maps(void **state)
{
    (void)state;
    ortp_runtime_options runtime_options = ORTP_RUNTIME_OPTIONS_INIT;
    runtime_options.pool_kind = ORTP_POOL_STRIPED; /* no state of this thread's is mapped, too */
    ortp_runtime *runtime = test_runtime_create(&runtime_options);
    size_t file_bytes = 0;
    free(test_read_file(test_file(ADD), &file_bytes));
    const size_t mib = (size_t)1 << 20;
    const size_t growths[] = {5 * mib, 3 * mib + file_bytes, 2 * mib, 0};
    for (size_t i = 0; i < sizeof(growths) / sizeof(growths[0]); ++i) {
        fake_growth(100 * mib, growths[i]);
        process.pool = ortp_runtime_pool(runtime);
        process.map_bytes = 3 * mib;
        ortp_session_options options = options_for(runtime, test_file(ADD));
        options.memory = ORTP_ORT_MEMORY_ARENA; /* maps nothing of its own */
        ortp_session *session = open_session(&options);
        process.pool = NULL;
        assert_true(process.mapped >= 3 * mib && process.mapped < 4 * mib);
        const size_t declared = ortp_session_declared_bytes(session);
        const size_t rest = growths[i] > process.mapped ? growths[i] - process.mapped : 0;
        assert_int_equal(declared, rest > file_bytes ? rest : file_bytes);
        assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
        assert_int_equal(ortp_block_release(process.block), ORTP_OK);
        assert_int_equal(ortp_pool_trim(ortp_runtime_pool(runtime), 0, 0, NULL), ORTP_OK);
    }
    process.fake = false;
    test_runtime_destroy(runtime);
}

/* The limit holds the file but not what loading took: the session is destroyed again. */
static void a_correction_that_does_not_fit_undoes_the_session(void **state)
{
    (void)state;
    ortp_runtime_options runtime_options = ORTP_RUNTIME_OPTIONS_INIT;
    runtime_options.api = counting_api_use(test_ort_api());
    ortp_runtime *runtime = test_runtime_create(&runtime_options);
    ortp_budget *budget = ortp_runtime_budget(runtime);
    ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(budget, &info);
    assert_int_equal(ortp_budget_set_limit(budget, info.charged_bytes + 65536, NULL), ORTP_OK);
    ortp_session_options options = options_for(runtime, test_file(ADD));
    options.memory = ORTP_ORT_MEMORY_ARENA; /* maps nothing of its own */
    fake_growth(1, 65536 + 1);
    assert_refused(&options, ORTP_E_BUDGET, "65537 bytes");
    assert_int_equal(counting_api_calls(COUNTING_CreateSession), 1);
    assert_int_equal(counting_api_calls(COUNTING_ReleaseSession), 1);
    assert_int_equal(declared_of(runtime), 0);
    test_assert_ledger(budget, ortp_runtime_pool(runtime));
    fake_growth(1, 32768);
    ortp_session *session = open_session(&options);
    assert_int_equal(declared_of(runtime), 32768);
    assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
    process.fake = false;
    test_runtime_destroy(runtime);
    assert_int_equal(counting_api_live(), 0);
}

static void wrong_options_are_refused(void **state)
{
    (void)state;
    ortp_runtime *runtime = test_runtime_create(NULL);
    ortp_session_options options = options_for(NULL, test_file(ADD));
    assert_refused(&options, ORTP_E_INVAL, "runtime");
    options = options_for(runtime, NULL);
    assert_refused(&options, ORTP_E_INVAL, "one of them");
    options.path = test_file(ADD);
    options.model = "x";
    options.model_bytes = 1;
    assert_refused(&options, ORTP_E_INVAL, "one of them");
    options.path = NULL;
    options.model_bytes = 0;
    assert_refused(&options, ORTP_E_INVAL, "none");
    options = options_for(runtime, test_file(ADD));
    options.intra_threads = UINT32_MAX;
    assert_refused(&options, ORTP_E_INVAL, "threads");
    options = options_for(runtime, test_file(ADD));
    options.struct_size = 2;
    assert_refused(&options, ORTP_E_VERSION, "version");
    assert_int_equal(ortp_session_create(&options, NULL, NULL), ORTP_E_INVAL);
    test_runtime_destroy(runtime);
}

static void files_that_are_no_graph_are_refused(void **state)
{
    (void)state;
    static const char path[] = "unit_runtime_session_file.onnx";
    ortp_runtime *runtime = test_runtime_create(NULL);
    ortp_session_options options = options_for(runtime, "no/such/folder/graph.onnx");
    assert_refused(&options, ORTP_E_NOTFOUND, "no/such/folder/graph.onnx");
    options.path = test_file("tests/graphs");
    assert_refused(&options, ORTP_E_INVAL, "directory");
    options.path = path;
    test_write_file(path, NULL, 0);
    assert_refused(&options, ORTP_E_INVAL, "is empty");
    test_write_file(path, "this is not a graph, whatever its name says\n", 44);
    assert_refused(&options, ORTP_E_INVAL, path);

    size_t bytes = 0;
    unsigned char *graph = test_read_file(test_file(ENCODER), &bytes);
    test_write_file(path, graph, bytes / 2);
    assert_refused(&options, ORTP_E_INVAL, path);
    free(graph);
    (void)remove(path);
    test_runtime_destroy(runtime);
}

/* Each bit in turn: refused with a reason or taken; never a crash, never a byte left on the ledger.
 */
static void flipped_bits_are_survived(void **state)
{
    (void)state;
    counting_alloc alloc = {0};
    ortp_runtime_options runtime_options = ORTP_RUNTIME_OPTIONS_INIT;
    runtime_options.api = counting_api_use(test_ort_api());
    runtime_options.alloc = counting_alloc_use(&alloc);
    ortp_runtime *runtime = test_runtime_create(&runtime_options);
    size_t bytes = 0;
    unsigned char *graph = test_read_file(test_file(ADD), &bytes);
    size_t refused = 0;
    for (size_t bit = 0; bit < 8 * bytes; bit += 3) {
        graph[bit / 8] ^= (unsigned char)(1u << (bit % 8));
        ortp_session_options options = options_for(runtime, NULL);
        options.model = graph;
        options.model_bytes = bytes;
        options.name = "flipped";
        options.declared_bytes = 100;
        ortp_session *session = NULL;
        ortp_error error = ORTP_ERROR_INIT;
        const ortp_status status = ortp_session_create(&options, &session, &error);
        if (status != ORTP_OK) {
            assert_true(status == ORTP_E_INVAL || status == ORTP_E_ORT);
            assert_null(session);
            assert_non_null(strstr(error.message, "flipped: "));
            ++refused;
        }
        assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
        assert_int_equal(declared_of(runtime), 0);
        graph[bit / 8] ^= (unsigned char)(1u << (bit % 8));
    }
    assert_true(refused > bytes / 2);
    free(graph);
    test_runtime_destroy(runtime);
    counting_alloc_assert_empty(&alloc);
    assert_int_equal(counting_api_live(), 0);
}

/* Creates, asks and destroys; the status of creation. */
static ortp_status try_session(ortp_runtime *runtime)
{
    ortp_session_options options = options_for(runtime, test_file(ADD));
    options.declared_bytes = 100;
    options.intra_threads = 2;
    ortp_session *session = NULL;
    ortp_error error = ORTP_ERROR_INIT;
    const ortp_status status = ortp_session_create(&options, &session, &error);
    if (status == ORTP_OK) {
        assert_int_equal(ortp_session_input_count(session), 2);
    } else {
        assert_null(session);
        assert_int_equal(error.status, status);
        assert_true(strlen(error.message) > 0);
    }
    assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
    return status;
}

static void discard_log(void *ctx, ortp_log_level level, const char *message)
{
    (void)level;
    (void)message;
    atomic_fetch_add((_Atomic uint64_t *)ctx, 1);
}

static void every_failing_ort_call_is_clean(void **state)
{
    (void)state;
    counting_alloc alloc = {0};
    _Atomic uint64_t messages = 0;
    ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
    options.api = counting_api_use(test_ort_api());
    options.alloc = counting_alloc_use(&alloc);
    options.log = (ortp_logger){.fn = discard_log, .ctx = &messages};
    ortp_runtime *runtime = test_runtime_create(&options);
    assert_int_equal(try_session(runtime), ORTP_OK); /* its allocator is kept for the next ones */
    const size_t metadata = alloc.live_bytes;
    const int64_t live = counting_api_live();
    size_t failures = 0;
    for (uint64_t n = 1; n < 200; ++n) {
        counting_api_fail(COUNTING_ANY, n);
        const ortp_status status = try_session(runtime);
        const bool failed = counting_api_failed();
        counting_api_fail(COUNTING_ANY, 0);
        if (failed && status != ORTP_OK) { /* freeing a name may fail without consequence */
            assert_int_equal(status, ORTP_E_ORT);
            ++failures;
        }
        assert_int_equal(alloc.live_bytes, metadata);
        assert_int_equal(counting_api_live(), live);
        assert_int_equal(declared_of(runtime), 0);
        if (!failed) {
            assert_int_equal(status, ORTP_OK);
            break;
        }
    }
    /* 3 ports with 5 calls that matter each, 10 settings, 7 others */
    assert_true(failures >= 25);
    for (size_t call = 0; call < COUNTING_ReleaseEnv; ++call) { /* the sweep reached every member */
        if (call != COUNTING_CreateSessionFromArray && call != COUNTING_Run &&
            call != COUNTING_CreateTensorWithDataAsOrtValue && call != COUNTING_IsTensor &&
            call != COUNTING_GetTensorTypeAndShape && call != COUNTING_DisableCpuMemArena &&
            call != COUNTING_CreateAllocator && call != COUNTING_CloneSessionOptions) {
            assert_true(counting_api_calls((counting_call)call) > 0);
        }
    }
    assert_int_equal(try_session(runtime), ORTP_OK);
    test_runtime_destroy(runtime);
    counting_alloc_assert_empty(&alloc);
}

/* What a runtime keeps of the first session that it had: the allocator. */
static size_t kept_bytes(void)
{
    counting_alloc alloc = {0};
    ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
    options.alloc = counting_alloc_use(&alloc);
    ortp_runtime *runtime = test_runtime_create(&options);
    const size_t before = alloc.live_bytes;
    assert_int_equal(try_session(runtime), ORTP_OK);
    const size_t kept = alloc.live_bytes - before;
    assert_int_equal(try_session(runtime), ORTP_OK);
    assert_int_equal(alloc.live_bytes, before + kept); /* the second takes it over */
    test_runtime_destroy(runtime);
    counting_alloc_assert_empty(&alloc);
    return kept;
}

static void every_failing_allocation_is_clean(void **state)
{
    (void)state;
    const size_t kept = kept_bytes();
    counting_alloc alloc = {0};
    ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
    options.api = counting_api_use(test_ort_api());
    options.alloc = counting_alloc_use(&alloc);
    ortp_runtime *runtime = test_runtime_create(&options);
    const size_t metadata = alloc.live_bytes;
    const int64_t live = counting_api_live();
    uint64_t failures = 0;
    for (int persistent = 0; persistent < 2; ++persistent) {
        for (uint64_t n = 1; n < 100; ++n) {
            const uint64_t failed_before = alloc.failed;
            counting_alloc_fail(&alloc, n, persistent != 0);
            const ortp_status status = try_session(runtime);
            counting_alloc_fail(&alloc, 0, false);
            assert_true(alloc.live_bytes == metadata || alloc.live_bytes == metadata + kept);
            assert_int_equal(counting_api_live(), live);
            assert_int_equal(declared_of(runtime), 0);
            if (alloc.failed == failed_before) {
                assert_int_equal(status, ORTP_OK);
                break;
            }
            assert_int_equal(status, ORTP_E_NOMEM);
            ++failures;
        }
    }
    assert_true(failures >= 2 * 7); /* struct, name, two arrays, three ports' names */
    test_runtime_destroy(runtime);
    counting_alloc_assert_empty(&alloc);
}

static void runs_are_checked_and_counted(void **state)
{
    (void)state;
    ortp_runtime_options runtime_options = ORTP_RUNTIME_OPTIONS_INIT;
    runtime_options.api = counting_api_use(test_ort_api());
    ortp_runtime *runtime = test_runtime_create(&runtime_options);
    ortp_session_options options = options_for(runtime, test_file(ADD));
    ortp_session *session = open_session(&options);
    ortp_tensor_pool_options pool_options = ORTP_TENSOR_POOL_OPTIONS_INIT;
    pool_options.runtime = runtime;
    ortp_tensor_pool *tensors = NULL;
    assert_int_equal(ortp_tensor_pool_create(&pool_options, &tensors, NULL), ORTP_OK);
    ortp_tensor *t[3];
    const int64_t shape[1] = {2};
    for (size_t i = 0; i < 3; ++i) {
        assert_int_equal(ortp_tensor_acquire(tensors, ORTP_TYPE_FLOAT, shape, 1, &t[i], NULL),
                         ORTP_OK);
        memset(ortp_tensor_data(t[i]), 0, ortp_tensor_bytes(t[i]));
    }
    const OrtValue *inputs[2] = {ortp_tensor_value(t[0]), ortp_tensor_value(t[1])};
    OrtValue *outputs[1] = {ortp_tensor_value(t[2])};
    ((float *)ortp_tensor_data(t[0]))[1] = 1.5f;
    ((float *)ortp_tensor_data(t[1]))[1] = 2.25f;
    ortp_error error = ORTP_ERROR_INIT;
    assert_int_equal(
        ortp_session_run(session, NULL, NULL, inputs, 2, NULL, outputs, 1, &error), ORTP_OK);
    assert_true(((float *)ortp_tensor_data(t[2]))[1] == 3.75f);
    assert_int_equal(ortp_session_runs(session), 1);

    counting_api_fail(COUNTING_Run, 1);
    assert_int_equal(
        ortp_session_run(session, NULL, NULL, inputs, 2, NULL, outputs, 1, &error), ORTP_E_ORT);
    assert_non_null(strstr(error.message, "add.onnx: made to fail: Run"));
    const OrtValue *missing[2] = {inputs[0], NULL};
    assert_int_equal(ortp_session_run(session, NULL, NULL, missing, 2, NULL, outputs, 1, &error),
                     ORTP_E_INVAL);
    assert_non_null(strstr(error.message, ortp_session_input(session, 1)->name));
    assert_int_equal(ortp_session_run(session, NULL, NULL, NULL, 2, NULL, outputs, 1, &error),
                     ORTP_E_INVAL);
    assert_int_equal(ortp_session_run(NULL, NULL, NULL, inputs, 2, NULL, outputs, 1, &error),
                     ORTP_E_INVAL);

    ortp_tensor *wrong = NULL; /* an output of another shape: ORT's own refusal comes through */
    const int64_t longer[1] = {3};
    assert_int_equal(ortp_tensor_acquire(tensors, ORTP_TYPE_FLOAT, longer, 1, &wrong, NULL),
                     ORTP_OK);
    OrtValue *wrong_outputs[1] = {ortp_tensor_value(wrong)};
    assert_int_equal(
        ortp_session_run(session, NULL, NULL, inputs, 2, NULL, wrong_outputs, 1, &error),
        ORTP_E_ORT);
    assert_true(error.ort_code == ORT_INVALID_ARGUMENT ||
                error.ort_code == ORT_RUNTIME_EXCEPTION); /* 1.22 and older */
    assert_int_equal(
        ortp_session_run(session, NULL, NULL, inputs, 2, NULL, outputs, 1, &error), ORTP_OK);
    assert_int_equal(ortp_session_runs(session), 2);

    assert_int_equal(ortp_tensor_release(wrong), ORTP_OK);
    for (size_t i = 0; i < 3; ++i) {
        assert_int_equal(ortp_tensor_release(t[i]), ORTP_OK);
    }
    assert_int_equal(ortp_tensor_pool_destroy(tensors, NULL), ORTP_OK);
    assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
    test_runtime_destroy(runtime);
    assert_int_equal(counting_api_live(), 0);
}

static void ort_logs_to_the_callback(void **state)
{
    (void)state;
    _Atomic uint64_t messages = 0;
    ortp_runtime_options runtime_options = ORTP_RUNTIME_OPTIONS_INIT;
    runtime_options.log =
        (ortp_logger){.fn = discard_log, .ctx = &messages, .level = ORTP_LOG_DEBUG};
    ortp_runtime *runtime = test_runtime_create(&runtime_options);
    assert_int_equal(try_session(runtime), ORTP_OK);
    assert_true(messages > 0);
    test_runtime_destroy(runtime);
}

typedef struct creator {
    ortp_runtime *runtime;
    char path[1024];
    _Atomic uint64_t *errors;
} creator;

static void *create_some(void *ctx)
{
    creator *c = ctx;
    for (size_t i = 0; i < 5; ++i) {
        ortp_session_options options = options_for(c->runtime, c->path);
        ortp_session *session = NULL;
        if (ortp_session_create(&options, &session, NULL) != ORTP_OK ||
            ortp_session_destroy(session, NULL) != ORTP_OK) {
            atomic_fetch_add(c->errors, 1);
        }
    }
    return NULL;
}

static void threads_create_sessions_one_at_a_time(void **state)
{
    (void)state;
    ortp_runtime *runtime = test_runtime_create(NULL);
    _Atomic uint64_t errors = 0;
    process.watch = true;
    pthread_t threads[4];
    creator creators[4];
    for (size_t i = 0; i < 4; ++i) {
        creators[i].runtime = runtime;
        creators[i].errors = &errors;
        (void)snprintf(creators[i].path, sizeof(creators[i].path), "%s", test_file(ADD));
        assert_int_equal(pthread_create(&threads[i], NULL, create_some, &creators[i]), 0);
    }
    for (size_t i = 0; i < 4; ++i) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    process.watch = false;
    assert_int_equal(errors, 0);
    assert_int_equal(process.overlaps, 0);
    assert_int_equal(declared_of(runtime), 0);
    test_runtime_destroy(runtime);
}

int main(void)
{
    if (!test_ort_found()) {
        return TEST_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ports_are_described),
        cmocka_unit_test(weights_are_declared),
        cmocka_unit_test(a_budget_too_small_is_said_before_ort_is_asked),
        cmocka_unit_test(growth_corrects_what_is_declared),
        cmocka_unit_test(growth_leaves_out_what_the_pool_maps),
        cmocka_unit_test(a_correction_that_does_not_fit_undoes_the_session),
        cmocka_unit_test(wrong_options_are_refused),
        cmocka_unit_test(files_that_are_no_graph_are_refused),
        cmocka_unit_test(flipped_bits_are_survived),
        cmocka_unit_test(every_failing_ort_call_is_clean),
        cmocka_unit_test(every_failing_allocation_is_clean),
        cmocka_unit_test(runs_are_checked_and_counted),
        cmocka_unit_test(ort_logs_to_the_callback),
        cmocka_unit_test(threads_create_sessions_one_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
