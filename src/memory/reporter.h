/* SPDX-License-Identifier: MIT */
/*
 * Reporters: what adds its figures to the statistics of a budget. Everything that charges a budget
 * and counts has one inside its own struct, joins at the end of its creation and leaves at the
 * beginning of its destruction, once nothing can refuse that any more.
 *
 * The list has a lock of its own, of the lowest rank. A collection holds it while all report, each
 * under whatever locks it needs for a moment. So nobody leaves whose figures are being read, each
 * is counted once, and no reclaimer meets the lock: joining, leaving and reporting charge nothing.
 * A join makes no allocation and cannot fail.
 */
#ifndef ORTP_REPORTER_H
#define ORTP_REPORTER_H

#include "platform.h"

#include <ortpool/pool.h>
#include <ortpool/stats.h>

/* What the reporters add to; all fields of this version's struct. */
typedef struct ortp__figures {
    ortp_stats stats;
    /* Mapped bytes of idle tensors, which their pools count as in use under these labels. */
    size_t idle_tensors[ORTP_LABEL_COUNT];
} ortp__figures;

/* Adds the object's figures and its group. Charges nothing, calls neither ORT nor a callback. */
typedef void (*ortp__report_fn)(const void *object, ortp__figures *figures);

typedef struct ortp__reporter {
    struct ortp__reporter *previous, *next;
    ortp__report_fn fn; /* NULL: has not joined, or has left */
    const void *object;
} ortp__reporter;

typedef struct ortp__reporters {
    ortp__mutex lock; /* ORTP_RANK_STATISTICS, guards the list */
    ortp__reporter *first;
} ortp__reporters;

/* The budget's list. */
ortp__reporters *ortp__budget_reporters(const ortp_budget *budget);

/* Under no lock of the library, both. */
ORTP__PRIVATE_API void ortp__reporter_join(ortp_budget *budget, ortp__reporter *reporter,
                                           ortp__report_fn fn, const void *object);
/* Waits for a collection in progress; afterwards the object is asked no more. No-op for one that
 * has not joined. */
ORTP__PRIVATE_API void ortp__reporter_leave(ortp_budget *budget, ortp__reporter *reporter);

#endif
