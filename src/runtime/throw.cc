/* SPDX-License-Identifier: MIT */
/*
 * What the budget refuses leaves as std::bad_alloc: in a run and while a session is created ORT
 * ends with an ordinary status then, and has given everything back (ORT 1.18 to 1.32). The only
 * C++ of the library, and the only frames of it that an exception crosses.
 */
#include "allocator_entry.h"

#include <onnxruntime_c_api.h>

#include <new>

static void *take(OrtAllocator *self, size_t bytes, bool reserve)
{
    auto *allocator = reinterpret_cast<ortp__allocator *>(self); /* its first member */
    void *data = ortp__allocator_take(allocator, bytes, reserve);
    if (data == nullptr) {
        ortp__allocator_refused(allocator);
        throw std::bad_alloc();
    }
    return data;
}

void *ortp__entry_try(OrtAllocator *theirs, size_t bytes)
{
    try {
        return theirs->Alloc(theirs, bytes);
    } catch (...) {
        return nullptr;
    }
}

void *ortp__entry_alloc(OrtAllocator *self, size_t bytes)
{
    return take(self, bytes, false);
}

void *ortp__entry_reserve(OrtAllocator *self, size_t bytes)
{
    return take(self, bytes, true);
}
