/* SPDX-License-Identifier: MIT */
/*
 * Locks, barriers, pages, time and process figures for Linux and Android; POSIX elsewhere where it
 * has them.
 */
#define _DEFAULT_SOURCE 1 /* madvise, MAP_ANONYMOUS, O_NONBLOCK, syscall beyond C17 */

#include "platform.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#if defined(__GLIBC__) || defined(__ANDROID__)
#include <malloc.h>
#endif
#if defined(__linux__)
#include <sys/syscall.h>
#endif

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14; older kernels answer EINVAL */
#endif

/* Of <linux/membarrier.h>: Linux 4.14; older kernels answer EINVAL or ENOSYS. */
#define BARRIER_EXPEDITED (1 << 3)
#define BARRIER_REGISTER (1 << 4)

#define YIELDS 100u        /* before a wait sleeps */
#define MOMENT_TRIES 10000 /* a clock of microseconds needs some hundred; one may stand still */

const char *ortp__errno_text(int number, char text[ORTP__ERRNO_BYTES])
{
    if (number == ESPIPE) { /* of ortp__file_open() */
        (void)snprintf(text, ORTP__ERRNO_BYTES, "it is a pipe or a device, not a file");
    } else if (strerror_r(number, text, ORTP__ERRNO_BYTES) != 0) {
        (void)snprintf(text, ORTP__ERRNO_BYTES, "errno %d", number);
    }
    return text;
}

FILE *ortp__file_open(const char *path)
{
    const int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) {
        return NULL;
    }
    struct stat about = {0};
    FILE *stream = NULL;
    (void)fstat(file, &about); /* of a file that is open it says what it is */
    if (S_ISREG(about.st_mode) || S_ISDIR(about.st_mode)) {
        stream = fdopen(file, "rb");
    } else {
        errno = ESPIPE;
    }
    if (stream == NULL) {
        const int number = errno;
        (void)close(file);
        errno = number;
    }
    return stream;
}

ortp_status ortp__open_status(int number)
{
    switch (number) {
    case ENOENT:
    case ENOTDIR:
        return ORTP_E_NOTFOUND;
    case ENOMEM:
        return ORTP_E_NOMEM;
    default:
        return ORTP_E_SYS;
    }
}

/* ---- lock ranks: what this thread holds, in the order in which it was taken ---- */

#ifndef NDEBUG
#define HELD_MAX 16

typedef struct held_locks {
    const ortp__mutex *locks[HELD_MAX];
    size_t count;
} held_locks;

static _Thread_local held_locks held;

static _Noreturn void rank_violation(const char *what, const ortp__mutex *mutex)
{
    /* A bug of ours, in a debug build: say which and stop at its place. */
    (void)fprintf(stderr, "ortpool: %s: lock of rank %d\n", what, (int)mutex->rank);
    for (size_t i = 0; i < held.count; i++) {
        (void)fprintf(stderr, "ortpool:   holds rank %d\n", (int)held.locks[i]->rank);
    }
    abort();
}

static void held_push(const ortp__mutex *mutex)
{
    for (size_t i = 0; i < held.count; i++) {
        if (held.locks[i]->rank >= mutex->rank) {
            rank_violation("lock taken out of order", mutex);
        }
    }
    if (held.count == HELD_MAX) {
        rank_violation("too many locks", mutex);
    }
    held.locks[held.count++] = mutex;
}

static void held_remove(const ortp__mutex *mutex)
{
    for (size_t i = held.count; i-- > 0;) {
        if (held.locks[i] == mutex) {
            held.locks[i] =
                held.locks[--held.count]; /* order does not matter, ranks are compared */
            return;
        }
    }
    rank_violation("lock given back that is not held", mutex);
}

void ortp__assert_held(const ortp__mutex *mutex)
{
    for (size_t i = 0; i < held.count; i++) {
        if (held.locks[i] == mutex) {
            return;
        }
    }
    rank_violation("lock needed and not held", mutex);
}
#else
static void held_push(const ortp__mutex *mutex)
{
    (void)mutex;
}

static void held_remove(const ortp__mutex *mutex)
{
    (void)mutex;
}

