/* SPDX-License-Identifier: MIT */
/* See timed_api.h. Global, because ORT's functions take no context. */
#include "timed_api.h"

#include "support.h"

#include <stddef.h>
#include <string.h>

static const OrtApi *real;
static OrtApi timed;
static const OrtSession *encoder_session;
static timed_counts counts;

static void add_run(const OrtSession *session, double start)
{
    const double us = bench_now_us() - start;
    if (session == encoder_session) {
        counts.encoder_us += us;
        counts.encoder_runs++;
    } else {
        counts.decoder_us += us;
        counts.decoder_runs++;
    }
}

static OrtStatus *run(OrtSession *session, const OrtRunOptions *options,
                      const char *const *input_names, const OrtValue *const *inputs,
                      size_t input_count, const char *const *output_names, size_t output_count,
                      OrtValue **outputs)
{
    for (size_t i = 0; i < output_count; i++) {
        counts.tensors += outputs[i] == NULL;
    }
    const double start = bench_now_us();
    OrtStatus *status = real->Run(session, options, input_names, inputs, input_count, output_names,
                                  output_count, outputs);
    add_run(session, start);
    return status;
}

static OrtStatus *run_with_binding(OrtSession *session, const OrtRunOptions *options,
                                   const OrtIoBinding *binding)
{
    const double start = bench_now_us();
    OrtStatus *status = real->RunWithBinding(session, options, binding);
    add_run(session, start);
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

const OrtApi *timed_api(const ort_library *library, uint32_t *version)
{
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
