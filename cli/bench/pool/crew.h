/* SPDX-License-Identifier: MIT */
/*
 * The second thread. It sleeps while it has no work, and is alive in everything that is measured: in a process
 * of one thread glibc's locks leave out what makes them dear.
 */
#ifndef ORTPOOL_CLI_BENCH_POOL_CREW_H
#define ORTPOOL_CLI_BENCH_POOL_CREW_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

typedef struct crew {
    pthread_t thread;
    pthread_mutex_t lock; /* guards the four below */
    pthread_cond_t changed;
    void (*work)(void *ctx); /* NULL: none */
    void *ctx;
    bool ends;
    int cpu;              /* where the first thread runs */
    atomic_bool here, go; /* both threads begin together */
} crew;

/* 0, or an errno. */
int crew_open(crew *out);
/*
 * Both at once, begun together; returns when both have ended. One call at a time. Where both threads are on one
 * processor the second is moved to another one, and may be moved on from there as the system likes.
 */
void crew_both(crew *c, void (*other)(void *ctx), void *other_ctx, void (*own)(void *ctx),
               void *own_ctx);
/* The second thread has ended. */
void crew_close(crew *c);

#endif
