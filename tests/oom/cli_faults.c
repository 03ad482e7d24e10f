/* SPDX-License-Identifier: MIT */
/*
 * Preloaded into the command: calls of malloc, calloc, realloc, mmap and pthread_create that its own code or
 * jansson makes can fail; ONNX Runtime's and the C library's own go through.
 *
 *   ORTPOOL_FAULT_AT=N     the N-th such call fails
 *   ORTPOOL_FAULT_FROM=N   that one and all after it
 *   ORTPOOL_FAULT_LOG=FILE a line for each call: what and from where, for cli_oom.py
 */
#define _GNU_SOURCE 1

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *ptr, size_t bytes);

typedef struct range {
    uintptr_t start, end;
} range;

static range executable, jansson;
static _Atomic bool ready;
static unsigned long fail_at, fail_from;
static int log_file = -1;
static _Atomic unsigned long calls;

static int find_ranges(struct dl_phdr_info *info, size_t size, void *ctx)
{
    (void)size;
    (void)ctx;
    /* The main program comes first and has no name. */
    const bool is_jansson = strstr(info->dlpi_name, "libjansson") != NULL;
    if (!is_jansson && info->dlpi_name[0] != '\0') {
        return 0;
    }
    range *out = is_jansson ? &jansson : &executable;
    if (out->end != 0) {
        return 0;
    }
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type == PT_LOAD && (part->p_flags & PF_X) != 0) {
            out->start = info->dlpi_addr + part->p_vaddr;
            out->end = out->start + part->p_memsz;
        }
    }
    return 0;
}

static unsigned long number_of(const char *name)
{
    const char *text = getenv(name);
    return text != NULL ? strtoul(text, NULL, 10) : 0;
}

__attribute__((constructor)) static void set_up(void)
{
    (void)dl_iterate_phdr(find_ranges, NULL);
    fail_at = number_of("ORTPOOL_FAULT_AT");
    fail_from = number_of("ORTPOOL_FAULT_FROM");
    const char *log = getenv("ORTPOOL_FAULT_LOG");
    if (log != NULL) {
        log_file = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    }
    atomic_store(&ready, true);
}

/* Whether this call, of those that count, is to fail. */
static bool fails(const char *what, const void *caller)
{
    const uintptr_t at = (uintptr_t)caller;
    const bool ours = at >= executable.start && at < executable.end;
    const bool theirs = at >= jansson.start && at < jansson.end;
    if (!atomic_load(&ready) || !(ours || theirs)) {
        return false;
    }
    const unsigned long call = atomic_fetch_add(&calls, 1) + 1;
    if (log_file >= 0) {
        char line[96];
        const int length =
            snprintf(line, sizeof line, "%lu %s %s+0x%zx\n", call, what, ours ? "ortpool" : "jansson",
                     (size_t)(at - (ours ? executable.start : jansson.start)));
        if (write(log_file, line, (size_t)length) != length) {
            _exit(3);
        }
    }
    return call == fail_at || (fail_from > 0 && call >= fail_from);
}

#define CALLER __builtin_return_address(0)

__attribute__((visibility("default"))) void *malloc(size_t bytes)
{
    if (fails("malloc", CALLER)) {
        errno = ENOMEM;
        return NULL;
    }
    return __libc_malloc(bytes);
}

__attribute__((visibility("default"))) void *calloc(size_t count, size_t bytes)
{
    if (fails("calloc", CALLER)) {
        errno = ENOMEM;
        return NULL;
    }
    return __libc_calloc(count, bytes);
}

__attribute__((visibility("default"))) void *realloc(void *ptr, size_t bytes)
{
    if (fails("realloc", CALLER)) {
        errno = ENOMEM;
        return NULL;
    }
    return __libc_realloc(ptr, bytes);
}

__attribute__((visibility("default"))) char *strdup(const char *text)
{
    const size_t bytes = strlen(text) + 1;
    char *copy = fails("strdup", CALLER) ? NULL : __libc_malloc(bytes);
    if (copy == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    return memcpy(copy, text, bytes);
}

__attribute__((visibility("default"))) void *mmap(void *at, size_t bytes, int protection, int flags,
                                                  int file, off_t offset)
{
    static void *(*_Atomic next)(void *, size_t, int, int, int, off_t);
    if (fails("mmap", CALLER)) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    if (next == NULL) {
        void *found = dlsym(RTLD_NEXT, "mmap");
        void *(*function)(void *, size_t, int, int, int, off_t);
        memcpy(&function, &found, sizeof function);
        atomic_store(&next, function);
    }
    return next(at, bytes, protection, flags, file, offset);
}

__attribute__((visibility("default"))) int pthread_create(pthread_t *thread,
                                                          const pthread_attr_t *attributes,
                                                          void *(*start)(void *), void *arg)
{
    static int (*_Atomic next)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    if (fails("pthread_create", CALLER)) {
        return EAGAIN;
    }
    if (next == NULL) {
        void *found = dlsym(RTLD_NEXT, "pthread_create");
        int (*function)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
        memcpy(&function, &found, sizeof function);
        atomic_store(&next, function);
    }
    return next(thread, attributes, start, arg);
}
