/* SPDX-License-Identifier: MIT */
/*
 * A copy of an OrtApi whose members count their calls and can be made to fail. One per process; the
 * counters are thread-safe, setting up and resetting is not.
 *
 *     options.api = counting_api_use(test_ort_api());
 *     counting_api_fail(COUNTING_CreateSession, 1);  // the next call of it
 *     counting_api_fail(COUNTING_ANY, 5);            // the fifth call of any that can fail
 */
#ifndef TEST_COUNTING_API_H
#define TEST_COUNTING_API_H

#include <stdbool.h>
#include <stdint.h>

#include <onnxruntime_c_api.h>

/* X(name, parameters, arguments): members that return an OrtStatus. */
#define COUNTING_API_MAP(X)                                                                        \
    X(CreateEnv, (OrtLoggingLevel level, const char *id, OrtEnv **out), (level, id, out))          \
    X(DisableTelemetryEvents, (const OrtEnv *env), (env))                                          \
    X(CreateCpuMemoryInfo,                                                                         \
      (enum OrtAllocatorType type, enum OrtMemType mem, OrtMemoryInfo * *out), (type, mem, out))   \
    X(CreateSessionOptions, (OrtSessionOptions * *out), (out))                                     \
    X(CloneSessionOptions, (const OrtSessionOptions *options, OrtSessionOptions **out),            \
      (options, out))                                                                              \
    X(SetSessionGraphOptimizationLevel,                                                            \
      (OrtSessionOptions * options, GraphOptimizationLevel level), (options, level))               \
    X(SetSessionExecutionMode, (OrtSessionOptions * options, ExecutionMode mode), (options, mode)) \
    X(DisableMemPattern, (OrtSessionOptions * options), (options))                                 \
    X(SetIntraOpNumThreads, (OrtSessionOptions * options, int threads), (options, threads))        \
    X(SetInterOpNumThreads, (OrtSessionOptions * options, int threads), (options, threads))        \
    X(AddSessionConfigEntry, (OrtSessionOptions * options, const char *key, const char *value),    \
      (options, key, value))                                                                       \
    X(SetSessionLogId, (OrtSessionOptions * options, const char *id), (options, id))               \
    X(SetUserLoggingFunction, (OrtSessionOptions * options, OrtLoggingFunction fn, void *param),   \
      (options, fn, param))                                                                        \
    X(SetSessionLogSeverityLevel, (OrtSessionOptions * options, int level), (options, level))      \
    X(CreateSession,                                                                               \
      (const OrtEnv *env, const ORTCHAR_T *path, const OrtSessionOptions *options,                 \
       OrtSession **out),                                                                          \
      (env, path, options, out))                                                                   \
    X(CreateSessionFromArray,                                                                      \
      (const OrtEnv *env, const void *model, size_t bytes, const OrtSessionOptions *options,       \
       OrtSession **out),                                                                          \
      (env, model, bytes, options, out))                                                           \
    X(CreateRunOptions, (OrtRunOptions * *out), (out))                                             \
    X(GetAllocatorWithDefaultOptions, (OrtAllocator * *out), (out))                                \
    X(SessionGetInputCount, (const OrtSession *session, size_t *out), (session, out))              \
    X(SessionGetOutputCount, (const OrtSession *session, size_t *out), (session, out))             \
    X(SessionGetInputName,                                                                         \
      (const OrtSession *session, size_t index, OrtAllocator *allocator, char **out),              \
      (session, index, allocator, out))                                                            \
    X(SessionGetOutputName,                                                                        \
      (const OrtSession *session, size_t index, OrtAllocator *allocator, char **out),              \
      (session, index, allocator, out))                                                            \
    X(SessionGetInputTypeInfo, (const OrtSession *session, size_t index, OrtTypeInfo **out),       \
      (session, index, out))                                                                       \
    X(SessionGetOutputTypeInfo, (const OrtSession *session, size_t index, OrtTypeInfo **out),      \
      (session, index, out))                                                                       \
    X(CastTypeInfoToTensorInfo, (const OrtTypeInfo *type, const OrtTensorTypeAndShapeInfo **out),  \
      (type, out))                                                                                 \
    X(GetTensorElementType,                                                                        \
      (const OrtTensorTypeAndShapeInfo *info, enum ONNXTensorElementDataType *out), (info, out))   \
    X(GetDimensionsCount, (const OrtTensorTypeAndShapeInfo *info, size_t *out), (info, out))       \
    X(GetDimensions, (const OrtTensorTypeAndShapeInfo *info, int64_t *values, size_t rank),        \
      (info, values, rank))                                                                        \
    X(DisableCpuMemArena, (OrtSessionOptions * options), (options))                                \
    X(RegisterAllocator, (OrtEnv * env, OrtAllocator * allocator), (env, allocator))               \
    X(CreateAllocator, (const OrtSession *session, const OrtMemoryInfo *info, OrtAllocator **out), \
      (session, info, out))                                                                        \
    X(IsTensor, (const OrtValue *value, int *out), (value, out))                                   \
    X(GetTensorTypeAndShape, (const OrtValue *value, OrtTensorTypeAndShapeInfo **out),             \
      (value, out))                                                                                \
    X(CreateTensorWithDataAsOrtValue,                                                              \
      (const OrtMemoryInfo *info, void *data, size_t bytes, const int64_t *shape, size_t rank,     \
       ONNXTensorElementDataType type, OrtValue **out),                                            \
      (info, data, bytes, shape, rank, type, out))                                                 \
    X(Run,                                                                                         \
      (OrtSession * session, const OrtRunOptions *options, const char *const *input_names,         \
       const OrtValue *const *inputs, size_t input_count, const char *const *output_names,         \
       size_t output_count, OrtValue **outputs),                                                   \
      (session, options, input_names, inputs, input_count, output_names, output_count, outputs))

