/* SPDX-License-Identifier: MIT */
/* The model with real ORT: opening, graphs that disagree with the manifest, the encoder. */
#include <math.h>
#include <stdio.h>

#include "counting_alloc.h"
#include "counting_api.h"
#include "fixture.h"

static void open_bad(fixture *f, const char *directory, ortp_status expected, const char *text)
{
    ortp_error error = ORTP_ERROR_INIT;
    ortp_model_options options = ORTP_MODEL_OPTIONS_INIT;
    ortp_model *model = NULL;
    options.runtime = f->runtime;
    options.tensors = f->tensors;
    options.directory = directory;
    options.intra_threads = 1;
    ortp_budget_info before = ORTP_BUDGET_INFO_INIT;
    ortp_budget_info after = ORTP_BUDGET_INFO_INIT;
    /* Once before: the runtime keeps the allocators that it makes for sessions. */
    assert_int_equal(ortp_model_create(&options, &model, &error), expected);
    ortp_budget_get_info(ortp_runtime_budget(f->runtime), &before);
    assert_int_equal(ortp_model_create(&options, &model, &error), expected);
    assert_null(model);
    if (strstr(error.message, text) == NULL) {
        fail_msg("found '%s', expected '%s'", error.message, text);
    }
    ortp_budget_get_info(ortp_runtime_budget(f->runtime), &after);
    assert_int_equal(before.charged_bytes, after.charged_bytes);
}

static void mismatch(fixture *f, const char *from, const char *path, const char *value,
                     const char *text)
{
    make_model_folder("model.test", from, path, value);
    open_bad(f, "model.test", ORTP_E_INVAL, text);
}

static void names_graph_and_port(void **state)
{
    (void)state;
    fixture f;
    fixture_open(&f, TINY, NULL);
    mismatch(&f, TINY, "encoder.features", "\"x\"",
             "model.test/encoder.onnx: no input 'x', which the manifest names as features");
    mismatch(&f, TINY, "encoder.keys", "\"actual_length\"",
             "encoder.onnx: keys 'actual_length': found int32 [1], expected int32 or int64 [1,S]");
    mismatch(
        &f, TINY, "encoder.keys", NULL,
        "encoder.onnx: found 3 inputs, expected the 2 that the manifest names: 'nearest_keys' has "
        "no role");
    mismatch(&f, TINY, "encoder.memory", "\"y\"",
             "encoder.onnx: no output 'y', which the manifest names as memory");
    mismatch(&f, TINY, "encoder.source_mask", "\"trajectory_features\"",
             "source_mask 'trajectory_features': found float [1,?,6], expected bool [1,S]");
    mismatch(&f, TINY, "features", "7",
             "features 'trajectory_features': found float [1,?,6], expected float [1,S,7]");
    mismatch(&f, TINY, "hidden", "17", "memory 'memory': found float [1,?,16]");
    mismatch(&f, TINY, "decoder.tokens", "\"memory\"",
             "decoder.onnx: tokens 'memory': found float [1,?,16]");
    mismatch(&f, TINY, "max_tokens", "21",
             "tokens 'target_tokens': found int32 [?,20], expected int32 or int64 [rows,21]");
    mismatch(&f, TINY, "vocabulary", "31", "logits 'logits': found float [?,20,30]");
    mismatch(&f, TINY, "decoder.logits", "\"memory\"", "decoder.onnx: no output 'memory'");
    mismatch(&f, TINY, "decoder.memory_layout", "\"replicated\"",
             "memory 'memory': found float [1,?,16], expected float [rows,S,16]");
    mismatch(&f, MASK, "decoder.source_mask", "\"target_tokens\"",
             "source_mask 'target_tokens': found int64 [?,20], expected bool [rows,S]");
    mismatch(&f, TINY, "graphs.encoder", "\"decoder.onnx\"", "decoder.onnx: no input");
    mismatch(&f, TINY, "name", NULL, "model.test/model.json: name: expected a string");
    fixture_close(&f);
}

