/* SPDX-License-Identifier: MIT */
/* Growable blocks: growth in place, reuse whatever the size, refusals of budget and system. */
#include "fixture.h"

#include "growable.h"
#include "platform.h"

#include <string.h>

/* The system's part, made to refuse (see CMakeLists.txt). */
static struct {
    size_t reserve_most; /* 0: all there is */
    bool commit_fails;
    size_t reserves;
    size_t reserved_last;
} machine;

void *__real_ortp__pages_reserve(size_t bytes);
void *__wrap_ortp__pages_reserve(size_t bytes);
bool __real_ortp__pages_commit(void *pages, size_t bytes);
bool __real_ortp__pages_decommit(void *pages, size_t bytes);
bool __wrap_ortp__pages_decommit(void *pages, size_t bytes);
bool __wrap_ortp__pages_commit(void *pages, size_t bytes);

void *__wrap_ortp__pages_reserve(size_t bytes)
{
    machine.reserves++;
    machine.reserved_last = bytes;
    const bool refused = machine.reserve_most > 0 && bytes > machine.reserve_most;
    return refused ? NULL : __real_ortp__pages_reserve(bytes);
}

bool __wrap_ortp__pages_commit(void *pages, size_t bytes)
{
    return !machine.commit_fails && __real_ortp__pages_commit(pages, bytes);
}

bool __wrap_ortp__pages_decommit(void *pages, size_t bytes)
{
    return !machine.commit_fails && __real_ortp__pages_decommit(pages, bytes);
}

static ortp_block *must_grow_to(ortp_pool *pool, size_t bytes)
{
    ortp_block *block = NULL;
    assert_int_equal(ortp__pool_acquire_growable(pool, bytes, ORTP_LABEL_RUN, ORTP__USE_RUNS,
                                                 ORTP_RECLAIM_CACHE, &block),
                     ORTP_OK);
    assert_true(ortp__block_is_growable(block));
    assert_true(ortp_block_bytes(block) >= bytes);
    return block;
}

static void refused(ortp_pool *pool, size_t bytes, ortp_status expected)
{
    ortp_block *block = (ortp_block *)&block;
    assert_int_equal(ortp__pool_acquire_growable(pool, bytes, ORTP_LABEL_RUN, ORTP__USE_RUNS,
                                                 ORTP_RECLAIM_CACHE, &block),
                     expected);
    assert_null(block);
    assert_ledger(ortp_pool_budget(pool), pool);
}

static void grows_in_place(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 0);
    const size_t page = ortp__page_size();
    ortp_block *block = must_grow_to(f.pool, 100);
    assert_int_equal(in_use_bytes(f.pool), page);
    unsigned char *data = ortp_block_data(block);
    memset(data, 1, 100);
    assert_int_equal(ortp__block_grow(block, 10 * page, ORTP_RECLAIM_CACHE), ORTP_OK);
    assert_ptr_equal(ortp_block_data(block), data);
    assert_int_equal(data[99], 1);
    assert_true(ortp_block_bytes(block) >= 10 * page);
    memset(data, 2, ortp_block_bytes(block) + ORTP_BLOCK_TAIL);
    assert_int_equal(in_use_bytes(f.pool), 11 * page);
    assert_ledger(f.budget, f.pool);
    assert_int_equal(ortp__block_grow(block, 5, ORTP_RECLAIM_CACHE), ORTP_OK); /* has it */
    assert_int_equal(in_use_bytes(f.pool), 11 * page);
    assert_int_equal(maps_of(f.pool), 1);
    assert_int_equal(ortp_block_relabel(block, ORTP_LABEL_WEIGHTS), ORTP_OK);
    ortp_pool_info info = ORTP_POOL_INFO_INIT;
    ortp_pool_get_info(f.pool, &info);
    assert_int_equal(info.in_use_bytes[ORTP_LABEL_WEIGHTS], 11 * page);
    must_release(block);
    assert_int_equal(ortp_block_release(block), ORTP_E_INVAL);
    ortp_pool_get_info(f.pool, &info);
    assert_int_equal(info.idle_bytes, 11 * page);
    assert_int_equal(info.cached_bytes, 0); /* no thread keeps it to itself */
    fixture_close(&f);
}

