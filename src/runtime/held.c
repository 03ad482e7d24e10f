/* SPDX-License-Identifier: MIT */
/*
 * Held tickets: see held.h.
 */
#include "held.h"

#include "allocator.h"
#include "ticket.h"

static void unlink_locked(ortp__held *held, ortp__ticket *ticket)
{
    ortp__assert_held(&held->mutex);
    if (ticket->held_previous != NULL) {
        ticket->held_previous->held_next = ticket->held_next;
    } else {
        held->first = ticket->held_next;
    }
    if (ticket->held_next != NULL) {
        ticket->held_next->held_previous = ticket->held_previous;
    }
    ticket->held = false;
    (void)atomic_fetch_sub_explicit(&held->count, 1, memory_order_relaxed);
}

void ortp__held_add(ortp__ticket *ticket)
{
    ortp__held *held = &ticket->allocator->runtime->held;
    ortp__lock(&held->mutex);
    ticket->held = true;
    ticket->held_previous = NULL;
    ticket->held_next = held->first;
    if (held->first != NULL) {
        held->first->held_previous = ticket;
    }
    held->first = ticket;
    (void)atomic_fetch_add_explicit(&held->count, 1, memory_order_relaxed);
    ortp__unlock(&held->mutex);
}

void ortp__held_forget(ortp__ticket *ticket)
{
    ortp__held *held = &ticket->allocator->runtime->held;
    ortp__lock(&held->mutex);
    if (ticket->held) {
        unlink_locked(held, ticket);
    }
    ortp__unlock(&held->mutex);
}

/*
 * Until about `bytes` were given back, which it returns. Who frees the last value of a ticket waits in
 * forget() meanwhile.
 */
static size_t settle(ortp_runtime *runtime, size_t bytes, bool apart)
{
    ortp__held *held = &runtime->held;
    size_t given = 0;
    ortp__lock(&held->mutex);
    while (held->first != NULL && given < bytes) {
        ortp__ticket *ticket = held->first;
        unlink_locked(held, ticket);
        if (apart) {
            atomic_store_explicit(&ticket->allocator->values_apart, true, memory_order_relaxed);
        }
        given += ortp__ticket_settle(ticket);
    }
    ortp__unlock(&held->mutex);
    return given;
}

void ortp__held_settle(ortp_runtime *runtime)
{
    if (atomic_load_explicit(&runtime->held.count, memory_order_relaxed) > 0) {
        (void)settle(runtime, SIZE_MAX, true);
    }
}

size_t ortp__held_give(ortp_runtime *runtime)
{
    return settle(runtime, SIZE_MAX, false);
}

static size_t reclaim(void *ctx, size_t bytes_wanted)
{
    return settle(ctx, bytes_wanted, false);
}

ortp_status ortp__held_open(ortp_runtime *runtime)
{
    if (!ortp__mutex_init(&runtime->held.mutex, ORTP_RANK_HELD)) {
        return ORTP_E_SYS;
    }
    const ortp_status status = ortp_budget_add_reclaimer(
        runtime->budget, ORTP_RECLAIM_BLOCKS, reclaim, runtime, &runtime->held.reclaimer);
    if (status != ORTP_OK) {
        ortp__mutex_destroy(&runtime->held.mutex);
    }
    return status;
}

void ortp__held_close(ortp_runtime *runtime)
{
    if (runtime->held.reclaimer != NULL) {
        ortp_budget_remove_reclaimer(runtime->budget, runtime->held.reclaimer);
        runtime->held.reclaimer = NULL;
        ortp__mutex_destroy(&runtime->held.mutex);
    }
}
