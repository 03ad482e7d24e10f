/* SPDX-License-Identifier: MIT */
#include "ledger.h"

#include <inttypes.h>

static uint64_t in_use(const ortp_stats *s)
{
    return s->in_use_tensors + s->in_use_decode + s->in_use_cache + s->in_use_run +
           s->in_use_weights + s->in_use_other;
}

void ledger_check(const ortp_stats *stats, const ortp_budget_info *budget, const char *when,
                  failures *out)
{
    const uint64_t parts = in_use(stats) + stats->idle + stats->metadata;
    if (stats->mapped != parts) {
        failures_add(out,
                     "%s: mapped is %" PRIu64 " bytes, in use + idle + metadata %" PRIu64
                     ": %" PRId64 " lost",
                     when, stats->mapped, parts, (int64_t)(stats->mapped - parts));
    }
    if (stats->charged != stats->mapped + stats->declared) {
        failures_add(out,
                     "%s: charged is %" PRIu64 " bytes, mapped + declared %" PRIu64 ": %" PRId64
                     " lost",
                     when, stats->charged, stats->mapped + stats->declared,
                     (int64_t)(stats->charged - stats->mapped - stats->declared));
    }
    if (stats->charged > stats->limit) {
        failures_add(out, "%s: charged is %" PRIu64 " bytes, the limit %" PRIu64, when,
                     stats->charged, stats->limit);
    }
    if (budget->refund_errors > 0) {
        failures_add(out, "%s: more refunded than was charged, %" PRIu64 " times", when,
                     budget->refund_errors);
    }
}

void ledger_check_empty(const ortp_stats *stats, failures *out)
{
    if (in_use(stats) + stats->idle + stats->declared > 0) {
        failures_add(out,
                     "at the end, without the predictor: %" PRIu64 " bytes in use, %" PRIu64
                     " idle, %" PRIu64 " declared, expected none",
                     in_use(stats), stats->idle, stats->declared);
    }
}

void limit_watch_check(const limit_watch *w, const ortp_budget_info *budget, failures *out)
{
    if (budget->peak_bytes > w->allowed) {
        failures_add(out, "charged up to %zu bytes under a limit of %zu (%zu when it was set)",
                     budget->peak_bytes, w->limit, w->allowed);
    }
    if (budget->limit_bytes != w->limit) {
        failures_add(out, "the limit is %zu bytes, set was %zu", budget->limit_bytes, w->limit);
    }
}

bool limit_watch_start(limit_watch *w, ortp_budget *budget, size_t limit)
{
    size_t excess = 0;
    const bool fits = ortp_budget_set_limit(budget, limit, &excess) == ORTP_OK;
    /* From now on what is charged above the limit can only become less. */
    *w = (limit_watch){.budget = budget, .limit = limit, .allowed = limit + excess};
    ortp_budget_reset_peaks(budget);
    return fits;
}

bool limit_watch_set(limit_watch *w, size_t limit, failures *out)
{
    ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(w->budget, &info);
    limit_watch_check(w, &info, out);
    return limit_watch_start(w, w->budget, limit);
}
