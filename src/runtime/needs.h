/* SPDX-License-Identifier: MIT */
/*
 * What runs of a session needed, by the shapes of their inputs: a bounded table, least recently
 * used out. Keys are hashes; two shapes of one hash share an entry, which costs memory, never
 * correctness.
 */
#ifndef ORTP_NEEDS_H
#define ORTP_NEEDS_H

#include "ticket.h"

#define ORTP__NEEDS_MAX 256u

typedef struct ortp__need {
    uint64_t key;
    size_t bytes; /* of chunks; 0: not known yet */
    ortp__escapes escapes;
    uint64_t used_at; /* 0: a free entry */
} ortp__need;

/* Lock: `mutex` (ORTP_RANK_NEEDS) guards all below. */
typedef struct ortp__needs {
    ortp__mutex mutex;
    ortp__need entries[ORTP__NEEDS_MAX];
    uint64_t time;
    size_t most; /* the largest bytes ever learned */
} ortp__needs;

/* false: the system refused a lock. */
bool ortp__needs_init(ortp__needs *needs);
void ortp__needs_destroy(ortp__needs *needs);

/* Zero, but for the key, where it is not known. Any thread, as those below. */
ortp__need ortp__needs_get(ortp__needs *needs, uint64_t key);
/* Raises what is known to `learned`; escapes are replaced. */
void ortp__needs_learn(ortp__needs *needs, const ortp__need *learned);
/* Raises what is known to `bytes`; escapes stay. */
void ortp__needs_raise(ortp__needs *needs, uint64_t key, size_t bytes);
size_t ortp__needs_most(ortp__needs *needs);

#endif
