/* SPDX-License-Identifier: MIT */
/* See encoder.h. */
#include "encoder.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FEATURES 6u
#define HIDDEN 256u
#define KEYS 26u

const char *const encoder_inputs[3] = {"trajectory_features", "nearest_keys", "actual_length"};
const char *const encoder_outputs[1] = {"memory"};

void ort_must(const OrtApi *api, OrtStatus *status)
{
    if (status) {
        (void)fprintf(stderr, "bench: ONNX Runtime: %s\n", api->GetErrorMessage(status));
        exit(1);
    }
}

OrtEnv *encoder_env(const OrtApi *api)
{
    OrtEnv *env = NULL;
    ort_must(api, api->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "bench", &env));
    return env;
}

OrtSessionOptions *encoder_options(const OrtApi *api)
{
    OrtSessionOptions *options = NULL;
    ort_must(api, api->CreateSessionOptions(&options));
    ort_must(api, api->SetSessionGraphOptimizationLevel(options, ORT_ENABLE_ALL));
    ort_must(api, api->SetSessionExecutionMode(options, ORT_SEQUENTIAL));
    ort_must(api, api->DisableMemPattern(options));
    ort_must(api, api->SetIntraOpNumThreads(options, 1));
    ort_must(api, api->SetInterOpNumThreads(options, 1));
    return options;
}

static OrtValue *value(const OrtApi *api, const OrtMemoryInfo *info, void *data, size_t bytes,
                       const int64_t *shape, size_t rank, ONNXTensorElementDataType type)
{
    OrtValue *out = NULL;
    ort_must(api, api->CreateTensorWithDataAsOrtValue(info, data, bytes, shape, rank, type, &out));
    return out;
}

void encoder_values_make(encoder_values *values, const OrtApi *api, size_t points)
{
    /* Output first, aligned; then features, keys, length, each with room to read past its end. */
    const size_t feature_count = points * FEATURES;
    const size_t floats = points * HIDDEN + feature_count + points + 1 + 4 * 16;
    float *data = aligned_alloc(64, (floats * sizeof(*data) + 63) / 64 * 64);
    if (!data) {
        (void)fputs("bench: no memory left\n", stderr);
        exit(1);
    }
    memset(data, 0, floats * sizeof(*data));
    float *features = data + points * HIDDEN + 16;
    int32_t *keys = (int32_t *)(void *)(features + feature_count + 16);
    int32_t *length = keys + points + 16;
    for (size_t i = 0; i < points; i++) {
        const double along = points > 1 ? (double)i / (double)(points - 1) : 0.0;
        for (size_t k = 0; k < FEATURES; k++) {
            features[i * FEATURES + k] = (float)(0.5 * sin(6.0 * along + (double)k));
        }
        keys[i] = (int32_t)(4 + (i * 7) % KEYS);
    }
    *length = (int32_t)points;

    OrtMemoryInfo *info = NULL;
    ort_must(api, api->CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &info));
    const int64_t n = (int64_t)points;
    *values = (encoder_values){.data = data, .output_count = points * HIDDEN, .points = points};
    values->inputs[0] = value(api, info, features, feature_count * sizeof(float),
                              (int64_t[]){1, n, FEATURES}, 3, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT);
    values->inputs[1] = value(api, info, keys, points * sizeof(int32_t), (int64_t[]){1, n}, 2,
                              ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32);
    values->inputs[2] = value(api, info, length, sizeof(int32_t), (int64_t[]){1}, 1,
                              ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32);
    values->output = value(api, info, data, values->output_count * sizeof(float),
                           (int64_t[]){1, n, HIDDEN}, 3, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT);
    api->ReleaseMemoryInfo(info);
}

void encoder_values_free(encoder_values *values, const OrtApi *api)
{
    for (size_t i = 0; i < 3; i++) {
        api->ReleaseValue(values->inputs[i]);
    }
    api->ReleaseValue(values->output);
    free(values->data);
}

uint64_t encoder_values_hash(const encoder_values *values)
{
    uint64_t hash = 14695981039346656037u;
    const unsigned char *bytes = (const unsigned char *)values->data;
    for (size_t i = 0; i < values->output_count * sizeof(float); i++) {
        hash = (hash ^ bytes[i]) * 1099511628211u;
    }
    return hash;
}
