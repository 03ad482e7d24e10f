/* SPDX-License-Identifier: MIT */
/*
 * The pool's public face: finds a block in the thread's magazine, the depot or the system, in this
 * order, and gives it back the same way. The structures are drawn in pool_internal.h.
 */
#include "depot.h"
#include "growable.h"
#include "magazine.h"
#include "pool_internal.h"

#include <assert.h>
#include <string.h>

#define STRIPES_MAX 64u
#define ALIGNMENT_DEFAULT 64u
#define ALIGNMENT_MAX 4096u
#define THREAD_CACHE_BYTES_DEFAULT (1024u * 1024u)
#define POISON_BYTE 0xDB

const char *ortp_label_name(ortp_label label)
{
    switch (label) {
#define LABEL_NAME(name, text)                                                                     \
    case ORTP_LABEL_##name:                                                                        \
        return text;
        ORTP_LABEL_MAP(LABEL_NAME)
#undef LABEL_NAME
    case ORTP_LABEL_COUNT:
        break;
    }
    return "?";
}

static bool label_known(ortp_label label)
{
    return (unsigned)label < (unsigned)ORTP_LABEL_COUNT;
}

static bool thread_cached(const ortp_pool *pool)
{
    return pool->kind == ORTP_POOL_THREAD_CACHED;
}

static void flush_threads(ortp_pool *pool)
{
    if (thread_cached(pool)) {
        ortp__magazines_flush(pool);
    }
}

/* ---- life ---- */

/* Level BLOCKS: idle blocks of all threads, least recently used first. */
static size_t reclaim_idle(void *ctx, size_t bytes_wanted)
{
    ortp_pool *pool = ctx;
    size_t given = 0;
    flush_threads(pool);
    while (given < bytes_wanted) {
        size_t unmapped;
        size_t bytes = ortp__depot_evict(pool, 0, 0, &unmapped);
        if (bytes == 0) {
            break;
        }
        given += bytes;
    }
    return given;
}

static void report(const void *object, ortp__figures *figures)
{
    ortp_pool_info info = ORTP_POOL_INFO_INIT;
    ortp_pool_get_info(object, &info);
    ortp_stats *stats = &figures->stats;
    stats->in_use_tensors += info.in_use_bytes[ORTP_LABEL_TENSORS];
    stats->in_use_decode += info.in_use_bytes[ORTP_LABEL_DECODE];
    stats->in_use_cache += info.in_use_bytes[ORTP_LABEL_CACHE];
    stats->in_use_run += info.in_use_bytes[ORTP_LABEL_RUN];
    stats->in_use_weights += info.in_use_bytes[ORTP_LABEL_WEIGHTS];
    stats->in_use_other += info.in_use_bytes[ORTP_LABEL_OTHER];
    stats->idle += info.idle_bytes;
    stats->block_acquires += info.acquires;
    stats->block_reuses += info.reuses;
    stats->maps += info.maps;
    stats->unmaps += info.unmaps;
}

static ortp_status check_options(ortp_pool_options *o, ortp_error *error)
{
    if (o->budget == NULL) {
        return ortp__fail(error, ORTP_E_INVAL, "pool: options.budget is required");
    }
    if (o->kind != ORTP_POOL_THREAD_CACHED && o->kind != ORTP_POOL_STRIPED) {
        return ortp__fail(error, ORTP_E_INVAL, "pool: unknown kind %d", (int)o->kind);
    }
    if (o->alignment == 0) {
        o->alignment = ALIGNMENT_DEFAULT;
    }
    bool power = (o->alignment & (o->alignment - 1)) == 0;
    if (!power || o->alignment < ALIGNMENT_DEFAULT || o->alignment > ALIGNMENT_MAX) {
        return ortp__fail(error, ORTP_E_INVAL,
                          "pool: alignment %zu is not a power of two from 64 to 4096",
                          o->alignment);
    }
    if (o->stripes == 0) {
        size_t count = ortp__processor_count();
        o->stripes = count < STRIPES_MAX ? count : STRIPES_MAX;
    }
    if (o->stripes > STRIPES_MAX) {
        return ortp__fail(error, ORTP_E_INVAL, "pool: %zu stripes, at most 64", o->stripes);
    }
    if (o->thread_cache_bytes == 0) {
        o->thread_cache_bytes = THREAD_CACHE_BYTES_DEFAULT;
    }
    return ORTP_OK;
}

static size_t pool_struct_bytes(size_t stripe_count)
{
    return sizeof(ortp_pool) + stripe_count * sizeof(ortp__stripe);
}

