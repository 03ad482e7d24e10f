/* SPDX-License-Identifier: MIT */
/* Warming: what was warmed is acquired without a mapping, a page fault or a heap allocation. */
#define _DEFAULT_SOURCE 1

#include "fixture.h"
#include "machine.h"

#include <sys/resource.h>

static const ortp_pool_need needs[] = {
    {64, 3},    {640, 150},  {640, 1},    {5632, 4},   {38400, 10}, {57344, 9},
    {57345, 2}, {153600, 2}, {614400, 3}, {700000, 1}, {0, 2},      {1228800, 1},
};
#define NEEDS (sizeof needs / sizeof *needs)
#define BLOCKS 188

/* All needs at the same time; from the last to the first where `reverse`. */
static size_t acquire_all(ortp_pool *pool, ortp_block **blocks, bool reverse)
{
    size_t count = 0;
    for (size_t i = 0; i < NEEDS; i++) {
        const ortp_pool_need *need = &needs[reverse ? NEEDS - 1 - i : i];
        for (size_t k = 0; k < need->count; k++) {
            blocks[count++] = must_acquire(pool, need->bytes, ORTP_LABEL_RUN);
        }
    }
    return count;
}

static void release_all(ortp_block **blocks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        must_release(blocks[i]);
    }
}

static void warmed_needs_are_acquired_without_mapping(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 0);
    assert_int_equal(ortp_pool_warm(f.pool, needs, NEEDS), ORTP_OK);
    assert_ledger(f.budget, f.pool);
    ortp_pool_info info = ORTP_POOL_INFO_INIT;
    ortp_pool_get_info(f.pool, &info);
    assert_int_equal(info.in_use_blocks, 0);
    assert_int_equal(info.acquires, 0);
    assert_int_equal(info.idle_bytes, ortp_pool_warm_bytes(f.pool, needs, NEEDS));

    uint64_t maps = maps_of(f.pool);
    uint64_t allocations = f.alloc.calls;
    ortp_block *blocks[BLOCKS];
    for (int round = 0; round < 4; round++) {
        size_t count = acquire_all(f.pool, blocks, round % 2 == 1);
        assert_int_equal(count, BLOCKS);
        assert_int_equal(maps_of(f.pool), maps);
        release_all(blocks, count);
    }
    assert_int_equal(f.alloc.calls, allocations);
    ortp_pool_get_info(f.pool, &info);
    assert_int_equal(info.reuses, 4 * BLOCKS);
    fixture_close(&f);
}

static void warming_twice_maps_nothing(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 0);
    assert_int_equal(ortp_pool_warm(f.pool, needs, NEEDS), ORTP_OK);
    uint64_t maps = maps_of(f.pool);
    assert_int_equal(ortp_pool_warm(f.pool, needs, NEEDS), ORTP_OK);
    assert_int_equal(maps_of(f.pool), maps);
    /* Also when the blocks lie in this thread's magazines by now. */
    ortp_block *blocks[BLOCKS];
    release_all(blocks, acquire_all(f.pool, blocks, false));
    assert_int_equal(ortp_pool_warm(f.pool, needs, NEEDS), ORTP_OK);
    assert_int_equal(maps_of(f.pool), maps);
    /* One block that is out is missing. */
    ortp_block *out = must_acquire(f.pool, 614400, ORTP_LABEL_RUN);
    assert_int_equal(ortp_pool_warm(f.pool, needs, NEEDS), ORTP_OK);
    assert_int_equal(maps_of(f.pool), maps + 1);
    must_release(out);
    fixture_close(&f);
}

/* Idle blocks of other sizes must not stand in for a need: that would depend on the order of use. */
static void warmed_needs_fit_in_any_order(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 0);
    /* Idle: one that would serve both needs, one that would serve the second only. */
    ortp_block *odd[2] = {must_acquire(f.pool, 750000, ORTP_LABEL_RUN),
                          must_acquire(f.pool, 840000, ORTP_LABEL_RUN)};
    release_all(odd, 2);
    ortp_pool_need two[] = {{600000, 1}, {680000, 1}};
    assert_int_equal(ortp_pool_warm(f.pool, two, 2), ORTP_OK);
    uint64_t maps_of_two = maps_of(f.pool);
    odd[0] = must_acquire(f.pool, 680000, ORTP_LABEL_RUN);
    odd[1] = must_acquire(f.pool, 600000, ORTP_LABEL_RUN);
    assert_int_equal(maps_of(f.pool), maps_of_two);
    release_all(odd, 2);

    assert_int_equal(ortp_pool_warm(f.pool, needs, NEEDS), ORTP_OK);
    uint64_t maps = maps_of(f.pool);
    ortp_block *blocks[BLOCKS];
    release_all(blocks, acquire_all(f.pool, blocks, true));
    release_all(blocks, acquire_all(f.pool, blocks, false));
    assert_int_equal(maps_of(f.pool), maps);
    fixture_close(&f);
}