/* A block of `bytes` for a value that outlives its run. */
static ortp_block *must_hold(ortp_pool *pool, size_t bytes)
{
    ortp_block *block = NULL;
    assert_int_equal(ortp__pool_acquire_growable(pool, bytes, ORTP_LABEL_RUN, ORTP__USE_VALUES,
                                                 ORTP_RECLAIM_CACHE, &block),
                     ORTP_OK);
    assert_true(ortp_block_bytes(block) >= bytes);
    return block;
}

/* Values take turns in blocks of their own: not in those of runs, nor in much larger ones. */
static void values_have_their_own(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 0);
    ortp_block *run = must_grow_to(f.pool, 400 * KIB);
    must_release(run);
    ortp_block *value = must_hold(f.pool, 400 * KIB);
    assert_ptr_not_equal(value, run);
    assert_true(machine.reserved_last < 4 * 410 * KIB); /* many may be held at a time */
    must_release(value);
    assert_ptr_equal(must_hold(f.pool, 101 * KIB), value); /* whatever their size */
    must_release(value);
    assert_ptr_equal(must_hold(f.pool, 900 * KIB), value);
    must_release(value);
    ortp_block *small = must_hold(f.pool, 100 * KIB); /* 900 would be held for 100 */
    assert_ptr_not_equal(small, value);
    must_release(small);
    assert_ptr_equal(must_hold(f.pool, 200 * KIB), small); /* grown */
    must_release(small);
    assert_ptr_equal(must_hold(f.pool, 230 * KIB), value);
    must_release(value);
    assert_ptr_equal(must_grow_to(f.pool, 100 * KIB), run);
    must_release(run);
    assert_int_equal(maps_of(f.pool), 3);
    ortp_block *huge = must_hold(f.pool, 300 * MIB);
    assert_true(machine.reserved_last < 301 * MIB);
    must_release(huge);
    fixture_close(&f);
}

/* Weights take no idle block, neither a large one to keep nor one that runs come back to. */
static void weights_have_their_own(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 3 * MIB);
    ortp_block *idle = must_grow_to(f.pool, MIB);
    must_release(idle);
    ortp_block *block = NULL;
    assert_int_equal(ortp__pool_acquire_growable(f.pool, 1, ORTP_LABEL_WEIGHTS, ORTP__USE_WEIGHTS,
                                                 ORTP_RECLAIM_CACHE, &block),
                     ORTP_OK);
    assert_ptr_not_equal(block, idle);
    assert_int_equal(maps_of(f.pool), 2);
    ortp_block *none = NULL;
    assert_int_equal(ortp__pool_acquire_growable(f.pool, 4 * MIB, ORTP_LABEL_WEIGHTS,
                                                 ORTP__USE_WEIGHTS, ORTP_RECLAIM_CACHE, &none),
                     ORTP_E_BUDGET);
    assert_null(none);
    must_release(block);
    fixture_close(&f);
}

/* A try to grow that fails leaves an idle block as old as it was. */
static void a_failed_try_makes_nothing_young(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), MIB);
    must_release(must_grow_to(f.pool, 100 * KIB));
    fake_clock_advance(&f.clock, 1000);
    refused(f.pool, 2 * MIB, ORTP_E_BUDGET);
    ortp_block *block = must_grow_to(f.pool, 100 * KIB); /* it may have been given back for it */
    must_release(block);
    fake_clock_advance(&f.clock, 1000);
    machine.commit_fails = true;
    refused(f.pool, 200 * KIB, ORTP_E_NOMEM);
    machine.commit_fails = false;
    ortp_pool_info info = ORTP_POOL_INFO_INIT;
    ortp_pool_get_info(f.pool, &info);
    assert_int_equal(info.acquires, info.releases);
    size_t freed = 0;
    assert_int_equal(ortp_pool_trim(f.pool, 0, 1000, &freed), ORTP_OK);
    assert_true(freed > 0);
    fixture_close(&f);
}