/* Locks of the first `count` stripes. */
static void destroy_stripe_locks(ortp_pool *pool, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        ortp__mutex_destroy(&pool->stripes[i].lock);
    }
}

static void apply_options(ortp_pool *pool, const ortp_pool_options *o, const ortp_alloc *alloc)
{
    pool->budget = o->budget;
    pool->alloc = *alloc;
    pool->clock = o->clock;
    pool->log = o->log;
    pool->kind = o->kind;
    pool->huge_pages = o->huge_pages;
    pool->poison = o->poison;
    pool->thread_cache_bytes = o->thread_cache_bytes;
    pool->stripe_count = o->stripes;
    ortp__classes_init(&pool->classes, o->alignment, ortp__page_size());
}

ortp_status ortp_pool_create(const ortp_pool_options *options, ortp_pool **out, ortp_error *error)
{
    if (out == NULL) {
        return ortp__fail(error, ORTP_E_INVAL, "pool: out is NULL");
    }
    *out = NULL;
    ortp_pool_options o;
    ortp_status status = ortp__options_copy(&o, sizeof o, options);
    if (status != ORTP_OK) {
        return ortp__fail(error, status, "pool: " ORTP__OTHER_VERSION);
    }
    status = check_options(&o, error);
    if (status != ORTP_OK) {
        return status;
    }
    ortp_alloc alloc;
    status = ortp__alloc_resolve(&o.alloc, &alloc);
    if (status != ORTP_OK) {
        return ortp__fail(error, status, "pool: options.alloc needs both functions or none");
    }
    void *memory;
    status = ortp__meta_alloc(o.budget, &alloc, pool_struct_bytes(o.stripes), ORTP_RECLAIM_CACHE,
                              &memory);
    if (status != ORTP_OK) {
        return ortp__fail(error, status, "pool: no room for %zu bytes of control structures: %s",
                          pool_struct_bytes(o.stripes), ortp_status_text(status));
    }
    ortp_pool *pool = memory;
    apply_options(pool, &o, &alloc);

    size_t locks = 0;
    bool keyed = false;
    if (!ortp__mutex_init(&pool->registry, ORTP_RANK_POOL)) {
        status = ortp__fail(error, ORTP_E_SYS, "pool: the system refused a lock");
        goto fail;
    }
    for (; locks < o.stripes; locks++) {
        if (!ortp__mutex_init(&pool->stripes[locks].lock, ORTP_RANK_STRIPE)) {
            status = ortp__fail(error, ORTP_E_SYS, "pool: the system refused a lock");
            goto fail_locks;
        }
    }
    if (thread_cached(pool)) {
        status = ortp__magazines_init(pool);
        if (status != ORTP_OK) {
            status = ortp__fail(error, status,
                                "pool: the process has no thread key left; use ORTP_POOL_STRIPED");
            goto fail_locks;
        }
        keyed = true;
    }
    status = ortp_budget_add_reclaimer(o.budget, ORTP_RECLAIM_BLOCKS, reclaim_idle, pool,
                                       &pool->reclaimer);
    if (status != ORTP_OK) {
        status = ortp__fail(error, status, "pool: no room for its reclaimer: %s",
                            ortp_status_text(status));
        goto fail_locks;
    }
    ortp__reporter_join(o.budget, &pool->reporter, report, pool);
    *out = pool;
    return ORTP_OK;

fail_locks:
    if (keyed) {
        ortp__magazines_destroy(pool);
    }
    destroy_stripe_locks(pool, locks);
    ortp__mutex_destroy(&pool->registry);
fail:
    ortp__meta_free(o.budget, &alloc, pool, pool_struct_bytes(o.stripes));
    return status;
}

ortp_status ortp_pool_destroy(ortp_pool *pool, ortp_error *error)
{
    if (pool == NULL) {
        return ORTP_OK;
    }
    ortp_label label = ORTP_LABEL_OTHER;
    size_t bytes = 0;
    const bool found = ortp__depot_find_out(pool, &label, &bytes);
    ortp_pool_info info = ORTP_POOL_INFO_INIT;
    ortp_pool_get_info(pool, &info);
    if (found) {
        return ortp__fail(error, ORTP_E_BUSY,
                          "pool: %zu blocks are out, one of them with label %s and %zu bytes",
                          info.in_use_blocks, ortp_label_name(label), bytes);
    }
    /* A block is taken off the ledger in the last step of its release. */
    if (info.in_use_blocks > 0) {
        return ortp__fail(error, ORTP_E_BUSY, "pool: %zu blocks are being released at this moment",
                          info.in_use_blocks);
    }
    ortp__reporter_leave(pool->budget, &pool->reporter);
    ortp_budget_remove_reclaimer(pool->budget, pool->reclaimer);
    if (thread_cached(pool)) {
        ortp__magazines_destroy(pool);
    }
    size_t unmapped;
    while (ortp__depot_evict(pool, 0, 0, &unmapped) > 0) {
    }
    destroy_stripe_locks(pool, pool->stripe_count);
    ortp__mutex_destroy(&pool->registry);
    ortp_alloc alloc = pool->alloc;
    ortp__meta_free(pool->budget, &alloc, pool, pool_struct_bytes(pool->stripe_count));
    return ORTP_OK;
}

