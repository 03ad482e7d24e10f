/* SPDX-License-Identifier: MIT */
/*
 * The seed's own budget, as its sketch had it: look whether it fits, then add. Between the two
 * another thread may do the same, and both are let in. The atomic does not help: the check and the
 * addition are two operations. (The yield stands for the scheduler, which does it some day anyway.)
 */
#include "budget_subject.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

typedef struct broken_budget {
    size_t limit;
    atomic_size_t used;
} broken_budget;

static bool charge(void *ctx, size_t bytes)
{
    broken_budget *b = ctx;
    if (atomic_load(&b->used) + bytes > b->limit) {
        return false;
    }
    sched_yield();
    atomic_fetch_add(&b->used, bytes);
    return true;
}

static void refund(void *ctx, size_t bytes)
{
    broken_budget *b = ctx;
    atomic_fetch_sub(&b->used, bytes);
}

static size_t charged(void *ctx)
{
    broken_budget *b = ctx;
    return atomic_load(&b->used);
}

bool broken_budget_make(size_t limit_bytes, budget_subject *out, size_t *empty_bytes)
{
    broken_budget *b = calloc(1, sizeof(*b));
    if (!b) {
        return false;
    }
    b->limit = limit_bytes;
    *empty_bytes = 0;
    *out = (budget_subject){"check, then add", b, charge, refund, charged, free};
    return true;
}
