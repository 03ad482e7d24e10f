/* SPDX-License-Identifier: MIT */
/*
 * Slabs: one mapping cut into blocks of one class.
 *
 *     pages | block 0 | block 1 | ... | block n-1 | end: >= ORTP_BLOCK_TAIL bytes |
 *
 *     free_count == length of the free list == blocks in state FREE
 *     in the list   full: free_count == 0   empty: free_count == block_count   partial: else
 */
#ifndef ORTP_SLAB_H
#define ORTP_SLAB_H

#include "pool_internal.h"

/* Bytes of a slab's control structures. */
size_t ortp__slab_struct_bytes(size_t block_count);

/* Maps a slab, charged; all blocks free, in no list yet. Takes no lock. Errors: BUDGET, NOMEM. */
ortp_status ortp__slab_create(ortp_pool *pool, ortp__stripe *stripe, const ortp__request *request,
                              ortp__slab **out);
/* Bytes that left the budget. Under no lock. */
size_t ortp__slab_destroy(ortp_pool *pool, ortp__slab *slab);

/* Adds a fresh slab to its stripe; under the stripe's lock, as those below. */
void ortp__slab_insert_locked(ortp__slab *slab);
/* A free block of the class; NULL when the stripe has none. */
ortp_block *ortp__slab_take_locked(ortp__stripe *stripe, size_t index);
void ortp__slab_put_locked(ortp_block *block);
/* Takes an empty slab out of its list. */
void ortp__slab_detach_locked(ortp__slab *slab);

#endif
