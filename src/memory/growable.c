/* SPDX-License-Identifier: MIT */
/*
 * Growable blocks: see growable.h. They are large blocks of the depot with more address space than
 * memory.
 */
#include "growable.h"

#include "depot.h"
#include "pool_internal.h"

#include <assert.h>

/* Address space costs nothing where there is plenty of it. */
#define RESERVE_BYTES (sizeof(void *) >= 8 ? (size_t)256 << 20 : (size_t)16 << 20)

static ortp__large *large_of(ortp_block *block)
{
    assert(block->slab == NULL);
    return (ortp__large *)block; /* its first member */
}

bool ortp__block_is_growable(const ortp_block *block)
{
    return block->slab == NULL && ((const ortp__large *)block)->reserved > 0;
}

/* Whole pages for `bytes` and the readable tail; false: too large to map. */
static bool pages_for(const ortp_pool *pool, size_t bytes, size_t *out)
{
    if (bytes > SIZE_MAX / 4) {
        return false;
    }
    const size_t page = pool->classes.page_bytes;
    *out = (bytes + ORTP_BLOCK_TAIL + page - 1) / page * page;
    return true;
}

/* As idle as it was: a try that failed does not make it young. */
static void put_back(ortp_block *block, bool warming)
{
    ortp__block_state_set(block, ORTP__BLOCK_CACHED);
    ortp__depot_release(block, warming);
}

/* There may be many values at a time, and none grows beyond what it may be larger than its next holder. */
static size_t reserve_for(const ortp__request *request)
{
    const size_t mapping = request->size.mapping;
    if (request->use == ORTP__USE_VALUES) {
        return mapping < RESERVE_BYTES ? ORTP__VALUE_SLACK * mapping : mapping;
    }
    size_t reserve = RESERVE_BYTES;
    while (reserve < mapping) {
        reserve *= 2;
    }
    return reserve;
}

static ortp_status acquire(ortp_pool *pool, size_t bytes, const ortp__request *given,
                           ortp_block **out)
{
    *out = NULL;
    ortp__request request = *given;
    if (!pages_for(pool, bytes, &request.size.mapping)) {
        return ORTP_E_INVAL;
    }
    request.reserve = reserve_for(&request);
    ortp__stripe *home = &pool->stripes[0];
    ortp_block *block = ortp__depot_take(pool, home, &request);
    if (block == NULL) {
        ortp_status status = ortp__depot_map(pool, home, &request, out);
        if (status == ORTP_E_BUDGET || status == ORTP_E_NOMEM) {
            block = ortp__depot_take(pool, home, &request); /* released meanwhile? */
        }
        if (block == NULL) {
            return status;
        }
    }
    const ortp_status status = ortp__block_grow(block, bytes, request.reclaim);
    if (status != ORTP_OK) {
        put_back(block, request.warming);
        return status;
    }
    *out = block;
    return ORTP_OK;
}

ortp_status ortp__pool_acquire_growable(ortp_pool *pool, size_t bytes, ortp_label label,
                                        ortp__use use, ortp_reclaim reclaim, ortp_block **out)
{
    const ortp__request request = {.label = label, .reclaim = reclaim, .use = use};
    return acquire(pool, bytes, &request, out);
}

ortp_status ortp__block_grow(ortp_block *block, size_t bytes, ortp_reclaim reclaim)
{
    ortp_pool *pool = block->pool;
    size_t need;
    if (!pages_for(pool, bytes, &need) || need > large_of(block)->reserved) {
        return ORTP_E_NOMEM;
    }
    if (need <= block->footprint) {
        return ORTP_OK;
    }
    const size_t more = need - block->footprint;
    const ortp_status status = ortp_budget_charge(pool->budget, ORTP_ACCOUNT_BLOCKS, more, reclaim);
    if (status != ORTP_OK) {
        return status == ORTP_E_INVAL ? ORTP_E_BUDGET : status; /* a sum that never fits */
    }
    if (!ortp__pages_commit(block->data + block->footprint, more)) {
        (void)ortp_budget_refund(pool->budget, ORTP_ACCOUNT_BLOCKS, more);
        return ORTP_E_NOMEM;
    }
    ortp__lock(&block->stripe->lock);
    block->stripe->ledger.in_use_bytes[ortp__block_label_get(block)] += more;
    block->footprint += more;
    large_of(block)->bytes += more;
    ortp__unlock(&block->stripe->lock);
    return ORTP_OK;
}

size_t ortp__block_give_pages(ortp_block *block, void *from, void *to)
{
    ortp_pool *pool = block->pool;
    const size_t page = pool->classes.page_bytes;
    const size_t first = ((size_t)((unsigned char *)from - block->data) + page - 1) / page * page;
    const size_t end = (size_t)((unsigned char *)to - block->data) / page * page;
    if (first >= end || !ortp__pages_decommit(block->data + first, end - first)) {
        return 0;
    }
    const size_t given = end - first;
    ortp__lock(&block->stripe->lock);
    block->stripe->ledger.in_use_bytes[ortp__block_label_get(block)] -= given;
    block->footprint -= given;
    ortp__unlock(&block->stripe->lock);
    (void)ortp_budget_refund(pool->budget, ORTP_ACCOUNT_BLOCKS, given);
    return given;
}

void ortp__block_discard(ortp_block *block)
{
    assert(ortp__block_state_get(block) == ORTP__BLOCK_OUT);
    ortp__block_state_set(block, ORTP__BLOCK_CACHED);
    (void)ortp__depot_discard(block);
}

ortp_status ortp__pool_warm_growable(ortp_pool *pool, size_t bytes, size_t count)
{
    const ortp__request request = {.label = ORTP_LABEL_OTHER,
                                   .reclaim = ORTP_RECLAIM_CACHE,
                                   .use = ORTP__USE_RUNS,
                                   .warming = true};
    ortp_status status = ORTP_OK;
    ortp_block *chain = NULL;
    for (size_t i = 0; i < count && status == ORTP_OK; i++) {
        ortp_block *block;
        status = acquire(pool, bytes, &request, &block);
        if (status == ORTP_OK) {
            ortp__pages_populate(block->data, block->footprint);
            block->next = chain;
            chain = block;
        }
    }
    const uint64_t now_ms = ortp__clock_ms(&pool->clock);
    while (chain != NULL) {
        ortp_block *block = chain;
        chain = block->next;
        block->next = NULL;
        block->released_ms = now_ms;
        put_back(block, true);
    }
    return status;
}
