/* SPDX-License-Identifier: MIT */
/*
 * The one door to the operating system: locks with ranks, barriers, threads' own data, pages, time.
 * Only platform.c includes headers of the system beyond <pthread.h>.
 *
 * Locks have ranks; a thread takes them in rising order only (docs/threading.md). Debug builds
 * (NDEBUG not defined) abort on a violation.
 */
#ifndef ORTP_PLATFORM_H
#define ORTP_PLATFORM_H

#include "private_api.h"

#include <ortpool/status.h>

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Lowest is taken first. Locks of equal rank are never held together. */
typedef enum ortp__rank {
    ORTP_RANK_STATISTICS = 5, /* who reports to a budget's statistics */
    ORTP_RANK_PREDICTOR = 10,
    ORTP_RANK_CREATION = 15, /* the process's gate of session creations */
    ORTP_RANK_RUNTIME = 20,
    ORTP_RANK_CACHE = 30,
    ORTP_RANK_TENSORS = 40,
    ORTP_RANK_NEEDS = 42,  /* a session's table of what runs needed */
    ORTP_RANK_HELD = 43,   /* tickets with values in them */
    ORTP_RANK_TICKET = 44, /* one run's block */
    ORTP_RANK_POOL = 50,   /* registry of thread caches */
    ORTP_RANK_THREAD_CACHE = 60,
    ORTP_RANK_STRIPE = 70,
    ORTP_RANK_BUDGET = 80,
} ortp__rank;

typedef struct ortp__mutex {
    pthread_mutex_t m;
    ortp__rank rank;
} ortp__mutex;

typedef struct ortp__cond {
    pthread_cond_t c; /* monotonic clock */
} ortp__cond;

/* For objects of the process; a cond made so must not be waited on until a time. */
#define ORTP__MUTEX_STATIC(rank)                                                                   \
    {                                                                                              \
        PTHREAD_MUTEX_INITIALIZER, rank                                                            \
    }
#define ORTP__COND_STATIC                                                                          \
    {                                                                                              \
        PTHREAD_COND_INITIALIZER                                                                   \
    }

/* What the system says of an errno, in `text`, which is returned. */
#define ORTP__ERRNO_BYTES 96
ORTP__PRIVATE_API const char *ortp__errno_text(int number, char text[ORTP__ERRNO_BYTES]);

/*
 * A file to be read; NULL with errno, ESPIPE where it is no file but a pipe or a device, which could make
 * its reader wait for ever.
 */
FILE *ortp__file_open(const char *path);

/* What a file that cannot be opened is for a caller: NOTFOUND, NOMEM or SYS. */
ortp_status ortp__open_status(int number);

/* false: the system refused. */
ORTP__PRIVATE_API bool ortp__mutex_init(ortp__mutex *mutex, ortp__rank rank);
ORTP__PRIVATE_API void ortp__mutex_destroy(ortp__mutex *mutex);
ORTP__PRIVATE_API void ortp__lock(ortp__mutex *mutex);
ORTP__PRIVATE_API void ortp__unlock(ortp__mutex *mutex);
/* Debug builds: aborts unless this thread holds it. */
ORTP__PRIVATE_API void ortp__assert_held(const ortp__mutex *mutex);

/* A pointer per thread; `ends` gets it when a thread ends that has one. */
typedef struct ortp__thread_key {
    pthread_key_t k;
} ortp__thread_key;

/* false: the process has no key left. */
bool ortp__thread_key_create(ortp__thread_key *key, void (*ends)(void *));
/* `ends` is not called any more. */
void ortp__thread_key_delete(ortp__thread_key *key);
void *ortp__thread_key_get(const ortp__thread_key *key);
/* false: no memory. */
bool ortp__thread_key_set(const ortp__thread_key *key, void *value);

/*
 * A barrier of memory in all threads of the process at once (Linux: membarrier). ready: whether
 * there is one; to be asked before the first.
 */
bool ortp__barrier_ready(void);
void ortp__barrier(void);
/* For a wait of some instructions of another thread: gives the processor away, later sleeps. */
void ortp__wait_a_little(unsigned tries);

ORTP__PRIVATE_API bool ortp__cond_init(ortp__cond *cond);
ORTP__PRIVATE_API void ortp__cond_destroy(ortp__cond *cond);
ORTP__PRIVATE_API void ortp__cond_wait(ortp__cond *cond, ortp__mutex *mutex);
/* false: the monotonic time deadline_ms passed. */
ORTP__PRIVATE_API bool ortp__cond_wait_until(ortp__cond *cond, ortp__mutex *mutex,
                                             uint64_t deadline_ms);
ORTP__PRIVATE_API void ortp__cond_broadcast(ortp__cond *cond);

/* A thread; the struct must stay where it is until the join. */
typedef struct ortp__thread {
    pthread_t t;
    void (*fn)(void *ctx);
    void *ctx;
} ortp__thread;

/* false: the system refused. */
bool ortp__thread_start(ortp__thread *thread, void (*fn)(void *ctx), void *ctx);
void ortp__thread_join(ortp__thread *thread);

ORTP__PRIVATE_API uint64_t ortp__now_ms(void);
/* The time at which a span from `now_ms` on ends; UINT64_MAX: never. */
static inline uint64_t ortp__deadline_after(uint64_t now_ms, uint64_t timeout_ms)
{
    return timeout_ms > UINT64_MAX - now_ms ? UINT64_MAX : now_ms + timeout_ms;
}
/* As of the system's last tick: the same or up to some 10 ms before, never later. */
uint64_t ortp__now_about_ms(void);
ORTP__PRIVATE_API uint64_t ortp__now_us(void);
/* A time that a call after this one does not return again. */
uint64_t ortp__moment(void);
size_t ortp__page_size(void);
size_t ortp__processor_count(void);
/* A number of the calling thread, well mixed, the same as long as it lives. */
size_t ortp__thread_hash(void);

/* Fresh zero pages; NULL when the system refuses. bytes is a multiple of the page size. */
void *ortp__pages_map(size_t bytes);
void ortp__pages_unmap(void *pages, size_t bytes);
/* Address space alone, to be committed before use; NULL when the system refuses. */
void *ortp__pages_reserve(size_t bytes);
/* Makes whole pages of reserved address space usable; false when the system refuses. */
bool ortp__pages_commit(void *pages, size_t bytes);
/* Address space alone again, contents gone; false, and nothing changed, when the system refuses. */
bool ortp__pages_decommit(void *pages, size_t bytes);
/* Makes the pages of these bytes present and writable, from any address on; keeps contents. */
ORTP__PRIVATE_API void ortp__pages_populate(void *pages, size_t bytes);
void ortp__pages_advise_huge(void *pages, size_t bytes);

/* Gives what the C library's heap holds unused back to the system, where it can. */
void ortp__heap_trim(void);

typedef struct ortp__process_memory {
    uint64_t anonymous, file, resident; /* bytes */
} ortp__process_memory;
/* false where the system does not say. Cheap enough to call around a session's creation. */
bool ortp__process_memory_get(ortp__process_memory *out);

#endif
