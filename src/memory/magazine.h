/* SPDX-License-Identifier: MIT */
/*
 * Thread caches (option A): each thread's own magazines of free blocks over the depot.
 *
 *     room_bytes + footprints of the blocks in slots and larges == pool->thread_cache_bytes
 *
 * A cache has a biased lock (biased_lock.h): its thread takes it at each use without an atomic
 * instruction, others only to flush or to count. So idle memory in magazines is never out of reach,
 * and a denial has no slack. The others come under the pool's registry, one at a time.
 *
 * Its life: made at a thread's first use of the pool, registered in the pool; when the thread ends
 * its blocks go to the depot and its counts to pool->ended. A thread whose cache cannot be made (no
 * memory, no budget) uses the depot; it tries again the next time.
 *
 * Small blocks are stamped with a time when they leave for the depot, not when they come: no clock
 * is read for them.
 */
#ifndef ORTP_MAGAZINE_H
#define ORTP_MAGAZINE_H

#include "biased_lock.h"
#include "pool_internal.h"

#include <assert.h>

#define ORTP__MAGAZINE_SLOTS 16
#define ORTP__MAGAZINE_LARGES 8

struct ortp__thread_cache {
    /* Before the fields in use: a line that another structure may begin in. */
    ortp__thread_cache *previous, *next; /* registry; guarded by the pool's lock */
    ortp_pool *pool;
    ortp__stripe *home;
    ortp__biased_lock lock;                /* guards all below */
    size_t room_bytes;                     /* the pool's cap less what is cached */
    size_t in_use_bytes[ORTP_LABEL_COUNT]; /* its part of the ledger, as in ortp__ledger */
    /* Blocks; all that a magazine hands out are reuses. Apart from room_bytes: no vector of both,
     * whose load would wait for the single stores before it. */
    uint64_t taken, kept;
    uint8_t counts[ORTP__CLASSES_MAX + 1]; /* the last: full for ever, of large blocks */
    uint8_t large_count;
    ortp_block *slots[ORTP__CLASSES_MAX][ORTP__MAGAZINE_SLOTS]; /* last in, first out */
    ortp_block *larges[ORTP__MAGAZINE_LARGES];                  /* oldest first */
};

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
/* From CACHED, stamped, counted as released here; what exceeds the caps goes to the depot. */
void ortp__magazine_release(ortp__thread_cache *cache, ortp_block *block);

/* Gives the blocks of all threads' caches to the depot. Under no lock. */
void ortp__magazines_flush(ortp_pool *pool);
/* Adds what the caches hold to `out`, by walking, and all threads' ledgers, ended ones included. */
void ortp__magazines_add_info(ortp_pool *pool, ortp_pool_info *out, ortp__ledger *ledger);

/* ---- the short way: small blocks, the cache used last, nobody else interested, no poison ---- */

/*
 * The cache that this thread used last, and for which pool. Not cleared when a pool is destroyed on
 * another thread: it is followed only where pool and made_at are those of a pool that lives.
 */
typedef struct ortp__at_hand {
    const ortp_pool *pool;
    uint64_t made_at;
    ortp__thread_cache *cache;
} ortp__at_hand;

/*
 * glibc keeps room for such small data of libraries that are loaded while the process runs;
 * elsewhere the usual way, a call.
 */
#if defined(__GLIBC__)
#define ORTP__NEAR __attribute__((visibility("hidden"), tls_model("initial-exec")))
#elif defined(__GNUC__)
#define ORTP__NEAR __attribute__((visibility("hidden")))
#else
#define ORTP__NEAR
#endif
extern _Thread_local ortp__at_hand ortp__mine ORTP__NEAR;

/* Whether the calling thread's cache of the pool (may be NULL) is ortp__mine.cache. */
static inline bool ortp__magazine_at_hand(const ortp_pool *pool)
{
    return ORTP__LIKELY(ortp__mine.pool == pool) &&
           ORTP__LIKELY(ortp__mine.made_at == pool->made_at);
}

/* A block that leaves the cache for the application. Under the lock, by whichever way. */
static inline void ortp__magazine_hand_out_locked(ortp__thread_cache *cache, ortp_block *block,
                                                  ortp_label label)
{
    assert(ortp__block_state_get(block) == ORTP__BLOCK_CACHED);
    cache->room_bytes += block->footprint;
    cache->in_use_bytes[label] += block->footprint;
    cache->taken++;
    ortp__block_label_set(block, label);
    ortp__block_state_set(block, ORTP__BLOCK_OUT);
}

static inline ortp_block *ortp__magazine_pop_locked(ortp__thread_cache *cache, size_t index,
                                                    ortp_label label)
{
    const size_t count = cache->counts[index];
    if (!ORTP__LIKELY(count > 0)) {
        return NULL;
    }
    ortp_block *block = cache->slots[index][count - 1];
    cache->counts[index] = (uint8_t)(count - 1);
    ortp__magazine_hand_out_locked(cache, block, label);
    return block;
}

/* A small block of the class; NULL: the long way. */
static inline ortp_block *ortp__magazine_pop(ortp__thread_cache *cache, size_t index,
                                             ortp_label label)
{
    if (!ORTP__LIKELY(ortp__biased_enter(&cache->lock))) {
        return NULL;
    }
    ortp_block *block = ortp__magazine_pop_locked(cache, index, label);
    ortp__biased_leave(&cache->lock);
    return block;
}

/* A block that is OUT; false, and nothing done: the long way, as for all large ones. */
static inline bool ortp__magazine_push(ortp__thread_cache *cache, ortp_block *block)
{
    if (!ORTP__LIKELY(ortp__biased_enter(&cache->lock))) {
        return false;
    }
    const size_t index = block->index;
    const size_t count = cache->counts[index];
    const size_t bytes = block->footprint;
    const bool room =
        ORTP__LIKELY(count < ORTP__MAGAZINE_SLOTS) && ORTP__LIKELY(bytes <= cache->room_bytes);
    if (room) {
        cache->slots[index][count] = block;
        cache->counts[index] = (uint8_t)(count + 1);
        cache->room_bytes -= bytes;
        cache->in_use_bytes[ortp__block_label_get(block)] -= bytes;
        cache->kept++;
        ortp__block_state_set(block, ORTP__BLOCK_CACHED);
    }
    ortp__biased_leave(&cache->lock);
    return room;
}

#endif
