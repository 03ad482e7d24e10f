/* SPDX-License-Identifier: MIT */
/*
 * Counting by interposition: the heap functions of the whole process, told apart by who called.
 *
 * interpose.c defines malloc and its family, C++'s operator new and delete, and mmap, in the test's
 * executable, linked so that its symbols come first for every library loaded later: ONNX Runtime's
 * (ORT's) calls pass through it as ours do.
 *
 *     process == outside + create_bind + inside
 *     application's and library's == outside + create_bind
 *
 * outside: the caller's return address lies in neither libonnxruntime nor libstdc++. In these tests
 * ORT is the only user of libstdc++, so that a string or vector it grows there counts as ORT's.
 * The C library's own calls (qsort, fopen) count as outside: who calls them is not looked at, which
 * is against us as much as against the naive code.
 * create_bind: called by ORT, while this thread is in one of its Create* or Bind* calls.
 *
 * Not with sanitizers, which interpose the same functions, nor without glibc: then nothing is
 * counted and seed_heap_available() says so.
 */
#ifndef SEED_INTERPOSE_H
#define SEED_INTERPOSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct seed_heap {
    uint64_t outside; /* allocations: malloc, calloc, realloc, aligned ones, operator new */
    uint64_t create_bind;
    uint64_t inside;
    uint64_t outside_bytes; /* as asked for */
    uint64_t create_bind_bytes;
    uint64_t inside_bytes;
    uint64_t aligned_new; /* operator new(size, align_val_t): ORT's own CPU allocator */
    uint64_t mappings;    /* mmap of anonymous memory from outside ORT */
    int64_t live_blocks;  /* allocated minus freed, whole process, since it began */
    int64_t live_bytes;   /* as the allocator rounds them up */
    int64_t kept_blocks;  /* from outside, allocated while tracking and not freed yet */
    int64_t kept_bytes;
    bool kept_overflow; /* more than the tracker has room for: kept_* is too small */
} seed_heap;

bool seed_heap_available(void);
/* Where ORT's code lies; after it was loaded, else false. Before that all calls are outside. */
bool seed_heap_learn(void);
/* Counters since the process began. Exact when no other thread allocates. */
void seed_heap_read(seed_heap *out);
/* later - earlier for every counter; live_* and kept_* too. */
seed_heap seed_heap_since(const seed_heap *earlier);
/* This thread is in a Create* or Bind* call of ORT; calls nest. */
void seed_heap_enter_create(void);
void seed_heap_leave_create(void);
/* Starts to follow allocations from outside one by one (kept_*), from none. */
void seed_heap_track(void);

/* operator new(std::size_t) and delete, which C cannot name otherwise; for the self-test. */
void *seed_operator_new(size_t bytes);
void seed_operator_delete(void *ptr);

#endif