static void names_a_missing_file(void **state)
{
    (void)state;
    fixture f;
    fixture_open(&f, TINY, NULL);
    open_bad(&f, "no-such-model", ORTP_E_NOTFOUND, "no-such-model/model.json");
    make_model_folder("model.test", TINY, "graphs.decoder", "\"gone.onnx\"");
    open_bad(&f, "model.test", ORTP_E_NOTFOUND, "model.test/gone.onnx");
    open_bad(&f, NULL, ORTP_E_INVAL, "directory");
    make_model_folder("model.test", TINY, NULL, NULL);
    test_write_file("model.test/decoder.onnx", "not a graph", 11);
    open_bad(&f, "model.test", ORTP_E_INVAL, "model.test/decoder.onnx");
    ortp_error error = ORTP_ERROR_INIT;
    assert_int_equal(ortp_model_create(NULL, NULL, &error), ORTP_E_INVAL);
    fixture_close(&f);
}

/* Opens a model that needs `needed` on a host that says `running`. */
static ortp_status open_on(const char *running, const char *needed, ortp_error *error)
{
    char value[40];
    (void)snprintf(value, sizeof value, "\"%s\"", needed);
    make_model_folder("model.test", TINY, "min_ort", value);
    ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
    options.api = test_ort_api();
    options.ort_version = running;
    fixture f = {.runtime = test_runtime_create(&options)};
    ortp_tensor_pool_options tensors = ORTP_TENSOR_POOL_OPTIONS_INIT;
    tensors.runtime = f.runtime;
    assert_ok(ortp_tensor_pool_create(&tensors, &f.tensors, error), *error);
    ortp_model_options model = ORTP_MODEL_OPTIONS_INIT;
    model.runtime = f.runtime;
    model.tensors = f.tensors;
    model.directory = "model.test";
    model.intra_threads = 1;
    const ortp_status status = ortp_model_create(&model, &f.model, error);
    assert_true((f.model != NULL) == (status == ORTP_OK));
    fixture_close(&f);
    return status;
}

static void refuses_an_older_ort(void **state)
{
    (void)state;
    static const struct {
        const char *running, *needed;
        ortp_status status;
    } cases[] = {
        {"1.29.0", "1.18", ORTP_OK},
        {"1.29.0", "1.29", ORTP_OK},
        {"1.29.0", "1.29.0", ORTP_OK},
        {"1.29.0", "1.29.1", ORTP_E_VERSION},
        {"1.29.0", "1.100", ORTP_E_VERSION},
        {"1.100.0", "1.29", ORTP_OK},
        {"1.29.0", "2.0", ORTP_E_VERSION},
        {"2.0.0", "1.30", ORTP_OK},
        {"1.30.0-dev", "1.30", ORTP_OK},
        {"1.30", "1.30.1", ORTP_E_VERSION},
        {"1.29.0.1", "1.29", ORTP_OK},
        {NULL, "99.0", ORTP_OK},
        {"", "99.0", ORTP_OK},
        {"unknown", "1.18", ORTP_E_VERSION},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ortp_error error = ORTP_ERROR_INIT;
        const ortp_status status = open_on(cases[i].running, cases[i].needed, &error);
        if (status != cases[i].status) {
            fail_msg("%zu: %s: %s", i, ortp_status_name(status), error.message);
        }
        if (status != ORTP_OK) {
            assert_non_null(strstr(error.message, "model.test/model.json: "));
            assert_non_null(strstr(error.message, cases[i].running));
            assert_non_null(strstr(error.message, cases[i].needed));
        }
    }
}

/* Adds a byte to a file. */
static void append(const char *path)
{
    FILE *file = fopen(path, "ab");
    assert_non_null(file);
    assert_int_equal(fputc('\n', file), '\n');
    assert_int_equal(fclose(file), 0);
}

