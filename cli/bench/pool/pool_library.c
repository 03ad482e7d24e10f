/* SPDX-License-Identifier: MIT */
/* See pool_library.h. ORTPOOL_SHARED: the library's name; ORTPOOL_LIBRARIES: where it is installed, seen from
 * the program's folder. */
#include "pool_library.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <ortpool/ortpool.h>

/* POSIX has function addresses come as void *; ISO C wants them copied. */
static bool find(void *handle, const char *name, void *function, size_t bytes)
{
    void *symbol = dlsym(handle, name);
    memcpy(function, &symbol, bytes);
    return symbol != NULL;
}

static bool take(void *handle, pool_library *out)
{
    __typeof__(ortp_version) *version = NULL;
    bool whole = find(handle, "ortp_version", &version, sizeof(version)) &&
                 strcmp(version(), ortp_version()) == 0;
#define FIND(name) whole = find(handle, #name, &out->name, sizeof(out->name)) && whole;
    POOL_LIBRARY_MAP(FIND)
#undef FIND
    return whole;
}

static bool open_shared(pool_library *out)
{
    static const char *const places[] = {"lib", ORTPOOL_LIBRARIES};
    char program[4096], path[sizeof(program) + 256];
    const ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 1);
    if (length <= 0) {
        return false;
    }
    program[length] = '\0';
    *strrchr(program, '/') = '\0'; /* an absolute path */
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s/" ORTPOOL_SHARED, program, places[i]);
        void *handle = access(path, R_OK) == 0 ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
        if (handle != NULL && take(handle, out)) {
            return true;
        }
        if (handle != NULL) {
            (void)dlclose(handle);
        }
    }
    return false;
}

void pool_library_open(pool_library *out)
{
    *out = (pool_library){.shared = true};
    if (open_shared(out)) {
        return;
    }
    *out = (pool_library){.shared = false};
#define OWN(name) out->name = name;
    POOL_LIBRARY_MAP(OWN)
#undef OWN
}

const char *pool_library_linkage(const pool_library *library)
{
    return library->shared ? "shared" : "static";
}

const char *pool_library_text(const pool_library *library)
{
    return library->shared ? "through " ORTPOOL_SHARED ", as applications load it"
                           : "through pointers into this program: no " ORTPOOL_SHARED
                             " lies beside it";
}
