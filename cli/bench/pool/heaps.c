/* SPDX-License-Identifier: MIT */
/* See heaps.h. */
#include "heaps.h"
#include "mimalloc.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__GLIBC__)
#include <gnu/libc-version.h>
#endif

const char *const heap_names[HEAPS] = {
    [HEAP_FLOOR] = "floor",     [HEAP_POOL_A] = "pool-a",     [HEAP_POOL_B] = "pool-b",
    [HEAP_C_LIBRARY] = "glibc", [HEAP_MIMALLOC] = "mimalloc", [HEAP_ORT_ARENA] = "ort-arena",
    [HEAP_ORT_PLAIN] = "ort",
};

static const char *const titles[HEAPS] = {
    [HEAP_FLOOR] = "empty calls: ortp_pool_budget(), as often as the pool is called",
    [HEAP_POOL_A] = "ortpool, option A: thread caches",
    [HEAP_POOL_B] = "ortpool, option B: lock stripes",
    [HEAP_C_LIBRARY] = "the C library: aligned_alloc(64) and free",
    [HEAP_MIMALLOC] = "mimalloc: mi_malloc_aligned(64) and mi_free",
    [HEAP_ORT_ARENA] = "ONNX Runtime's arena of a session",
    [HEAP_ORT_PLAIN] = "ONNX Runtime's default allocator",
};

static bool open_pool(heaps *all, heap_id id, ortp_pool_kind kind, ortp_error *error)
{
    const pool_library *l = &all->library;
    heap_calls *calls = &all->of[id].calls;
    ortp_pool_options options = ORTP_POOL_OPTIONS_INIT;
    options.budget = all->budget;
    options.kind = kind;
    if (l->ortp_pool_create(&options, &calls->pool, error) != ORTP_OK) {
        return false;
    }
    calls->kind = CALL_POOL;
    calls->acquire = l->ortp_pool_acquire;
    calls->release = l->ortp_block_release;
    calls->data = l->ortp_block_data;
    return true;
}

static void open_c_library(heap *out)
{
    out->calls.kind = CALL_C;
    out->calls.c_allocate = aligned_alloc;
    out->calls.give_back = free;
#if defined(__GLIBC__)
    snprintf(out->version, sizeof(out->version), "%s", gnu_get_libc_version());
#endif
}

/* POSIX has function addresses come as void *; ISO C wants them copied. */
static bool find(void *handle, const char *name, void *function, size_t bytes)
{
    void *symbol = dlsym(handle, name);
    memcpy(function, &symbol, bytes);
    return symbol != NULL;
}

static void open_mimalloc(heap *out)
{
    out->calls.kind = CALL_MIMALLOC;
    void *handle = NULL;
    (void)mimalloc_open(&handle);
    if (handle == NULL) {
        snprintf(out->absent, sizeof(out->absent),
                 "it is not installed (libmimalloc.so.3 or libmimalloc.so.2)");
        return;
    }
    int (*version)(void) = NULL;
    if (!find(handle, "mi_malloc_aligned", &out->calls.mi_allocate,
              sizeof(out->calls.mi_allocate)) ||
        !find(handle, "mi_free", &out->calls.give_back, sizeof(out->calls.give_back)) ||
        !find(handle, "mi_version", &version, sizeof(version))) {
        snprintf(out->absent, sizeof(out->absent), "its library lacks mi_malloc_aligned()");
        return;
    }
    const int number = version(); /* 209: 2.0.9, later 30403: 3.4.3 */
    const int base = number >= 10000 ? 100 : 10;
    snprintf(out->version, sizeof(out->version), "%d.%d.%d", number / (base * base),
             number / base % base, number % base);
}

static void open_ort(heap *out, OrtAllocator *allocator, const char *absent, const char *version)
{
    out->calls.kind = CALL_ORT;
    out->calls.ort = allocator;
    snprintf(out->version, sizeof(out->version), "%s", version);
    if (allocator == NULL) {
        snprintf(out->absent, sizeof(out->absent), "%s", absent);
    }
}

bool heaps_open(heaps *out, char *message, size_t capacity)
{
    *out = (heaps){0};
    for (heap_id id = 0; id < HEAPS; id++) {
        out->of[id].name = heap_names[id];
        out->of[id].title = titles[id];
    }
    pool_library_open(&out->library);
    ortp_error error = ORTP_ERROR_INIT;
    ortp_budget_options no_limit = ORTP_BUDGET_OPTIONS_INIT;
    if (out->library.ortp_budget_create(&no_limit, &out->budget, NULL) != ORTP_OK ||
        !open_pool(out, HEAP_POOL_A, ORTP_POOL_THREAD_CACHED, &error) ||
        !open_pool(out, HEAP_POOL_B, ORTP_POOL_STRIPED, &error)) {
        snprintf(message, capacity, "%s",
                 error.message[0] != '\0' ? error.message : "no memory for a budget");
        return false;
    }
    heap_calls *floor = &out->of[HEAP_FLOOR].calls;
    floor->kind = CALL_EMPTY;
    floor->pool = out->of[HEAP_POOL_A].calls.pool;
    floor->budget_of = out->library.ortp_pool_budget;
    open_c_library(&out->of[HEAP_C_LIBRARY]);
    open_mimalloc(&out->of[HEAP_MIMALLOC]);
    ort_heaps_open(&out->ort);
    const char *version = out->ort.library.version;
    open_ort(&out->of[HEAP_ORT_ARENA], out->ort.arena, out->ort.arena_absent, version);
    open_ort(&out->of[HEAP_ORT_PLAIN], out->ort.plain, out->ort.absent, version);
    return true;
}

bool heaps_check(const heaps *all, char *message, size_t capacity)
{
    static const heap_id pools[] = {HEAP_POOL_A, HEAP_POOL_B};
    for (size_t i = 0; i < sizeof(pools) / sizeof(pools[0]); i++) {
        const heap *h = &all->of[pools[i]];
        ortp_pool_info info = ORTP_POOL_INFO_INIT;
        all->library.ortp_pool_get_info(h->calls.pool, &info);
        if (info.acquires != h->taken || info.releases != h->taken || info.in_use_blocks != 0) {
            snprintf(
                message, capacity,
                "%s counts %llu acquires and %llu releases, %zu blocks are out; %llu were made",
                h->name, (unsigned long long)info.acquires, (unsigned long long)info.releases,
                info.in_use_blocks, (unsigned long long)h->taken);
            return false;
        }
    }
    return true;
}

bool heaps_close(heaps *all)
{
    bool well = true;
    ort_heaps_close(&all->ort);
    for (heap_id id = HEAP_POOL_A; id <= HEAP_POOL_B; id++) {
        well = all->library.ortp_pool_destroy(all->of[id].calls.pool, NULL) == ORTP_OK && well;
    }
    return all->library.ortp_budget_destroy(all->budget, NULL) == ORTP_OK && well;
}
