/* SPDX-License-Identifier: MIT */
/*
 * The depot: the shared store of free blocks, in stripes. A block goes back to the stripe it was
 * mapped for; an acquire looks into its own stripe, then into the others, then maps.
 */
#ifndef ORTP_DEPOT_H
#define ORTP_DEPOT_H

#include "pool_internal.h"

/* An idle block, now OUT and counted; NULL when no stripe has one that fits. */
ortp_block *ortp__depot_take(ortp_pool *pool, ortp__stripe *home, const ortp__request *request);
/* A block of a fresh mapping, OUT and counted. Under no lock. Errors: BUDGET, NOMEM. */
ortp_status ortp__depot_map(ortp_pool *pool, ortp__stripe *home, const ortp__request *request,
                            ortp_block **out);
/* A large block, CACHED: off the ledger and unmapped, not kept. Bytes that left the budget. */
size_t ortp__depot_discard(ortp_block *block);
/* Bytes that ortp__depot_map() would charge. */
size_t ortp__depot_map_bytes(const ortp_pool *pool, const ortp__request *request);

/* From CACHED to FREE; the ledger is the caller's. */
void ortp__depot_put(ortp_block *block);
/* From CACHED to FREE, counted as released here. */
void ortp__depot_release(ortp_block *block, bool warming);

/*
 * Unmaps the idle memory whose last use is longest ago, if that is at least idle_ms ago by now_ms.
 * *unmapped: bytes of its mapping. Returns what left the budget, 0 when there is none. Under no
 * lock.
 */
size_t ortp__depot_evict(ortp_pool *pool, uint64_t now_ms, uint64_t idle_ms, size_t *unmapped);

/* Adds what the stripes hold to `out`, by walking. */
void ortp__depot_add_info(ortp_pool *pool, ortp_pool_info *out, ortp__ledger *ledger);
/* Label and size of a block that is OUT; false when there is none. */
bool ortp__depot_find_out(ortp_pool *pool, ortp_label *label, size_t *bytes);

#endif
