/* SPDX-License-Identifier: MIT */
/* Percentiles by nearest rank over all values: exact, and an evaluation has thousands, not
 * millions. */
#include "percentiles.h"

#include <stdlib.h>

bool percentiles_add(percentiles *p, uint64_t value)
{
    if (p->count == p->capacity) {
        size_t capacity = p->capacity == 0 ? 256 : p->capacity * 2;
        uint64_t *values = realloc(p->values, capacity * sizeof(*values));
        if (values == NULL) {
            return false;
        }
        p->values = values;
        p->capacity = capacity;
    }
    p->values[p->count++] = value;
    p->sorted = false;
    return true;
}

static int compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

uint64_t percentiles_get(percentiles *p, double percent)
{
    if (p->count == 0) {
        return 0;
    }
    if (!p->sorted) {
        qsort(p->values, p->count, sizeof(*p->values), compare);
        p->sorted = true;
    }
    double exact = percent / 100 * (double)p->count;
    size_t rank = (size_t)exact;
    /* Rounds up, but not for a product that is above a whole number by its rounding error alone. */
    if (exact - (double)rank > 1e-9 * (double)p->count) {
        rank++;
    }
    if (rank < 1) {
        rank = 1;
    }
    return p->values[rank - 1];
}

double percentiles_mean(const percentiles *p)
{
    double sum = 0;
    for (size_t i = 0; i < p->count; i++) {
        sum += (double)p->values[i];
    }
    return p->count == 0 ? 0 : sum / (double)p->count;
}

void percentiles_free(percentiles *p)
{
    free(p->values);
    *p = (percentiles){0};
}
