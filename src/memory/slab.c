/* SPDX-License-Identifier: MIT */
/*
 * Slabs: see slab.h.
 */
#include "slab.h"

#include <assert.h>

size_t ortp__slab_struct_bytes(size_t block_count)
{
    return sizeof(ortp__slab) + ORTP__LINE_BYTES + block_count * sizeof(ortp_block);
}

/* The first place behind the struct that begins a line. */
static ortp_block *blocks_of(ortp__slab *slab)
{
    const uintptr_t behind = (uintptr_t)(slab + 1);
    const uintptr_t line = (behind + ORTP__LINE_BYTES - 1) / ORTP__LINE_BYTES * ORTP__LINE_BYTES;
    return (ortp_block *)((unsigned char *)(slab + 1) + (line - behind));
}

static ortp__slab_list *list_of(const ortp__slab *slab)
{
    ortp__stripe *stripe = slab->stripe;
    if (slab->free_count == 0) {
        return &stripe->full[slab->index];
    }
    if (slab->free_count == slab->block_count) {
        return &stripe->empty[slab->index];
    }
    return &stripe->partial[slab->index];
}

static void unlink_slab(ortp__slab_list *list, ortp__slab *slab)
{
    if (slab->previous != NULL) {
        slab->previous->next = slab->next;
    } else {
        list->first = slab->next;
    }
    if (slab->next != NULL) {
        slab->next->previous = slab->previous;
    } else {
        list->last = slab->previous;
    }
    slab->previous = slab->next = NULL;
}

/* Behind all that were released no later than it; only the order of empty slabs matters. */
static void link_slab(ortp__slab_list *list, ortp__slab *slab)
{
    ortp__slab *before = list->last;
    while (before != NULL && before->released_ms > slab->released_ms) {
        before = before->previous;
    }
    slab->previous = before;
    slab->next = before != NULL ? before->next : list->first;
    if (slab->next != NULL) {
        slab->next->previous = slab;
    } else {
        list->last = slab;
    }
    if (before != NULL) {
        before->next = slab;
    } else {
        list->first = slab;
    }
}

static void cut_blocks(ortp_pool *pool, ortp__slab *slab)
{
    size_t stride = pool->classes.strides[slab->index];
    for (size_t i = slab->block_count; i-- > 0;) {
        ortp_block *block = &slab->blocks[i];
        block->pool = pool;
        block->stripe = slab->stripe;
        block->slab = slab;
        block->data = slab->pages + i * stride;
        block->footprint = stride;
        block->index = (uint8_t)slab->index;
        block->next = slab->free;
        atomic_init(&block->state, (uint8_t)ORTP__BLOCK_FREE);
        atomic_init(&block->label, (uint8_t)ORTP_LABEL_OTHER);
        slab->free = block;
    }
    slab->free_count = slab->block_count;
}

ortp_status ortp__slab_create(ortp_pool *pool, ortp__stripe *stripe, const ortp__request *request,
                              ortp__slab **out)
{
    size_t index = request->size.index;
    size_t mapping = pool->classes.slab_bytes[index];
    size_t block_count = pool->classes.slab_blocks[index];
    *out = NULL;
    ortp_status status =
        ortp_budget_charge(pool->budget, ORTP_ACCOUNT_BLOCKS, mapping, request->reclaim);
    if (status != ORTP_OK) {
        return status == ORTP_E_INVAL ? ORTP_E_BUDGET
                                      : status; /* a sum that overflows never fits */
    }
    void *memory;
    status = ortp__meta_alloc(pool->budget, &pool->alloc, ortp__slab_struct_bytes(block_count),
                              request->reclaim, &memory);
    if (status != ORTP_OK) {
        goto fail_charge;
    }
    ortp__slab *slab = memory;
    slab->pages = ortp__pages_map(mapping);
    if (slab->pages == NULL) {
        status = ORTP_E_NOMEM;
        goto fail_struct;
    }
    slab->stripe = stripe;
    slab->mapping = mapping;
    slab->index = index;
    slab->block_count = block_count;
    slab->blocks = blocks_of(slab);
    cut_blocks(pool, slab);
    *out = slab;
    return ORTP_OK;

fail_struct:
    ortp__meta_free(pool->budget, &pool->alloc, memory, ortp__slab_struct_bytes(block_count));
fail_charge:
    (void)ortp_budget_refund(pool->budget, ORTP_ACCOUNT_BLOCKS, mapping);
    return status;
}

size_t ortp__slab_destroy(ortp_pool *pool, ortp__slab *slab)
{
    assert(slab->free_count == slab->block_count);
    size_t mapping = slab->mapping;
    size_t struct_bytes = ortp__slab_struct_bytes(slab->block_count);
    ortp__pages_unmap(slab->pages, mapping);
    (void)ortp_budget_refund(pool->budget, ORTP_ACCOUNT_BLOCKS, mapping);
    ortp__meta_free(pool->budget, &pool->alloc, slab, struct_bytes);
    return mapping + struct_bytes;
}

void ortp__slab_insert_locked(ortp__slab *slab)
{
    ortp__assert_held(&slab->stripe->lock);
    slab->stripe->maps++;
    link_slab(list_of(slab), slab);
}

ortp_block *ortp__slab_take_locked(ortp__stripe *stripe, size_t index)
{
    ortp__assert_held(&stripe->lock);
    /* Partial ones first: empty ones stay whole and can be unmapped; among those the newest. */
    ortp__slab *slab = stripe->partial[index].first;
    if (slab == NULL) {
        slab = stripe->empty[index].last;
    }
    if (slab == NULL) {
        return NULL;
    }
    ortp_block *block = slab->free;
    assert(ortp__block_state_get(block) == ORTP__BLOCK_FREE);
    ortp__slab_list *from = list_of(slab);
    slab->free = block->next;
    slab->free_count--;
    block->next = NULL;
    ortp__slab_list *to = list_of(slab);
    if (from != to) {
        unlink_slab(from, slab);
        link_slab(to, slab);
    }
    return block;
}

void ortp__slab_put_locked(ortp_block *block)
{
    ortp__slab *slab = block->slab;
    ortp__assert_held(&slab->stripe->lock);
    assert(slab->free_count < slab->block_count);
    ortp__slab_list *from = list_of(slab);
    ortp__block_state_set(block, ORTP__BLOCK_FREE);
    block->next = slab->free;
    slab->free = block;
    slab->free_count++;
    ortp__slab_list *to = list_of(slab);
    if (from != to) {
        unlink_slab(from, slab);
    }
    if (block->released_ms > slab->released_ms) {
        slab->released_ms = block->released_ms;
    }
    if (from != to) {
        link_slab(to, slab);
    }
}

void ortp__slab_detach_locked(ortp__slab *slab)
{
    ortp__assert_held(&slab->stripe->lock);
    unlink_slab(list_of(slab), slab);
}
