/* SPDX-License-Identifier: MIT */
/*
 * The ticket: see ticket.h.
 */
#include "ticket.h"

#include "allocator.h"
#include "growable.h"
#include "held.h"
#include "internal.h"

#include <assert.h>
#include <string.h>

#define STRUCT_BYTES ((sizeof(ortp__ticket) + 63u) / 64u * 64u)
#define FRONT_BYTES 4096u /* struct and small chunks */
#define SMALL_MAX 1024u
_Static_assert(STRUCT_BYTES + 1024u < FRONT_BYTES, "there is room for small chunks");

/* The one mutable thing that is not in a handle: the ticket that this thread's run works in. */
static _Thread_local ortp__ticket *current;

size_t ortp__ticket_block_bytes(size_t need)
{
    return need > SIZE_MAX - FRONT_BYTES ? SIZE_MAX : FRONT_BYTES + need;
}

ortp_status ortp__ticket_open(ortp_pool *pool, ortp__allocator *allocator, size_t need,
                              bool weights, ortp_reclaim reclaim, ortp__ticket **out)
{
    *out = NULL;
    ortp_block *block;
    ortp_status status = ortp__pool_acquire_growable(
        pool, ortp__ticket_block_bytes(need), weights ? ORTP_LABEL_WEIGHTS : ORTP_LABEL_RUN,
        weights ? ORTP__USE_WEIGHTS : ORTP__USE_RUNS, reclaim, &block);
    if (status != ORTP_OK) {
        return status;
    }
    ortp__ticket *ticket = ortp_block_data(block);
    *ticket =
        (ortp__ticket){.open = true, .allocator = allocator, .block = block, .weights = weights};
    if (!ortp__mutex_init(&ticket->mutex, ORTP_RANK_TICKET)) {
        (void)ortp_block_release(block);
        return ORTP_E_SYS;
    }
    unsigned char *front = ortp_block_data(block);
    ortp__fit_init(&ticket->small, front + STRUCT_BYTES, FRONT_BYTES - STRUCT_BYTES);
    ortp__fit_init(&ticket->fit, front + FRONT_BYTES, ortp_block_bytes(block) - FRONT_BYTES);
    *out = ticket;
    return ORTP_OK;
}

void ortp__ticket_begin(ortp__ticket *ticket)
{
    ticket->outer = current;
    current = ticket;
}

void ortp__ticket_end(ortp__ticket *ticket)
{
    assert(current == ticket);
    current = ticket->outer;
}

ortp__ticket *ortp__ticket_current(const ortp__allocator *allocator)
{
    return current != NULL && current->allocator == allocator ? current : NULL;
}

static bool escapes(const ortp__ticket *ticket, uint32_t ordinal)
{
    for (size_t i = 0; i < ticket->escapes.count; i++) {
        if (ticket->escapes.ordinals[i] == ordinal) {
            return true;
        }
    }
    return false;
}

/*
 * The lock is not held while the block grows, since that may reclaim: frees of other threads
 * meanwhile only make room, and nobody else allocates here.
 */
static ortp__chunk *grow_and_take(ortp__ticket *ticket, size_t bytes, size_t extent,
                                  ortp_status *status)
{
    *status =
        ortp__block_grow(ticket->block, ortp__ticket_block_bytes(extent), ORTP_RECLAIM_BLOCKS);
    if (*status != ORTP_OK) {
        ticket->wanted = extent > ticket->wanted ? extent : ticket->wanted;
        return NULL;
    }
    ortp__lock(&ticket->mutex);
    ortp__fit_extend(&ticket->fit, ortp_block_bytes(ticket->block) - FRONT_BYTES);
    ortp__chunk *chunk = ortp__fit_take(&ticket->fit, bytes);
    ortp__unlock(&ticket->mutex);
    assert(chunk != NULL);
    return chunk;
}

