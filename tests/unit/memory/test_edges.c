/* SPDX-License-Identifier: MIT */
/* Ends of ranges and misuse: sums near SIZE_MAX, NULL, unknown enumerators, the last of a slab. */
#include "fixture.h"

#include "internal.h"

#include <ortpool/stats.h>

#include <string.h>

static void *const nowhere = (void *)(uintptr_t)64;

/* ---- sums near SIZE_MAX ---- */

typedef struct charger {
    ortp_budget *budget;
    size_t bytes;
    int calls;
} charger;

/* A reclaimer that gives nothing and takes instead, as another thread might meanwhile. */
static size_t take_more(void *ctx, size_t wanted)
{
    charger *c = ctx;
    (void)wanted;
    if (c->calls++ == 0) {
        assert_int_equal(
            ortp_budget_charge(c->budget, ORTP_ACCOUNT_DECLARED, c->bytes, ORTP_RECLAIM_NONE),
            ORTP_OK);
    }
    return 1;
}

static void a_charge_that_overflows_while_reclaiming_is_denied(void **state)
{
    (void)state;
    fixture f;
    fixture_open(&f, ORTP_POOL_STRIPED, SIZE_MAX - 1);
    charger c = {.budget = f.budget, .bytes = 4096};
    ortp_reclaimer *reclaimer;
    assert_int_equal(
        ortp_budget_add_reclaimer(f.budget, ORTP_RECLAIM_CACHE, take_more, &c, &reclaimer),
        ORTP_OK);
    /* The sum is SIZE_MAX, one too many; with what the reclaimer takes it cannot be written down. */
    size_t bytes = SIZE_MAX - charged_bytes(f.budget);
    assert_int_equal(ortp_budget_charge(f.budget, ORTP_ACCOUNT_DECLARED, bytes, ORTP_RECLAIM_CACHE),
                     ORTP_E_BUDGET);
    assert_true(c.calls > 0);
    assert_int_equal(ortp_budget_refund(f.budget, ORTP_ACCOUNT_DECLARED, c.bytes), ORTP_OK);
    ortp_budget_remove_reclaimer(f.budget, reclaimer);
    fixture_close(&f);
}

static void a_block_that_overflows_the_sum_is_denied(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 0);
    size_t bytes = SIZE_MAX - charged_bytes(f.budget) - 100;
    assert_int_equal(ortp_budget_charge(f.budget, ORTP_ACCOUNT_DECLARED, bytes, ORTP_RECLAIM_NONE),
                     ORTP_OK);
    static const size_t sizes[] = {64, 100 * 1024}; /* in a slab, with a mapping of its own */
    for (size_t i = 0; i < ORTP__COUNT(sizes); i++) {
        ortp_block *block = nowhere;
        assert_int_equal(ortp_pool_acquire(f.pool, sizes[i], ORTP_LABEL_OTHER, &block),
                         ORTP_E_BUDGET);
        assert_null(block);
    }
    assert_int_equal(ortp_budget_refund(f.budget, ORTP_ACCOUNT_DECLARED, bytes), ORTP_OK);
    fixture_close(&f);
}

/* ---- the budget ---- */

static void room_where_the_limit_was_lowered(void **state)
{
    (void)state;
    fixture f;
    fixture_open(&f, ORTP_POOL_STRIPED, 16 * MIB);
    assert_true(ortp__budget_has_room(f.budget, MIB));
    assert_false(ortp__budget_has_room(f.budget, 17 * MIB));
    ortp_block *block = must_acquire(f.pool, MIB, ORTP_LABEL_OTHER);
    size_t excess = 0;
    assert_int_equal(ortp_budget_set_limit(f.budget, MIB, &excess), ORTP_E_BUSY);
    assert_true(excess > 0);
    assert_false(ortp__budget_has_room(f.budget, 0));
    must_release(block);
    assert_int_equal(ortp_budget_set_limit(f.budget, 16 * MIB, &excess), ORTP_OK);
    fixture_close(&f);
}

static size_t give_nothing(void *ctx, size_t wanted)
{
    (void)ctx;
    (void)wanted;
    return 0;
}

