/* SPDX-License-Identifier: MIT */
/* See host_memory.h. */
#include "host_memory.h"

#include "test_ort.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define API_OF_RESERVE 18u

static void *ORT_API_CALL host_alloc(OrtAllocator *base, size_t bytes)
{
    host_memory *host = (host_memory *)(void *)base;
    atomic_fetch_add(&host->allocs, 1);
    atomic_fetch_add(&host->live, 1);
    return aligned_alloc(64, (bytes + 127) / 64 * 64);
}

static void ORT_API_CALL host_free(OrtAllocator *base, void *data)
{
    if (data) {
        atomic_fetch_sub(&((host_memory *)(void *)base)->live, 1);
    }
    free(data);
}

static const OrtMemoryInfo *ORT_API_CALL host_info(const OrtAllocator *base)
{
    return ((const host_memory *)(const void *)base)->info;
}

void host_memory_register(host_memory *host, OrtEnv *env)
{
    memset(host, 0, sizeof(*host));
    host->base.version = API_OF_RESERVE;
    host->base.Alloc = host_alloc;
    host->base.Reserve = host_alloc;
    host->base.Free = host_free;
    host->base.Info = host_info;
    assert_null(
        test_ort_api()->CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &host->info));
    assert_null(test_ort_api()->RegisterAllocator(env, &host->base));
}

void host_memory_unregister(host_memory *host, OrtEnv *env)
{
    assert_null(test_ort_api()->UnregisterAllocator(env, host->info));
    assert_int_equal(atomic_load(&host->live), 0);
    test_ort_api()->ReleaseMemoryInfo(host->info);
}

bool host_memory_is_replaced(host_memory *host, OrtEnv *env)
{
    OrtStatus *status = test_ort_api()->RegisterAllocator(env, &host->base);
    test_ort_api()->ReleaseStatus(status);
    return status == NULL;
}
