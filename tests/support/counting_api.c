/* SPDX-License-Identifier: MIT */
/* See counting_api.h. */
#include "counting_api.h"

#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

static const OrtApi *real;
static OrtApi table;
static _Atomic uint64_t calls[COUNTING_CALL_COUNT];
static _Atomic uint64_t fallible_calls;
static _Atomic int64_t live;
static _Atomic int fail_call = -1;
static _Atomic uint64_t fail_at;
static _Atomic bool failed;
static bool (*_Atomic hook)(counting_call call);

/* Counts a call; true when this is the one to fail. */
static bool count(counting_call call)
{
    const uint64_t of_this = atomic_fetch_add(&calls[call], 1) + 1;
    const uint64_t of_any = atomic_fetch_add(&fallible_calls, 1) + 1;
    const int wanted = atomic_load(&fail_call);
    const uint64_t at = atomic_load(&fail_at);
    const bool hit =
        (wanted == (int)call && of_this == at) || (wanted == (int)COUNTING_ANY && of_any == at);
    if (hit) {
        atomic_store(&failed, true);
    }
    bool (*asked)(counting_call) = atomic_load(&hook);
    return hit || (asked != NULL && asked(call));
}

/* A status that is not NULL is an object to release, too. */
static OrtStatus *noted(OrtStatus *status)
{
    if (status) {
        atomic_fetch_add(&live, 1);
    }
    return status;
}

static OrtStatus *failure(const char *name)
{
    return noted(real->CreateStatus(ORT_FAIL, name));
}

static bool makes_object(counting_call call)
{
    switch (call) {
    case COUNTING_CreateEnv:
    case COUNTING_CreateCpuMemoryInfo:
    case COUNTING_CreateSessionOptions:
    case COUNTING_CloneSessionOptions:
    case COUNTING_CreateSession:
    case COUNTING_CreateSessionFromArray:
    case COUNTING_CreateRunOptions:
    case COUNTING_SessionGetInputTypeInfo:
    case COUNTING_SessionGetOutputTypeInfo:
    case COUNTING_GetTensorTypeAndShape:
    case COUNTING_CreateTensorWithDataAsOrtValue:
    case COUNTING_CreateAllocator:
        return true;
    default:
        return false;
    }
}

#define DEFINE(name, parameters, arguments)                                                        \
    static OrtStatus *ORT_API_CALL counted_##name parameters NO_EXCEPTION                          \
    {                                                                                              \
        if (count(COUNTING_##name)) {                                                              \
            return failure("made to fail: " #name);                                                \
        }                                                                                          \
        OrtStatus *status = noted(real->name arguments);                                           \
        if (!status && makes_object(COUNTING_##name)) {                                            \
            atomic_fetch_add(&live, 1);                                                            \
        }                                                                                          \
        return status;                                                                             \
    }
COUNTING_API_MAP(DEFINE)
#undef DEFINE

/* Freed all the same: what a failing free leaves is ORT's affair, and no leak of ours. */
static OrtStatus *ORT_API_CALL counted_AllocatorFree(OrtAllocator *allocator,
                                                     void *ptr) NO_EXCEPTION
{
    const bool fail = count(COUNTING_AllocatorFree);
    OrtStatus *status = noted(real->AllocatorFree(allocator, ptr));
    return fail && !status ? failure("made to fail: AllocatorFree") : status;
}

/* Taken out all the same: an env that holds on to an allocator for ever cannot be survived. */
static OrtStatus *ORT_API_CALL counted_UnregisterAllocator(OrtEnv *env,
                                                           const OrtMemoryInfo *info) NO_EXCEPTION
{
    const bool fail = count(COUNTING_UnregisterAllocator);
    OrtStatus *status = noted(real->UnregisterAllocator(env, info));
    return fail && !status ? failure("made to fail: UnregisterAllocator") : status;
}

#define DEFINE(name, type)                                                                         \
    static void ORT_API_CALL counted_##name(type *object) NO_EXCEPTION                             \
    {                                                                                              \
        atomic_fetch_add(&calls[COUNTING_##name], 1);                                              \
        if (object) {                                                                              \
            atomic_fetch_sub(&live, 1);                                                            \
        }                                                                                          \
        real->name(object);                                                                        \
    }
COUNTING_API_RELEASE_MAP(DEFINE)
#undef DEFINE

const OrtApi *counting_api_use(const OrtApi *given)
{
    real = given;
    /* An older library's table ends here; what follows stays NULL, so that using it is seen. */
    memset(&table, 0, sizeof(table));
    memcpy(&table, given, offsetof(OrtApi, CreateLoraAdapter));
#define SET(name, parameters, arguments) table.name = counted_##name;
    COUNTING_API_MAP(SET)
#undef SET
    table.AllocatorFree = counted_AllocatorFree;
    table.UnregisterAllocator = counted_UnregisterAllocator;
#define SET(name, type) table.name = counted_##name;
    COUNTING_API_RELEASE_MAP(SET)
#undef SET
    counting_api_hook(NULL);
    counting_api_reset();
    return &table;
}

void counting_api_reset(void)
{
    for (size_t i = 0; i < COUNTING_CALL_COUNT; ++i) {
        atomic_store(&calls[i], 0);
    }
    atomic_store(&fallible_calls, 0);
    atomic_store(&live, 0);
    counting_api_fail(COUNTING_ANY, 0);
}

void counting_api_fail(counting_call call, uint64_t nth)
{
    const uint64_t made = atomic_load(call == COUNTING_ANY ? &fallible_calls : &calls[call]);
    atomic_store(&failed, false);
    atomic_store(&fail_call, nth > 0 ? (int)call : -1);
    atomic_store(&fail_at, nth > 0 ? made + nth : 0);
}

void counting_api_hook(bool (*fails)(counting_call call))
{
    atomic_store(&hook, fails);
}

bool counting_api_failed(void)
{
    return atomic_load(&failed);
}

uint64_t counting_api_calls(counting_call call)
{
    return atomic_load(&calls[call]);
}

uint64_t counting_api_total(void)
{
    uint64_t total = 0;
    for (size_t i = 0; i < COUNTING_CALL_COUNT; ++i) {
        total += atomic_load(&calls[i]);
    }
    return total;
}

int64_t counting_api_live(void)
{
    return atomic_load(&live);
}
