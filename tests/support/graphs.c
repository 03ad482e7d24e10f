/* SPDX-License-Identifier: MIT */
/* See graphs.h. */
#include "graphs.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define POINTS 40 /* that a decoder looks back on */
#define TOKENS 20

static const struct {
    const char *file;
    int64_t hidden;
} graphs[GRAPH_KINDS] = {
    [GRAPH_ADD] = {"tests/graphs/shapes/add.onnx", 0},
    [GRAPH_IDENTITY] = {"tests/graphs/shapes/identity_float.onnx", 0},
    [GRAPH_TWO] = {"tests/graphs/shapes/two.onnx", 0},
    [GRAPH_SIZED] = {"tests/graphs/shapes/sized.onnx", 0},
    [GRAPH_TINY_ENCODER] = {"tests/graphs/tiny/encoder.onnx", 16},
    [GRAPH_TINY_DECODER] = {"tests/graphs/tiny/decoder.onnx", 16},
    [GRAPH_ENCODER] = {"models/swipe-en-usual/encoder.onnx", 256},
    [GRAPH_DECODER] = {"models/swipe-en-usual/decoder.onnx", 256},
};

const char *graph_file(graph_kind kind)
{
    return test_file(graphs[kind].file);
}

/* A status of ORT's that must be none. */
static void must(OrtStatus *status)
{
    if (status) {
        fail_msg("%s", test_ort_api()->GetErrorMessage(status));
    }
}

/* A value over new memory of the test's own. */
static OrtValue *new_value(ONNXTensorElementDataType type, const int64_t *shape, size_t rank,
                           size_t count, void **data)
{
    *data = aligned_alloc(64, (count * sizeof(float) + 128) / 64 * 64);
    assert_non_null(*data);
    OrtMemoryInfo *cpu = NULL;
    OrtValue *value = NULL;
    must(test_ort_api()->CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &cpu));
    must(test_ort_api()->CreateTensorWithDataAsOrtValue(cpu, *data, count * sizeof(float), shape,
                                                        rank, type, &value));
    test_ort_api()->ReleaseMemoryInfo(cpu);
    return value;
}

static size_t count_of(const int64_t *shape, size_t rank)
{
    size_t count = 1;
    for (size_t i = 0; i < rank; ++i) {
        count *= (size_t)shape[i];
    }
    return count;
}

static void add_input(graph_feed *feed, const char *name, ONNXTensorElementDataType type,
                      const int64_t *shape, size_t rank)
{
    const size_t count = count_of(shape, rank);
    const size_t at = feed->input_count++;
    assert_true(at < GRAPH_INPUTS_MAX);
    feed->input_names[at] = name;
    feed->inputs[at] = new_value(type, shape, rank, count, &feed->data[at]);
    for (size_t i = 0; i < count; ++i) { /* float and int32 have the same size */
        const size_t mixed = (i * 2654435761u + at * 40503u + (size_t)feed->kind * 7919u) >> 4;
        if (type == ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT) {
            ((float *)feed->data[at])[i] = (float)(mixed % 2001) / 1000.0f - 1.0f;
        } else {
            ((int32_t *)feed->data[at])[i] = (int32_t)(4 + mixed % 26);
        }
    }
}

static void set_output(graph_feed *feed, const char *name, size_t rank, const int64_t *shape)
{
    feed->output_name = name;
    feed->output_rank = rank;
    memcpy(feed->output_shape, shape, rank * sizeof(*shape));
}

static void feed_encoder(graph_feed *feed, int64_t points)
{
    const ONNXTensorElementDataType real = ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
    const ONNXTensorElementDataType whole = ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32;
    add_input(feed, "trajectory_features", real, (const int64_t[]){1, points, 6}, 3);
    add_input(feed, "nearest_keys", whole, (const int64_t[]){1, points}, 2);
    add_input(feed, "actual_length", whole, (const int64_t[]){1}, 1);
    ((int32_t *)feed->data[2])[0] = (int32_t)(points - points / 8);
    set_output(feed, "memory", 3, (const int64_t[]){1, points, graphs[feed->kind].hidden});
}

