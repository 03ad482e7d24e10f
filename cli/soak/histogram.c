/* SPDX-License-Identifier: MIT */
/*
 * Bucket of a value: its highest bit says the power of two, the five bits below it which of 32.
 *
 *     0 .. 31    as they are
 *     2^e + m * 2^(e-5) .. + 2^(e-5) - 1    (e - 5 + 1) * 32 + m,   e = 5 .. 39, m = 0 .. 31
 */
#include "histogram.h"

#include <math.h>

static unsigned highest_bit(uint64_t value)
{
    unsigned bit = 0;
    while (value >>= 1) {
        bit++;
    }
    return bit;
}

static unsigned bucket_of(uint64_t value)
{
    if (value >= UINT64_C(1) << HISTOGRAM_TOP) {
        return HISTOGRAM_BUCKETS - 1;
    }
    if (value < 1u << HISTOGRAM_BITS) {
        return (unsigned)value;
    }
    const unsigned shift = highest_bit(value) - HISTOGRAM_BITS;
    return (shift << HISTOGRAM_BITS) + (unsigned)(value >> shift);
}

/* The largest value of a bucket. */
static uint64_t bucket_end(unsigned bucket)
{
    if (bucket < 2u << HISTOGRAM_BITS) {
        return bucket;
    }
    const unsigned shift = (bucket >> HISTOGRAM_BITS) - 1;
    const uint64_t part = bucket - (shift << HISTOGRAM_BITS);
    return ((part + 1) << shift) - 1;
}

void histogram_add(histogram *h, uint64_t value)
{
    h->buckets[bucket_of(value)]++;
    h->count++;
    h->max = value > h->max ? value : h->max;
}

void histogram_merge(histogram *into, const histogram *from)
{
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        into->buckets[i] += from->buckets[i];
    }
    into->count += from->count;
    into->max = from->max > into->max ? from->max : into->max;
}

uint64_t histogram_get(const histogram *h, double percent)
{
    const double exact = percent / 100 * (double)h->count;
    const uint64_t rank = (uint64_t)ceil(exact - 1e-9 * (double)h->count);
    uint64_t seen = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS && rank < h->count; i++) {
        seen += h->buckets[i];
        if (seen >= rank && seen > 0) {
            const uint64_t end = bucket_end(i);
            return end < h->max && i + 1 < HISTOGRAM_BUCKETS ? end : h->max;
        }
    }
    return h->max;
}
