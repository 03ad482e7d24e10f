/* SPDX-License-Identifier: MIT */
/* See crew.h. */
#include "crew.h"

#include <sched.h>
#include <stddef.h>

#include "ring.h"

/* Spun: to be woken would take as long as a part of what is measured. */
static void await(atomic_bool *flag)
{
    for (unsigned steps = 0; !atomic_load_explicit(flag, memory_order_acquire);) {
        ring_wait(&steps);
    }
    atomic_store_explicit(flag, false, memory_order_relaxed);
}

/*
 * Two threads that wake each other are content on one processor for longer than a sample takes. Where it cannot
 * be left, both stay.
 */
static void leave(int cpu)
{
    cpu_set_t all, others;
    if (cpu < 0 || cpu >= CPU_SETSIZE || sched_getcpu() != cpu ||
        sched_getaffinity(0, sizeof(all), &all) != 0) {
        return;
    }
    others = all;
    CPU_CLR((size_t)cpu, &others);
    if (CPU_COUNT(&others) > 0 && sched_setaffinity(0, sizeof(others), &others) == 0) {
        (void)sched_setaffinity(0, sizeof(all), &all);
    }
}

static void *serve(void *ctx)
{
    crew *c = ctx;
    (void)pthread_mutex_lock(&c->lock);
    while (!c->ends) {
        if (c->work == NULL) {
            (void)pthread_cond_wait(&c->changed, &c->lock);
            continue;
        }
        const int cpu = c->cpu;
        (void)pthread_mutex_unlock(&c->lock);
        leave(cpu);
        atomic_store_explicit(&c->here, true, memory_order_release);
        await(&c->go);
        c->work(c->ctx); /* unchanged until it is done */
        (void)pthread_mutex_lock(&c->lock);
        c->work = NULL;
        (void)pthread_cond_broadcast(&c->changed);
    }
    (void)pthread_mutex_unlock(&c->lock);
    return NULL;
}

int crew_open(crew *out)
{
    *out = (crew){.work = NULL};
    atomic_init(&out->here, false);
    atomic_init(&out->go, false);
    int error = pthread_mutex_init(&out->lock, NULL);
    if (error != 0) {
        return error;
    }
    error = pthread_cond_init(&out->changed, NULL);
    if (error == 0) {
        error = pthread_create(&out->thread, NULL, serve, out);
        if (error == 0) {
            return 0;
        }
        (void)pthread_cond_destroy(&out->changed);
    }
    (void)pthread_mutex_destroy(&out->lock);
    return error;
}

void crew_both(crew *c, void (*other)(void *ctx), void *other_ctx, void (*own)(void *ctx),
               void *own_ctx)
{
    (void)pthread_mutex_lock(&c->lock);
    c->work = other;
    c->ctx = other_ctx;
    c->cpu = sched_getcpu();
    (void)pthread_cond_broadcast(&c->changed);
    (void)pthread_mutex_unlock(&c->lock);
    await(&c->here);
    atomic_store_explicit(&c->go, true, memory_order_release);
    own(own_ctx);
    (void)pthread_mutex_lock(&c->lock);
    while (c->work != NULL) {
        (void)pthread_cond_wait(&c->changed, &c->lock);
    }
    (void)pthread_mutex_unlock(&c->lock);
}

void crew_close(crew *c)
{
    (void)pthread_mutex_lock(&c->lock);
    c->ends = true;
    (void)pthread_cond_broadcast(&c->changed);
    (void)pthread_mutex_unlock(&c->lock);
    (void)pthread_join(c->thread, NULL);
    (void)pthread_cond_destroy(&c->changed);
    (void)pthread_mutex_destroy(&c->lock);
}
