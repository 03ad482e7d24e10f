/* SPDX-License-Identifier: MIT */
/*
 * What runs of a session needed, by the shapes of their inputs: a bounded table, least recently
 * used out. Keys are hashes; two shapes of one hash share an entry, which costs memory, never
 * correctness.
 *
 * A run that was refused wanted more than it got. That is remembered for the next run of the shape
 * alone, which waits for as much or is turned away: the wish may have come from values, not from
 * shapes, and must not bar runs that want less.
 */
#ifndef ORTP_NEEDS_H
#define ORTP_NEEDS_H

#include "ticket.h"

#define ORTP__NEEDS_MAX 256u
#define ORTP__WISH_MAX (SIZE_MAX / 4) /* nobody could grant as much */

typedef struct ortp__need {
    uint64_t key;
    size_t bytes;  /* of chunks, of runs that went well; 0: not known yet */
    size_t wanted; /* of a refused run; 0: none was since the last that went well */
    ortp__escapes escapes;
    uint64_t used_at; /* 0: a free entry */
} ortp__need;

/* Lock: `mutex` (ORTP_RANK_NEEDS) guards all below. */
typedef struct ortp__needs {
    ortp__mutex mutex;
    ortp__need entries[ORTP__NEEDS_MAX];
    uint64_t time;
    size_t most_gone; /* the largest bytes of entries that were put out */
    ortp__escapes latest;
} ortp__needs;

/* false: the system refused a lock. */
bool ortp__needs_init(ortp__needs *needs);
void ortp__needs_destroy(ortp__needs *needs);

/*
 * Where the key is not known: bytes 0, and the escapes of what was learned last, since one graph
 * allocates in one order, mostly. A wrong guess costs a detour through the pool, once. Any thread,
 * as those below.
 */
ortp__need ortp__needs_get(ortp__needs *needs, uint64_t key);
/* A run went well: raises what is known to its bytes, or replaces it where its values no longer lie in the
 * block; escapes are replaced, a wish is forgotten. */
void ortp__needs_learn(ortp__needs *needs, const ortp__need *learned);
/* A run was refused `bytes`; 0 forgets it. A wish that no machine grants is not remembered. */
void ortp__needs_wish(ortp__needs *needs, uint64_t key, size_t bytes);
/* The largest bytes ever learned, wishes left out. */
size_t ortp__needs_most(ortp__needs *needs);

#endif
