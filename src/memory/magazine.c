/* SPDX-License-Identifier: MIT */
/*
 * Thread caches: see magazine.h. Arrays of pointers, never links: a cached block's memory and its
 * descriptor stay untouched.
 */
#include "depot.h"
#include "magazine.h"

#include <assert.h>
#include <string.h>

struct ortp__thread_cache {
    ortp__mutex lock; /* guards ledger, cached_bytes and the arrays */
    ortp_pool *pool;
    ortp__stripe *home;
    ortp__thread_cache *previous, *next; /* registry; guarded by the pool's */
    ortp__ledger ledger;
    size_t cached_bytes;
    size_t counts[ORTP__CLASSES_MAX];
    ortp_block *slots[ORTP__CLASSES_MAX][ORTP__MAGAZINE_SLOTS]; /* last in, first out */
    size_t large_count;
    ortp_block *larges[ORTP__MAGAZINE_LARGES]; /* oldest first */
};

/* ---- what one cache holds; all under its lock ---- */

/* The first `count` of the array, its oldest, go to the depot. */
static void flush_array_locked(ortp__thread_cache *cache, ortp_block **blocks, size_t *held,
                               size_t count)
{
    ortp__assert_held(&cache->lock);
    assert(count <= *held);
    for (size_t i = 0; i < count; i++) {
        cache->cached_bytes -= blocks[i]->footprint;
        ortp__depot_put(blocks[i]);
    }
    *held -= count;
    memmove(blocks, blocks + count, *held * sizeof *blocks);
}

static void flush_locked(ortp__thread_cache *cache)
{
    for (size_t i = 0; i < cache->pool->classes.count; i++) {
        flush_array_locked(cache, cache->slots[i], &cache->counts[i], cache->counts[i]);
    }
    flush_array_locked(cache, cache->larges, &cache->large_count, cache->large_count);
    assert(cache->cached_bytes == 0);
}

static ortp_block *take_large_locked(ortp__thread_cache *cache, const ortp__request *request)
{
    ortp__assert_held(&cache->lock);
    size_t need = request->size.mapping;
    size_t most = request->exact ? need : ortp__classes_reuse_max(need);
    size_t best = cache->large_count;
    for (size_t i = cache->large_count; i-- > 0;) {
        size_t mapping = cache->larges[i]->footprint;
        bool fits = mapping >= need && mapping <= most;
        if (fits && (best == cache->large_count || mapping < cache->larges[best]->footprint)) {
            best = i;
        }
    }
    if (best == cache->large_count) {
        return NULL;
    }
    ortp_block *block = cache->larges[best];
    cache->large_count--;
    memmove(&cache->larges[best], &cache->larges[best + 1],
            (cache->large_count - best) * sizeof cache->larges[0]);
    return block;
}

ortp_block *ortp__magazine_take(ortp__thread_cache *cache, const ortp__request *request)
{
    ortp_block *block = NULL;
    ortp__lock(&cache->lock);
    if (!request->size.small) {
        block = take_large_locked(cache, request);
    } else if (cache->counts[request->size.index] > 0) {
        size_t index = request->size.index;
        block = cache->slots[index][--cache->counts[index]];
    }
    if (block != NULL) {
        cache->cached_bytes -= block->footprint;
        ortp__ledger_acquire(&cache->ledger, block, request, true);
    }
    ortp__unlock(&cache->lock);
    return block;
}

/* Puts the block into its array, of which the older half makes room when it is full. */
static void keep_locked(ortp__thread_cache *cache, ortp_block *block)
{
    ortp__assert_held(&cache->lock);
    ortp_block **blocks = cache->larges;
    size_t *held = &cache->large_count;
    size_t capacity = ORTP__MAGAZINE_LARGES;
    if (block->slab != NULL) {
        blocks = cache->slots[block->slab->index];
        held = &cache->counts[block->slab->index];
        capacity = ORTP__MAGAZINE_SLOTS;
    }
    if (*held == capacity) {
        flush_array_locked(cache, blocks, held, capacity / 2);
    }
    blocks[(*held)++] = block;
    cache->cached_bytes += block->footprint;
}

void ortp__magazine_release(ortp__thread_cache *cache, ortp_block *block)
{
    size_t cap = cache->pool->thread_cache_bytes;
    ortp__lock(&cache->lock);
    ortp__ledger_release(&cache->ledger, block, false);
    if (block->footprint > cap) {
        ortp__depot_put(block);
    } else {
        if (cache->cached_bytes > cap - block->footprint) {
            /* All of it: what lay here unused must not keep the thread from caching what it uses. */
            flush_locked(cache);
        }
        keep_locked(cache, block);
    }
    ortp__unlock(&cache->lock);
}

/* ---- the registry ---- */

