/* SPDX-License-Identifier: MIT */
/* Collects durations and says their percentiles. */
#ifndef ORTPOOL_CLI_PERCENTILES_H
#define ORTPOOL_CLI_PERCENTILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct percentiles {
    uint64_t *values;
    size_t count;
    size_t capacity;
    bool sorted;
} percentiles;

/* A zero struct is empty. False without memory; then nothing was added. */
bool percentiles_add(percentiles *p, uint64_t value);
/*
 * The smallest value with at least `percent` (0 to 100) of all at or below it (nearest rank), so
 * always one that was measured. 0 for an empty collection.
 */
uint64_t percentiles_get(percentiles *p, double percent);
double percentiles_mean(const percentiles *p);
void percentiles_free(percentiles *p);

#endif
