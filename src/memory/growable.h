/* SPDX-License-Identifier: MIT */
/*
 * Growable blocks: for a holder that learns only while it works how much it needs.
 *
 *     data | committed: footprint, charged | reserved address space, neither memory nor charged |
 *
 * A block grows in place, page by page; it never shrinks but is unmapped as a whole. Idle ones lie
 * in stripe 0, so that every holder finds them all, and are handed out whatever their size to the
 * same use: the smallest that is large enough, else the largest, grown. So holders whose needs
 * vary share one block that is as large as the largest need, where blocks of fixed sizes would
 * leave one behind for each; and no value that is held takes the block that the next run would
 * have to grow anew, nor one of more than four times its size.
 */
#ifndef ORTP_GROWABLE_H
#define ORTP_GROWABLE_H

#include <ortpool/pool.h>

/* What a growable block is for: its idle time ends with the same. Values: one that outlives its run. */
#define ORTP__VALUE_SLACK 4u /* no block of more than so many times its size is held for a value */
typedef enum ortp__use { ORTP__USE_RUNS, ORTP__USE_VALUES, ORTP__USE_WEIGHTS } ortp__use;

/*
 * A growable block of at least `bytes`, OUT under `label`. Released as any other, or discarded.
 * Errors: BUDGET, NOMEM, INVAL. Thread-safe: yes.
 */
ORTP_CHECK ortp_status ortp__pool_acquire_growable(ortp_pool *pool, size_t bytes, ortp_label label,
                                                   ortp__use use, ortp_reclaim reclaim,
                                                   ortp_block **out);
/*
 * Makes at least `bytes` of it usable; the data stays where it is. On failure nothing has changed.
 * Errors: BUDGET, NOMEM (its address space ends, or the system refuses). The owner's thread only,
 * under no lock.
 */
ORTP_CHECK ortp_status ortp__block_grow(ortp_block *block, size_t bytes, ortp_reclaim reclaim);
/*
 * Gives back the whole pages between `from` and `to`, which nobody may touch any more, and says
 * how many bytes that was. The block is to be discarded after that, not released. One thread at a
 * time; locks below the pool's may be held.
 */
size_t ortp__block_give_pages(ortp_block *block, void *from, void *to);
/* Unmaps it at once, in place of a release. The owner's thread only, under no lock. */
void ortp__block_discard(ortp_block *block);

/* `count` idle growable blocks of `bytes` for runs at the same time, pages present. Errors as acquire. */
ORTP_CHECK ortp_status ortp__pool_warm_growable(ortp_pool *pool, size_t bytes, size_t count);

bool ortp__block_is_growable(const ortp_block *block);

#endif
