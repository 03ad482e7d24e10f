/* SPDX-License-Identifier: MIT */
/*
 * Pressure on a predictor at work: limits near and below what is charged, trims, caches dropped, warm-ups. What
 * comes after what follows from the seed alone; when, and what it meets, is the system's.
 */
#ifndef ORTPOOL_CLI_SOAK_CHAOS_H
#define ORTPOOL_CLI_SOAK_CHAOS_H

#include <ortpool/predictor.h>

#include "failures.h"
#include "gate.h"
#include "ledger.h"

/* X(name, key of the JSON, text) */
#define CHAOS_MAP(X)                                                                               \
    X(NEAR, "limits_near", "limits set near what is charged")                                      \
    X(BELOW, "limits_below", "limits set below it")                                                \
    X(RAISE, "limits_raised", "limits raised again")                                               \
    X(TRIM, "trims", "trims by bytes")                                                             \
    X(RELIEVE, "relieves", "trims by pressure level")                                              \
    X(DROP, "cache_drops", "trims with the cache")                                                 \
    X(CLEAR, "cache_clears", "caches cleared")                                                     \
    X(WARM, "warmups", "warm-ups")

typedef enum chaos_action {
#define CHAOS_ENUM(name, key, text) CHAOS_##name,
    CHAOS_MAP(CHAOS_ENUM)
#undef CHAOS_ENUM
        CHAOS_ACTIONS
} chaos_action;

typedef struct chaos_step {
    chaos_action action;
    double share;      /* 0 to 1: how much of it */
    unsigned pause_ms; /* afterwards */
} chaos_step;

/* The sequence. A limit that is lowered is raised again within a few steps. */
typedef struct chaos_plan {
    uint64_t random;
    unsigned until_raised; /* steps with the limit low; 0: it is not */
} chaos_plan;

chaos_step chaos_next(chaos_plan *plan);

typedef struct chaos {
    ortp_runtime *runtime;
    ortp_predictor *predictor;
    gate *gate;
    failures *failures;
    limit_watch watch; /* the chaos thread's; read by whoever closed the gate */
    size_t limit;      /* what the limit is raised to */
    chaos_plan plan;
    uint64_t counts[CHAOS_ACTIONS];
    uint64_t warmups_refused; /* by the budget */
    uint64_t warmups_cut;     /* by the gate */
} chaos;

/* Steps until the gate ends, without a lower limit while it is closed; a pthread's function. */
void *chaos_run(void *chaos);

#endif
