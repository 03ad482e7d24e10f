/* SPDX-License-Identifier: MIT */
/*
 * Durations in a fixed space, however many: 32 buckets to each power of two, so a percentile is too high by
 * 3.2 % at most. Makes no allocation.
 */
#ifndef ORTPOOL_CLI_SOAK_HISTOGRAM_H
#define ORTPOOL_CLI_SOAK_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_BITS 5u /* values below 2^5 have a bucket each */
#define HISTOGRAM_TOP 40u /* what is 2^40 and more (12 days of microseconds) shares the last one */
#define HISTOGRAM_BUCKETS ((HISTOGRAM_TOP - HISTOGRAM_BITS + 1u) << HISTOGRAM_BITS)

/* A zero struct is empty. */
typedef struct histogram {
    uint64_t buckets[HISTOGRAM_BUCKETS];
    uint64_t count;
    uint64_t max;
} histogram;

void histogram_add(histogram *h, uint64_t value);
void histogram_merge(histogram *into, const histogram *from);
/* The end of the bucket that the nearest rank lies in, at most the maximum; 100: the maximum. 0 where empty. */
uint64_t histogram_get(const histogram *h, double percent);

#endif