static void feed_decoder(graph_feed *feed, int64_t rows)
{
    const ONNXTensorElementDataType real = ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
    const ONNXTensorElementDataType whole = ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32;
    const int64_t hidden = graphs[feed->kind].hidden;
    add_input(feed, "memory", real, (const int64_t[]){1, POINTS, hidden}, 3);
    add_input(feed, "target_tokens", whole, (const int64_t[]){rows, TOKENS}, 2);
    add_input(feed, "actual_src_length", whole, (const int64_t[]){1}, 1);
    ((int32_t *)feed->data[2])[0] = POINTS - 5;
    set_output(feed, "logits", 3, (const int64_t[]){rows, TOKENS, 30});
}

void graph_feed_make(graph_feed *feed, graph_kind kind, int64_t size)
{
    memset(feed, 0, sizeof(*feed));
    feed->kind = kind;
    const ONNXTensorElementDataType real = ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
    switch (kind) {
    case GRAPH_ADD:
    case GRAPH_TWO:
        add_input(feed, "x", real, &size, 1);
        add_input(feed, "y", real, &size, 1);
        set_output(feed, kind == GRAPH_ADD ? "z" : "product", 1, &size);
        break;
    case GRAPH_IDENTITY:
        add_input(feed, "x", real, &size, 1);
        set_output(feed, "y", 1, &size);
        break;
    case GRAPH_SIZED:
        add_input(feed, "n", real, (const int64_t[]){1}, 1);
        ((float *)feed->data[0])[0] = (float)size;
        set_output(feed, "size", 0, (const int64_t[]){0});
        break;
    case GRAPH_TINY_ENCODER:
    case GRAPH_ENCODER:
        feed_encoder(feed, size);
        break;
    default:
        feed_decoder(feed, size);
        break;
    }
}

void graph_feed_free(graph_feed *feed)
{
    for (size_t i = 0; i < feed->input_count; ++i) {
        test_ort_api()->ReleaseValue(feed->inputs[i]);
        free(feed->data[i]);
    }
    feed->input_count = 0;
}

static OrtSessionOptions *host_options(int threads, bool parallel)
{
    const OrtApi *api = test_ort_api();
    OrtSessionOptions *options = NULL;
    must(api->CreateSessionOptions(&options));
    must(api->SetSessionExecutionMode(options, parallel ? ORT_PARALLEL : ORT_SEQUENTIAL));
    must(api->SetIntraOpNumThreads(options, threads));
    must(api->SetInterOpNumThreads(options, parallel ? 2 : 1));
    must(api->AddSessionConfigEntry(options, "session.intra_op.allow_spinning", "0"));
    must(api->AddSessionConfigEntry(options, "session.inter_op.allow_spinning", "0"));
    return options;
}

OrtSession *graph_host_session(const ortp_runtime *runtime, graph_kind kind, int threads)
{
    OrtSessionOptions *options = host_options(threads, false);
    OrtSession *ort = NULL;
    must(test_ort_api()->DisableMemPattern(options));
    must(test_ort_api()->CreateSession(ortp_runtime_env(runtime), graph_file(kind), options, &ort));
    test_ort_api()->ReleaseSessionOptions(options);
    return ort;
}

static size_t value_bytes(const OrtValue *value)
{
    const OrtApi *api = test_ort_api();
    OrtTensorTypeAndShapeInfo *info = NULL;
    size_t count = 0;
    OrtStatus *status = api->GetTensorTypeAndShape(value, &info);
    if (!status) {
        status = api->GetTensorShapeElementCount(info, &count);
        api->ReleaseTensorTypeAndShapeInfo(info);
    }
    if (status) {
        api->ReleaseStatus(status);
        return SIZE_MAX;
    }
    return count * sizeof(float);
}

