/* SPDX-License-Identifier: MIT */
/* See counting_memory.h. A header of one cache line in front of each block keeps size and number. */
#include "counting_memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALIGNMENT 64u

typedef struct header {
    _Alignas(ALIGNMENT) size_t bytes;
    uint64_t id;
    bool reserved;
} header;

static header *take(size_t bytes)
{
    /* 64 readable bytes after the end: some kernels read past it. */
    const size_t whole = (sizeof(header) + bytes + 2 * ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    header *block = aligned_alloc(ALIGNMENT, whole);
    if (!block) {
        (void)fputs("bench: no memory left\n", stderr);
        exit(1); /* NULL would crash ONNX Runtime later */
    }
    block->bytes = bytes;
    return block;
}

static void *ORT_API_CALL alloc(OrtAllocator *base, size_t bytes)
{
    counting_memory *memory = (counting_memory *)base;
    header *block = take(bytes);
    block->reserved = false;
    block->id = atomic_fetch_add(&memory->allocs, 1);
    const size_t live = atomic_fetch_add(&memory->live_bytes, bytes) + bytes;
    size_t peak = atomic_load(&memory->peak_bytes);
    while (live > peak && !atomic_compare_exchange_weak(&memory->peak_bytes, &peak, live)) {
    }
    if (memory->told) {
        memory->told(memory->told_ctx, true, block->id, bytes);
    }
    return block + 1;
}

static void *ORT_API_CALL reserve(OrtAllocator *base, size_t bytes)
{
    counting_memory *memory = (counting_memory *)base;
    header *block = take(bytes);
    block->reserved = true;
    atomic_fetch_add(&memory->reserved_bytes, bytes);
    return block + 1;
}

static void ORT_API_CALL give_back(OrtAllocator *base, void *data)
{
    counting_memory *memory = (counting_memory *)base;
    if (!data) {
        return;
    }
    header *block = (header *)data - 1;
    if (block->reserved) {
        atomic_fetch_sub(&memory->reserved_bytes, block->bytes);
    } else {
        atomic_fetch_sub(&memory->live_bytes, block->bytes);
        if (memory->told) {
            memory->told(memory->told_ctx, false, block->id, block->bytes);
        }
    }
    free(block);
}

static const OrtMemoryInfo *ORT_API_CALL info(const OrtAllocator *base)
{
    return ((const counting_memory *)base)->info;
}

OrtStatus *counting_memory_register(counting_memory *memory, const OrtApi *api, uint32_t version,
                                    OrtEnv *env)
{
    memset(memory, 0, sizeof(*memory));
    memory->base.version = version;
    memory->base.Alloc = alloc;
    memory->base.Free = give_back;
    memory->base.Info = info;
    memory->base.Reserve = reserve;
    OrtStatus *status =
        api->CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &memory->info);
    return status ? status : api->RegisterAllocator(env, &memory->base);
}

void counting_memory_unregister(counting_memory *memory, const OrtApi *api, OrtEnv *env)
{
    OrtStatus *status = api->UnregisterAllocator(env, memory->info);
    if (status) {
        api->ReleaseStatus(status);
    }
    api->ReleaseMemoryInfo(memory->info);
}

void counting_memory_reset(counting_memory *memory)
{
    atomic_store(&memory->peak_bytes, atomic_load(&memory->live_bytes));
}
