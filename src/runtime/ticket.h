/* SPDX-License-Identifier: MIT */
/*
 * The ticket: one growable block in which a run of ORT works, or in which a session's packed
 * weights lie.
 *
 *     block | this struct, small chunks: 4 KiB | chunks by best fit ......... | not committed yet |
 *
 * Small chunks (under 1 KiB) lie apart as far as they fit: many live through the whole run, and
 * between large ones they would keep holes from becoming one. On the swipe encoder that takes the
 * block from 1.20 to 1.10 times the peak of what is live.
 *
 * A ticket is open while its run is in progress; only the run's thread allocates in it and makes
 * it grow. Frees come from any thread, also after the run: the last one of a closed ticket gives
 * the block back. A ticket that is closed while values lie in it is held (held.h) or settled: the whole
 * pages between what is out went back. It is current on the run's thread from ORT's entry to its
 * return, which is how the allocator finds it.
 */
#ifndef ORTP_TICKET_H
#define ORTP_TICKET_H

#include "allocator_entry.h"
#include "fit.h"
#include "platform.h"

#include <ortpool/pool.h>

#define ORTP__ESCAPES_MAX 8u

/* The allocations of a run that outlive it, by their place in the order of the run's allocations. */
typedef struct ortp__escapes {
    uint32_t ordinals[ORTP__ESCAPES_MAX];
    uint32_t count;
} ortp__escapes;

/* Lock: `mutex` (ORTP_RANK_TICKET) guards small, fit, open and settled; the list of held tickets has its own; the
 * rest is the run's thread's. */
typedef struct ortp__ticket {
    ortp__mutex mutex;
    ortp__fit small;
    ortp__fit fit;
    bool open;

    ortp__allocator *allocator; /* whose calls it serves */
    ortp_block *block;
    struct ortp__ticket *outer; /* current before this one */
    uint32_t ordinal;           /* of the next allocation */
    size_t wanted;              /* extent of chunks that the block could not grow to; else 0 */
    ortp__escapes escapes;      /* these go to the pool instead; kept true by came_back */
    bool weights;

    /* Of the list of held tickets, under its lock. */
    bool held;
    struct ortp__ticket *held_previous, *held_next;

    bool settled; /* free pages were given back: nothing may be allocated here any more */
} ortp__ticket;

/* Acquires a block for `need` bytes of chunks. Errors: BUDGET, NOMEM, INVAL, SYS. */
ORTP_CHECK ortp_status ortp__ticket_open(ortp_pool *pool, ortp__allocator *allocator, size_t need,
                                         bool weights, ortp_reclaim reclaim, ortp__ticket **out);
/* Makes it the one that this thread's allocations go to; end: the one before it again. */
void ortp__ticket_begin(ortp__ticket *ticket);
void ortp__ticket_end(ortp__ticket *ticket);
/* This thread's current one, if it is the allocator's; else NULL. */
ortp__ticket *ortp__ticket_current(const ortp__allocator *allocator);

/*
 * A chunk in it; grows its block at need. NULL: it is to come from the pool (it escapes) or cannot
 * be had (*status then says why: BUDGET, NOMEM). The thread whose current ticket it is.
 */
ortp__chunk *ortp__ticket_take(ortp__ticket *ticket, size_t bytes, ortp_status *status);
/* The pool had no memory for what escapes: in the ticket it may find a hole. As ortp__ticket_take(). */
ortp__chunk *ortp__ticket_take_all_the_same(ortp__ticket *ticket, size_t bytes,
                                            ortp_status *status);
/* What was taken to escape, the allocation of this ordinal, was freed within its run. Its thread. */
void ortp__ticket_came_back(ortp__ticket *ticket, uint32_t ordinal);
/* Any thread, also after the ticket was closed. */
void ortp__ticket_give(ortp__ticket *ticket, ortp__chunk *chunk);

/* No more allocations in it: gives back the whole pages between what is out, and says
 * how many bytes that was. Any thread, once its run has ended. */
size_t ortp__ticket_settle(ortp__ticket *ticket);

/* What a run leaves to know. */
typedef struct ortp__ticket_left {
    size_t need; /* bytes of chunks, without those that escape: they lie elsewhere the next time */
    size_t wanted; /* bytes that it could not grow to; 0: it was refused nothing */
    ortp__escapes escapes;
} ortp__ticket_left;

/*
 * Ends it; the ticket is gone, or goes with the last of its chunks, held or settled. *left (may be
 * NULL): escapes are those that it knew and, where values are to lie apart, what is still out.
 */
void ortp__ticket_close(ortp__ticket *ticket, ortp__ticket_left *left);
/* Chunks that are out, and the bytes of the block. */
size_t ortp__ticket_used(ortp__ticket *ticket);
size_t ortp__ticket_footprint(ortp__ticket *ticket);

/* What to ask ortp__pool_warm_growable() for, for a run of `need`. */
size_t ortp__ticket_block_bytes(size_t need);

#endif