ortp_budget *ortp_pool_budget(const ortp_pool *pool)
{
    return pool->budget;
}

/* ---- acquire and release ---- */

static ortp__stripe *home_stripe(ortp_pool *pool, ortp__thread_cache *cache)
{
    return cache != NULL ? ortp__magazine_home(cache)
                         : &pool->stripes[ortp__thread_hash() % pool->stripe_count];
}

/*
 * An idle block: the thread's own, then the depot's. A large one of just the size first, wherever it
 * is, and only then one that is a little larger: so a block that was warmed for one need is not taken
 * for another whose own lies further away.
 */
static ortp_block *find_idle(ortp_pool *pool, ortp__thread_cache *cache, ortp__stripe *home,
                             const ortp__request *request)
{
    ortp__request r = *request;
    r.exact = true;
    for (;;) {
        ortp_block *block = cache != NULL ? ortp__magazine_take(cache, &r) : NULL;
        if (block == NULL) {
            block = ortp__depot_take(pool, home, &r);
        }
        if (block != NULL || r.exact == request->exact || r.size.small) {
            return block;
        }
        r.exact = false;
    }
}

/*
 * An idle block, or else a mapping. Where the budget is short, the magazines of all threads are
 * emptied first, since what they hold may be just what is wanted; and a denial is final only after
 * one more look, since a block may have come back while reclaimers ran.
 */
static ortp_status find_or_map(ortp_pool *pool, ortp__thread_cache *cache, ortp__stripe *home,
                               const ortp__request *request, ortp_block **out)
{
    *out = find_idle(pool, cache, home, request);
    if (*out != NULL) {
        return ORTP_OK;
    }
    size_t bytes = ortp__depot_map_bytes(pool, request);
    if (thread_cached(pool) && !ortp__budget_has_room(pool->budget, bytes)) {
        flush_threads(pool);
        *out = find_idle(pool, NULL, home, request);
        if (*out != NULL) {
            return ORTP_OK;
        }
    }
    ortp_status status = ortp__depot_map(pool, home, request, out);
    if (status == ORTP_E_BUDGET || status == ORTP_E_NOMEM) {
        flush_threads(pool);
        *out = find_idle(pool, NULL, home, request);
        if (*out != NULL) {
            return ORTP_OK;
        }
    }
    return status;
}

static ORTP__OUT_OF_LINE ortp_status acquire(ortp_pool *pool, size_t bytes, ortp_label label,
                                             ortp_reclaim reclaim, ortp_block **out)
{
    if (out == NULL) {
        return ORTP_E_INVAL;
    }
    *out = NULL;
    ortp__request request = {.label = label, .reclaim = reclaim};
    if (pool == NULL || !label_known(label) || (unsigned)reclaim > ORTP_RECLAIM_CACHE ||
        !ortp__classes_resolve(&pool->classes, bytes, &request.size)) {
        return ORTP_E_INVAL;
    }
    ortp__thread_cache *cache = thread_cached(pool) ? ortp__magazine_mine(pool) : NULL;
    return find_or_map(pool, cache, home_stripe(pool, cache), &request, out);
}

/* The short way: a small block that the thread has at hand; NULL: the long way. */
static inline ortp_block *at_hand(const ortp_pool *pool, size_t bytes, ortp_label label,
                                  ortp_block **out)
{
    if (ortp__magazine_at_hand(pool) && ORTP__LIKELY(bytes <= ORTP__SMALL_BYTES_MAX) &&
        ORTP__LIKELY(label_known(label)) && ORTP__LIKELY(out != NULL)) {
        const size_t index = ortp__classes_small(&pool->classes, bytes);
        return ortp__magazine_pop(ortp__mine.cache, index, label);
    }
    return NULL;
}

ortp_status ortp_pool_acquire(ortp_pool *pool, size_t bytes, ortp_label label, ortp_block **out)
{
    ortp_block *block = at_hand(pool, bytes, label, out);
    if (ORTP__LIKELY(block != NULL)) {
        *out = block;
        return ORTP_OK;
    }
    return acquire(pool, bytes, label, ORTP_RECLAIM_CACHE, out);
}