static uint64_t id_at(const char *path)
{
    fixture f;
    fixture_open_at(&f, path, NULL);
    const uint64_t id = ortp_model_id(f.model);
    fixture_close(&f);
    return id;
}

static void id_follows_the_contents(void **state)
{
    (void)state;
    make_model_folder("model.a", TINY, NULL, NULL);
    make_model_folder("model.b", TINY, NULL, NULL);
    const uint64_t id = id_at("model.a");
    assert_true(id_at("model.b") == id);
    append("model.b/model.json");
    assert_true(id_at("model.b") != id);
    make_model_folder("model.b", MASK, NULL, NULL);
    assert_true(id_at("model.b") != id);
    make_model_folder("model.b", TINY, NULL, NULL);
    /* A weight changed: a trailing field of the graph's producer would do as well. */
    size_t bytes = 0;
    unsigned char *graph = test_read_file("model.b/encoder.onnx", &bytes);
    unsigned char *name = NULL;
    for (size_t i = 0; i + 13 < bytes && name == NULL; i++) {
        name = memcmp(graph + i, "ortpool-tests", 13) == 0 ? graph + i : NULL;
    }
    assert_non_null(name);
    name[0] = 'O';
    test_write_file("model.b/encoder.onnx", graph, bytes);
    free(graph);
    assert_true(id_at("model.b") != id);
}

static void check_rows(const fixture *f, const ortp_tensor *memory, const json_t *rows)
{
    const float *data = ortp_tensor_data(memory);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        for (size_t k = 0; k < f->manifest->hidden; k++) {
            const double difference =
                number_at(json_array_get(rows, i), k) - (double)data[i * f->manifest->hidden + k];
            assert_true(fabs(difference) < 1e-4);
        }
    }
}

static void encodes_what_a_second_implementation_says(void **state)
{
    (void)state;
    static const char *const models[] = {TINY, MASK};
    for (size_t i = 0; i < 2; i++) {
        char file[100];
        (void)snprintf(file, sizeof file, "%s/expected.json", models[i]);
        json_t *expected = load_json(file);
        fixture f;
        fixture_open(&f, models[i], NULL);
        ortp_tensor *memory = encode(&f, expected);
        size_t rank = 0;
        const int64_t *shape = ortp_tensor_shape(memory, &rank);
        assert_int_equal(rank, 3);
        assert_int_equal(shape[0], 1);
        assert_int_equal(shape[1], json_integer_value(json_object_get(expected, "source")));
        assert_int_equal(shape[2], f.manifest->hidden);
        check_rows(&f, memory, json_object_get(expected, "memory"));
        assert_int_equal(ortp_tensor_release(memory), ORTP_OK);
        json_decref(expected);
        fixture_close(&f);
    }
}

static void encodes_the_golden_cases(void **state)
{
    (void)state;
    fixture f;
    fixture_open_on(&f, SWIPE, ORTP_PATH_BATCHED);
    json_t *golden = NULL;
    size_t count = 0;
    for (; (golden = load_json_line("tests/data/golden.jsonl", count)) != NULL; count++) {
        ortp_tensor *memory = encode(&f, golden);
        const float *data = ortp_tensor_data(memory);
        const size_t length = (size_t)json_integer_value(json_object_get(golden, "length"));
        const float *last = data + (length - 1) * f.manifest->hidden;
        for (size_t i = 0; i < 8; i++) {
            const json_t *first_8 = json_object_get(golden, "memory_first_8");
            const json_t *last_8 = json_object_get(golden, "memory_last_8");
            assert_true(fabs(number_at(first_8, i) - (double)data[i]) < 1e-4);
            assert_true(fabs(number_at(last_8, i) - (double)last[i]) < 1e-4);
        }
        assert_int_equal(ortp_tensor_release(memory), ORTP_OK);
        json_decref(golden);
    }
    assert_int_equal(count, 8);
    ortp_stats stats = ORTP_STATS_INIT;
    assert_int_equal(ortp_stats_collect(f.runtime, &stats), ORTP_OK);
    assert_int_equal(stats.groups, ORTP_STATS_RUNTIME | ORTP_STATS_MODEL);
    assert_int_equal(stats.encoder_runs, 8);
    assert_int_equal(stats.decoder_runs, 0);
    fixture_close(&f);
}

