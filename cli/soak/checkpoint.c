/* SPDX-License-Identifier: MIT */
#include "checkpoint.h"

#include "ledger.h"

#ifdef __GLIBC__
#if __GLIBC_PREREQ(2, 33)
#include <malloc.h>
#define HAVE_MALLINFO2
#endif
#endif

/* Under a sanitizer, whose heap it then is, the C library's own holds nothing. */
static uint64_t heap_in_use(void)
{
#ifdef HAVE_MALLINFO2
    const struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
#else
    return 0;
#endif
}

static void check(ortp_runtime *runtime, ortp_stats *stats, const char *when, failures *out)
{
    *stats = (ortp_stats)ORTP_STATS_INIT;
    ortp_budget_info budget = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(ortp_runtime_budget(runtime), &budget);
    (void)ortp_stats_collect(runtime, stats);
    ledger_check(stats, &budget, when, out);
}

void checkpoint_take(checkpoint *c, ortp_runtime *runtime, ortp_predictor *predictor, failures *out)
{
    ortp_stats stats;
    check(runtime, &stats, "at a quiet point", out);
    if (ortp_predictor_trim(predictor, 0, true, NULL) != ORTP_OK ||
        ortp_runtime_trim(runtime, ORTP_UNLIMITED, NULL) != ORTP_OK) {
        failures_add(out, "a full trim failed");
    }
    check(runtime, &stats, "at a quiet point, trimmed", out);
    c->mapped = stats.mapped;
    c->heap = heap_in_use();
    c->anonymous = stats.process_anonymous;
}
