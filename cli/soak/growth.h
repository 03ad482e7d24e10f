/* SPDX-License-Identifier: MIT */
/*
 * Whether a series of sizes, taken one after the other, grows.
 *
 * What is compared are medians, of the first quarter and of the last: a single high or low value does not
 * count. A leak makes nearly every later value larger than every earlier one; what is only filled late (a
 * thread's first use of something) is one step. Hence two limits:
 *
 *     grown  ==  rise > allowance and it rises all along, or rise > 4 * allowance
 *
 * "All along": of all pairs of values, those that rise less those that fall are more than 0.6 (Kendall's tau;
 * one step in the middle gives 0.5, a straight line 1).
 */
#ifndef ORTPOOL_CLI_SOAK_GROWTH_H
#define ORTPOOL_CLI_SOAK_GROWTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GROWTH_LEAST 8u   /* with fewer values nothing is said */
#define GROWTH_MOST 1024u /* with more the rest is not looked at */

typedef struct growth {
    bool judged; /* false: too few values, or all are 0 (not known here) */
    bool grown;
    uint64_t first, last; /* medians of the quarters */
    double tau;
} growth;

growth growth_judge(const uint64_t *values, size_t count, uint64_t allowance);

#endif
