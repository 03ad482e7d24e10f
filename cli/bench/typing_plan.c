/* SPDX-License-Identifier: MIT */
#include "typing_plan.h"

#include "../random.h"

#define GAP_MS 1200.0
#define GAP_SIGMA 0.45
#define CORRECTION_MS 600.0
#define CORRECTION_SIGMA 0.25
/* Of the swipes that may have one; those are seven of eight then. */
#define CORRECTED_OF 7u

static ortp_pressure pressure(typing_plan *plan)
{
    if (plan->pressure_every == 0) {
        return ORTP_PRESSURE_NONE;
    }
    if (plan->count == 0) {
        plan->until_pressure = plan->pressure_every / 2;
    }
    if (plan->until_pressure > 0) {
        plan->until_pressure--;
        return ORTP_PRESSURE_NONE;
    }
    const ortp_pressure level = plan->critical ? ORTP_PRESSURE_CRITICAL : ORTP_PRESSURE_MODERATE;
    plan->until_pressure = plan->pressure_every - 1;
    plan->critical = !plan->critical;
    return level;
}

static void next_row(typing_plan *plan)
{
    if (plan->count == 0 || plan->row + plan->stride >= plan->rows) {
        plan->row = plan->first % plan->rows;
    } else {
        plan->row += plan->stride;
    }
}

typing_event typing_next(typing_plan *plan)
{
    typing_event e = {0};
    const uint64_t drawn = random_next(&plan->random);
    e.correction =
        plan->corrects && plan->count > 0 && !plan->corrected && drawn % CORRECTED_OF == 0;
    if (!e.correction) {
        next_row(plan);
        e.pressure = pressure(plan);
    } else if (plan->until_pressure > 0) {
        plan->until_pressure--;
    }
    e.row = plan->row;
    e.gap_ms = (e.correction ? random_log_normal(&plan->random, CORRECTION_MS, CORRECTION_SIGMA)
                             : random_log_normal(&plan->random, GAP_MS, GAP_SIGMA)) /
               plan->compression;
    plan->corrected = e.correction;
    plan->count++;
    return e;
}
