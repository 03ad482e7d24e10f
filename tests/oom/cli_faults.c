/* SPDX-License-Identifier: MIT */
/*
 * Preloaded into the command: calls that its own code or jansson makes can fail; ONNX Runtime's and the C
 * library's own go through. Those of malloc, calloc, realloc, strdup, mmap and pthread_create by number:
 *
 *   ORTPOOL_FAULT_AT=N     the N-th such call fails
 *   ORTPOOL_FAULT_FROM=N   that one and all after it
 *   ORTPOOL_FAULT_LOG=FILE a line for each call, appended: what and from where, for cli_oom.py. Processes that
 *                          are started count for themselves.
 *
 * Those of read (of standard input), open, pipe, pipe2, posix_spawn, readlink and getpwuid_r by name, for cli_calls.py:
 *
 *   ORTPOOL_FAULT_CALL=NAME:NUMBER:FIRST:LAST   from the first to the last of them, with this errno
 */
#define _GNU_SOURCE 1

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <pwd.h>
#include <spawn.h>
#include <stdarg.h>
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

static char call_name[16];
static int call_errno;
static unsigned call_first, call_last;
static _Atomic unsigned named_calls;

static int (*command_main)(int, char **, char **);

/* What runs after main() is not the command's: gcov's counts, for one. */
static int watched_main(int argc, char **argv, char **environment)
{
    const int code = command_main(argc, argv, environment);
    atomic_store(&ready, false);
    return code;
}

int __libc_start_main(int (*start)(int, char **, char **), int argc, char **argv,
                      void (*init)(void), void (*fini)(void), void (*rtld_fini)(void),
                      void *stack_end);

__attribute__((visibility("default"))) int
__libc_start_main(int (*start)(int, char **, char **), int argc, char **argv, void (*init)(void),
                  void (*fini)(void), void (*rtld_fini)(void), void *stack_end)
{
    int (*next)(int (*)(int, char **, char **), int, char **, void (*)(void), void (*)(void),
                void (*)(void), void *);
    void *found = dlsym(RTLD_NEXT, "__libc_start_main");
    memcpy(&next, &found, sizeof next);
    command_main = start;
    return next(watched_main, argc, argv, init, fini, rtld_fini, stack_end);
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
    const char *call = getenv("ORTPOOL_FAULT_CALL");
    if (call != NULL &&
        sscanf(call, "%15[^:]:%d:%u:%u", call_name, &call_errno, &call_first, &call_last) != 4) {
        _exit(3);
    }
    const char *log = getenv("ORTPOOL_FAULT_LOG");
    if (log != NULL) {
        log_file = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
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
        const int length = snprintf(line, sizeof line, "%lu %s %s+0x%zx\n", call, what,
                                    ours ? "ortpool" : "jansson",
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

/* ---- calls by name ---- */

/* Whether this call of the command's own is to fail, with errno then. */
static bool fails_by_name(const char *name, const void *caller)
{
    const uintptr_t at = (uintptr_t)caller;
    if (!atomic_load(&ready) || strcmp(name, call_name) != 0 || at < executable.start ||
        at >= executable.end) {
        return false;
    }
    const unsigned call = atomic_fetch_add(&named_calls, 1) + 1;
    if (call < call_first || call > call_last) {
        return false;
    }
    errno = call_errno;
    return true;
}

/* The C library's function of this name into *function. */
static void find_next(const char *name, void *function)
{
    void *found = dlsym(RTLD_NEXT, name);
    memcpy(function, &found, sizeof found);
}

__attribute__((visibility("default"))) ssize_t read(int file, void *buffer, size_t bytes)
{
    ssize_t (*next)(int, void *, size_t);
    find_next("read", &next);
    const bool fault = file == STDIN_FILENO && fails_by_name("read", CALLER);
    return fault ? -1 : next(file, buffer, bytes);
}

__attribute__((visibility("default"))) int open(const char *name, int flags, ...)
{
    int (*next)(const char *, int, ...);
    va_list arguments;
    va_start(arguments, flags);
    const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    find_next("open", &next);
    return fails_by_name("open", CALLER) ? -1 : next(name, flags, mode);
}

__attribute__((visibility("default"))) int pipe(int ends[2])
{
    int (*next)(int[2]);
    find_next("pipe", &next);
    return fails_by_name("pipe", CALLER) ? -1 : next(ends);
}

__attribute__((visibility("default"))) int pipe2(int ends[2], int flags)
{
    int (*next)(int[2], int);
    find_next("pipe2", &next);
    return fails_by_name("pipe2", CALLER) ? -1 : next(ends, flags);
}

__attribute__((visibility("default"))) int
posix_spawn(pid_t *restrict child, const char *restrict path,
            const posix_spawn_file_actions_t *restrict actions,
            const posix_spawnattr_t *restrict attributes, char *const arguments[restrict],
            char *const environment[restrict])
{
    int (*next)(pid_t *restrict, const char *restrict, const posix_spawn_file_actions_t *restrict,
                const posix_spawnattr_t *restrict, char *const[restrict], char *const[restrict]);
    find_next("posix_spawn", &next);
    return fails_by_name("posix_spawn", CALLER)
               ? call_errno
               : next(child, path, actions, attributes, arguments, environment);
}

__attribute__((visibility("default"))) ssize_t readlink(const char *restrict name,
                                                        char *restrict target, size_t bytes)
{
    ssize_t (*next)(const char *restrict, char *restrict, size_t);
    find_next("readlink", &next);
    return fails_by_name("readlink", CALLER) ? -1 : next(name, target, bytes);
}

__attribute__((visibility("default"))) int
getpwuid_r(uid_t user, struct passwd *entry, char *buffer, size_t bytes, struct passwd **found)
{
    int (*next)(uid_t, struct passwd *, char *, size_t, struct passwd **);
    find_next("getpwuid_r", &next);
    *found = NULL; /* and 0: no such user */
    return fails_by_name("getpwuid_r", CALLER) ? call_errno
                                               : next(user, entry, buffer, bytes, found);
}
