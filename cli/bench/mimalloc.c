/* SPDX-License-Identifier: MIT */
/* See mimalloc.h. */
#include "mimalloc.h"

#include <dlfcn.h>
#include <stddef.h>

const char *mimalloc_open(void **handle)
{
    static const char *const names[] = {"libmimalloc.so.3", "libmimalloc.so.2",
                                        "libmimalloc.so.2.0", "libmimalloc.so"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        *handle = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
        if (*handle != NULL) {
            return names[i];
        }
    }
    return NULL;
}