/* Nor may a block that lies nearer, in this thread's magazine, and is a little too large. */
static void warmed_blocks_are_not_taken_for_each_other(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 0);
    ortp_pool_need two[] = {{1000000, 1}, {900000, 1}};
    assert_int_equal(ortp_pool_warm(f.pool, two, 2), ORTP_OK);
    for (int round = 0; round < 4; round++) {
        bool turned = round % 2 == 1;
        ortp_block *first = must_acquire(f.pool, turned ? 900000 : 1000000, ORTP_LABEL_RUN);
        ortp_block *second = must_acquire(f.pool, turned ? 1000000 : 900000, ORTP_LABEL_RUN);
        must_release(round < 2 ? first : second); /* the other one flushes it from the magazine */
        must_release(round < 2 ? second : first);
    }
    assert_int_equal(maps_of(f.pool), 2);
    fixture_close(&f);
}

static void warmed_pages_are_present(void **state)
{
    if (!test_advice_heeded()) {
        skip();
    }
    fixture f;
    fixture_open(&f, KIND_OF(state), 0);
    ortp_pool_need need[] = {{3 * MIB, 2}, {5000, 20}};
    assert_int_equal(ortp_pool_warm(f.pool, need, 2), ORTP_OK);
    ortp_block *blocks[22];
    struct rusage before, after;
    for (size_t i = 0; i < 22; i++) {
        blocks[i] = must_acquire(f.pool, i < 2 ? 3 * MIB : 5000, ORTP_LABEL_RUN);
    }
    assert_int_equal(getrusage(RUSAGE_SELF, &before), 0);
    for (size_t i = 0; i < 22; i++) {
        volatile unsigned char *data = ortp_block_data(blocks[i]);
        for (size_t k = 0; k < ortp_block_bytes(blocks[i]); k += 4096) {
            data[k] = 1;
        }
    }
    assert_int_equal(getrusage(RUSAGE_SELF, &after), 0);
    if (!FIXTURE_SANITIZED) {
        /* 1,560 pages without warming; a few may be the system's own doing. */
        assert_true(after.ru_minflt - before.ru_minflt < 20);
    }
    release_all(blocks, 22);
    fixture_close(&f);
}

static void warm_bytes_are_exact(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 0);
    assert_int_equal(ortp_pool_warm_bytes(f.pool, NULL, 0), 0);
    ortp_pool_need none = {614400, 0};
    assert_int_equal(ortp_pool_warm_bytes(f.pool, &none, 1), 0);
    for (size_t i = 0; i < NEEDS; i++) {
        fixture g;
        fixture_open(&g, KIND_OF(state), 0);
        assert_int_equal(ortp_pool_warm(g.pool, &needs[i], 1), ORTP_OK);
        ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
        ortp_budget_get_info(g.budget, &info);
        assert_int_equal(ortp_pool_warm_bytes(f.pool, &needs[i], 1),
                         info.account_bytes[ORTP_ACCOUNT_BLOCKS]);
        fixture_close(&g);
    }
    assert_int_equal(ortp_pool_warm_bytes(NULL, needs, NEEDS),
                     ortp_pool_warm_bytes(f.pool, needs, NEEDS));
    ortp_pool_need huge[] = {{SIZE_MAX, 1}, {MIB, SIZE_MAX}, {64, SIZE_MAX}};
    assert_int_equal(ortp_pool_warm_bytes(f.pool, &huge[0], 1), SIZE_MAX);
    assert_int_equal(ortp_pool_warm_bytes(f.pool, &huge[1], 1), SIZE_MAX);
    assert_int_equal(ortp_pool_warm_bytes(f.pool, &huge[2], 1), SIZE_MAX);
    fixture_close(&f);
}

static void failed_warming_leaves_all_idle(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 0);
    assert_int_equal(ortp_budget_set_limit(f.budget, charged_bytes(f.budget) + 3 * MIB, NULL),
                     ORTP_OK);
    ortp_pool_need need = {MIB - 64, 5};
    assert_int_equal(ortp_pool_warm(f.pool, &need, 1), ORTP_E_BUDGET);
    ortp_pool_info info = ORTP_POOL_INFO_INIT;
    ortp_pool_get_info(f.pool, &info);
    assert_int_equal(info.in_use_blocks, 0);
    assert_int_equal(info.idle_blocks, 2);
    assert_ledger(f.budget, f.pool);
    need = (ortp_pool_need){SIZE_MAX, 1};
    assert_int_equal(ortp_pool_warm(f.pool, &need, 1), ORTP_E_INVAL);
    assert_int_equal(ortp_pool_warm(f.pool, NULL, 1), ORTP_E_INVAL);
    assert_int_equal(ortp_pool_warm(f.pool, NULL, 0), ORTP_OK);
    assert_int_equal(ortp_pool_warm(NULL, &need, 1), ORTP_E_INVAL);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH_KINDS(warmed_needs_are_acquired_without_mapping),
        BOTH_KINDS(warming_twice_maps_nothing),
        BOTH_KINDS(warmed_needs_fit_in_any_order),
        BOTH_KINDS(warmed_blocks_are_not_taken_for_each_other),
        BOTH_KINDS(warmed_pages_are_present),
        BOTH_KINDS(warm_bytes_are_exact),
        BOTH_KINDS(failed_warming_leaves_all_idle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
