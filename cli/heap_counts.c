/* SPDX-License-Identifier: MIT */
/* See heap_counts.h. */
#include "heap_counts.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

bool heap_counts_read(heap_counts *out)
{
    void (*read)(heap_counts *);
    void *symbol = dlsym(RTLD_DEFAULT, "ortpool_heap_counts");
    memcpy(&read, &symbol, sizeof(read)); /* C has no cast to a function pointer */
    *out = (heap_counts){0};
    if (read == NULL) {
        return false;
    }
    read(out);
    return true;
}
