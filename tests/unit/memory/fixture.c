/* SPDX-License-Identifier: MIT */
/* See fixture.h. */
#define _DEFAULT_SOURCE 1

#include "fixture.h"

#include <string.h>
#include <time.h>

const ortp_pool_kind fixture_kind_a = ORTP_POOL_THREAD_CACHED;
const ortp_pool_kind fixture_kind_b = ORTP_POOL_STRIPED;

ortp_pool_options fixture_pool_options(fixture *f, ortp_pool_kind kind)
{
    ortp_pool_options options = ORTP_POOL_OPTIONS_INIT;
    options.budget = f->budget;
    options.kind = kind;
    options.stripes = 4;
    options.thread_cache_bytes = MIB;
    options.alloc = counting_alloc_use(&f->alloc);
    options.clock = fake_clock_use(&f->clock);
    return options;
}

void fixture_open(fixture *f, ortp_pool_kind kind, size_t limit)
{
    memset(f, 0, sizeof *f);
    fake_clock_advance(&f->clock, 1000);
    ortp_budget_options budget_options = ORTP_BUDGET_OPTIONS_INIT;
    budget_options.limit_bytes = limit;
    budget_options.alloc = counting_alloc_use(&f->alloc);
    assert_int_equal(ortp_budget_create(&budget_options, &f->budget, NULL), ORTP_OK);
    ortp_pool_options options = fixture_pool_options(f, kind);
    ortp_error error = ORTP_ERROR_INIT;
    assert_int_equal(ortp_pool_create(&options, &f->pool, &error), ORTP_OK);
}

void fixture_close(fixture *f)
{
    if (f->pool != NULL) {
        assert_ledger(f->budget, f->pool);
    }
    assert_int_equal(ortp_pool_destroy(f->pool, NULL), ORTP_OK);
    ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(f->budget, &info);
    assert_int_equal(info.account_bytes[ORTP_ACCOUNT_BLOCKS], 0);
    assert_int_equal(info.refund_errors, 0);
    assert_int_equal(ortp_budget_destroy(f->budget, NULL), ORTP_OK);
    counting_alloc_assert_empty(&f->alloc);
}

size_t in_use_bytes(const ortp_pool *pool)
{
    ortp_pool_info info = ORTP_POOL_INFO_INIT;
    ortp_pool_get_info(pool, &info);
    size_t sum = 0;
    for (size_t i = 0; i < ORTP_LABEL_COUNT; i++) {
        sum += info.in_use_bytes[i];
    }
    return sum;
}

size_t charged_bytes(const ortp_budget *budget)
{
    ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(budget, &info);
    return info.charged_bytes;
}

uint64_t maps_of(const ortp_pool *pool)
{
    ortp_pool_info info = ORTP_POOL_INFO_INIT;
    ortp_pool_get_info(pool, &info);
    return info.maps;
}

void assert_ledger(const ortp_budget *budget, const ortp_pool *pool)
{
    ortp_budget_info account = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(budget, &account);
    ortp_pool_info info = ORTP_POOL_INFO_INIT;
    ortp_pool_get_info(pool, &info);
    assert_int_equal(account.account_bytes[ORTP_ACCOUNT_BLOCKS],
                     in_use_bytes(pool) + info.idle_bytes);
    assert_true(info.cached_bytes <= info.idle_bytes);
    assert_int_equal(info.acquires - info.releases, info.in_use_blocks);
    assert_int_equal(account.mapped_bytes, account.account_bytes[ORTP_ACCOUNT_BLOCKS] +
                                               account.account_bytes[ORTP_ACCOUNT_METADATA]);
    assert_int_equal(account.charged_bytes,
                     account.mapped_bytes + account.account_bytes[ORTP_ACCOUNT_DECLARED]);
    assert_true(account.charged_bytes <= account.limit_bytes);
    assert_int_equal(account.refund_errors, 0);
}

ortp_block *must_acquire(ortp_pool *pool, size_t bytes, ortp_label label)
{
    ortp_block *block = NULL;
    assert_int_equal(ortp_pool_acquire(pool, bytes, label, &block), ORTP_OK);
    assert_non_null(block);
    return block;
}

void must_release(ortp_block *block)
{
    assert_int_equal(ortp_block_release(block), ORTP_OK);
}

uint64_t random_next(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

size_t random_below(uint64_t *state, size_t bound)
{
    return (size_t)(random_next(state) % bound);
}

void sleep_ms(unsigned ms)
{
    struct timespec time = {.tv_sec = (time_t)(ms / 1000u),
                            .tv_nsec = (long)(ms % 1000u) * 1000000};
    while (nanosleep(&time, &time) != 0) {
    }
}