static void unregister_locked(ortp__thread_cache *cache)
{
    ortp_pool *pool = cache->pool;
    ortp__assert_held(&pool->registry);
    if (cache->previous != NULL) {
        cache->previous->next = cache->next;
    } else {
        pool->caches = cache->next;
    }
    if (cache->next != NULL) {
        cache->next->previous = cache->previous;
    }
    ortp__ledger_add(&pool->ended, &cache->ledger);
}

/* Flushes, takes out of the registry and frees. Under no lock. */
static void cache_destroy(ortp__thread_cache *cache)
{
    ortp_pool *pool = cache->pool;
    ortp__lock(&pool->registry);
    ortp__lock(&cache->lock);
    flush_locked(cache);
    unregister_locked(cache);
    ortp__unlock(&cache->lock);
    ortp__unlock(&pool->registry);
    ortp__mutex_destroy(&cache->lock);
    ortp__meta_free(pool->budget, &pool->alloc, cache, sizeof *cache);
}

/*
 * At the end of a thread. Destructors of other keys may use the pool after this one: they make a new
 * cache, and this is called again; what is left after the system's last round stays registered and
 * within reach of flushes, and goes with the pool.
 */
static void thread_ends(void *value)
{
    cache_destroy(value);
}

static ortp__thread_cache *cache_create(ortp_pool *pool)
{
    /* A cache is a convenience: not worth a denial in the statistics, nor anybody's idle memory. */
    if (!ortp__budget_has_room(pool->budget, sizeof(ortp__thread_cache))) {
        return NULL;
    }
    void *memory;
    if (ortp__meta_alloc(pool->budget, &pool->alloc, sizeof(ortp__thread_cache), ORTP_RECLAIM_NONE,
                         &memory) != ORTP_OK) {
        return NULL;
    }
    ortp__thread_cache *cache = memory;
    if (!ortp__mutex_init(&cache->lock, ORTP_RANK_THREAD_CACHE)) {
        ortp__meta_free(pool->budget, &pool->alloc, cache, sizeof *cache);
        return NULL;
    }
    cache->pool = pool;
    ortp__lock(&pool->registry);
    cache->home = &pool->stripes[pool->next_stripe++ % pool->stripe_count];
    cache->next = pool->caches;
    if (cache->next != NULL) {
        cache->next->previous = cache;
    }
    pool->caches = cache;
    ortp__unlock(&pool->registry);
    return cache;
}

ortp__thread_cache *ortp__magazine_mine(ortp_pool *pool)
{
    ortp__thread_cache *cache = ortp__thread_key_get(&pool->key);
    if (cache != NULL) {
        return cache;
    }
    cache = cache_create(pool);
    if (cache != NULL && !ortp__thread_key_set(&pool->key, cache)) {
        cache_destroy(cache);
        return NULL;
    }
    return cache;
}

ortp__stripe *ortp__magazine_home(ortp__thread_cache *cache)
{
    return cache->home;
}

ortp_status ortp__magazines_init(ortp_pool *pool)
{
    return ortp__thread_key_create(&pool->key, thread_ends) ? ORTP_OK : ORTP_E_SYS;
}

void ortp__magazines_destroy(ortp_pool *pool)
{
    ortp__thread_key_delete(&pool->key);
    while (pool->caches != NULL) {
        cache_destroy(pool->caches);
    }
}

void ortp__magazines_flush(ortp_pool *pool)
{
    ortp__lock(&pool->registry);
    for (ortp__thread_cache *cache = pool->caches; cache != NULL; cache = cache->next) {
        ortp__lock(&cache->lock);
        flush_locked(cache);
        ortp__unlock(&cache->lock);
    }
    ortp__unlock(&pool->registry);
}

static void add_blocks(ortp_block *const *blocks, size_t count, ortp_pool_info *out)
{
    for (size_t i = 0; i < count; i++) {
        out->idle_bytes += blocks[i]->footprint;
        out->cached_bytes += blocks[i]->footprint;
        out->idle_blocks++;
    }
}

void ortp__magazines_add_info(ortp_pool *pool, ortp_pool_info *out, ortp__ledger *ledger)
{
    ortp__lock(&pool->registry);
    ortp__ledger_add(ledger, &pool->ended);
    for (ortp__thread_cache *cache = pool->caches; cache != NULL; cache = cache->next) {
        ortp__lock(&cache->lock);
        for (size_t i = 0; i < pool->classes.count; i++) {
            add_blocks(cache->slots[i], cache->counts[i], out);
        }
        add_blocks(cache->larges, cache->large_count, out);
        ortp__ledger_add(ledger, &cache->ledger);
        ortp__unlock(&cache->lock);
    }
    ortp__unlock(&pool->registry);
}
