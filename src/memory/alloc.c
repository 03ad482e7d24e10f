/* SPDX-License-Identifier: MIT */
/*
 * Control structures: the injectable allocator, its charge to the budget, structs of other versions
 * (options that come in, figures that go out) and the injectable clock.
 */
#include "internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void *system_alloc(void *ctx, size_t bytes)
{
    (void)ctx;
    return malloc(bytes);
}

static void system_free(void *ctx, void *ptr, size_t bytes)
{
    (void)ctx;
    (void)bytes;
    free(ptr);
}

ortp_status ortp__alloc_resolve(const ortp_alloc *given, ortp_alloc *out)
{
    if ((given->alloc == NULL) != (given->free == NULL)) {
        return ORTP_E_INVAL;
    }
    if (given->alloc != NULL) {
        *out = *given;
    } else {
        *out = (ortp_alloc){.alloc = system_alloc, .free = system_free, .ctx = NULL};
    }
    return ORTP_OK;
}

void *ortp__raw_alloc(const ortp_alloc *alloc, size_t bytes)
{
    void *ptr = alloc->alloc(alloc->ctx, bytes);
    if (ptr != NULL) {
        memset(ptr, 0, bytes);
    }
    return ptr;
}

void ortp__raw_free(const ortp_alloc *alloc, void *ptr, size_t bytes)
{
    if (ptr != NULL) {
        alloc->free(alloc->ctx, ptr, bytes);
    }
}

ortp_status ortp__meta_alloc(ortp_budget *budget, const ortp_alloc *alloc, size_t bytes,
                             ortp_reclaim reclaim, void **out)
{
    *out = NULL;
    ortp_status status = ortp_budget_charge(budget, ORTP_ACCOUNT_METADATA, bytes, reclaim);
    if (status != ORTP_OK) {
        return status == ORTP_E_INVAL ? ORTP_E_BUDGET
                                      : status; /* a sum that overflows never fits */
    }
    void *ptr = ortp__raw_alloc(alloc, bytes);
    if (ptr == NULL) {
        (void)ortp_budget_refund(budget, ORTP_ACCOUNT_METADATA, bytes);
        return ORTP_E_NOMEM;
    }
    *out = ptr;
    return ORTP_OK;
}

void ortp__meta_free(ortp_budget *budget, const ortp_alloc *alloc, void *ptr, size_t bytes)
{
    if (ptr == NULL) {
        return;
    }
    ortp__raw_free(alloc, ptr, bytes);
    ortp_status status = ortp_budget_refund(budget, ORTP_ACCOUNT_METADATA, bytes);
    assert(status == ORTP_OK);
    (void)status;
}

uint64_t ortp__clock_ms(const ortp_clock *clock)
{
    return clock->now_ms != NULL ? clock->now_ms(clock->ctx) : ortp__now_ms();
}

uint64_t ortp__clock_stamp_ms(const ortp_clock *clock)
{
    return clock->now_ms != NULL ? clock->now_ms(clock->ctx) : ortp__now_about_ms();
}

ortp_status ortp__options_copy(void *out, size_t out_bytes, const void *given)
{
    memset(out, 0, out_bytes);
    size_t given_bytes = out_bytes;
    if (given != NULL) {
        memcpy(&given_bytes, given, sizeof given_bytes);
        if (given_bytes < sizeof given_bytes) {
            return ORTP_E_VERSION;
        }
        const unsigned char *tail = given;
        for (size_t i = out_bytes; i < given_bytes; i++) {
            if (tail[i] != 0) {
                return ORTP_E_VERSION; /* a newer caller asks for something unknown here */
            }
        }
        memcpy(out, given, given_bytes < out_bytes ? given_bytes : out_bytes);
    }
    memcpy(out, &out_bytes, sizeof out_bytes);
    return ORTP_OK;
}

ortp_status ortp__out_check(const void *out)
{
    if (out == NULL) {
        return ORTP_E_INVAL;
    }
    size_t out_bytes;
    memcpy(&out_bytes, out, sizeof out_bytes);
    return out_bytes < sizeof out_bytes ? ORTP_E_VERSION : ORTP_OK;
}

void ortp__out_copy(void *out, size_t out_bytes, const void *own, size_t own_bytes)
{
    memcpy(out, own, own_bytes < out_bytes ? own_bytes : out_bytes);
    memcpy(out, &out_bytes, sizeof out_bytes);
}

ortp_status ortp__out_fill(void *out, const void *own, size_t own_bytes)
{
    const ortp_status status = ortp__out_check(out);
    if (status == ORTP_OK) {
        size_t out_bytes;
        memcpy(&out_bytes, out, sizeof out_bytes);
        ortp__out_copy(out, out_bytes, own, own_bytes);
    }
    return status;
}
