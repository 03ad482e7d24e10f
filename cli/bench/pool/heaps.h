/* SPDX-License-Identifier: MIT */
/* Whose blocks are measured: each is called through a pointer, and holds what it holds for the whole run. */
#ifndef ORTPOOL_CLI_BENCH_POOL_HEAPS_H
#define ORTPOOL_CLI_BENCH_POOL_HEAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ort_heaps.h"
#include "pool_library.h"

typedef enum heap_id {
    HEAP_FLOOR,
    HEAP_POOL_A,
    HEAP_POOL_B,
    HEAP_C_LIBRARY,
    HEAP_MIMALLOC,
    HEAP_ORT_ARENA,
    HEAP_ORT_PLAIN,
    HEAPS
} heap_id;

/* How a heap is called. */
typedef enum heap_kind { CALL_EMPTY, CALL_POOL, CALL_C, CALL_MIMALLOC, CALL_ORT } heap_kind;

typedef struct heap_calls {
    heap_kind kind;
    /* CALL_EMPTY: budget_of(pool), which reads one pointer and returns it; CALL_POOL: the other three */
    ortp_pool *pool;
    __typeof__(ortp_pool_budget) *budget_of;
    __typeof__(ortp_pool_acquire) *acquire;
    __typeof__(ortp_block_release) *release;
    __typeof__(ortp_block_data) *data;
    void *(*c_allocate)(size_t alignment, size_t bytes);
    void *(*mi_allocate)(size_t bytes, size_t alignment);
    void (*give_back)(void *block); /* CALL_C and CALL_MIMALLOC */
    OrtAllocator *ort;
} heap_calls;

typedef struct heap {
    const char *name, *title;
    heap_calls calls;
    char absent[256]; /* "", or why it is not measured */
    char version[32]; /* of whose it is; "": not known */
    uint64_t taken;   /* blocks that this program has acquired of it */
} heap;

typedef struct heaps {
    heap of[HEAPS];
    pool_library library;
    ortp_budget *budget; /* of both pools, without a limit */
    ort_heaps ort;
} heaps;

extern const char *const heap_names[HEAPS];

/* false: no pool, and why in `message`. heaps_close() after both. */
bool heaps_open(heaps *out, char *message, size_t capacity);
/* false: a pool's count of acquires or releases is not what was made of it, or blocks are out. */
bool heaps_check(const heaps *all, char *message, size_t capacity);
/* false: something is still out. Threads that used the heaps have ended. */
bool heaps_close(heaps *all);

#endif
