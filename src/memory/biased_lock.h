/* SPDX-License-Identifier: MIT */
/*
 * A lock for what one thread, its owner, uses all the time and others hardly ever. The owner takes
 * it with two plain stores and a load; the others pay for that with a barrier in all threads:
 *
 *     owner                               another
 *       busy = 1                            revoked = 1
 *       revoked? no:  work                  barrier in all threads of the process
 *                     busy = 0              lock the mutex, wait until busy == 0
 *                yes: busy = 0              work
 *                     lock the mutex,       revoked = 0
 *                     work, unlock it       unlock the mutex
 *
 * After the barrier either the other sees busy == 1, or the owner sees revoked == 1. What one wrote
 * is seen by the next: over busy (owner to other), revoked (other to owner), or the mutex.
 *
 * Without such a barrier (not Linux, an old kernel, a filter of system calls) revoked is always 1,
 * which makes it a mutex.
 *
 * The others must come one at a time, each from its revoke to its give back: a lock of lower rank
 * does that. In the owner's short way no lock is taken and nothing is called that might take one;
 * debug builds know of the mutex alone.
 */
#ifndef ORTP_BIASED_LOCK_H
#define ORTP_BIASED_LOCK_H

#include "platform.h"

#include <stdatomic.h>

typedef struct ortp__biased_lock {
    ortp__mutex mutex;
    _Atomic bool busy;    /* written by the owner */
    _Atomic bool revoked; /* written by others */
    bool biased;          /* there is a barrier; else revoked stays */
} ortp__biased_lock;

/* biased: what ortp__barrier_ready() said. false: the system refused. */
bool ortp__biased_init(ortp__biased_lock *lock, ortp__rank rank, bool biased);
void ortp__biased_destroy(ortp__biased_lock *lock);

/* The owner, the short way; false: revoked, so that it takes the mutex. */
static inline bool ortp__biased_enter(ortp__biased_lock *lock)
{
    atomic_store_explicit(&lock->busy, true, memory_order_relaxed);
    /* The compiler keeps the order; the processor does where it matters, at the others' barrier. */
    atomic_signal_fence(memory_order_seq_cst);
    /* acquire: pairs with the store in ortp__biased_give_back() */
    if (!atomic_load_explicit(&lock->revoked, memory_order_acquire)) {
        return true;
    }
    atomic_store_explicit(&lock->busy, false, memory_order_release);
    return false;
}

static inline void ortp__biased_leave(ortp__biased_lock *lock)
{
    /* release: pairs with the load in ortp__biased_seize() */
    atomic_store_explicit(&lock->busy, false, memory_order_release);
}

/*
 * Another: revoke (of several locks at once, if it likes), ortp__barrier() where they are biased,
 * seize, give back.
 */
void ortp__biased_revoke(ortp__biased_lock *lock);
void ortp__biased_seize(ortp__biased_lock *lock);
void ortp__biased_give_back(ortp__biased_lock *lock);

#endif