/* ORT declares it for values that are changed; nothing here changes one. */
static const void *value_data(const OrtValue *value)
{
    void *data = NULL;
    OrtStatus *status = test_ort_api()->GetTensorMutableData((OrtValue *)(uintptr_t)value, &data);
    if (status) {
        test_ort_api()->ReleaseStatus(status);
        return NULL;
    }
    return data;
}

void graph_answer_by(graph_answer *answer, OrtSession *ort, const graph_feed *feed)
{
    OrtValue *output = NULL;
    must(test_ort_api()->Run(ort, NULL, feed->input_names, (const OrtValue *const *)feed->inputs,
                             feed->input_count, &feed->output_name, 1, &output));
    answer->bytes = value_bytes(output);
    answer->data = malloc(answer->bytes + 1);
    assert_non_null(answer->data);
    if (answer->bytes > 0) {
        memcpy(answer->data, value_data(output), answer->bytes);
    }
    test_ort_api()->ReleaseValue(output);
}

void graph_answer_by_host(graph_answer *answer, const ortp_runtime *runtime, const graph_feed *feed,
                          int threads)
{
    OrtSession *ort = graph_host_session(runtime, feed->kind, threads);
    graph_answer_by(answer, ort, feed);
    test_ort_api()->ReleaseSession(ort);
}

void graph_answer_free(graph_answer *answer)
{
    free(answer->data);
    answer->data = NULL;
}

bool graph_answer_equals(const graph_answer *answer, const OrtValue *value)
{
    if (!value || value_bytes(value) != answer->bytes) {
        return false;
    }
    return answer->bytes == 0 || memcmp(answer->data, value_data(value), answer->bytes) == 0;
}

double graph_answer_difference(const graph_answer *answer, const OrtValue *value)
{
    assert_int_equal(value_bytes(value), answer->bytes);
    const float *a = answer->data, *b = value_data(value);
    double most = 0.0;
    for (size_t i = 0; i < answer->bytes / sizeof(float); ++i) {
        const double difference = fabs((double)a[i] - (double)b[i]);
        if (!(difference <= most)) { /* NaN, too */
            most = difference;
        }
    }
    return most;
}

ortp_session *graph_session(ortp_runtime *runtime, graph_kind kind,
                            const ortp_session_options *more)
{
    ortp_session_options options = ORTP_SESSION_OPTIONS_INIT;
    if (more) {
        options = *more;
    }
    options.struct_size = sizeof(options);
    options.runtime = runtime;
    options.path = graph_file(kind);
    if (options.intra_threads == 0) {
        options.intra_threads = 1;
    }
    ortp_session *session = NULL;
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(ortp_session_create(&options, &session, &error), error);
    return session;
}

ortp_status graph_run(ortp_session *session, const ortp_run_options *options,
                      const graph_feed *feed, OrtValue **output, ortp_error *error)
{
    *output = NULL;
    return ortp_session_run(session, options, feed->input_names,
                            (const OrtValue *const *)feed->inputs, feed->input_count,
                            &feed->output_name, output, 1, error);
}

void graph_place_make(graph_place *place, const graph_feed *feed)
{
    const size_t count = count_of(feed->output_shape, feed->output_rank);
    place->value = new_value(ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, feed->output_shape,
                             feed->output_rank, count, &place->data);
    memset(place->data, 0, count * sizeof(float));
}

void graph_place_free(graph_place *place)
{
    test_ort_api()->ReleaseValue(place->value);
    free(place->data);
    *place = (graph_place){NULL, NULL};
}

ortp_status graph_run_into(ortp_session *session, const ortp_run_options *options,
                           const graph_feed *feed, const graph_place *place, ortp_error *error)
{
    OrtValue *output = place->value;
    return ortp_session_run(session, options, feed->input_names,
                            (const OrtValue *const *)feed->inputs, feed->input_count,
                            &feed->output_name, &output, 1, error);
}

