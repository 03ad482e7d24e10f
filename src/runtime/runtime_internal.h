/* SPDX-License-Identifier: MIT */
/*
 * What the files of this room share: the runtime's struct, and ORT's statuses turned into ours.
 */
#ifndef ORTP_RUNTIME_INTERNAL_H
#define ORTP_RUNTIME_INTERNAL_H

#include "held.h"
#include "internal.h"
#include "reporter.h"
#include "runtime_parts.h"

#include <ortpool/runtime.h>
#include <ortpool/tensor.h>

#include <onnxruntime_c_api.h>

#define ORTP__ORT_VERSION_BYTES 64u /* with the final 0; longer ones are refused */

struct ortp__allocator;

/* Counters of sessions that are gone. */
typedef struct ortp__retired {
    uint64_t runs, waits, turned_away;
    uint64_t allocs, overflows, refusals, outside_allocs, outside_bytes;
} ortp__retired;

/*
 * Lock: `mutex` (ORTP_RANK_RUNTIME) guards all below it. Everything else is set before the runtime
 * is handed out and changes in destroy only. `mutex` is never held during a call of ORT, of the
 * budget or of the pool.
 */
struct ortp_runtime {
    const OrtApi *api;
    char ort_version[ORTP__ORT_VERSION_BYTES]; /* empty: not told */
    uint32_t api_version;                      /* of `api`: members of later ones are not used */
    OrtEnv *env;
    OrtMemoryInfo *cpu; /* where our buffers lie, for every OrtValue that we make */
    ortp_budget *budget;
    ortp_pool *pool; /* NULL once destroy has freed it */
    bool owns_env;
    bool owns_budget;
    bool owns_pool;
    bool charged; /* this struct is on the budget */
    ortp_alloc alloc;
    ortp_clock clock;
    ortp_logger log;

    ortp__held held; /* has its own lock */
    ortp__reporter reporter;

    ortp__mutex mutex;
    ortp__cond released; /* runs that have no memory wait here for one to end */
    size_t waiting;
    uint64_t ended;                     /* runs */
    atomic_size_t running;              /* runs in ORT with a ticket */
    struct ortp__allocator *allocators; /* every one ever made */
    struct ortp_session *first_session; /* all, for their counters */
    ortp__retired retired;
    size_t sessions;
    size_t tensor_pools;
    size_t warmups;
};

/* What a runtime reports to the statistics: see reporter.h. */
void ortp__runtime_report(const void *runtime, ortp__figures *figures);

/* Add or take one of the users that keep a runtime from being destroyed. */
typedef enum ortp__user { ORTP__USER_TENSOR_POOL, ORTP__USER_WARMUP } ortp__user;
void ortp__runtime_retain(ortp_runtime *runtime, ortp__user user);
void ortp__runtime_release(ortp_runtime *runtime, ortp__user user);

#endif
