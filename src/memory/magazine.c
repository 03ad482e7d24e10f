/* SPDX-License-Identifier: MIT */
/*
 * Thread caches: see magazine.h. Arrays of pointers, never links: a cached block's memory and its
 * descriptor stay untouched.
 */
#include "depot.h"
#include "magazine.h"

#include <assert.h>
#include <string.h>

/* A pool that no caller has. */
#define AT_HAND_NONE ((ortp__at_hand){.pool = (const ortp_pool *)(uintptr_t)1})

_Thread_local ortp__at_hand ortp__mine = {.pool = (const ortp_pool *)(uintptr_t)1};

/* ---- what one cache holds; all under its mutex ---- */

/* The first `count` of the array, its oldest, go to the depot: small ones as released by now. */
static void flush_array_locked(ortp__thread_cache *cache, ortp_block **blocks, uint8_t *held,
                               size_t count, uint64_t now_ms)
{
    ortp__assert_held(&cache->lock.mutex);
    assert(count <= *held);
    for (size_t i = 0; i < count; i++) {
        cache->room_bytes += blocks[i]->footprint;
        if (blocks[i]->slab != NULL) {
            blocks[i]->released_ms = now_ms;
        }
        ortp__depot_put(blocks[i]);
    }
    *held = (uint8_t)(*held - count);
    memmove(blocks, blocks + count, *held * sizeof *blocks);
}

static void flush_locked(ortp__thread_cache *cache, uint64_t now_ms)
{
    for (size_t i = 0; i < cache->pool->classes.count; i++) {
        flush_array_locked(cache, cache->slots[i], &cache->counts[i], cache->counts[i], now_ms);
    }
    flush_array_locked(cache, cache->larges, &cache->large_count, cache->large_count, now_ms);
    assert(cache->room_bytes == cache->pool->thread_cache_bytes);
}

static ortp_block *take_large_locked(ortp__thread_cache *cache, const ortp__request *request)
{
    ortp__assert_held(&cache->lock.mutex);
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
    ortp__magazine_hand_out_locked(cache, block, request->label);
    return block;
}

ortp_block *ortp__magazine_take(ortp__thread_cache *cache, const ortp__request *request)
{
    assert(!request->warming);
    ortp__lock(&cache->lock.mutex);
    ortp_block *block = request->size.small
                            ? ortp__magazine_pop_locked(cache, request->size.index, request->label)
                            : take_large_locked(cache, request);
    ortp__unlock(&cache->lock.mutex);
    return block;
}

/* Puts the block into its array, of which the older half makes room when it is full. */
static void keep_locked(ortp__thread_cache *cache, ortp_block *block)
{
    ortp__assert_held(&cache->lock.mutex);
    ortp_block **blocks = cache->larges;
    uint8_t *held = &cache->large_count;
    size_t capacity = ORTP__MAGAZINE_LARGES;
    if (block->slab != NULL) {
        blocks = cache->slots[block->index];
        held = &cache->counts[block->index];
        capacity = ORTP__MAGAZINE_SLOTS;
    }
    if (*held == capacity) {
        flush_array_locked(cache, blocks, held, capacity / 2, block->released_ms);
    }
    blocks[(*held)++] = block;
    cache->room_bytes -= block->footprint;
}

void ortp__magazine_release(ortp__thread_cache *cache, ortp_block *block)
{
    ortp__lock(&cache->lock.mutex);
    cache->in_use_bytes[ortp__block_label_get(block)] -= block->footprint;
    cache->kept++;
    if (block->footprint > cache->pool->thread_cache_bytes) {
        ortp__depot_put(block);
    } else {
        if (block->footprint > cache->room_bytes) {
            /* All of it: what lay here unused must not keep the thread from caching what it uses. */
            flush_locked(cache, block->released_ms);
        }
        keep_locked(cache, block);
    }
    ortp__unlock(&cache->lock.mutex);
}

/* ---- other threads' caches: under the registry, after a barrier ---- */