void ortp__assert_held(const ortp__mutex *mutex)
{
    (void)mutex;
}
#endif

/* ---- locks ---- */

bool ortp__mutex_init(ortp__mutex *mutex, ortp__rank rank)
{
    mutex->rank = rank;
    return pthread_mutex_init(&mutex->m, NULL) == 0;
}

void ortp__mutex_destroy(ortp__mutex *mutex)
{
    (void)pthread_mutex_destroy(&mutex->m);
}

void ortp__lock(ortp__mutex *mutex)
{
    held_push(mutex);
    (void)pthread_mutex_lock(&mutex->m);
}

void ortp__unlock(ortp__mutex *mutex)
{
    held_remove(mutex);
    (void)pthread_mutex_unlock(&mutex->m);
}

bool ortp__cond_init(ortp__cond *cond)
{
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0) {
        return false;
    }
    bool ok = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
              pthread_cond_init(&cond->c, &attributes) == 0;
    (void)pthread_condattr_destroy(&attributes);
    return ok;
}

void ortp__cond_destroy(ortp__cond *cond)
{
    (void)pthread_cond_destroy(&cond->c);
}

void ortp__cond_wait(ortp__cond *cond, ortp__mutex *mutex)
{
    ortp__assert_held(mutex);
    (void)pthread_cond_wait(&cond->c, &mutex->m);
}

bool ortp__cond_wait_until(ortp__cond *cond, ortp__mutex *mutex, uint64_t deadline_ms)
{
    ortp__assert_held(mutex);
    uint64_t seconds = deadline_ms / 1000u;
    if (seconds > INT32_MAX) {
        ortp__cond_wait(cond, mutex); /* beyond what every time_t holds: as good as for ever */
        return true;
    }
    struct timespec until = {.tv_sec = (time_t)seconds,
                             .tv_nsec = (long)(deadline_ms % 1000u) * 1000000L};
    return pthread_cond_timedwait(&cond->c, &mutex->m, &until) != ETIMEDOUT;
}

void ortp__cond_broadcast(ortp__cond *cond)
{
    (void)pthread_cond_broadcast(&cond->c);
}

/* ---- barriers ---- */

static void sleep_us(long us)
{
    const struct timespec time = {.tv_nsec = us * 1000};
    (void)nanosleep(&time, NULL);
}

static bool barrier_call(int command)
{
#if defined(SYS_membarrier)
    return syscall(SYS_membarrier, command, 0, 0) == 0;
#else
    (void)command;
    return false;
#endif
}

bool ortp__barrier_ready(void)
{
    return barrier_call(BARRIER_REGISTER); /* as often as one likes */
}

void ortp__barrier(void)
{
    if (!barrier_call(BARRIER_EXPEDITED)) {
        /* A filter of system calls that came later. No store waits so long in a buffer. */
        sleep_us(1000);
    }
}

void ortp__wait_a_little(unsigned tries)
{
    if (tries < YIELDS) {
        (void)sched_yield();
    } else {
        sleep_us(100); /* for whom we wait may be of lower priority */
    }
}

/* ---- a pointer per thread ---- */

bool ortp__thread_key_create(ortp__thread_key *key, void (*ends)(void *))
{
    return pthread_key_create(&key->k, ends) == 0;
}

void ortp__thread_key_delete(ortp__thread_key *key)
{
    (void)pthread_key_delete(key->k);
}

void *ortp__thread_key_get(const ortp__thread_key *key)
{
    return pthread_getspecific(key->k);
}

bool ortp__thread_key_set(const ortp__thread_key *key, void *value)
{
    return pthread_setspecific(key->k, value) == 0;
}

/* ---- time and machine ---- */

static uint64_t now_ns(void)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t ortp__moment(void)
{
    const uint64_t moment = now_ns();
    for (int i = 0; i < MOMENT_TRIES && now_ns() == moment; i++) {
    }
    return moment;
}

uint64_t ortp__now_us(void)
{
    return now_ns() / 1000u;
}

uint64_t ortp__now_about_ms(void)
{
#if defined(CLOCK_MONOTONIC_COARSE)
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
#else
    return ortp__now_ms();
#endif
}

uint64_t ortp__now_ms(void)
{
    return ortp__now_us() / 1000u;
}

