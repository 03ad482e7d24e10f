/* SPDX-License-Identifier: MIT */
/*
 * What the budget refuses is granted beside it, and counted: the limit is soft in builds that
 * cannot throw (ORTPOOL_THROW=OFF). Only when the system has no memory either does NULL leave, of
 * which ORT dies.
 */
#include "allocator_entry.h"

#include <onnxruntime_c_api.h>

static void *take(struct OrtAllocator *self, size_t bytes, bool reserve)
{
    ortp__allocator *allocator = (ortp__allocator *)(void *)self; /* its first member */
    void *data = ortp__allocator_take(allocator, bytes, reserve);
    if (data == NULL) {
        ortp__allocator_refused(allocator);
        data = ortp__allocator_overdraft(allocator, bytes);
    }
    return data;
}

void *ortp__entry_try(struct OrtAllocator *theirs, size_t bytes)
{
    return theirs->Alloc(theirs, bytes);
}

void *ortp__entry_alloc(struct OrtAllocator *self, size_t bytes)
{
    return take(self, bytes, false);
}

void *ortp__entry_reserve(struct OrtAllocator *self, size_t bytes)
{
    return take(self, bytes, true);
}
