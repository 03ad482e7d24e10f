/* SPDX-License-Identifier: MIT */
/* ortpool's budget as seed_bounded sees it. */
#include "budget_subject.h"

#include <ortpool/budget.h>

static bool charge(void *ctx, size_t bytes)
{
    return ortp_budget_charge(ctx, ORTP_ACCOUNT_BLOCKS, bytes, ORTP_RECLAIM_NONE) == ORTP_OK;
}

static void refund(void *ctx, size_t bytes)
{
    ortp_budget_refund(ctx, ORTP_ACCOUNT_BLOCKS, bytes);
}

static size_t charged(void *ctx)
{
    ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(ctx, &info);
    return info.charged_bytes;
}

static void destroy(void *ctx)
{
    ortp_budget_destroy(ctx,
                        NULL); /* busy where the sum is not zero, which the test has seen by then */
}

bool real_budget_make(size_t limit_bytes, budget_subject *out, size_t *empty_bytes)
{
    ortp_budget_options options = ORTP_BUDGET_OPTIONS_INIT;
    options.limit_bytes = limit_bytes;
    ortp_budget *budget = NULL;
    if (ortp_budget_create(&options, &budget, NULL) != ORTP_OK) {
        return false;
    }
    *empty_bytes = charged(budget);
    *out = (budget_subject){"ortpool", budget, charge, refund, charged, destroy};
    return true;
}
