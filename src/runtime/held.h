/* SPDX-License-Identifier: MIT */
/*
 * Tickets that are closed while a value of their run still lies in them.
 *
 *     run ends, an output is out -> held: the block stays whole -> the output is freed -> idle, whole
 *                                     |
 *                                     +-> another run begins, or memory is asked for: settled, what is
 *                                         free in it goes back, and the rest with the output
 *
 * So a program that frees its outputs before the next run has one block, as large as a run with its
 * outputs, and no page fault. One that holds them longer is known by the first run that begins meanwhile:
 * as long as it lives, outputs of that session go to blocks of their own.
 *
 * The list is a runtime's: where runtimes share a pool, each settles its own, or all are asked for memory.
 */
#ifndef ORTP_HELD_H
#define ORTP_HELD_H

#include "platform.h"

#include <ortpool/budget.h>

#include <stdatomic.h>

struct ortp_runtime;
struct ortp__ticket;

/* Lock: `mutex` (ORTP_RANK_HELD) guards first, and the links of what is in the list. */
typedef struct ortp__held {
    ortp__mutex mutex;
    struct ortp__ticket *first;
    _Atomic size_t count;
    ortp_reclaimer *reclaimer; /* at ORTP_RECLAIM_BLOCKS */
} ortp__held;

/* Errors: NOMEM, BUDGET, SYS. */
ORTP_CHECK ortp_status ortp__held_open(struct ortp_runtime *runtime);
/* Waits for reclaimers; nothing is held. A no-op where it was not opened. */
void ortp__held_close(struct ortp_runtime *runtime);

/* An open ticket whose run has ended; forget: it is in no list any more. Any thread, under no lock. */
void ortp__held_add(struct ortp__ticket *ticket);
void ortp__held_forget(struct ortp__ticket *ticket);

/* A run begins: all are settled, and their sessions' outputs stay apart as long as those live. */
void ortp__held_settle(struct ortp_runtime *runtime);
/* All are settled, for want of memory or since nobody will run. Bytes given back. */
size_t ortp__held_give(struct ortp_runtime *runtime);

#endif
