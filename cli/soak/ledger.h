/* SPDX-License-Identifier: MIT */
/*
 * The ledger's equations, at a moment when nobody predicts:
 *
 *     mapped == in use, all labels + idle + metadata        charged == mapped + declared <= limit
 *
 * and what the limit promises in between: charged never above it, but for what it was lowered below.
 */
#ifndef ORTPOOL_CLI_SOAK_LEDGER_H
#define ORTPOOL_CLI_SOAK_LEDGER_H

#include <stdbool.h>

#include <ortpool/budget.h>
#include <ortpool/stats.h>

#include "failures.h"

/* All that does not add up goes to `out`, with `when` before it. */
void ledger_check(const ortp_stats *stats, const ortp_budget_info *budget, const char *when,
                  failures *out);
/* When predictor and tensors are gone: nothing in use, nothing declared. */
void ledger_check_empty(const ortp_stats *stats, failures *out);

/* One thread sets limits and watches them. */
typedef struct limit_watch {
    ortp_budget *budget;
    size_t limit;
    size_t allowed; /* the peak since it was set: the limit, or what was charged above it then */
} limit_watch;

/* Sets the first limit. False, as below: more is charged than that. */
bool limit_watch_start(limit_watch *w, ortp_budget *budget, size_t limit);
/* Looks back at the limit that stood, then sets another. */
bool limit_watch_set(limit_watch *w, size_t limit, failures *out);
void limit_watch_check(const limit_watch *w, const ortp_budget_info *budget, failures *out);

#endif
