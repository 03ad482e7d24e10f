/* SPDX-License-Identifier: MIT */
/* What libortpool-heapcount.so counts, where it was preloaded into this process. */
#ifndef ORTPOOL_CLI_HEAP_COUNTS_H
#define ORTPOOL_CLI_HEAP_COUNTS_H

#include <stdbool.h>
#include <stdint.h>

/* Of the whole process, all threads, since it began. */
typedef struct heap_counts {
    uint64_t calls;       /* malloc, calloc, realloc and the aligned ones */
    uint64_t bytes;       /* asked for by them */
    uint64_t aligned_new; /* operator new with an alignment, counted among the calls too */
} heap_counts;

/* false: not preloaded; *out is all zero. Thread-safe: yes. */
bool heap_counts_read(heap_counts *out);

#endif
