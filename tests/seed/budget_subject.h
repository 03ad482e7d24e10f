/* SPDX-License-Identifier: MIT */
/* A budget as seed_bounded sees it: ortpool's, or the broken one it must tell from it. */
#ifndef SEED_BUDGET_SUBJECT_H
#define SEED_BUDGET_SUBJECT_H

#include <stdbool.h>
#include <stddef.h>

typedef struct budget_subject {
    const char *name;
    void *ctx;
    bool (*charge)(void *ctx, size_t bytes);
    void (*refund)(void *ctx, size_t bytes);
    size_t (*charged)(void *ctx);
    void (*destroy)(void *ctx);
} budget_subject;

/* False on failure. empty_bytes: what it says is charged when nothing is. */
bool real_budget_make(size_t limit_bytes, budget_subject *out, size_t *empty_bytes);
bool broken_budget_make(size_t limit_bytes, budget_subject *out, size_t *empty_bytes);

#endif