ortp_status ortp_pool_acquire_within(ortp_pool *pool, size_t bytes, ortp_label label,
                                     ortp_reclaim reclaim, ortp_block **out)
{
    if (ORTP__LIKELY((unsigned)reclaim <= ORTP_RECLAIM_CACHE)) {
        ortp_block *block = at_hand(pool, bytes, label, out);
        if (ORTP__LIKELY(block != NULL)) {
            *out = block;
            return ORTP_OK;
        }
    }
    return acquire(pool, bytes, label, reclaim, out);
}

static ORTP__OUT_OF_LINE ortp_status release(ortp_block *block)
{
    if (block == NULL) {
        return ORTP_OK;
    }
    /* One step, so that of two releases at the same time one is refused. */
    uint8_t expected = (uint8_t)ORTP__BLOCK_OUT;
    if (!atomic_compare_exchange_strong_explicit(&block->state, &expected,
                                                 (uint8_t)ORTP__BLOCK_CACHED, memory_order_relaxed,
                                                 memory_order_relaxed)) {
        return ORTP_E_INVAL;
    }
    ortp_pool *pool = block->pool;
    block->released_ms = ortp__clock_stamp_ms(&pool->clock);
    if (pool->poison) {
        memset(block->data, POISON_BYTE, ortp_block_bytes(block));
    }
    const bool own_place = thread_cached(pool) && !ortp__block_is_growable(block);
    ortp__thread_cache *cache = own_place ? ortp__magazine_mine(pool) : NULL;
    if (cache != NULL) {
        ortp__magazine_release(cache, block);
    } else {
        ortp__depot_release(block, false);
    }
    return ORTP_OK;
}

/* The short way first: a block for which the thread's magazine has room. */
ortp_status ortp_block_release(ortp_block *block)
{
    if (ORTP__LIKELY(block != NULL) && ortp__magazine_at_hand(block->pool) &&
        ORTP__LIKELY(ortp__block_state_get(block) == ORTP__BLOCK_OUT) &&
        ORTP__LIKELY(ortp__magazine_push(ortp__mine.cache, block))) {
        return ORTP_OK;
    }
    return release(block);
}

void *ortp_block_data(const ortp_block *block)
{
    return block->data;
}

size_t ortp_block_bytes(const ortp_block *block)
{
    return block->slab != NULL ? block->footprint : ((const ortp__large *)block)->bytes;
}

size_t ortp__block_footprint(const ortp_block *block)
{
    return block->footprint;
}

ortp_label ortp_block_label(const ortp_block *block)
{
    return ortp__block_label_get(block);
}

ortp_status ortp_block_relabel(ortp_block *block, ortp_label label)
{
    if (block == NULL || !label_known(label) || ortp__block_state_get(block) != ORTP__BLOCK_OUT) {
        return ORTP_E_INVAL;
    }
    ortp__stripe *stripe = block->stripe;
    ortp__lock(&stripe->lock);
    stripe->ledger.in_use_bytes[ortp__block_label_get(block)] -= block->footprint;
    stripe->ledger.in_use_bytes[label] += block->footprint;
    ortp__block_label_set(block, label);
    ortp__unlock(&stripe->lock);
    return ORTP_OK;
}

/* ---- warm and trim ---- */

/* Makes the block's pages present; of a slab all at once, for its first block in a row. */
static void populate(const ortp_block *block, const ortp__slab *populated)
{
    if (block->slab == NULL) {
        ortp__pages_populate(block->data, block->footprint);
    } else if (block->slab != populated) {
        ortp__pages_populate(block->slab->pages, block->slab->mapping);
    }
}

/* One block for a need, ahead of `*chain`. */
static ortp_status warm_one(ortp_pool *pool, ortp__stripe *home, const ortp__request *request,
                            ortp_block **chain)
{
    ortp_block *block;
    ortp_status status = find_or_map(pool, NULL, home, request, &block);
    if (status != ORTP_OK) {
        return status;
    }
    populate(block, *chain != NULL ? (*chain)->slab : NULL);
    block->next = *chain;
    *chain = block;
    return ORTP_OK;
}