/* Whether it was known; it is no more. */
static bool forget_escape(ortp__ticket *ticket, uint32_t ordinal)
{
    ortp__escapes *known = &ticket->escapes;
    for (size_t i = 0; i < known->count; i++) {
        if (known->ordinals[i] == ordinal) {
            known->ordinals[i] = known->ordinals[--known->count];
            known->ordinals[known->count] = 0; /* as one that was never known */
            return true;
        }
    }
    return false;
}

static ortp__chunk *take(ortp__ticket *ticket, size_t bytes, uint32_t ordinal, ortp_status *status)
{
    ortp__lock(&ticket->mutex);
    ortp__chunk *chunk = bytes < SMALL_MAX ? ortp__fit_take(&ticket->small, bytes) : NULL;
    if (chunk == NULL) {
        chunk = ortp__fit_take(&ticket->fit, bytes);
    }
    const size_t extent = chunk == NULL ? ortp__fit_extent_for(&ticket->fit, bytes) : 0;
    ortp__unlock(&ticket->mutex);
    if (chunk == NULL) {
        chunk = grow_and_take(ticket, bytes, extent, status);
    }
    if (chunk != NULL) {
        chunk->kind = ORTP__SOURCE_TICKET;
        chunk->owner = ticket;
        chunk->ordinal = ordinal;
    }
    return chunk;
}

ortp__chunk *ortp__ticket_take(ortp__ticket *ticket, size_t bytes, ortp_status *status)
{
    *status = ORTP_OK;
    const uint32_t ordinal = ticket->ordinal++;
    return escapes(ticket, ordinal) ? NULL : take(ticket, bytes, ordinal, status);
}

ortp__chunk *ortp__ticket_take_all_the_same(ortp__ticket *ticket, size_t bytes, ortp_status *status)
{
    const uint32_t ordinal = ticket->ordinal - 1;
    if (!forget_escape(ticket, ordinal)) {
        return NULL; /* it was the ticket that had no room */
    }
    *status = ORTP_OK;
    return take(ticket, bytes, ordinal, status);
}

void ortp__ticket_came_back(ortp__ticket *ticket, uint32_t ordinal)
{
    (void)forget_escape(ticket, ordinal);
}

static unsigned char *end_of(const ortp__chunk *chunk)
{
    return (unsigned char *)chunk + chunk->bytes;
}

/*
 * Where free pages were given back those of this chunk go, too, and those that it shared with free
 * neighbours, of which the whole pages went before.
 */
static void give_settled_locked(ortp__ticket *ticket, ortp__chunk *chunk)
{
    ortp__assert_held(&ticket->mutex);
    const size_t page = ortp__page_size();
    const ortp__chunk *previous = chunk->previous;
    ortp__chunk *next = ortp__fit_next(&ticket->fit, chunk);
    unsigned char *from = ortp__chunk_data(chunk);
    if (previous != NULL && !previous->used) {
        unsigned char *shared = (unsigned char *)chunk - (uintptr_t)chunk % page;
        from = (unsigned char *)previous + ORTP__CHUNK_HEADER;
        from = shared > from ? shared : from;
    }
    unsigned char *to = end_of(chunk);
    if (next != NULL && !next->used) {
        unsigned char *data = ortp__chunk_data(next);
        unsigned char *shared = data + (page - (uintptr_t)data % page) % page;
        to = shared < end_of(next) ? shared : end_of(next);
    }
    ortp__fit_give(&ticket->fit, chunk);
    (void)ortp__block_give_pages(ticket->block, from, to);
}

/* Nobody else knows it any more. */
static void destroy(ortp__ticket *ticket)
{
    ortp_block *block = ticket->block;
    const bool kept = !ticket->weights && !ticket->settled;
    ortp__mutex_destroy(&ticket->mutex);
    if (!kept) {
        ortp__block_discard(block); /* with holes, or of weights: nobody's need */
    } else {
        (void)ortp_block_release(block);
    }
}

static size_t used_locked(const ortp__ticket *ticket)
{
    ortp__assert_held(&ticket->mutex);
    return ticket->small.used_count + ticket->fit.used_count;
}

