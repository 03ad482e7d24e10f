/* SPDX-License-Identifier: MIT */
/*
 * ORT's allocator: one OrtAllocator per session, which serves from the calling thread's ticket or
 * from the pool. ORT holds on to it in the session and in every OrtValue made through it, so it
 * lives as long as the runtime; another session takes it over once nothing of it is out.
 *
 * In front of every allocation is an ortp__chunk, which says where it goes back to.
 */
#ifndef ORTP_ALLOCATOR_H
#define ORTP_ALLOCATOR_H

#include "allocator_entry.h"
#include "fit.h"
#include "runtime_internal.h"

#include <stdatomic.h>

/* Where a chunk came from. */
typedef enum ortp__source {
    ORTP__SOURCE_TICKET = 1, /* owner: the ticket */
    ORTP__SOURCE_POOL,       /* owner: the block */
    ORTP__SOURCE_OVERDRAFT,  /* owner: the mapping, ordinal: its bytes */
    ORTP__SOURCE_PROBE,      /* nobody's: see ortp__allocator_probe */
} ortp__source;

/* Counters of one session; relaxed, each by itself. */
typedef struct ortp__served {
    _Atomic uint64_t allocs, reserves, overflows, refusals, overdrafts;
    _Atomic uint64_t outside_allocs, outside_bytes; /* of allocs: with nobody inside */
    _Atomic size_t largest, live_bytes_peak;
} ortp__served;

struct ortp__allocator {
    OrtAllocator ort; /* first: what ORT holds */
    ortp_runtime *runtime;
    _Atomic size_t live_count, live_bytes, overdraft_bytes;
    _Atomic size_t inside; /* the session's runs by ortpool in progress, and its end */
    ortp__served served;
    _Atomic int refusal;          /* the ortp_status of the latest refusal, and ... */
    _Atomic size_t refused_bytes; /* ... what it had asked for */
    _Atomic bool creating; /* its session is being created: what it serves is weights */
    _Atomic bool values_apart; /* its session's outputs were held while others ran: see held.h */

    /* Under runtime->mutex. */
    bool taken;                   /* by a session */
    struct ortp__allocator *next; /* all of the runtime */
};

/* One that nobody uses, or a new one. Errors: NOMEM, BUDGET. */
ORTP_CHECK ortp_status ortp__allocator_acquire(ortp_runtime *runtime, ortp__allocator **out);
/* Its session is gone; values may live on. Adds its counters to the runtime's. */
void ortp__allocator_release(ortp__allocator *allocator);
/* Around whatever is known to allocate: what is asked for with nobody inside counts as outside. Any thread. */
void ortp__allocator_enter(ortp__allocator *allocator);
void ortp__allocator_leave(ortp__allocator *allocator);
/*
 * From here on the calling thread's requests for exactly `bytes` are answered with `room`, uncounted: a
 * chunk and its bytes, the caller's. Those of other threads and of other sizes are served as ever.
 * room NULL: no longer.
 */
void ortp__allocator_probe(const ortp__allocator *allocator, ortp__chunk *room, size_t bytes);
/* Whether a request of the calling thread would be answered so. */
bool ortp__allocator_probed(const ortp__allocator *allocator, size_t bytes);
/* OrtValues of sessions that are gone, when no session is left. */
size_t ortp__allocators_live(ortp_runtime *runtime);
/* Frees all, when nothing is live. */
void ortp__allocators_free(ortp_runtime *runtime);

/* OrtAllocator's Free. NULL is a no-op: ORT frees what it never got for tensors without elements. */
void ortp__allocator_free(OrtAllocator *self, void *data);

#endif
