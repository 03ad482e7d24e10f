/* SPDX-License-Identifier: MIT */
/*
 * Giving idle memory back: by bytes and by pressure.
 */
#include "runtime_internal.h"

#define LOW_IDLE_MS 10000u

/* Android's ComponentCallbacks2, rising: from each level on. */
static const struct {
    int level;
    ortp_pressure pressure;
} android_levels[] = {
    {5, ORTP_PRESSURE_LOW},       /* TRIM_MEMORY_RUNNING_MODERATE */
    {10, ORTP_PRESSURE_MODERATE}, /* TRIM_MEMORY_RUNNING_LOW */
    {15, ORTP_PRESSURE_CRITICAL}, /* TRIM_MEMORY_RUNNING_CRITICAL */
    {20, ORTP_PRESSURE_LOW},      /* TRIM_MEMORY_UI_HIDDEN */
    {40, ORTP_PRESSURE_MODERATE}, /* TRIM_MEMORY_BACKGROUND */
    {60, ORTP_PRESSURE_CRITICAL}, /* TRIM_MEMORY_MODERATE; TRIM_MEMORY_COMPLETE is 80 */
};

ortp_pressure ortp_pressure_from_android(int level)
{
    ortp_pressure pressure = ORTP_PRESSURE_NONE;
    for (size_t i = 0; i < ORTP__COUNT(android_levels) && level >= android_levels[i].level; i++) {
        pressure = android_levels[i].pressure;
    }
    return pressure;
}

static size_t give_back(ortp_runtime *runtime, ortp_reclaim level, size_t bytes)
{
    const size_t freed = ortp_budget_reclaim(runtime->budget, level, bytes);
    ortp__heap_trim();
    return freed;
}

ortp_status ortp_runtime_trim(ortp_runtime *runtime, size_t bytes, size_t *freed_bytes)
{
    if (freed_bytes != NULL) {
        *freed_bytes = 0;
    }
    if (runtime == NULL) {
        return ORTP_E_INVAL;
    }
    const size_t freed = bytes > 0 ? give_back(runtime, ORTP_RECLAIM_CACHE, bytes) : 0;
    if (freed_bytes != NULL) {
        *freed_bytes = freed;
    }
    return ORTP_OK;
}

ortp_status ortp_runtime_relieve(ortp_runtime *runtime, ortp_pressure pressure, size_t *freed_bytes)
{
    if (freed_bytes != NULL) {
        *freed_bytes = 0;
    }
    if (runtime == NULL || (unsigned)pressure > ORTP_PRESSURE_CRITICAL) {
        return ORTP_E_INVAL;
    }
    size_t freed = 0;
    switch (pressure) {
    case ORTP_PRESSURE_NONE:
        break;
    case ORTP_PRESSURE_LOW:
        (void)ortp_pool_trim(runtime->pool, 0, LOW_IDLE_MS, &freed);
        freed += ortp__held_give(runtime);
        break;
    case ORTP_PRESSURE_MODERATE:
        freed = give_back(runtime, ORTP_RECLAIM_BLOCKS, ORTP_UNLIMITED);
        break;
    case ORTP_PRESSURE_CRITICAL:
        freed = give_back(runtime, ORTP_RECLAIM_CACHE, ORTP_UNLIMITED);
        break;
    }
    if (freed_bytes != NULL) {
        *freed_bytes = freed;
    }
    return ORTP_OK;
}