void graph_check(ortp_session *session, const graph_feed *feed, const graph_answer *expected)
{
    OrtValue *output = NULL;
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(graph_run(session, NULL, feed, &output, &error), error);
    assert_true(graph_answer_equals(expected, output));
    test_ort_api()->ReleaseValue(output);
}

ortp_status own_session_open(own_session *own, ortp_runtime *runtime, graph_kind kind,
                             const own_options *given, ortp_error *error)
{
    const own_options none = {.threads = 1};
    const own_options *options = given ? given : &none;
    *own = (own_session){NULL, NULL};
    OrtSessionOptions *ort_options =
        host_options(options->threads > 0 ? options->threads : 1, options->parallel);
    ortp_session_options session = options->session;
    session.struct_size = sizeof(session);
    session.runtime = runtime;
    session.path = graph_file(kind);
    session.ort_options = ort_options;
    const ortp_status status = ortp_session_create(&session, &own->session, error);
    if (status == ORTP_OK) {
        own->ort = ortp_session_ort(own->session);
    }
    test_ort_api()->ReleaseSessionOptions(ort_options);
    return status;
}

void own_session_close(own_session *own)
{
    assert_int_equal(ortp_session_destroy(own->session, NULL), ORTP_OK);
    *own = (own_session){NULL, NULL};
}

void graph_world_open(graph_world *w, graph_kind kind, int64_t size)
{
    ortp_runtime *runtime = test_runtime_create(NULL);
    graph_feed_make(&w->feed, kind, size);
    graph_answer_by_host(&w->expected, runtime, &w->feed, 1);
    test_runtime_destroy(runtime);
}

void graph_world_close(graph_world *w)
{
    graph_answer_free(&w->expected);
    graph_feed_free(&w->feed);
}

OrtValue *graph_world_output(ortp_session *session, const graph_world *w)
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

void test_release_elsewhere(OrtValue *value)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, release_value, value), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

test_use test_use_of(const ortp_runtime *runtime)
{
    ortp_pool_info pool = ORTP_POOL_INFO_INIT;
    ortp_pool_get_info(ortp_runtime_pool(runtime), &pool);
    ortp_budget_info budget = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(ortp_runtime_budget(runtime), &budget);
    test_use use = {.in_use_blocks = pool.in_use_blocks,
                    .declared_bytes = budget.account_bytes[ORTP_ACCOUNT_DECLARED]};
    memcpy(use.in_use_bytes, pool.in_use_bytes, sizeof(use.in_use_bytes));
    return use;
}

void test_assert_use(const ortp_runtime *runtime, const test_use *before)
{
    const test_use now = test_use_of(runtime);
    for (int label = 0; label < ORTP_LABEL_COUNT; ++label) {
        if (now.in_use_bytes[label] != before->in_use_bytes[label]) {
            fail_msg("in use, %s: %zu bytes, not %zu", ortp_label_name((ortp_label)label),
                     now.in_use_bytes[label], before->in_use_bytes[label]);
        }
    }
    assert_int_equal(now.in_use_blocks, before->in_use_blocks);
    assert_int_equal(now.declared_bytes, before->declared_bytes);
    test_assert_ledger(ortp_runtime_budget(runtime), ortp_runtime_pool(runtime));
}

size_t test_charged(const ortp_runtime *runtime)
{
    ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(ortp_runtime_budget(runtime), &info);
    return info.charged_bytes;
}

ortp_pool_info test_pool_info(const ortp_runtime *runtime)
{
    ortp_pool_info info = ORTP_POOL_INFO_INIT;
    ortp_pool_get_info(ortp_runtime_pool(runtime), &info);
    return info;
}

ortp_session_info test_session_info(const ortp_session *session)
{
    ortp_session_info info = ORTP_SESSION_INFO_INIT;
    ortp_session_get_info(session, &info);
    return info;
}
