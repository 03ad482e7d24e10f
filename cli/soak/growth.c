/* SPDX-License-Identifier: MIT */
#include "growth.h"

#include <stdlib.h>
#include <string.h>

#define RISES_ALL_ALONG 0.6
#define FAR 4u

static int compare(const void *a, const void *b)
{
    const uint64_t left = *(const uint64_t *)a;
    const uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static uint64_t median(const uint64_t *values, size_t count)
{
    uint64_t sorted[GROWTH_MOST / 4];
    memcpy(sorted, values, count * sizeof *values);
    qsort(sorted, count, sizeof *sorted, compare);
    return sorted[(count - 1) / 2];
}

static double tau(const uint64_t *values, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        for (size_t j = i + 1; j < count; j++) {
            sum += compare(&values[j], &values[i]);
        }
    }
    return sum / ((double)count * (double)(count - 1) / 2);
}

growth growth_judge(const uint64_t *values, size_t count, uint64_t allowance)
{
    growth g = {0};
    count = count < GROWTH_MOST ? count : GROWTH_MOST;
    for (size_t i = 0; i < count; i++) {
        g.judged = g.judged || values[i] > 0;
    }
    if (count < GROWTH_LEAST || !g.judged) {
        g.judged = false;
        return g;
    }
    const size_t quarter = count / 4;
    g.first = median(values, quarter);
    g.last = median(values + count - quarter, quarter);
    g.tau = tau(values, count);
    const uint64_t rise = g.last > g.first ? g.last - g.first : 0;
    g.grown = (rise > allowance && g.tau > RISES_ALL_ALONG) || rise > FAR * allowance;
    return g;
}
