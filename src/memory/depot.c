/* SPDX-License-Identifier: MIT */
/*
 * The depot: see depot.h.
 *
 * Idle large blocks stand in one list per stripe, oldest first. A search walks it from the newest:
 * the best fit wins, among equals the one whose pages are most likely in a cache. Growable blocks
 * serve growable requests of their use only, whatever their size (growable.h).
 */
#include "depot.h"
#include "growable.h"
#include "slab.h"

#include <assert.h>

static ortp__large *large_of(ortp_block *block)
{
    assert(block->slab == NULL);
    return (ortp__large *)block; /* its first member */
}

/* ---- the ledger ---- */

void ortp__ledger_acquire(ortp__ledger *ledger, ortp_block *block, const ortp__request *request,
                          bool reuse)
{
    assert(ortp__block_state_get(block) != ORTP__BLOCK_OUT);
    ledger->in_use_bytes[request->label] += block->footprint;
    ledger->in_use_blocks++;
    if (!request->warming) {
        ledger->acquires++;
        ledger->reuses += reuse ? 1u : 0u;
    }
    ortp__block_label_set(block, request->label);
    ortp__block_state_set(block, ORTP__BLOCK_OUT);
}

void ortp__ledger_release(ortp__ledger *ledger, const ortp_block *block, bool warming)
{
    ledger->in_use_bytes[ortp__block_label_get(block)] -= block->footprint;
    ledger->in_use_blocks--;
    ledger->releases += warming ? 0u : 1u;
}

void ortp__ledger_add(ortp__ledger *into, const ortp__ledger *from)
{
    for (size_t i = 0; i < ORTP_LABEL_COUNT; i++) {
        into->in_use_bytes[i] += from->in_use_bytes[i];
    }
    into->in_use_blocks += from->in_use_blocks;
    into->acquires += from->acquires;
    into->releases += from->releases;
    into->reuses += from->reuses;
}

/* ---- idle large blocks ---- */

static void idle_unlink_locked(ortp__stripe *stripe, ortp__large *large)
{
    ortp__assert_held(&stripe->lock);
    if (large->older != NULL) {
        large->older->newer = large->newer;
    } else {
        stripe->oldest = large->newer;
    }
    if (large->newer != NULL) {
        large->newer->older = large->older;
    } else {
        stripe->newest = large->older;
    }
    large->older = large->newer = NULL;
}

/* By the time of release: blocks that come out of a thread's cache were released a while ago. */
static void idle_link_locked(ortp__stripe *stripe, ortp__large *large)
{
    ortp__assert_held(&stripe->lock);
    ortp__large *before = stripe->newest;
    while (before != NULL && before->block.released_ms > large->block.released_ms) {
        before = before->older;
    }
    large->older = before;
    large->newer = before != NULL ? before->newer : stripe->oldest;
    if (large->newer != NULL) {
        large->newer->older = large;
    } else {
        stripe->newest = large;
    }
    if (before != NULL) {
        before->newer = large;
    } else {
        stripe->oldest = large;
    }
}

/* Whether an idle block may serve at all. */
static bool growable_serves(const ortp__large *large, const ortp__request *request)
{
    if (large->reserved < request->size.mapping || large->use != request->use) {
        return false; /* a plain block, one that cannot grow that far, or another's */
    }
    return large->use != ORTP__USE_VALUES ||
           large->block.footprint / ORTP__VALUE_SLACK <= request->size.mapping;
}

/* The smallest that is large enough, else the largest, to be grown. */
static ortp_block *growable_take_locked(ortp__stripe *stripe, const ortp__request *request)
{
    ortp__assert_held(&stripe->lock);
    const size_t need = request->size.mapping;
    ortp__large *best = NULL;
    for (ortp__large *l = stripe->newest; l != NULL; l = l->older) {
        if (!growable_serves(l, request)) {
            continue;
        }
        const size_t has = l->block.footprint;
        const size_t best_has = best != NULL ? best->block.footprint : 0;
        if (best == NULL || (has >= need ? best_has < need || has < best_has : has > best_has)) {
            best = l;
        }
    }
    if (best == NULL) {
        return NULL;
    }
    idle_unlink_locked(stripe, best);
    return &best->block;
}

