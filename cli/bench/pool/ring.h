/* SPDX-License-Identifier: MIT */
/*
 * A bounded queue from one thread to one other. Each end keeps what it last saw of the other's index, and looks
 * again only when that is not enough.
 */
#ifndef ORTPOOL_CLI_BENCH_POOL_RING_H
#define ORTPOOL_CLI_BENCH_POOL_RING_H

#include <sched.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stddef.h>

#define RING_SLOTS 32u

typedef struct ring {
    alignas(128) atomic_size_t pushed; /* items ever */
    size_t popped_seen;                /* the pushing thread's */
    alignas(128) atomic_size_t popped;
    size_t pushed_seen; /* the popping thread's */
    alignas(128) void *slots[RING_SLOTS];
} ring;

/* Steps of a fraction of a microsecond. */
#define RING_PATIENCE (1u << 10)

/*
 * One step of waiting for another thread. It is spun, and given up once in a while, since the other may be
 * without a processor.
 */
static inline void ring_wait(unsigned *steps)
{
    if (++*steps % RING_PATIENCE == 0) {
        (void)sched_yield();
        return;
    }
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static inline void ring_push(ring *r, void *item)
{
    const size_t at = atomic_load_explicit(&r->pushed, memory_order_relaxed);
    for (unsigned steps = 0; at - r->popped_seen == RING_SLOTS;) {
        r->popped_seen = atomic_load_explicit(&r->popped, memory_order_acquire); /* with pop */
        if (at - r->popped_seen == RING_SLOTS) {
            ring_wait(&steps);
        }
    }
    r->slots[at % RING_SLOTS] = item;
    atomic_store_explicit(&r->pushed, at + 1, memory_order_release);
}

static inline void *ring_pop(ring *r)
{
    const size_t at = atomic_load_explicit(&r->popped, memory_order_relaxed);
    for (unsigned steps = 0; at == r->pushed_seen;) {
        r->pushed_seen = atomic_load_explicit(&r->pushed, memory_order_acquire); /* with push */
        if (at == r->pushed_seen) {
            ring_wait(&steps);
        }
    }
    void *item = r->slots[at % RING_SLOTS];
    atomic_store_explicit(&r->popped, at + 1, memory_order_release);
    return item;
}

#endif