/* The smallest that is large enough, else the largest; blocks of fixed sizes are another matter. */
static void idle_ones_serve_every_size(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 0);
    ortp_block *small = must_grow_to(f.pool, 100 * KIB);
    ortp_block *middle = must_grow_to(f.pool, 300 * KIB);
    ortp_block *large = must_grow_to(f.pool, 500 * KIB);
    must_release(middle);
    must_release(large);
    must_release(small);
    assert_ptr_equal(must_grow_to(f.pool, 200 * KIB), middle);
    must_release(middle);
    assert_ptr_equal(must_grow_to(f.pool, 400 * KIB), large);
    assert_ptr_equal(must_grow_to(f.pool, 400 * KIB), middle); /* the larger of two too small */
    assert_true(ortp_block_bytes(middle) >= 400 * KIB);
    assert_ptr_equal(must_grow_to(f.pool, 1), small);
    assert_int_equal(maps_of(f.pool), 3);
    must_release(large);
    must_release(small);
    must_release(middle);
    /* 380 KiB map 384, which a block of 400 and some would serve if it were a plain one. */
    ortp_block *plain = must_acquire(f.pool, 380 * KIB, ORTP_LABEL_TENSORS);
    assert_false(ortp__block_is_growable(plain));
    assert_int_equal(maps_of(f.pool), 4);
    must_release(plain);
    ortp_block *slab = must_acquire(f.pool, 10, ORTP_LABEL_TENSORS);
    assert_false(ortp__block_is_growable(slab));
    must_release(slab);
    /* Nor does a plain one serve who wants to grow. */
    assert_int_equal(ortp_pool_trim(f.pool, 0, 0, NULL), ORTP_OK);
    plain = must_acquire(f.pool, 380 * KIB, ORTP_LABEL_TENSORS);
    must_release(plain);
    ortp_block *fresh = must_grow_to(f.pool, 300 * KIB);
    assert_ptr_not_equal(fresh, plain);
    must_release(fresh);
    fixture_close(&f);
}

static void discarded_ones_are_gone(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 0);
    ortp_block *kept = must_grow_to(f.pool, MIB);
    const size_t charged = charged_bytes(f.budget);
    ortp_block *block = must_grow_to(f.pool, MIB);
    ortp__block_discard(block);
    assert_int_equal(charged_bytes(f.budget), charged);
    assert_ledger(f.budget, f.pool);
    must_release(kept);
    size_t freed = 0;
    assert_int_equal(ortp_pool_trim(f.pool, 0, 0, &freed), ORTP_OK);
    assert_true(freed >= MIB);
    ortp_pool_info info = ORTP_POOL_INFO_INIT;
    ortp_pool_get_info(f.pool, &info);
    assert_int_equal(info.unmaps, 2);
    fixture_close(&f);
}

/* Of two that are too small the larger one, in whatever order they came back. */
static void the_larger_of_two_is_grown(void **state)
{
    for (int order = 0; order < 2; order++) {
        fixture f;
        fixture_open(&f, KIND_OF(state), 0);
        ortp_block *small = must_grow_to(f.pool, 100 * KIB);
        ortp_block *large = must_grow_to(f.pool, 300 * KIB);
        must_release(order == 0 ? small : large);
        must_release(order == 0 ? large : small);
        assert_ptr_equal(must_grow_to(f.pool, 400 * KIB), large);
        must_release(large);
        fixture_close(&f);
    }
}

/* The log of a denial, which comes when all reclaiming is over, is as late as a block can come back. */
static ortp_block *comes_back;

static void release_on_denial(void *ctx, ortp_log_level level, const char *message)
{
    (void)ctx;
    (void)message;
    if (level == ORTP_LOG_WARNING && comes_back != NULL) {
        must_release(comes_back);
        comes_back = NULL;
    }
}

