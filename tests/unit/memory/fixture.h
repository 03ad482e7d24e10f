/* SPDX-License-Identifier: MIT */
/*
 * A budget and a pool over a counting allocator and a clock that stands still, and the checks that
 * every test of the memory room ends with.
 */
#ifndef MEMORY_FIXTURE_H
#define MEMORY_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <counting_alloc.h>
#include <fake_clock.h>

#include <ortpool/encoder_cache.h>
#include <ortpool/pool.h>

/* Whether a sanitizer instruments this test: counted page faults mean nothing then. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FIXTURE_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define FIXTURE_SANITIZED 1
#endif
#endif
#ifndef FIXTURE_SANITIZED
#define FIXTURE_SANITIZED 0
#endif

#define KIB ((size_t)1024)
#define MIB (1024 * KIB)

/* Entries of a test table: the same test for both kinds of pool, which it finds in *state. */
extern const ortp_pool_kind fixture_kind_a, fixture_kind_b;
#define BOTH_KINDS(fn)                                                                             \
    {#fn " (thread cached)", fn, NULL, NULL, (void *)(uintptr_t)&fixture_kind_a},                  \
    {                                                                                              \
#fn " (striped)", fn, NULL, NULL, (void *)(uintptr_t)&fixture_kind_b                       \
    }
#define KIND_OF(state) (*(const ortp_pool_kind *)*(state))

typedef struct fixture {
    counting_alloc alloc;
    fake_clock clock;
    ortp_budget *budget;
    ortp_pool *pool;
} fixture;

/* limit 0: none. A pool of 4 stripes with a thread cache of 1 MiB. */
void fixture_open(fixture *f, ortp_pool_kind kind, size_t limit);
/* Ledger balanced, everything destroyed, nothing leaked. */
void fixture_close(fixture *f);

ortp_pool_options fixture_pool_options(fixture *f, ortp_pool_kind kind);

/* cmocka: blocks account == in use + idle; mapped + declared == charged <= limit. Quiet points only. */
void assert_ledger(const ortp_budget *budget, const ortp_pool *pool);
size_t in_use_bytes(const ortp_pool *pool);
size_t charged_bytes(const ortp_budget *budget);
uint64_t maps_of(const ortp_pool *pool);

/* cmocka: an acquire that must succeed. */
ortp_block *must_acquire(ortp_pool *pool, size_t bytes, ortp_label label);
void must_release(ortp_block *block);

/* A seeded generator (splitmix64); state is any number. */
uint64_t random_next(uint64_t *state);
size_t random_below(uint64_t *state, size_t bound);

/* Sleeps; for waiting on threads only. */
void sleep_ms(unsigned ms);

#endif
