/* SPDX-License-Identifier: MIT */
/*
 * libortpool-heapcount.so: preloaded into the process that `ortpool run` measures, it counts the calls of
 * the C library's heap and passes them on. Counters belong to threads and are summed when they are read, so that
 * counting costs two instructions.
 */
#define _GNU_SOURCE 1

#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* glibc's own names for what is taken over: no lookup that would itself allocate. */
extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t count, size_t bytes);
extern void *__libc_realloc(void *data, size_t bytes);
extern void *__libc_memalign(size_t alignment, size_t bytes);

#define EXPORT __attribute__((visibility("default")))
#define CELLS 64u

/* Threads share cells where there are many; a cell has a cache line of its own. */
static struct cell {
    _Alignas(64) _Atomic uint64_t calls;
} cells[CELLS];
static atomic_uint threads;
static _Thread_local __attribute__((tls_model("initial-exec"))) struct cell *mine;

static void count(void)
{
    if (mine == NULL) {
        mine = &cells[atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed) % CELLS];
    }
    (void)atomic_fetch_add_explicit(&mine->calls, 1, memory_order_relaxed);
}

/* Allocations since the process began: malloc, calloc, realloc and the aligned ones. */
EXPORT uint64_t ortpool_heap_count(void);
uint64_t ortpool_heap_count(void)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < CELLS; i++) {
        sum += atomic_load_explicit(&cells[i].calls, memory_order_relaxed);
    }
    return sum;
}

EXPORT void *malloc(size_t bytes)
{
    count();
    return __libc_malloc(bytes);
}

EXPORT void *calloc(size_t items, size_t bytes)
{
    count();
    return __libc_calloc(items, bytes);
}

EXPORT void *realloc(void *data, size_t bytes)
{
    count();
    return __libc_realloc(data, bytes);
}

EXPORT void *memalign(size_t alignment, size_t bytes)
{
    count();
    return __libc_memalign(alignment, bytes);
}

EXPORT void *aligned_alloc(size_t alignment, size_t bytes)
{
    count();
    return __libc_memalign(alignment, bytes);
}

EXPORT int posix_memalign(void **out, size_t alignment, size_t bytes)
{
    count();
    const int kept = errno;
    void *data = __libc_memalign(alignment, bytes);
    errno = kept;
    if (data == NULL && bytes > 0) {
        return ENOMEM;
    }
    *out = data;
    return 0;
}