static void refuses_bad_inputs(void **state)
{
    (void)state;
    fixture f;
    fixture_open(&f, TINY, NULL);
    ortp_error error = ORTP_ERROR_INIT;
    ortp_tensor *memory = NULL;
    float features[6] = {0};
    int32_t keys[1] = {4};
    ortp_encoder_input input = {features, keys, 0};
    assert_int_equal(ortp_model_encode(f.model, &input, &memory, &error), ORTP_E_INVAL);
    input.length = 151;
    assert_int_equal(ortp_model_encode(f.model, &input, &memory, &error), ORTP_E_INVAL);
    assert_non_null(strstr(error.message, "151"));
    input = (ortp_encoder_input){features, NULL, 1};
    assert_int_equal(ortp_model_encode(f.model, &input, &memory, &error), ORTP_E_INVAL);
    assert_non_null(strstr(error.message, "keys"));
    input = (ortp_encoder_input){NULL, keys, 1};
    assert_int_equal(ortp_model_encode(f.model, &input, &memory, &error), ORTP_E_INVAL);
    assert_null(memory);
    assert_int_equal(ortp_model_encode(NULL, &input, &memory, &error), ORTP_E_INVAL);
    assert_int_equal(ortp_model_warm(f.model, 4, &error), ORTP_E_INVAL);
    fixture_close(&f);
}

/* The same swipe, whatever lay in the buffers before. */
static void padding_is_written_each_time(void **state)
{
    (void)state;
    fixture f;
    fixture_open(&f, TINY, NULL);
    json_t *expected = load_json(TINY "/expected.json");
    ortp_tensor *first = encode(&f, expected);
    float loud[32 * 6];
    int32_t keys[32];
    for (size_t i = 0; i < 32; i++) {
        keys[i] = 29;
        for (size_t k = 0; k < 6; k++) {
            loud[i * 6 + k] = 1e6f;
        }
    }
    const ortp_encoder_input input = {loud, keys, 32};
    ortp_error error = ORTP_ERROR_INIT;
    ortp_tensor *other = NULL;
    assert_ok(ortp_model_encode(f.model, &input, &other, &error), error);
    ortp_tensor *again = encode(&f, expected);
    assert_memory_equal(ortp_tensor_data(first), ortp_tensor_data(again), ortp_tensor_bytes(first));
    assert_int_equal(ortp_tensor_release(first), ORTP_OK);
    assert_int_equal(ortp_tensor_release(other), ORTP_OK);
    assert_int_equal(ortp_tensor_release(again), ORTP_OK);
    json_decref(expected);
    fixture_close(&f);
}

static void warm_encoder_makes_no_ort_object(void **state)
{
    (void)state;
    counting_alloc counter = {0};
    ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
    options.api = counting_api_use(test_ort_api());
    options.alloc = counting_alloc_use(&counter);
    fixture f;
    fixture_open(&f, MASK, &options);
    json_t *expected = load_json(MASK "/expected.json");
    ortp_error error = ORTP_ERROR_INIT;
    for (size_t i = 0; i < f.manifest->bucket_count; i++) {
        assert_ok(ortp_model_warm(f.model, i, &error), error);
        assert_ok(ortp_model_warm(f.model, i, &error), error);
    }
    const uint64_t calls = counting_api_total();
    const uint64_t runs = counting_api_calls(COUNTING_Run);
    const uint64_t allocs = atomic_load(&counter.calls);
    ortp_tensor *memory = encode(&f, expected);
    assert_int_equal(ortp_tensor_release(memory), ORTP_OK);
    assert_int_equal(counting_api_calls(COUNTING_Run) - runs, 1);
    assert_int_equal(counting_api_total() - calls, 1); /* the run alone */
    assert_int_equal(atomic_load(&counter.calls), allocs);

    counting_api_fail(COUNTING_Run, 1);
    assert_int_equal(ortp_model_warm(f.model, 0, &error), ORTP_E_ORT);
    assert_ok(ortp_model_warm(f.model, 0, &error), error);
    json_decref(expected);
    fixture_close(&f);
    assert_int_equal(counting_api_live(), 0);
    counting_alloc_assert_empty(&counter);
}