/* X(name, type): members that release what one of the above made. */
#define COUNTING_API_RELEASE_MAP(X)                                                                \
    X(ReleaseStatus, OrtStatus)                                                                    \
    X(ReleaseEnv, OrtEnv)                                                                          \
    X(ReleaseMemoryInfo, OrtMemoryInfo)                                                            \
    X(ReleaseSessionOptions, OrtSessionOptions)                                                    \
    X(ReleaseRunOptions, OrtRunOptions)                                                            \
    X(ReleaseSession, OrtSession)                                                                  \
    X(ReleaseTensorTypeAndShapeInfo, OrtTensorTypeAndShapeInfo)                                    \
    X(ReleaseTypeInfo, OrtTypeInfo)                                                                \
    X(ReleaseValue, OrtValue)                                                                      \
    X(ReleaseAllocator, OrtAllocator)

typedef enum counting_call {
#define COUNTING_ENUM(name, parameters, arguments) COUNTING_##name,
    COUNTING_API_MAP(COUNTING_ENUM)
#undef COUNTING_ENUM
        COUNTING_AllocatorFree,
    COUNTING_UnregisterAllocator,
#define COUNTING_ENUM(name, type) COUNTING_##name,
    COUNTING_API_RELEASE_MAP(COUNTING_ENUM)
#undef COUNTING_ENUM
        COUNTING_CALL_COUNT,
    COUNTING_ANY = COUNTING_CALL_COUNT, /* any that can fail */
} counting_call;

/* The copy, members of API version 18 only; counters at zero, nothing fails. */
const OrtApi *counting_api_use(const OrtApi *real);
void counting_api_reset(void);

/* The nth call from now fails, once, and is not made (AllocatorFree is). 0: none fails. */
void counting_api_fail(counting_call call, uint64_t nth);
/* Whether the failure that was asked for has happened. */
bool counting_api_failed(void);

/* Asked before each call that can fail, after the above; true: it fails. NULL: nobody is asked. */
void counting_api_hook(bool (*fails)(counting_call call));

uint64_t counting_api_calls(counting_call call);
/* All calls of all members listed here. */
uint64_t counting_api_total(void);
/* Objects made and not yet released, over all kinds, statuses included. */
int64_t counting_api_live(void);

#endif