static ortp_block *large_take_locked(ortp__stripe *stripe, const ortp__request *request)
{
    ortp__assert_held(&stripe->lock);
    if (request->reserve > 0) {
        return growable_take_locked(stripe, request);
    }
    size_t need = request->size.mapping;
    size_t most = request->exact ? need : ortp__classes_reuse_max(need);
    ortp__large *best = NULL;
    for (ortp__large *l = stripe->newest; l != NULL; l = l->older) {
        size_t mapping = l->block.footprint;
        bool fits = l->reserved == 0 && mapping >= need && mapping <= most;
        if (fits && (best == NULL || mapping < best->block.footprint)) {
            best = l;
            if (mapping == need) {
                break;
            }
        }
    }
    if (best == NULL) {
        return NULL;
    }
    idle_unlink_locked(stripe, best);
    return &best->block;
}

static void all_link_locked(ortp__stripe *stripe, ortp__large *large)
{
    ortp__assert_held(&stripe->lock);
    large->all_next = stripe->large_all;
    if (large->all_next != NULL) {
        large->all_next->all_previous = large;
    }
    stripe->large_all = large;
}

static void all_unlink_locked(ortp__stripe *stripe, ortp__large *large)
{
    ortp__assert_held(&stripe->lock);
    if (large->all_previous != NULL) {
        large->all_previous->all_next = large->all_next;
    } else {
        stripe->large_all = large->all_next;
    }
    if (large->all_next != NULL) {
        large->all_next->all_previous = large->all_previous;
    }
}

/*
 * Reserves *reserved bytes, less where the system has less, at least `committed` (whole pages), and
 * commits those. NULL when the system refuses.
 */
static void *growable_pages(size_t committed, size_t *reserved)
{
    for (size_t bytes = *reserved; bytes >= committed; bytes /= 2) {
        unsigned char *pages = ortp__pages_reserve(bytes);
        if (pages == NULL) {
            continue; /* a process may have a limit of address space */
        }
        if (!ortp__pages_commit(pages, committed)) {
            ortp__pages_unmap(pages, bytes);
            return NULL;
        }
        *reserved = bytes;
        return pages;
    }
    return NULL;
}

/* Under no lock. */
static ortp_status large_create(ortp_pool *pool, ortp__stripe *stripe, const ortp__request *request,
                                ortp__large **out)
{
    size_t mapping = request->size.mapping;
    ortp_status status =
        ortp_budget_charge(pool->budget, ORTP_ACCOUNT_BLOCKS, mapping, request->reclaim);
    if (status != ORTP_OK) {
        return status == ORTP_E_INVAL ? ORTP_E_BUDGET
                                      : status; /* a sum that overflows never fits */
    }
    void *memory;
    status = ortp__meta_alloc(pool->budget, &pool->alloc, sizeof(ortp__large), request->reclaim,
                              &memory);
    if (status != ORTP_OK) {
        goto fail_charge;
    }
    size_t reserved = request->reserve;
    unsigned char *pages =
        reserved > 0 ? growable_pages(mapping, &reserved) : ortp__pages_map(mapping);
    if (pages == NULL) {
        status = ORTP_E_NOMEM;
        goto fail_struct;
    }
    ortp__large *large = memory;
    large->reserved = reserved;
    large->use = request->use;
    large->block.pool = pool;
    large->block.stripe = stripe;
    large->block.data = pages;
    large->block.index = ORTP__CLASSES_MAX;
    large->bytes = mapping - ORTP_BLOCK_TAIL;
    large->block.footprint = mapping;
    atomic_init(&large->block.state, (uint8_t)ORTP__BLOCK_CACHED);
    atomic_init(&large->block.label, (uint8_t)ORTP_LABEL_OTHER);
    if (pool->huge_pages && mapping >= 2u * 1024u * 1024u) {
        ortp__pages_advise_huge(pages, mapping);
    }
    *out = large;
    return ORTP_OK;

fail_struct:
    ortp__meta_free(pool->budget, &pool->alloc, memory, sizeof(ortp__large));
fail_charge:
    (void)ortp_budget_refund(pool->budget, ORTP_ACCOUNT_BLOCKS, mapping);
    return status;
}

/* Under no lock. */
static size_t large_destroy(ortp_pool *pool, ortp__large *large)
{
    size_t mapping = large->block.footprint;
    ortp__pages_unmap(large->block.data, large->reserved > 0 ? large->reserved : mapping);
    (void)ortp_budget_refund(pool->budget, ORTP_ACCOUNT_BLOCKS, mapping);
    ortp__meta_free(pool->budget, &pool->alloc, large, sizeof *large);
    return mapping + sizeof *large;
}

/* ---- take and put ---- */

size_t ortp__depot_discard(ortp_block *block)
{
    ortp__stripe *stripe = block->stripe;
    ortp__large *large = large_of(block);
    ortp__lock(&stripe->lock);
    ortp__ledger_release(&stripe->ledger, block, false);
    all_unlink_locked(stripe, large);
    stripe->unmaps++;
    ortp__unlock(&stripe->lock);
    return large_destroy(block->pool, large);
}