/* Every allocation and every ORT call of opening and of a first run fails once. */
static void each_failure_is_clean(void **state)
{
    (void)state;
    ortp_error error = ORTP_ERROR_INIT;
    for (int kind = 0; kind < 2; kind++) {
        counting_alloc counter = {0};
        ortp_runtime_options runtime = ORTP_RUNTIME_OPTIONS_INIT;
        runtime.api = counting_api_use(test_ort_api());
        runtime.alloc = counting_alloc_use(&counter);
        fixture f = {.runtime = test_runtime_create(&runtime)};
        bool failed = true;
        for (uint64_t nth = 1; failed; nth++) {
            ortp_tensor_pool_options tensors = ORTP_TENSOR_POOL_OPTIONS_INIT;
            tensors.runtime = f.runtime;
            assert_ok(ortp_tensor_pool_create(&tensors, &f.tensors, &error), error);
            const uint64_t failed_before = atomic_load(&counter.failed);
            if (kind == 0) {
                counting_alloc_fail(&counter, nth, false);
            } else {
                counting_api_fail(COUNTING_ANY, nth);
            }
            ortp_model_options options = ORTP_MODEL_OPTIONS_INIT;
            options.runtime = f.runtime;
            options.tensors = f.tensors;
            options.directory = test_file(TINY);
            options.intra_threads = 1;
            ortp_model *model = NULL;
            ortp_status status = ortp_model_create(&options, &model, &error);
            if (status == ORTP_OK) {
                status = ortp_model_warm(model, 0, &error);
            }
            assert_int_equal(ortp_model_destroy(model, NULL), ORTP_OK);
            failed =
                kind == 0 ? atomic_load(&counter.failed) != failed_before : counting_api_failed();
            /* Some failures are made up for: a thread without its cache uses the depot. */
            assert_true(status == ORTP_OK ||
                        (failed && status == (kind == 0 ? ORTP_E_NOMEM : ORTP_E_ORT)));
            counting_alloc_fail(&counter, 0, false);
            counting_api_fail(COUNTING_ANY, 0);
            assert_ok(ortp_tensor_pool_destroy(f.tensors, &error), error);
            test_assert_ledger(ortp_runtime_budget(f.runtime), ortp_runtime_pool(f.runtime));
            assert_true(nth < 1000);
        }
        test_runtime_destroy(f.runtime);
        assert_int_equal(counting_api_live(), 0);
        counting_alloc_assert_empty(&counter);
    }
}

int main(void)
{
    if (!test_ort_found()) {
        return TEST_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_graph_and_port),
        cmocka_unit_test(names_a_missing_file),
        cmocka_unit_test(refuses_an_older_ort),
        cmocka_unit_test(id_follows_the_contents),
        cmocka_unit_test(encodes_what_a_second_implementation_says),
        cmocka_unit_test(encodes_the_golden_cases),
        cmocka_unit_test(refuses_bad_inputs),
        cmocka_unit_test(padding_is_written_each_time),
        cmocka_unit_test(warm_encoder_makes_no_ort_object),
        cmocka_unit_test(each_failure_is_clean),
    };
    return cmocka_run_group_tests_name("model", tests, NULL, NULL);
}
