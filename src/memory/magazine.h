/* SPDX-License-Identifier: MIT */
/*
 * Thread caches (option A): each thread's own magazines of free blocks over the depot.
 *
 *     cached_bytes == footprints of the blocks in slots and larges <= pool->thread_cache_bytes
 *
 * A cache has a lock, taken by its thread at each use and by others only to flush or to count: so
 * idle memory in magazines is never out of reach, and a denial has no slack.
 *
 * Its life: made at a thread's first use of the pool, registered in the pool; when the thread ends
 * its blocks go to the depot and its ledger to pool->ended. A thread whose cache cannot be made (no
 * memory, no budget) uses the depot; it tries again the next time.
 */
#ifndef ORTP_MAGAZINE_H
#define ORTP_MAGAZINE_H

#include "pool_internal.h"

#define ORTP__MAGAZINE_SLOTS 16
#define ORTP__MAGAZINE_LARGES 8

/* Makes and gives back the key through which threads find their caches. Errors: SYS. */
ortp_status ortp__magazines_init(ortp_pool *pool);
/* Frees all caches, which must hold no blocks that matter: after a flush, before the pool goes. */
void ortp__magazines_destroy(ortp_pool *pool);

/* The calling thread's cache; NULL where it has none. Under no lock. */
ortp__thread_cache *ortp__magazine_mine(ortp_pool *pool);
/* The stripe that the cache's thread looks into first. */
ortp__stripe *ortp__magazine_home(ortp__thread_cache *cache);

/* A cached block, now OUT and counted; NULL when none fits. */
ortp_block *ortp__magazine_take(ortp__thread_cache *cache, const ortp__request *request);
/* From CACHED, counted as released here; what exceeds the caps goes to the depot. */
void ortp__magazine_release(ortp__thread_cache *cache, ortp_block *block);

/* Gives the blocks of all threads' caches to the depot. Under no lock. */
void ortp__magazines_flush(ortp_pool *pool);
/* Adds what the caches hold to `out`, by walking, and all threads' ledgers, ended ones included. */
void ortp__magazines_add_info(ortp_pool *pool, ortp_pool_info *out, ortp__ledger *ledger);

#endif
