/* SPDX-License-Identifier: MIT */
/* The watched OrtApi: see watch.h. The table is global because ORT's functions take no context. */
#include "watch.h"

#include "interpose.h"

#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

static const OrtApi *real;
static OrtApi watched;
static atomic_uint_fast64_t tensors_created, calls;
static atomic_int_fast64_t live_values;

static void enter(void)
{
    atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
    seed_heap_enter_create();
}

static OrtStatus *leave(OrtStatus *status)
{
    seed_heap_leave_create();
    return status;
}

static OrtStatus *leave_value(OrtStatus *status)
{
    if (!status) {
        atomic_fetch_add_explicit(&tensors_created, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&live_values, 1, memory_order_relaxed);
    }
    return leave(status);
}

static OrtStatus *create_tensor(OrtAllocator *allocator, const int64_t *shape, size_t rank,
                                ONNXTensorElementDataType type, OrtValue **out)
{
    enter();
    return leave_value(real->CreateTensorAsOrtValue(allocator, shape, rank, type, out));
}

static OrtStatus *create_tensor_with_data(const OrtMemoryInfo *info, void *data, size_t bytes,
                                          const int64_t *shape, size_t rank,
                                          ONNXTensorElementDataType type, OrtValue **out)
{
    enter();
    return leave_value(
        real->CreateTensorWithDataAsOrtValue(info, data, bytes, shape, rank, type, out));
}

static OrtStatus *create_value(const OrtValue *const *in, size_t count, enum ONNXType type,
                               OrtValue **out)
{
    enter();
    return leave_value(real->CreateValue(in, count, type, out));
}

static void release_value(OrtValue *value)
{
    if (value) {
        atomic_fetch_sub_explicit(&live_values, 1, memory_order_relaxed);
    }
    real->ReleaseValue(value);
}

static OrtStatus *create_run_options(OrtRunOptions **out)
{
    enter();
    return leave(real->CreateRunOptions(out));
}

static OrtStatus *create_session_options(OrtSessionOptions **out)
{
    enter();
    return leave(real->CreateSessionOptions(out));
}

static OrtStatus *create_memory_info(const char *name, enum OrtAllocatorType type, int id,
                                     enum OrtMemType mem_type, OrtMemoryInfo **out)
{
    enter();
    return leave(real->CreateMemoryInfo(name, type, id, mem_type, out));
}

static OrtStatus *create_cpu_memory_info(enum OrtAllocatorType type, enum OrtMemType mem_type,
                                         OrtMemoryInfo **out)
{
    enter();
    return leave(real->CreateCpuMemoryInfo(type, mem_type, out));
}

static OrtStatus *create_allocator(const OrtSession *session, const OrtMemoryInfo *info,
                                   OrtAllocator **out)
{
    enter();
    return leave(real->CreateAllocator(session, info, out));
}

static OrtStatus *create_shape_info(OrtTensorTypeAndShapeInfo **out)
{
    enter();
    return leave(real->CreateTensorTypeAndShapeInfo(out));
}

static OrtStatus *create_io_binding(OrtSession *session, OrtIoBinding **out)
{
    enter();
    return leave(real->CreateIoBinding(session, out));
}

static OrtStatus *bind_input(OrtIoBinding *binding, const char *name, const OrtValue *value)
{
    enter();
    return leave(real->BindInput(binding, name, value));
}

static OrtStatus *bind_output(OrtIoBinding *binding, const char *name, const OrtValue *value)
{
    enter();
    return leave(real->BindOutput(binding, name, value));
}

static OrtStatus *bind_output_to_device(OrtIoBinding *binding, const char *name,
                                        const OrtMemoryInfo *info)
{
    enter();
    return leave(real->BindOutputToDevice(binding, name, info));
}

const OrtApi *seed_watch(const OrtApi *api)
{
    if (real == api) {
        return &watched;
    }
    memset(&watched, 0, sizeof(watched));
    memcpy(&watched, api,
           offsetof(OrtApi, AddExternalInitializersFromFilesInMemory) +
               sizeof(api->AddExternalInitializersFromFilesInMemory));
    real = api;
    watched.CreateTensorAsOrtValue = create_tensor;
    watched.CreateTensorWithDataAsOrtValue = create_tensor_with_data;
    watched.CreateValue = create_value;
    watched.ReleaseValue = release_value;
    watched.CreateRunOptions = create_run_options;
    watched.CreateSessionOptions = create_session_options;
    watched.CreateMemoryInfo = create_memory_info;
    watched.CreateCpuMemoryInfo = create_cpu_memory_info;
    watched.CreateAllocator = create_allocator;
    watched.CreateTensorTypeAndShapeInfo = create_shape_info;
    watched.CreateIoBinding = create_io_binding;
    watched.BindInput = bind_input;
    watched.BindOutput = bind_output;
    watched.BindOutputToDevice = bind_output_to_device;
    return &watched;
}

void seed_watch_read(seed_watch_counts *out)
{
    out->tensors_created = atomic_load_explicit(&tensors_created, memory_order_relaxed);
    out->calls = atomic_load_explicit(&calls, memory_order_relaxed);
    out->live_values = atomic_load_explicit(&live_values, memory_order_relaxed);
}