static void one_that_comes_back_late_is_found(void **state)
{
    ortp_budget_options budget_options = ORTP_BUDGET_OPTIONS_INIT;
    budget_options.limit_bytes = 2 * MIB;
    budget_options.log = (ortp_logger){.fn = release_on_denial, .level = ORTP_LOG_WARNING};
    ortp_budget *budget = NULL;
    assert_int_equal(ortp_budget_create(&budget_options, &budget, NULL), ORTP_OK);
    ortp_pool_options pool_options = ORTP_POOL_OPTIONS_INIT;
    pool_options.budget = budget;
    pool_options.kind = KIND_OF(state);
    ortp_pool *pool = NULL;
    assert_int_equal(ortp_pool_create(&pool_options, &pool, NULL), ORTP_OK);
    ortp_block *block = must_grow_to(pool, 3 * MIB / 2);
    comes_back = block;
    assert_ptr_equal(must_grow_to(pool, MIB), block); /* denied a second one, it takes the first */
    assert_null(comes_back);
    must_release(block);
    assert_ledger(budget, pool);
    assert_int_equal(ortp_pool_destroy(pool, NULL), ORTP_OK);
    assert_int_equal(ortp_budget_destroy(budget, NULL), ORTP_OK);
}

/* Pages in the middle go back; what lies beside them stays as it is. */
static void pages_are_given_back(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 0);
    const size_t page = ortp__page_size();
    ortp_block *block = must_grow_to(f.pool, 10 * page - ORTP_BLOCK_TAIL);
    unsigned char *data = ortp_block_data(block);
    memset(data, 3, 10 * page);
    const size_t charged = charged_bytes(f.budget);
    ortp__block_give_pages(block, data + 10, data + page + 10); /* no whole page */
    ortp__block_give_pages(block, data + page, data + page);
    machine.commit_fails = true;
    ortp__block_give_pages(block, data, data + 5 * page);
    machine.commit_fails = false;
    assert_int_equal(charged_bytes(f.budget), charged);
    ortp__block_give_pages(block, data + 10, data + 4 * page + 10);
    assert_int_equal(charged_bytes(f.budget), charged - 3 * page);
    assert_int_equal(in_use_bytes(f.pool), 7 * page);
    assert_ledger(f.budget, f.pool);
    assert_int_equal(data[page - 1], 3);
    assert_int_equal(data[4 * page], 3);
    ortp__block_discard(block);
    assert_int_equal(in_use_bytes(f.pool), 0);
    fixture_close(&f);
}

static void the_budget_refuses(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), MIB);
    ortp_block *block = must_grow_to(f.pool, 512 * KIB);
    assert_int_equal(ortp__block_grow(block, MIB, ORTP_RECLAIM_CACHE), ORTP_E_BUDGET);
    assert_true(ortp_block_bytes(block) < 520 * KIB);
    assert_ledger(f.budget, f.pool);
    refused(f.pool, 800 * KIB, ORTP_E_BUDGET);
    must_release(block);
    refused(f.pool, MIB, ORTP_E_BUDGET); /* also the idle one, grown */
    block = must_grow_to(f.pool, 800 * KIB);
    must_release(block);
    fixture_close(&f);
}

static void the_system_refuses(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 0);
    machine.commit_fails = true;
    refused(f.pool, MIB, ORTP_E_NOMEM);
    machine.commit_fails = false;
    machine.reserve_most = 1; /* no address space at all */
    refused(f.pool, MIB, ORTP_E_NOMEM);
    machine.reserve_most = 4 * MIB; /* little of it */
    machine.reserves = 0;
    ortp_block *block = must_grow_to(f.pool, MIB);
    assert_true(machine.reserves > 1);
    assert_int_equal(ortp__block_grow(block, 2 * MIB, ORTP_RECLAIM_CACHE), ORTP_OK);
    assert_int_equal(ortp__block_grow(block, 4 * MIB, ORTP_RECLAIM_CACHE),
                     ORTP_E_NOMEM); /* its end */
    machine.commit_fails = true;
    assert_int_equal(ortp__block_grow(block, 3 * MIB, ORTP_RECLAIM_CACHE), ORTP_E_NOMEM);
    assert_ledger(f.budget, f.pool);
    machine.commit_fails = false;
    machine.reserve_most = 0;
    must_release(block);
    ortp_block *wide = must_grow_to(f.pool, 4 * MIB); /* not the one whose space ends before */
    assert_ptr_not_equal(wide, block);
    must_release(wide);
    fixture_close(&f);
}