static ortp_block *stripe_take(ortp__stripe *stripe, const ortp__request *request)
{
    ortp__lock(&stripe->lock);
    ortp_block *block = request->size.small ? ortp__slab_take_locked(stripe, request->size.index)
                                            : large_take_locked(stripe, request);
    if (block != NULL) {
        ortp__ledger_acquire(&stripe->ledger, block, request, true);
    }
    ortp__unlock(&stripe->lock);
    return block;
}

ortp_block *ortp__depot_take(ortp_pool *pool, ortp__stripe *home, const ortp__request *request)
{
    size_t first = (size_t)(home - pool->stripes);
    for (size_t i = 0; i < pool->stripe_count; i++) {
        ortp__stripe *stripe = &pool->stripes[(first + i) % pool->stripe_count];
        ortp_block *block = stripe_take(stripe, request);
        if (block != NULL) {
            return block;
        }
    }
    return NULL;
}

ortp_status ortp__depot_map(ortp_pool *pool, ortp__stripe *home, const ortp__request *request,
                            ortp_block **out)
{
    ortp__slab *slab = NULL;
    ortp__large *large = NULL;
    ortp_status status = request->size.small ? ortp__slab_create(pool, home, request, &slab)
                                             : large_create(pool, home, request, &large);
    if (status != ORTP_OK) {
        return status;
    }
    ortp_block *block;
    ortp__lock(&home->lock);
    if (slab != NULL) {
        ortp__slab_insert_locked(slab);
        block = ortp__slab_take_locked(home, request->size.index);
    } else {
        all_link_locked(home, large);
        home->maps++;
        block = &large->block;
    }
    ortp__ledger_acquire(&home->ledger, block, request, false);
    ortp__unlock(&home->lock);
    *out = block;
    return ORTP_OK;
}

size_t ortp__depot_map_bytes(const ortp_pool *pool, const ortp__request *request)
{
    if (!request->size.small) {
        return request->size.mapping + sizeof(ortp__large);
    }
    size_t index = request->size.index;
    return pool->classes.slab_bytes[index] +
           ortp__slab_struct_bytes(pool->classes.slab_blocks[index]);
}

static void put_locked(ortp_block *block)
{
    if (block->slab != NULL) {
        ortp__slab_put_locked(block);
        return;
    }
    ortp__block_state_set(block, ORTP__BLOCK_FREE);
    idle_link_locked(block->stripe, large_of(block));
}

void ortp__depot_put(ortp_block *block)
{
    ortp__stripe *stripe = block->stripe;
    ortp__lock(&stripe->lock);
    put_locked(block);
    ortp__unlock(&stripe->lock);
}

void ortp__depot_release(ortp_block *block, bool warming)
{
    ortp__stripe *stripe = block->stripe;
    ortp__lock(&stripe->lock);
    ortp__ledger_release(&stripe->ledger, block, warming);
    put_locked(block);
    ortp__unlock(&stripe->lock);
}

/* ---- eviction ---- */

/* What may be unmapped: one of the two, or none. */
typedef struct victim {
    ortp__slab *slab;
    ortp__large *large;
    uint64_t released_ms;
} victim;

static victim oldest_locked(const ortp_pool *pool, ortp__stripe *stripe)
{
    ortp__assert_held(&stripe->lock);
    victim v = {NULL, NULL, UINT64_MAX};
    if (stripe->oldest != NULL) {
        v = (victim){NULL, stripe->oldest, stripe->oldest->block.released_ms};
    }
    for (size_t i = 0; i < pool->classes.count; i++) {
        ortp__slab *slab = stripe->empty[i].first;
        bool none = v.slab == NULL && v.large == NULL;
        if (slab != NULL && (none || slab->released_ms < v.released_ms)) {
            v = (victim){slab, NULL, slab->released_ms};
        }
    }
    return v;
}

static ortp__stripe *oldest_stripe(ortp_pool *pool)
{
    ortp__stripe *found = NULL;
    uint64_t released_ms = 0;
    for (size_t i = 0; i < pool->stripe_count; i++) {
        ortp__stripe *stripe = &pool->stripes[i];
        ortp__lock(&stripe->lock);
        victim v = oldest_locked(pool, stripe);
        ortp__unlock(&stripe->lock);
        bool any = v.slab != NULL || v.large != NULL;
        if (any && (found == NULL || v.released_ms < released_ms)) {
            found = stripe;
            released_ms = v.released_ms;
        }
    }
    return found;
}

