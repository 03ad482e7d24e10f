/* SPDX-License-Identifier: MIT */
/* See intervals.h. */
#include "intervals.h"

#include <math.h>
#include <stdlib.h>

#include "support.h"

#define TAIL 0.025 /* on either side */
#define DEVIATIONS 1.959963984540054

/* The most k such that fewer than k of `count` values lie below the median in at most TAIL of all cases; 0: none. */
static size_t median_rank(size_t count)
{
    double term = pow(0.5, (double)count), sum = 0; /* of the binomial distribution */
    size_t k = 0;
    while (k < count && sum + term <= TAIL) {
        sum += term;
        term *= (double)(count - k) / (double)(k + 1);
        k++;
    }
    return k;
}

interval interval_median(double *values, size_t count)
{
    if (count > 500) { /* the binomial's terms would vanish; the other way is as good by then */
        return interval_quantile(values, count, 0.5);
    }
    qsort(values, count, sizeof(*values), bench_rising);
    const size_t rank = median_rank(count), middle = count / 2;
    const size_t low = rank > 0 ? rank - 1 : 0;
    return (interval){
        .value = count % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2,
        .low = values[low],
        .high = values[count - 1 - low],
    };
}

static double at_rank(const double *values, size_t count, double rank)
{
    if (rank < 1) {
        return values[0];
    }
    return rank > (double)count ? values[count - 1] : values[(size_t)rank - 1];
}

interval interval_quantile(double *values, size_t count, double part)
{
    qsort(values, count, sizeof(*values), bench_rising);
    const double n = (double)count, middle = n * part;
    const double beside = DEVIATIONS * sqrt(n * part * (1 - part));
    return (interval){
        .value = at_rank(values, count, ceil(middle - 1e-9 * n)),
        .low = at_rank(values, count, floor(middle - beside)),
        .high = at_rank(values, count, ceil(middle + beside) + 1),
    };
}

json_t *interval_json(interval i)
{
    json_t *out = bench_json(json_object());
    bench_put(out, "value", json_real(i.value));
    bench_put(out, "low", json_real(i.low));
    bench_put(out, "high", json_real(i.high));
    return out;
}