static void sizes_beyond_all_bounds(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 64 * MIB);
    refused(f.pool, SIZE_MAX, ORTP_E_INVAL);
    refused(f.pool, SIZE_MAX / 4, ORTP_E_BUDGET);
    refused(f.pool, (size_t)1 << 30, ORTP_E_BUDGET);
    assert_null(__real_ortp__pages_reserve(SIZE_MAX / 2 + 1)); /* no address space is that large */
    ortp_block *block = must_grow_to(f.pool, 1);
    assert_int_equal(ortp__block_grow(block, SIZE_MAX, ORTP_RECLAIM_CACHE), ORTP_E_NOMEM);
    /* A sum that overflows never fits. */
    assert_int_equal(ortp_budget_set_limit(f.budget, ORTP_UNLIMITED, NULL), ORTP_OK);
    const size_t rest = SIZE_MAX - charged_bytes(f.budget) - 1000;
    assert_int_equal(ortp_budget_charge(f.budget, ORTP_ACCOUNT_DECLARED, rest, ORTP_RECLAIM_NONE),
                     ORTP_OK);
    assert_int_equal(ortp__block_grow(block, MIB, ORTP_RECLAIM_CACHE), ORTP_E_BUDGET);
    assert_int_equal(ortp_budget_refund(f.budget, ORTP_ACCOUNT_DECLARED, rest), ORTP_OK);
    must_release(block);
    fixture_close(&f);
}

static void warm_ones_are_ready(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 0);
    must_release(must_grow_to(f.pool, 64 * KIB)); /* counts as one of them, grown */
    assert_int_equal(ortp__pool_warm_growable(f.pool, MIB, 3), ORTP_OK);
    assert_int_equal(maps_of(f.pool), 3);
    ortp_pool_info info = ORTP_POOL_INFO_INIT;
    ortp_pool_get_info(f.pool, &info);
    assert_int_equal(info.acquires, 1);
    assert_int_equal(info.releases, 1);
    assert_int_equal(info.idle_blocks, 3);
    ortp_block *blocks[3];
    for (size_t i = 0; i < 3; i++) {
        blocks[i] = must_grow_to(f.pool, MIB);
    }
    assert_int_equal(maps_of(f.pool), 3);
    for (size_t i = 0; i < 3; i++) {
        must_release(blocks[i]);
    }
    assert_int_equal(ortp_budget_set_limit(f.budget, charged_bytes(f.budget), NULL), ORTP_OK);
    assert_int_equal(ortp__pool_warm_growable(f.pool, MIB, 4), ORTP_E_BUDGET);
    assert_int_equal(maps_of(f.pool), 3);
    assert_ledger(f.budget, f.pool);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH_KINDS(grows_in_place),
        BOTH_KINDS(idle_ones_serve_every_size),
        BOTH_KINDS(discarded_ones_are_gone),
        BOTH_KINDS(the_budget_refuses),
        BOTH_KINDS(the_system_refuses),
        BOTH_KINDS(sizes_beyond_all_bounds),
        BOTH_KINDS(warm_ones_are_ready),
        BOTH_KINDS(values_have_their_own),
        BOTH_KINDS(weights_have_their_own),
        BOTH_KINDS(the_larger_of_two_is_grown),
        BOTH_KINDS(one_that_comes_back_late_is_found),
        BOTH_KINDS(a_failed_try_makes_nothing_young),
        BOTH_KINDS(pages_are_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
