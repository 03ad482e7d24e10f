/* SPDX-License-Identifier: MIT */
/*
 * libortpool-heapcount.so: preloaded into the processes that `ortpool run` and `ortpool bench` measure, it counts
 * the calls of the C library's heap and the bytes asked for, and passes them on. Counters belong to threads and are
 * summed when they are read, so that counting costs few instructions. It also counts calls of operator new with an
 * alignment: what ONNX Runtime's CPU allocator takes tensors and arenas with, and nothing else in it does.
 */
#define _GNU_SOURCE 1

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "heap_counts.h"

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
    _Atomic uint64_t bytes, aligned_new;
} cells[CELLS];
static atomic_uint threads;
static _Thread_local __attribute__((tls_model("initial-exec"))) struct cell *mine;

static struct cell *cell_of_thread(void)
{
    if (mine == NULL) {
        mine = &cells[atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed) % CELLS];
    }
    return mine;
}

static void count(size_t bytes)
{
    struct cell *cell = cell_of_thread();
    (void)atomic_fetch_add_explicit(&cell->calls, 1, memory_order_relaxed);
    (void)atomic_fetch_add_explicit(&cell->bytes, bytes, memory_order_relaxed);
}

EXPORT void ortpool_heap_counts(heap_counts *out);
void ortpool_heap_counts(heap_counts *out)
{
    *out = (heap_counts){0};
    for (unsigned i = 0; i < CELLS; i++) {
        out->calls += atomic_load_explicit(&cells[i].calls, memory_order_relaxed);
        out->bytes += atomic_load_explicit(&cells[i].bytes, memory_order_relaxed);
        out->aligned_new += atomic_load_explicit(&cells[i].aligned_new, memory_order_relaxed);
    }
}

EXPORT void *malloc(size_t bytes)
{
    count(bytes);
    return __libc_malloc(bytes);
}

EXPORT void *calloc(size_t items, size_t bytes)
{
    count(items * bytes);
    return __libc_calloc(items, bytes);
}

EXPORT void *realloc(void *data, size_t bytes)
{
    count(bytes);
    return __libc_realloc(data, bytes);
}

EXPORT void *memalign(size_t alignment, size_t bytes)
{
    count(bytes);
    return __libc_memalign(alignment, bytes);
}

EXPORT void *aligned_alloc(size_t alignment, size_t bytes)
{
    count(bytes);
    return __libc_memalign(alignment, bytes);
}

EXPORT int posix_memalign(void **out, size_t alignment, size_t bytes)
{
    count(bytes);
    const int kept = errno;
    void *data = __libc_memalign(alignment, bytes);
    errno = kept;
    if (data == NULL && bytes > 0) {
        return ENOMEM;
    }
    *out = data;
    return 0;
}

/*
 * operator new(size_t, align_val_t) by its name of the Itanium C++ ABI. The C++ library's own takes its memory from
 * aligned_alloc() above and throws where there is none; where none is loaded before us, its heap is used.
 */
EXPORT void *ortpool_aligned_new(size_t bytes, size_t alignment) __asm__("_ZnwmSt11align_val_t");
void *ortpool_aligned_new(size_t bytes, size_t alignment)
{
    static void *(*_Atomic next)(size_t, size_t);
    void *(*real)(size_t, size_t) = atomic_load_explicit(&next, memory_order_relaxed);
    if (real == NULL) {
        void *symbol = dlsym(RTLD_NEXT, "_ZnwmSt11align_val_t");
        memcpy(&real, &symbol, sizeof(real)); /* C has no cast to a function pointer */
        atomic_store_explicit(&next, real, memory_order_relaxed);
    }
    (void)atomic_fetch_add_explicit(&cell_of_thread()->aligned_new, 1, memory_order_relaxed);
    void *data = real != NULL ? real(bytes, alignment) : memalign(alignment, bytes);
    if (data == NULL) {
        abort(); /* operator new never returns NULL */
    }
    return data;
}