size_t ortp__depot_evict(ortp_pool *pool, uint64_t now_ms, uint64_t idle_ms, size_t *unmapped)
{
    *unmapped = 0;
    ortp__stripe *stripe;
    victim v;
    for (;;) {
        stripe = oldest_stripe(pool);
        if (stripe == NULL) {
            return 0;
        }
        ortp__lock(&stripe->lock);
        v = oldest_locked(pool, stripe); /* again: the lock was given back */
        if (v.slab != NULL || v.large != NULL) {
            break;
        }
        ortp__unlock(&stripe->lock); /* taken meanwhile; another stripe may have some */
    }
    uint64_t age = now_ms > v.released_ms ? now_ms - v.released_ms : 0;
    if (age < idle_ms) {
        ortp__unlock(&stripe->lock);
        return 0;
    }
    if (v.slab != NULL) {
        ortp__slab_detach_locked(v.slab);
    } else {
        idle_unlink_locked(stripe, v.large);
        all_unlink_locked(stripe, v.large);
    }
    stripe->unmaps++;
    ortp__unlock(&stripe->lock);

    *unmapped = v.slab != NULL ? v.slab->mapping : v.large->block.footprint;
    return v.slab != NULL ? ortp__slab_destroy(pool, v.slab) : large_destroy(pool, v.large);
}

/* ---- reports ---- */

static void add_slabs_locked(const ortp_pool *pool, const ortp__slab_list *list,
                             ortp_pool_info *out)
{
    for (const ortp__slab *slab = list->first; slab != NULL; slab = slab->next) {
        size_t stride = pool->classes.strides[slab->index];
        for (const ortp_block *b = slab->free; b != NULL; b = b->next) {
            out->idle_bytes += stride;
            out->idle_blocks++;
        }
        out->idle_bytes += slab->mapping - slab->block_count * stride; /* its end */
    }
}

void ortp__depot_add_info(ortp_pool *pool, ortp_pool_info *out, ortp__ledger *ledger)
{
    for (size_t s = 0; s < pool->stripe_count; s++) {
        ortp__stripe *stripe = &pool->stripes[s];
        ortp__lock(&stripe->lock);
        for (size_t i = 0; i < pool->classes.count; i++) {
            add_slabs_locked(pool, &stripe->full[i], out);
            add_slabs_locked(pool, &stripe->partial[i], out);
            add_slabs_locked(pool, &stripe->empty[i], out);
        }
        for (const ortp__large *l = stripe->oldest; l != NULL; l = l->newer) {
            out->idle_bytes += l->block.footprint;
            out->idle_blocks++;
        }
        ortp__ledger_add(ledger, &stripe->ledger);
        out->maps += stripe->maps;
        out->unmaps += stripe->unmaps;
        ortp__unlock(&stripe->lock);
    }
}

static const ortp_block *out_in_slabs_locked(const ortp__slab_list *list)
{
    for (const ortp__slab *slab = list->first; slab != NULL; slab = slab->next) {
        for (size_t i = 0; i < slab->block_count; i++) {
            if (ortp__block_state_get(&slab->blocks[i]) == ORTP__BLOCK_OUT) {
                return &slab->blocks[i];
            }
        }
    }
    return NULL;
}

static const ortp_block *out_in_stripe_locked(const ortp_pool *pool, const ortp__stripe *stripe)
{
    for (const ortp__large *l = stripe->large_all; l != NULL; l = l->all_next) {
        if (ortp__block_state_get(&l->block) == ORTP__BLOCK_OUT) {
            return &l->block;
        }
    }
    for (size_t i = 0; i < pool->classes.count; i++) {
        const ortp_block *block = out_in_slabs_locked(&stripe->full[i]);
        if (block == NULL) {
            block = out_in_slabs_locked(&stripe->partial[i]);
        }
        if (block != NULL) {
            return block;
        }
    }
    return NULL;
}

bool ortp__depot_find_out(ortp_pool *pool, ortp_label *label, size_t *bytes)
{
    bool found = false;
    for (size_t s = 0; s < pool->stripe_count && !found; s++) {
        ortp__stripe *stripe = &pool->stripes[s];
        ortp__lock(&stripe->lock);
        const ortp_block *block = out_in_stripe_locked(pool, stripe);
        if (block != NULL) {
            *label = ortp__block_label_get(block);
            *bytes = ortp_block_bytes(block);
            found = true;
        }
        ortp__unlock(&stripe->lock);
    }
    return found;
}
