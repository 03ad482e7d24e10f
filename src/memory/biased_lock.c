/* SPDX-License-Identifier: MIT */
/*
 * The biased lock: see biased_lock.h.
 */
#include "biased_lock.h"

#include <assert.h>

bool ortp__biased_init(ortp__biased_lock *lock, ortp__rank rank, bool biased)
{
    lock->biased = biased;
    atomic_init(&lock->busy, false);
    atomic_init(&lock->revoked, !biased);
    return ortp__mutex_init(&lock->mutex, rank);
}

void ortp__biased_destroy(ortp__biased_lock *lock)
{
    ortp__mutex_destroy(&lock->mutex);
}

void ortp__biased_revoke(ortp__biased_lock *lock)
{
    atomic_store_explicit(&lock->revoked, true, memory_order_relaxed); /* the barrier follows */
}

void ortp__biased_seize(ortp__biased_lock *lock)
{
    assert(atomic_load_explicit(&lock->revoked, memory_order_relaxed));
    ortp__lock(&lock->mutex);
    /* The owner is in its short way, a few instructions; or it was put off the processor there. */
    for (unsigned tries = 0; atomic_load_explicit(&lock->busy, memory_order_acquire); tries++) {
        ortp__wait_a_little(tries);
    }
}

void ortp__biased_give_back(ortp__biased_lock *lock)
{
    atomic_store_explicit(&lock->revoked, !lock->biased, memory_order_release);
    ortp__unlock(&lock->mutex);
}
