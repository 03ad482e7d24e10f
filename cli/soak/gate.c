/* SPDX-License-Identifier: MIT */
#include "gate.h"

#include <time.h>

static void lock(gate *g)
{
    (void)pthread_mutex_lock(&g->mutex);
}

static void unlock(gate *g)
{
    (void)pthread_mutex_unlock(&g->mutex);
}

static struct timespec later(unsigned ms)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += ms / 1000;
    at.tv_nsec += (long)(ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

bool gate_start(gate *g)
{
    *g = (gate){0};
    pthread_condattr_t monotonic;
    if (pthread_condattr_init(&monotonic) != 0) {
        return false;
    }
    bool ok = pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0 &&
              pthread_cond_init(&g->changed, &monotonic) == 0;
    (void)pthread_condattr_destroy(&monotonic);
    if (ok && pthread_mutex_init(&g->mutex, NULL) != 0) {
        (void)pthread_cond_destroy(&g->changed);
        ok = false;
    }
    return ok;
}

void gate_destroy(gate *g)
{
    (void)pthread_mutex_destroy(&g->mutex);
    (void)pthread_cond_destroy(&g->changed);
}

void gate_join(gate *g)
{
    lock(g);
    g->members++;
    unlock(g);
}

void gate_leave(gate *g)
{
    lock(g);
    g->members--;
    (void)pthread_cond_broadcast(&g->changed);
    unlock(g);
}

bool gate_pass(gate *g)
{
    lock(g);
    g->held++;
    if (g->closed) {
        (void)pthread_cond_broadcast(&g->changed);
    }
    while (g->closed && !g->ended) {
        (void)pthread_cond_wait(&g->changed, &g->mutex);
    }
    g->held--;
    const bool on = !g->ended;
    unlock(g);
    return on;
}

void gate_sleep(gate *g, unsigned ms)
{
    const struct timespec end = later(ms);
    lock(g);
    int waited = 0;
    while (!g->closed && !g->ended && waited == 0) {
        waited = pthread_cond_timedwait(&g->changed, &g->mutex, &end);
    }
    unlock(g);
}

bool gate_wanted(gate *g)
{
    lock(g);
    const bool wanted = g->closed || g->ended;
    unlock(g);
    return wanted;
}

void gate_wake(gate *g)
{
    lock(g);
    g->woken = true;
    (void)pthread_cond_broadcast(&g->changed);
    unlock(g);
}

void gate_wait(gate *g, unsigned ms)
{
    const struct timespec end = later(ms);
    lock(g);
    int waited = 0;
    while (!g->woken && waited == 0) {
        waited = pthread_cond_timedwait(&g->changed, &g->mutex, &end);
    }
    g->woken = false;
    unlock(g);
}

bool gate_close(gate *g, unsigned ms)
{
    const struct timespec end = later(ms);
    lock(g);
    g->closed = true;
    (void)pthread_cond_broadcast(&g->changed);
    int waited = 0;
    while (g->held < g->members && waited == 0) {
        waited = pthread_cond_timedwait(&g->changed, &g->mutex, &end);
    }
    const bool all = g->held == g->members;
    unlock(g);
    return all;
}

void gate_open(gate *g)
{
    lock(g);
    g->closed = false;
    (void)pthread_cond_broadcast(&g->changed);
    unlock(g);
}

void gate_end(gate *g)
{
    lock(g);
    g->ended = true;
    g->closed = false;
    (void)pthread_cond_broadcast(&g->changed);
    unlock(g);
}
