/* SPDX-License-Identifier: MIT */
/*
 * Medians and quantiles with intervals that assume no distribution: the true one lies between two of the values as
 * they are ordered, in 95 of 100 cases. Source: order statistics, Conover, "Practical Nonparametric Statistics", 3.2.
 */
#ifndef ORTPOOL_CLI_BENCH_INTERVALS_H
#define ORTPOOL_CLI_BENCH_INTERVALS_H

#include <stddef.h>

#include <jansson.h>

typedef struct interval {
    double value, low, high;
} interval;

/* Both sort `values`; count is at least 1. */

/* Of fewer than six values, least and most stand for the interval, which then says less than 95 of 100. */
interval interval_median(double *values, size_t count);
/* part: 0 to 1; nearest rank. Where the interval would need values beyond the last, it ends there. */
interval interval_quantile(double *values, size_t count, double part);

/* {"value", "low", "high"}; bench_json()'s. */
json_t *interval_json(interval i);

#endif
