/* SPDX-License-Identifier: MIT */
/*
 * Where ORT enters the allocator. Its Alloc must not return NULL: ORT does not look (it crashes).
 * So what cannot be served leaves as a std::bad_alloc (throw.cc), which ORT turns into a status;
 * or, where exceptions cannot cross libraries, it is granted above the limit (overdraft.c). One of
 * the two files is built: option ORTPOOL_THROW. Read by C and C++.
 */
#ifndef ORTP_ALLOCATOR_ENTRY_H
#define ORTP_ALLOCATOR_ENTRY_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct OrtAllocator;
typedef struct ortp__allocator ortp__allocator;

/* OrtAllocator's Alloc and Reserve. Any thread. */
void *ortp__entry_alloc(struct OrtAllocator *self, size_t bytes);
void *ortp__entry_reserve(struct OrtAllocator *self, size_t bytes);

/* Alloc of an allocator that may throw, called from C; NULL: it did. */
void *ortp__entry_try(struct OrtAllocator *theirs, size_t bytes);

/* Memory of a ticket or of the pool; NULL: refused. Aligned to 64 bytes, 64 readable ones behind. */
void *ortp__allocator_take(ortp__allocator *allocator, size_t bytes, bool reserve);
/* Counts what take has refused. */
void ortp__allocator_refused(ortp__allocator *allocator);
/* Memory beside the budget, counted; NULL: the system has none. */
void *ortp__allocator_overdraft(ortp__allocator *allocator, size_t bytes);

#ifdef __cplusplus
}
#endif
#endif
