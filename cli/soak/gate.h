/* SPDX-License-Identifier: MIT */
/*
 * Quiet points: a gate that threads pass between two pieces of work. Closed, it holds them until it opens;
 * ended, it sends them home.
 */
#ifndef ORTPOOL_CLI_SOAK_GATE_H
#define ORTPOOL_CLI_SOAK_GATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct gate {
    pthread_mutex_t mutex;
    pthread_cond_t changed; /* by the monotonic clock; everybody waits here */
    size_t members;         /* threads at work */
    size_t held;            /* of these, at the closed gate */
    bool closed, ended, woken;
} gate;

bool gate_start(gate *g);
void gate_destroy(gate *g); /* no members any more */

/* Members. */
void gate_join(gate *g);               /* by whoever starts the thread, before */
void gate_leave(gate *g);              /* the thread's last call */
bool gate_pass(gate *g);               /* waits while it is closed; false: go home */
bool gate_wanted(gate *g);             /* somebody closes or ends it: come soon */
void gate_wake(gate *g);               /* ends gate_wait() */
void gate_sleep(gate *g, unsigned ms); /* not past the moment that it is wanted */

/* The one that watches. */
void gate_wait(gate *g, unsigned ms);  /* for a gate_wake(), no longer than that */
bool gate_close(gate *g, unsigned ms); /* true when all members are held; false after that while */
void gate_open(gate *g);
void gate_end(gate *g);

#endif