size_t ortp__page_size(void)
{
    long bytes = sysconf(_SC_PAGESIZE);
    return bytes > 0 ? (size_t)bytes : 4096u;
}

size_t ortp__processor_count(void)
{
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? (size_t)count : 1u;
}

size_t ortp__thread_hash(void)
{
    uint64_t self = (uint64_t)(uintptr_t)pthread_self(); /* an address where threads have one */
    return (size_t)((self * UINT64_C(0x9E3779B97F4A7C15)) >> 33);
}

/* ---- pages ---- */

void *ortp__pages_map(size_t bytes)
{
    void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return pages == MAP_FAILED ? NULL : pages;
}

void ortp__pages_unmap(void *pages, size_t bytes)
{
    (void)munmap(pages, bytes);
}

void *ortp__pages_reserve(size_t bytes)
{
    void *pages = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return pages == MAP_FAILED ? NULL : pages;
}

bool ortp__pages_commit(void *pages, size_t bytes)
{
    return mprotect(pages, bytes, PROT_READ | PROT_WRITE) == 0;
}

bool ortp__pages_decommit(void *pages, size_t bytes)
{
    return mmap(pages, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
                -1, 0) == pages;
}

void ortp__pages_populate(void *pages, size_t bytes)
{
    const size_t page = ortp__page_size();
    const size_t before = (uintptr_t)pages % page; /* in the same page, so in the same mapping */
    unsigned char *at = (unsigned char *)pages - before;
    if (bytes == 0 || madvise(at, before + bytes, MADV_POPULATE_WRITE) == 0) {
        return;
    }
    bytes += before;
    /* Touch: adding nothing, in one step, leaves what a neighbour writes in the same page alone. */
    for (size_t i = 0; i < bytes; i += page) {
        (void)__atomic_fetch_or(&at[i], 0u, __ATOMIC_RELAXED);
    }
}

void ortp__pages_advise_huge(void *pages, size_t bytes)
{
#ifdef MADV_HUGEPAGE
    (void)madvise(pages, bytes, MADV_HUGEPAGE);
#else
    (void)pages;
    (void)bytes;
#endif
}

/* ---- threads ---- */

static void *thread_main(void *arg)
{
    ortp__thread *thread = arg;
    thread->fn(thread->ctx);
    return NULL;
}

bool ortp__thread_start(ortp__thread *thread, void (*fn)(void *ctx), void *ctx)
{
    thread->fn = fn;
    thread->ctx = ctx;
    return pthread_create(&thread->t, NULL, thread_main, thread) == 0;
}

void ortp__thread_join(ortp__thread *thread)
{
    (void)pthread_join(thread->t, NULL);
}

/* ---- what the process holds ---- */

void ortp__heap_trim(void)
{
#if defined(__GLIBC__)
    (void)malloc_trim(0);
#elif defined(__ANDROID__) && defined(M_PURGE)
    (void)mallopt(M_PURGE, 0);
#endif
}

/* Bytes of the line "name:   N kB"; false when there is no such line. */
static bool status_line_bytes(const char *text, const char *name, uint64_t *bytes)
{
    const char *at = strstr(text, name);
    if (at == NULL) {
        return false;
    }
    *bytes = (uint64_t)strtoull(at + strlen(name), NULL, 10) * 1024u;
    return true;
}

bool ortp__process_memory_get(ortp__process_memory *out)
{
    memset(out, 0, sizeof *out);
    int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return false;
    }
    char text[8192];
    size_t length = 0;
    for (;;) {
        ssize_t got = read(file, text + length, sizeof text - 1 - length);
        if (got <= 0) {
            break;
        }
        length += (size_t)got;
    }
    (void)close(file);
    text[length] = 0;

    uint64_t shared = 0;
    bool ok = status_line_bytes(text, "\nVmRSS:", &out->resident) &&
              status_line_bytes(text, "\nRssAnon:", &out->anonymous) &&
              status_line_bytes(text, "\nRssFile:", &out->file);
    if (ok && status_line_bytes(text, "\nRssShmem:", &shared)) {
        out->file += shared; /* shared memory has a file behind it, if one without a name */
    }
    return ok;
}
