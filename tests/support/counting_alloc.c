/* SPDX-License-Identifier: MIT */
/* See counting_alloc.h. A header in front of each block keeps its size. */
#include "counting_alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAGIC 0x6f727470636f756eu
#define DEAD 0xdeaddeaddeaddeadu

typedef struct header {
    _Alignas(16) uint64_t magic;
    size_t bytes;
} header;

static void *counted_alloc(void *ctx, size_t bytes)
{
    counting_alloc *alloc = ctx;
    const uint64_t call = atomic_fetch_add(&alloc->calls, 1) + 1;
    const uint64_t fail_at = atomic_load(&alloc->fail_at);
    if (fail_at > 0 && (call == fail_at || (call > fail_at && atomic_load(&alloc->persistent)))) {
        atomic_fetch_add(&alloc->failed, 1);
        return NULL;
    }
    header *block = malloc(sizeof(*block) + bytes);
    if (!block) {
        return NULL;
    }
    block->magic = MAGIC;
    block->bytes = bytes;
    memset(block + 1, 0xa5, bytes); /* who relies on zeros has to write them */
    atomic_fetch_add(&alloc->live_blocks, 1);
    atomic_fetch_add(&alloc->live_bytes, bytes);
    return block + 1;
}

static void counted_free(void *ctx, void *ptr, size_t bytes)
{
    counting_alloc *alloc = ctx;
    if (!ptr) {
        atomic_fetch_add(&alloc->errors, 1);
        return;
    }
    header *block = (header *)ptr - 1;
    if (block->magic != MAGIC || block->bytes != bytes) {
        atomic_fetch_add(&alloc->errors, 1);
        return;
    }
    block->magic = DEAD;
    memset(ptr, 0x5a, bytes);
    atomic_fetch_sub(&alloc->live_blocks, 1);
    atomic_fetch_sub(&alloc->live_bytes, bytes);
    free(block);
}

ortp_alloc counting_alloc_use(counting_alloc *alloc)
{
    return (ortp_alloc){.alloc = counted_alloc, .free = counted_free, .ctx = alloc};
}

void counting_alloc_fail(counting_alloc *alloc, uint64_t nth, bool persistent)
{
    atomic_store(&alloc->persistent, persistent);
    atomic_store(&alloc->fail_at, nth > 0 ? atomic_load(&alloc->calls) + nth : 0);
}

void counting_alloc_assert_empty(const counting_alloc *alloc)
{
    assert_int_equal(alloc->errors, 0);
    assert_int_equal(alloc->live_blocks, 0);
    assert_int_equal(alloc->live_bytes, 0);
}
