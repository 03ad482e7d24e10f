/* SPDX-License-Identifier: MIT */
/* See timed_api.h. Global, because ORT's functions take no context. */
#include "timed_api.h"

#include "heap_counts.h"
#include "support.h"

#include <stddef.h>
#include <string.h>

static const OrtApi *real;
static OrtApi timed;
static const OrtSession *encoder_session;
static timed_counts counts;

static bool counting;

/* What was before a run. */
typedef struct moment {
    heap_counts heap;
    double us;
} moment;

static moment run_begins(void)
{
    moment now = {0};
    if (counting) {
        (void)heap_counts_read(&now.heap);
    }
    now.us = bench_now_us();
    return now;
}

static void run_ended(const OrtSession *session, const moment *before)
{
    const double us = bench_now_us() - before->us;
    timed_runs *runs = session == encoder_session ? &counts.encoder : &counts.decoder;
    heap_counts heap = {0};
    if (counting) {
        (void)heap_counts_read(&heap);
    }
    runs->us += us;
    runs->runs++;
    runs->heap_calls += heap.calls - before->heap.calls;
    runs->heap_bytes += heap.bytes - before->heap.bytes;
}

static OrtStatus *run(OrtSession *session, const OrtRunOptions *options,
                      const char *const *input_names, const OrtValue *const *inputs,
                      size_t input_count, const char *const *output_names, size_t output_count,
                      OrtValue **outputs)
{
    for (size_t i = 0; i < output_count; i++) {
        counts.tensors += outputs[i] == NULL;
    }
    const moment before = run_begins();
    OrtStatus *status = real->Run(session, options, input_names, inputs, input_count, output_names,
                                  output_count, outputs);
    run_ended(session, &before);
    return status;
}

static OrtStatus *run_with_binding(OrtSession *session, const OrtRunOptions *options,
                                   const OrtIoBinding *binding)
{
    const moment before = run_begins();
    OrtStatus *status = real->RunWithBinding(session, options, binding);
    run_ended(session, &before);
    return status;
}

static OrtStatus *create_tensor(OrtAllocator *allocator, const int64_t *shape, size_t rank,
                                ONNXTensorElementDataType type, OrtValue **out)
{
    counts.tensors++;
    return real->CreateTensorAsOrtValue(allocator, shape, rank, type, out);
}

static OrtStatus *create_tensor_over(const OrtMemoryInfo *info, void *data, size_t bytes,
                                     const int64_t *shape, size_t rank,
                                     ONNXTensorElementDataType type, OrtValue **out)
{
    counts.tensors++;
    return real->CreateTensorWithDataAsOrtValue(info, data, bytes, shape, rank, type, out);
}

const OrtApi *timed_api(const ort_library *library, uint32_t *version, bool count_heap)
{
    counting = count_heap;
    /* An older library's table is shorter than the headers': then the members of version 18. */
    const bool whole = library->api_version == ORT_API_VERSION;
    const size_t bytes = whole ? sizeof(timed)
                               : offsetof(OrtApi, AddExternalInitializersFromFilesInMemory) +
                                     sizeof(timed.AddExternalInitializersFromFilesInMemory);
    real = library->api;
    memcpy(&timed, real, bytes);
    timed.Run = run;
    timed.RunWithBinding = run_with_binding;
    timed.CreateTensorAsOrtValue = create_tensor;
    timed.CreateTensorWithDataAsOrtValue = create_tensor_over;
    *version = whole ? library->api_version : ORT_LOADER_API_MIN;
    return &timed;
}

void timed_api_encoder(const OrtSession *encoder)
{
    encoder_session = encoder;
}

timed_counts timed_api_read(void)
{
    return counts;
}