static void misused_reclaimers(void **state)
{
    (void)state;
    fixture f;
    fixture_open(&f, ORTP_POOL_STRIPED, 0);
    ortp_reclaimer *reclaimer = nowhere;
    const ortp_reclaim unknown = (ortp_reclaim)99;
    assert_int_equal(
        ortp_budget_add_reclaimer(NULL, ORTP_RECLAIM_CACHE, give_nothing, NULL, &reclaimer),
        ORTP_E_INVAL);
    assert_null(reclaimer);
    assert_int_equal(
        ortp_budget_add_reclaimer(f.budget, ORTP_RECLAIM_CACHE, NULL, NULL, &reclaimer),
        ORTP_E_INVAL);
    assert_int_equal(ortp_budget_add_reclaimer(f.budget, unknown, give_nothing, NULL, &reclaimer),
                     ORTP_E_INVAL);
    assert_int_equal(
        ortp_budget_add_reclaimer(f.budget, ORTP_RECLAIM_NONE, give_nothing, NULL, &reclaimer),
        ORTP_E_INVAL);
    assert_int_equal(
        ortp_budget_add_reclaimer(f.budget, ORTP_RECLAIM_CACHE, give_nothing, NULL, NULL),
        ORTP_E_INVAL);
    ortp_budget_remove_reclaimer(f.budget, NULL);
    ortp_budget_remove_reclaimer(NULL, nowhere);
    assert_int_equal(ortp_budget_reclaim(NULL, ORTP_RECLAIM_CACHE, 1), 0);
    assert_int_equal(ortp_budget_reclaim(f.budget, unknown, 1), 0);
    assert_int_equal(ortp_budget_reclaim(f.budget, ORTP_RECLAIM_CACHE, 0), 0);
    fixture_close(&f);
}

/* ---- the pool ---- */

static void pool_options_of_another_version(void **state)
{
    (void)state;
    fixture f;
    fixture_open(&f, ORTP_POOL_STRIPED, 0);
    ortp_pool_options options = fixture_pool_options(&f, ORTP_POOL_STRIPED);
    options.struct_size = 1; /* does not even hold itself */
    ortp_pool *pool = nowhere;
    ortp_error error = ORTP_ERROR_INIT;
    assert_int_equal(ortp_pool_create(&options, &pool, &error), ORTP_E_VERSION);
    assert_null(pool);
    assert_non_null(strstr(error.message, "struct_size"));
    fixture_close(&f);
}

static void huge_pages_are_for_huge_mappings(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 0);
    ortp_pool_options options = fixture_pool_options(&f, KIND_OF(state));
    options.huge_pages = true;
    ortp_pool *pool;
    assert_int_equal(ortp_pool_create(&options, &pool, NULL), ORTP_OK);
    static const size_t sizes[] = {100 * 1024, 4u << 20};
    for (size_t i = 0; i < ORTP__COUNT(sizes); i++) {
        ortp_block *block;
        assert_int_equal(ortp_pool_acquire(pool, sizes[i], ORTP_LABEL_OTHER, &block), ORTP_OK);
        memset(ortp_block_data(block), 1, sizes[i]);
        must_release(block);
    }
    assert_int_equal(ortp_pool_destroy(pool, NULL), ORTP_OK);
    fixture_close(&f);
}

/* All blocks of many slabs are out: the one that a refused destroy names lies in a full slab. */
static void destroy_names_a_block_of_a_full_slab(void **state)
{
    enum { BLOCKS = 64 };
    fixture f;
    fixture_open(&f, KIND_OF(state), 0);
    ortp_pool_options options = fixture_pool_options(&f, KIND_OF(state));
    options.stripes = 1;
    ortp_pool *pool;
    assert_int_equal(ortp_pool_create(&options, &pool, NULL), ORTP_OK);
    ortp_block *blocks[BLOCKS];
    for (size_t i = 0; i < BLOCKS; i++) {
        assert_int_equal(ortp_pool_acquire(pool, 30 * KIB, ORTP_LABEL_DECODE, &blocks[i]), ORTP_OK);
    }
    ortp_error error = ORTP_ERROR_INIT;
    assert_int_equal(ortp_pool_destroy(pool, &error), ORTP_E_BUSY);
    assert_non_null(strstr(error.message, "decode"));
    for (size_t i = 0; i < BLOCKS; i++) {
        must_release(blocks[i]);
    }
    assert_int_equal(ortp_pool_destroy(pool, NULL), ORTP_OK);
    fixture_close(&f);
}

