/* SPDX-License-Identifier: MIT */
/*
 * The pool's structures, shared by pool.c, depot.c, slab.c and magazine.c.
 *
 *     pool ── stripe 0 ── per class: slabs full | partial | empty     small blocks
 *       │         └────── large blocks: all, and the idle ones, oldest first
 *       │     stripe n ...
 *       └──── thread caches (option A): per class an array of free blocks, a few large ones
 *
 * A block is in one place at any time, and its state says which:
 *
 *     FREE    on its slab's free list, or on its stripe's list of idle large blocks
 *     CACHED  in a thread cache, or in the hands of the thread that moves it
 *     OUT     with the application
 *
 * Descriptors lie outside the data, so that a stray write of the application cannot break a list.
 *
 * Locks: pool->registry (POOL) < cache->lock (THREAD_CACHE) < stripe->lock (STRIPE) < budget.
 * Charges are made under none of them, since a charge calls reclaimers and ours takes them all.
 */
#ifndef ORTP_POOL_INTERNAL_H
#define ORTP_POOL_INTERNAL_H

#include "classes.h"
#include "internal.h"
#include "reporter.h"

#include <ortpool/pool.h>

#include <stdatomic.h>

typedef struct ortp__slab ortp__slab;
typedef struct ortp__stripe ortp__stripe;
typedef struct ortp__thread_cache ortp__thread_cache;

typedef enum ortp__block_state {
    ORTP__BLOCK_FREE = 0,
    ORTP__BLOCK_CACHED = 1,
    ORTP__BLOCK_OUT = 2,
} ortp__block_state;

struct ortp_block {
    ortp_pool *pool;
    ortp__stripe *stripe; /* home: where it goes when it is free */
    ortp__slab *slab;     /* NULL: a large block, this is its ortp__large */
    unsigned char *data;
    size_t footprint;      /* what the ledger counts: stride or mapping */
    ortp_block *next;      /* slab's free list; a chain of the owner's while OUT */
    uint64_t released_ms;  /* the owner's, then the holder's; not of a small one in a magazine */
    _Atomic uint8_t state; /* an ortp__block_state */
    _Atomic uint8_t label; /* an ortp_label, while OUT */
    uint8_t index;         /* class; of a large block ORTP__CLASSES_MAX */
};

/* Of two blocks in a slab one thread each may have one, and writes its state and label. */
#define ORTP__LINE_BYTES ((size_t)64)
_Static_assert(sizeof(void *) != 8 || sizeof(ortp_block) == ORTP__LINE_BYTES,
               "a block's descriptor fills a cache line");

typedef struct ortp__large {
    ortp_block block; /* first: a large block is found from its block */
    size_t bytes;     /* usable; of a small block that is its footprint */
    struct ortp__large *all_previous, *all_next;
    struct ortp__large *older, *newer; /* idle list */
    size_t reserved; /* growable: its address space, of which the footprint is committed; else 0 */
    unsigned use;    /* growable: an ortp__use */
} ortp__large;

struct ortp__slab {
    ortp__slab *previous, *next;
    ortp__stripe *stripe;
    unsigned char *pages;
    size_t mapping;
    size_t index; /* class */
    size_t block_count;
    size_t free_count;
    ortp_block *free;
    uint64_t released_ms; /* the latest release of one of its blocks */
    ortp_block *blocks;   /* behind the struct, each on a line of its own */
};

typedef struct ortp__slab_list {
    ortp__slab *first, *last; /* empty slabs: oldest first */
} ortp__slab_list;

/*
 * What is in use, in pieces: one ledger per stripe and per thread cache. A block may be acquired on
 * one ledger and released on another, so that only the sum over all of them means anything; it is
 * right modulo 2^n.
 */
typedef struct ortp__ledger {
    size_t in_use_bytes[ORTP_LABEL_COUNT];
    size_t in_use_blocks;
    uint64_t acquires, releases, reuses;
} ortp__ledger;

struct ortp__stripe {
    ortp__mutex lock; /* guards all below, the slabs and the lists' links */
    ortp__ledger ledger;
    uint64_t maps, unmaps;
    ortp__slab_list full[ORTP__CLASSES_MAX];
    ortp__slab_list partial[ORTP__CLASSES_MAX];
    ortp__slab_list empty[ORTP__CLASSES_MAX]; /* no block out: may be unmapped */
    ortp__large *large_all;
    ortp__large *oldest, *newest; /* idle */
    unsigned char padding[128];   /* keeps the next stripe's lock on another line */
};

struct ortp_pool {
    ortp_budget *budget;
    ortp_alloc alloc;
    ortp_clock clock;
    ortp_logger log;
    ortp_pool_kind kind;
    bool huge_pages;
    bool poison;
    size_t thread_cache_bytes;
    ortp__classes classes;
    ortp_reclaimer *reclaimer;
    ortp__reporter reporter;
    uint64_t made_at;     /* option A: tells it from an earlier pool at this address */
    bool biased;          /* option A: the caches' locks are */
    ortp__thread_key key; /* option A: this thread's cache */

    ortp__mutex registry;       /* guards the four below */
    ortp__thread_cache *caches; /* of all threads */
    ortp__ledger ended;         /* ledgers of threads that ended */
    size_t next_stripe;

    size_t stripe_count;
    ortp__stripe stripes[];
};

/* What one acquire wants. */
typedef struct ortp__request {
    ortp__size size;
    ortp_label label;
    ortp_reclaim reclaim;
    bool exact;     /* large: only a mapping of just this size, not one that is a little larger */
    bool warming;   /* not counted as an acquire */
    size_t reserve; /* growable: address space to reserve, size.mapping to commit; else 0 */
    unsigned use;   /* growable: an ortp__use, only blocks of the same will do */
} ortp__request;

static inline ortp__block_state ortp__block_state_get(const ortp_block *block)
{
    return (ortp__block_state)atomic_load_explicit(&block->state, memory_order_relaxed);
}

/* Relaxed: the lock of the place that the block moves to, or its new owner, publishes the rest. */
static inline void ortp__block_state_set(ortp_block *block, ortp__block_state state)
{
    atomic_store_explicit(&block->state, (uint8_t)state, memory_order_relaxed);
}

static inline ortp_label ortp__block_label_get(const ortp_block *block)
{
    return (ortp_label)atomic_load_explicit(&block->label, memory_order_relaxed);
}

static inline void ortp__block_label_set(ortp_block *block, ortp_label label)
{
    atomic_store_explicit(&block->label, (uint8_t)label, memory_order_relaxed);
}

/* Under the lock of the ledger. The block becomes OUT; a block just mapped is no reuse. */
void ortp__ledger_acquire(ortp__ledger *ledger, ortp_block *block, const ortp__request *request,
                          bool reuse);
void ortp__ledger_release(ortp__ledger *ledger, const ortp_block *block, bool warming);
void ortp__ledger_add(ortp__ledger *into, const ortp__ledger *from);

#endif
