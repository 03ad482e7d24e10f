/* SPDX-License-Identifier: MIT */
/* See malloc_count.h. operator new ends in malloc or aligned_alloc. */
#define _POSIX_C_SOURCE 200809L

#include "malloc_count.h"

#include <errno.h>
#include <stdlib.h>

static _Thread_local uint64_t count;

extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t items, size_t bytes);
extern void *__libc_realloc(void *old, size_t bytes);
extern void *__libc_memalign(size_t alignment, size_t bytes);

void *malloc(size_t bytes)
{
    ++count;
    return __libc_malloc(bytes);
}

void *calloc(size_t items, size_t bytes)
{
    ++count;
    return __libc_calloc(items, bytes);
}

void *realloc(void *old, size_t bytes)
{
    ++count;
    return __libc_realloc(old, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
    ++count;
    return __libc_memalign(alignment, bytes);
}

int posix_memalign(void **out, size_t alignment, size_t bytes)
{
    ++count;
    *out = __libc_memalign(alignment, bytes);
    return *out ? 0 : ENOMEM;
}

uint64_t malloc_count(void)
{
    return count;
}