void ortp__ticket_give(ortp__ticket *ticket, ortp__chunk *chunk)
{
    const bool small = (unsigned char *)chunk < ticket->fit.base;
    ortp__lock(&ticket->mutex);
    if (ticket->settled && !small) {
        give_settled_locked(ticket, chunk);
    } else {
        ortp__fit_give(small ? &ticket->small : &ticket->fit, chunk);
    }
    const bool last = !ticket->open && used_locked(ticket) == 0;
    ortp__unlock(&ticket->mutex);
    if (last) {
        ortp__held_forget(ticket);
        destroy(ticket);
    }
}

/* Their bytes. */
static size_t add_used(const ortp__fit *fit, ortp__escapes *out)
{
    size_t bytes = 0;
    for (ortp__chunk *c = ortp__fit_first(fit); c != NULL; c = ortp__fit_next(fit, c)) {
        if (c->used && out->count < ORTP__ESCAPES_MAX) {
            out->ordinals[out->count++] = (uint32_t)c->ordinal;
            bytes += c->bytes;
        }
    }
    return bytes;
}

/* Of each free chunk the header stays, which its neighbours read when they are freed. */
static size_t settle_locked(ortp__ticket *ticket)
{
    ortp__assert_held(&ticket->mutex);
    size_t given = 0;
    if (ticket->settled) {
        return given;
    }
    ticket->settled = true;
    for (ortp__chunk *c = ortp__fit_first(&ticket->fit); c != NULL;
         c = ortp__fit_next(&ticket->fit, c)) {
        if (!c->used) {
            given += ortp__block_give_pages(ticket->block, ortp__chunk_data(c),
                                            (unsigned char *)c + c->bytes);
        }
    }
    return given;
}

size_t ortp__ticket_settle(ortp__ticket *ticket)
{
    ortp__lock(&ticket->mutex);
    const size_t given = settle_locked(ticket);
    ortp__unlock(&ticket->mutex);
    return given;
}

/* What is known of the run; what is still out escapes, where that is to be known. */
static ortp__ticket_left left_locked(ortp__ticket *ticket, bool out_escapes)
{
    ortp__assert_held(&ticket->mutex);
    for (size_t i = ticket->escapes.count; i-- > 0;) {
        if (ticket->escapes.ordinals[i] >= ticket->ordinal) { /* the run did not get there */
            (void)forget_escape(ticket, ticket->escapes.ordinals[i]);
        }
    }
    ortp__ticket_left left = {
        .need = ticket->fit.peak, .wanted = ticket->wanted, .escapes = ticket->escapes};
    if (out_escapes) {
        (void)add_used(&ticket->small, &left.escapes);
        const size_t escaped = add_used(&ticket->fit, &left.escapes);
        left.need = left.need > escaped ? left.need - escaped : 0;
    }
    return left;
}

void ortp__ticket_close(ortp__ticket *ticket, ortp__ticket_left *left)
{
    const bool apart = ticket->weights ||
                       atomic_load_explicit(&ticket->allocator->values_apart, memory_order_relaxed);
    const bool held = !apart && ortp__ticket_used(ticket) > 0;
    if (held) {
        ortp__held_add(ticket); /* while it is open nobody else ends it */
    }
    ortp__lock(&ticket->mutex);
    ticket->open = false;
    const bool last = used_locked(ticket) == 0;
    if (left != NULL) {
        *left = left_locked(ticket, apart);
    }
    if (!last && !held) {
        (void)settle_locked(ticket);
    }
    ortp__unlock(&ticket->mutex);
    if (last) {
        if (held) {
            ortp__held_forget(ticket);
        }
        destroy(ticket);
    }
}

size_t ortp__ticket_used(ortp__ticket *ticket)
{
    ortp__lock(&ticket->mutex);
    const size_t used = used_locked(ticket);
    ortp__unlock(&ticket->mutex);
    return used;
}

size_t ortp__ticket_footprint(ortp__ticket *ticket)
{
    ortp__lock(&ticket->mutex);
    const size_t footprint = ortp__block_footprint(ticket->block);
    ortp__unlock(&ticket->mutex);
    return footprint;
}