/* From here on the owner takes the mutex; once the barrier is over. */
static void revoke_locked(ortp_pool *pool, ortp__thread_cache *first, ortp__thread_cache *end)
{
    ortp__assert_held(&pool->registry);
    for (ortp__thread_cache *cache = first; cache != end; cache = cache->next) {
        ortp__biased_revoke(&cache->lock);
    }
    if (pool->biased) {
        ortp__barrier();
    }
}

static void add_ledger_locked(const ortp__thread_cache *cache, ortp__ledger *into)
{
    ortp__assert_held(&cache->lock.mutex);
    const ortp__ledger counts = {.in_use_blocks = (size_t)(cache->taken - cache->kept),
                                 .acquires = cache->taken,
                                 .releases = cache->kept,
                                 .reuses = cache->taken};
    ortp__ledger_add(into, &counts);
    for (size_t i = 0; i < ORTP_LABEL_COUNT; i++) {
        into->in_use_bytes[i] += cache->in_use_bytes[i];
    }
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
    add_ledger_locked(cache, &pool->ended);
}

/* Flushes, takes out of the registry and frees. Under no lock. */
static void cache_destroy(ortp__thread_cache *cache)
{
    ortp_pool *pool = cache->pool;
    const uint64_t now_ms = ortp__clock_ms(&pool->clock);
    ortp__lock(&pool->registry);
    revoke_locked(pool, cache, cache->next);
    ortp__biased_seize(&cache->lock);
    flush_locked(cache, now_ms);
    unregister_locked(cache);
    ortp__biased_give_back(&cache->lock);
    ortp__unlock(&pool->registry);
    ortp__biased_destroy(&cache->lock);
    ortp__meta_free(pool->budget, &pool->alloc, cache, sizeof *cache);
}

/*
 * At the end of a thread. Destructors of other keys may use the pool after this one: they make a new
 * cache, and this is called again; what is left after the system's last round stays registered and
 * within reach of flushes, and goes with the pool.
 */
static void thread_ends(void *value)
{
    if (ortp__mine.cache == value) {
        ortp__mine = AT_HAND_NONE;
    }
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
    if (!ortp__biased_init(&cache->lock, ORTP_RANK_THREAD_CACHE, pool->biased)) {
        ortp__meta_free(pool->budget, &pool->alloc, cache, sizeof *cache);
        return NULL;
    }
    cache->pool = pool;
    cache->room_bytes = pool->thread_cache_bytes;
    cache->counts[ORTP__CLASSES_MAX] = ORTP__MAGAZINE_SLOTS;
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
    if (ortp__magazine_at_hand(pool)) {
        return ortp__mine.cache;
    }
    ortp__thread_cache *cache = ortp__thread_key_get(&pool->key);
    if (cache == NULL) {
        cache = cache_create(pool);
        if (cache == NULL) {
            return NULL;
        }
        if (!ortp__thread_key_set(&pool->key, cache)) {
            cache_destroy(cache);
            return NULL;
        }
    }
    if (!pool->poison) {
        ortp__mine = (ortp__at_hand){pool, pool->made_at, cache};
    }
    return cache;
}

ortp__stripe *ortp__magazine_home(ortp__thread_cache *cache)
{
    return cache->home;
}

ortp_status ortp__magazines_init(ortp_pool *pool)
{
    pool->biased = ortp__barrier_ready();
    pool->made_at = ortp__moment();
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
    const uint64_t now_ms = ortp__clock_ms(&pool->clock);
    ortp__lock(&pool->registry);
    revoke_locked(pool, pool->caches, NULL);
    for (ortp__thread_cache *cache = pool->caches; cache != NULL; cache = cache->next) {
        ortp__biased_seize(&cache->lock);
        flush_locked(cache, now_ms);
        ortp__biased_give_back(&cache->lock);
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
    revoke_locked(pool, pool->caches, NULL);
    for (ortp__thread_cache *cache = pool->caches; cache != NULL; cache = cache->next) {
        ortp__biased_seize(&cache->lock);
        for (size_t i = 0; i < pool->classes.count; i++) {
            add_blocks(cache->slots[i], cache->counts[i], out);
        }
        add_blocks(cache->larges, cache->large_count, out);
        add_ledger_locked(cache, ledger);
        ortp__biased_give_back(&cache->lock);
    }
    ortp__unlock(&pool->registry);
}