/* ---- the cache ---- */

static void cache_options_out_of_range(void **state)
{
    (void)state;
    fixture f;
    fixture_open(&f, ORTP_POOL_STRIPED, 0);
    ortp_cache *cache = nowhere;
    ortp_cache_options options = ORTP_CACHE_OPTIONS_INIT;
    assert_int_equal(ortp_cache_create(&options, &cache, NULL), ORTP_E_INVAL); /* no pool */
    assert_null(cache);
    options.pool = f.pool;
    options.entries_max = SIZE_MAX;
    assert_int_equal(ortp_cache_create(&options, &cache, NULL), ORTP_E_INVAL);
    options.entries_max = 1;
    options.spare_entries = SIZE_MAX;
    assert_int_equal(ortp_cache_create(&options, &cache, NULL), ORTP_E_INVAL);
    fixture_close(&f);
}

static void misused_cache(void **state)
{
    (void)state;
    fixture f;
    fixture_open(&f, ORTP_POOL_STRIPED, 0);
    ortp_cache_options options = ORTP_CACHE_OPTIONS_INIT;
    options.pool = f.pool;
    ortp_cache *cache;
    assert_int_equal(ortp_cache_create(&options, &cache, NULL), ORTP_OK);
    ortp_cache_key key = {.model_id = 1, .parts = {"k"}, .part_bytes = {1}, .part_count = 1};
    ortp_block *block = must_acquire(f.pool, 64, ORTP_LABEL_TENSORS);
    ortp_cache_value value = {.blocks = {block, NULL}, .block_count = 2};
    ortp_lease *lease = nowhere;
    assert_int_equal(ortp_cache_put(cache, &key, &value, &lease), ORTP_E_INVAL); /* a NULL block */
    assert_null(lease);
    value.block_count = 1;
    assert_int_equal(ortp_cache_put(NULL, &key, &value, &lease), ORTP_E_INVAL);
    assert_int_equal(ortp_cache_put(cache, NULL, &value, &lease), ORTP_E_INVAL);
    assert_int_equal(ortp_cache_put(cache, &key, NULL, &lease), ORTP_E_INVAL);
    assert_int_equal(ortp_cache_put(cache, &key, &value, NULL), ORTP_E_INVAL);
    assert_int_equal(ortp_block_label(block), ORTP_LABEL_TENSORS); /* still the caller's */
    must_release(block);
    assert_int_equal(ortp_cache_destroy(cache, NULL), ORTP_OK);
    fixture_close(&f);
}

/* ---- statistics ---- */

static void statistics_of_a_caller_without_fields(void **state)
{
    (void)state;
    ortp_stats stats = {.struct_size = sizeof(size_t)};
    char text[64];
    size_t length;
    assert_int_equal(ortp_stats_write(&stats, ORTP_STATS_JSON, text, sizeof text, &length),
                     ORTP_OK);
    assert_string_equal(text, "{}");
    assert_int_equal(length, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_charge_that_overflows_while_reclaiming_is_denied),
        BOTH_KINDS(a_block_that_overflows_the_sum_is_denied),
        cmocka_unit_test(room_where_the_limit_was_lowered),
        cmocka_unit_test(misused_reclaimers),
        cmocka_unit_test(pool_options_of_another_version),
        BOTH_KINDS(huge_pages_are_for_huge_mappings),
        BOTH_KINDS(destroy_names_a_block_of_a_full_slab),
        cmocka_unit_test(cache_options_out_of_range),
        cmocka_unit_test(misused_cache),
        cmocka_unit_test(statistics_of_a_caller_without_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