ortp_status ortp_pool_warm(ortp_pool *pool, const ortp_pool_need *needs, size_t need_count)
{
    if (pool == NULL || (needs == NULL && need_count > 0)) {
        return ORTP_E_INVAL;
    }
    flush_threads(pool);
    ortp__thread_cache *cache = thread_cached(pool) ? ortp__magazine_mine(pool) : NULL;
    ortp__stripe *home = home_stripe(pool, cache);

    /*
     * All at the same time, so that no block serves two needs; and only blocks of exactly the size
     * that a need maps, so that later acquires fit in whatever order they come.
     */
    ortp_status status = ORTP_OK;
    ortp_block *chain = NULL;
    for (size_t i = 0; i < need_count && status == ORTP_OK; i++) {
        ortp__request request = {.label = ORTP_LABEL_OTHER,
                                 .reclaim = ORTP_RECLAIM_CACHE,
                                 .exact = true,
                                 .warming = true};
        if (!ortp__classes_resolve(&pool->classes, needs[i].bytes, &request.size)) {
            status = ORTP_E_INVAL;
        }
        for (size_t n = 0; n < needs[i].count && status == ORTP_OK; n++) {
            status = warm_one(pool, home, &request, &chain);
        }
    }
    uint64_t now_ms = ortp__clock_ms(&pool->clock);
    while (chain != NULL) {
        ortp_block *block = chain;
        chain = block->next;
        block->next = NULL;
        block->released_ms = now_ms;
        ortp__block_state_set(block, ORTP__BLOCK_CACHED);
        ortp__depot_release(block, true);
    }
    return status;
}

/* a + b * c, or SIZE_MAX; c is at least 1. */
static size_t add_product(size_t a, size_t b, size_t c)
{
    if (b > (SIZE_MAX - a) / c) {
        return SIZE_MAX;
    }
    return a + b * c;
}

size_t ortp_pool_warm_bytes(const ortp_pool *pool, const ortp_pool_need *needs, size_t need_count)
{
    ortp__classes classes;
    if (pool != NULL) {
        classes = pool->classes;
    } else {
        ortp__classes_init(&classes, ALIGNMENT_DEFAULT, ortp__page_size());
    }
    size_t counts[ORTP__CLASSES_MAX] = {0};
    size_t total = 0;
    for (size_t i = 0; i < need_count; i++) {
        ortp__size size;
        if (needs[i].count == 0) {
            continue;
        }
        if (!ortp__classes_resolve(&classes, needs[i].bytes, &size)) {
            return SIZE_MAX;
        }
        if (size.small) {
            counts[size.index] = add_product(counts[size.index], needs[i].count, 1);
        } else {
            total = add_product(total, needs[i].count, size.mapping);
        }
    }
    for (size_t i = 0; i < classes.count; i++) {
        size_t blocks = classes.slab_blocks[i];
        size_t slabs = counts[i] / blocks + (counts[i] % blocks != 0 ? 1u : 0u);
        total = add_product(total, slabs, classes.slab_bytes[i]);
    }
    return total;
}

ortp_status ortp_pool_trim(ortp_pool *pool, size_t keep_bytes, uint64_t idle_ms,
                           size_t *freed_bytes)
{
    if (freed_bytes != NULL) {
        *freed_bytes = 0;
    }
    if (pool == NULL) {
        return ORTP_E_INVAL;
    }
    flush_threads(pool);
    ortp_pool_info info = ORTP_POOL_INFO_INIT;
    ortp_pool_get_info(pool, &info);
    uint64_t now_ms = ortp__clock_ms(&pool->clock);
    size_t freed = 0;
    while (info.idle_bytes > freed && info.idle_bytes - freed > keep_bytes) {
        size_t unmapped;
        if (ortp__depot_evict(pool, now_ms, idle_ms, &unmapped) == 0) {
            break;
        }
        freed += unmapped;
    }
    if (freed_bytes != NULL) {
        *freed_bytes = freed;
    }
    if (freed > 0) {
        ortp__log(&pool->log, ORTP_LOG_DEBUG, "pool: trimmed %zu bytes", freed);
    }
    return ORTP_OK;
}

/* ---- info ---- */

ortp_status ortp_pool_get_info(const ortp_pool *pool, ortp_pool_info *out)
{
    if (pool == NULL) {
        return ORTP_E_INVAL;
    }
    ortp_pool *p = (ortp_pool *)pool; /* its locks are taken */
    ortp_pool_info info = ORTP_POOL_INFO_INIT;
    info.kind = pool->kind;
    ortp__ledger ledger = {0};
    if (thread_cached(pool)) {
        ortp__magazines_add_info(p, &info, &ledger);
    }
    ortp__depot_add_info(p, &info, &ledger);
    memcpy(info.in_use_bytes, ledger.in_use_bytes, sizeof info.in_use_bytes);
    info.in_use_blocks = ledger.in_use_blocks;
    info.acquires = ledger.acquires;
    info.releases = ledger.releases;
    info.reuses = ledger.reuses;
    return ortp__out_fill(out, &info, sizeof info);
}
