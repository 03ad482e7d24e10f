/* SPDX-License-Identifier: MIT */
/*
 * Counts heap allocations of the calling thread, by taking the place of malloc and its kin (glibc).
 * Add malloc_count.c to the sources of one test executable that no sanitizer instruments.
 */
#ifndef TEST_MALLOC_COUNT_H
#define TEST_MALLOC_COUNT_H

#include <stdint.h>

/* Calls of malloc, calloc, realloc, aligned_alloc, posix_memalign of this thread since it started.
 */
uint64_t malloc_count(void);

#endif
