/* SPDX-License-Identifier: MIT */
/*
 * Idle memory given back to the system: by bytes, by pressure, and what Android's levels stand for.
 */
#include "fake_clock.h"
#include "graphs.h"

#include <ortpool/encoder_cache.h>
#include <ortpool/tensor.h>

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define MIB ((size_t)1 << 20)

/* A runtime with something idle of each kind, and something of each kind that is not. */
typedef struct world {
    fake_clock clock;
    ortp_runtime *runtime;
    ortp_tensor_pool *tensors;
    ortp_tensor *held;
    ortp_cache *cache;
    ortp_lease *lease;
    ortp_block *block;
} world;

static void put(world *w, uint64_t id, ortp_lease **lease)
{
    ortp_block *block = NULL;
    assert_int_equal(
        ortp_pool_acquire(ortp_runtime_pool(w->runtime), MIB, ORTP_LABEL_CACHE, &block), ORTP_OK);
    const ortp_cache_key key = {
        .model_id = 1, .parts = {&id}, .part_bytes = {sizeof id}, .part_count = 1};
    const ortp_cache_value value = {.blocks = {block}, .block_count = 1};
    assert_int_equal(ortp_cache_put(w->cache, &key, &value, lease), ORTP_OK);
}

static ortp_tensor *tensor(world *w, int64_t elements)
{
    ortp_tensor *out = NULL;
    assert_int_equal(ortp_tensor_acquire(w->tensors, ORTP_TYPE_FLOAT, &elements, 1, &out, NULL),
                     ORTP_OK);
    return out;
}

static void world_open(world *w, ortp_pool_kind kind)
{
    memset(w, 0, sizeof *w);
    ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
    options.clock = fake_clock_use(&w->clock);
    options.pool_kind = kind;
    w->runtime = test_runtime_create(&options);
    fake_clock_advance(&w->clock, 60000);
    ortp_tensor_pool_options tensor_options = ORTP_TENSOR_POOL_OPTIONS_INIT;
    tensor_options.runtime = w->runtime;
    assert_int_equal(ortp_tensor_pool_create(&tensor_options, &w->tensors, NULL), ORTP_OK);
    ortp_cache_options cache_options = ORTP_CACHE_OPTIONS_INIT;
    cache_options.pool = ortp_runtime_pool(w->runtime);
    cache_options.clock = options.clock;
    cache_options.stale_ms = ORTP_CACHE_NEVER_STALE;
    assert_int_equal(ortp_cache_create(&cache_options, &w->cache, NULL), ORTP_OK);

    ortp_lease *lease = NULL;
    put(w, 1, &lease);
    ortp_lease_release(lease);
    put(w, 2, &w->lease);
    w->held = tensor(w, 300000);
    ortp_tensor *idle = tensor(w, 400000);
    assert_int_equal(ortp_tensor_release(idle), ORTP_OK);
    assert_int_equal(
        ortp_pool_acquire(ortp_runtime_pool(w->runtime), MIB, ORTP_LABEL_OTHER, &w->block),
        ORTP_OK);
    ortp_block *block = NULL;
    assert_int_equal(
        ortp_pool_acquire(ortp_runtime_pool(w->runtime), 2 * MIB, ORTP_LABEL_OTHER, &block),
        ORTP_OK);
    assert_int_equal(ortp_block_release(block), ORTP_OK);
}

static void world_close(world *w)
{
    test_assert_ledger(ortp_runtime_budget(w->runtime), ortp_runtime_pool(w->runtime));
    ortp_lease_release(w->lease);
    assert_int_equal(ortp_tensor_release(w->held), ORTP_OK);
    assert_int_equal(ortp_block_release(w->block), ORTP_OK);
    assert_int_equal(ortp_cache_destroy(w->cache, NULL), ORTP_OK);
    assert_int_equal(ortp_tensor_pool_destroy(w->tensors, NULL), ORTP_OK);
    test_runtime_destroy(w->runtime);
}

typedef struct kept {
    size_t idle_bytes; /* of blocks */
    size_t idle_tensors;
    size_t entries;
} kept;

static kept kept_by(const world *w)
{
    ortp_pool_info pool = ORTP_POOL_INFO_INIT;
    ortp_tensor_pool_info tensors = ORTP_TENSOR_POOL_INFO_INIT;
    ortp_cache_info cache = ORTP_CACHE_INFO_INIT;
    ortp_pool_get_info(ortp_runtime_pool(w->runtime), &pool);
    ortp_tensor_pool_get_info(w->tensors, &tensors);
    ortp_cache_get_info(w->cache, &cache);
    return (kept){pool.idle_bytes, tensors.idle, cache.entries};
}

/* What is held is there in any case. */
static void assert_kept(const world *w, size_t idle_blocks_min, size_t idle_tensors, size_t entries)
{
    const kept now = kept_by(w);
    if (idle_blocks_min > 0) {
        assert_true(now.idle_bytes >= idle_blocks_min);
    } else {
        assert_true(now.idle_bytes < MIB / 4); /* ends of slabs in use */
    }
    assert_int_equal(now.idle_tensors, idle_tensors);
    assert_int_equal(now.entries, entries);
    ortp_tensor_pool_info tensors = ORTP_TENSOR_POOL_INFO_INIT;
    ortp_tensor_pool_get_info(w->tensors, &tensors);
    assert_int_equal(tensors.out, 1);
    assert_non_null(ortp_lease_value(w->lease)->blocks[0]);
    memset(ortp_block_data(ortp_lease_value(w->lease)->blocks[0]), 1, MIB);
    memset(ortp_block_data(w->block), 1, MIB);
    memset(ortp_tensor_data(w->held), 1, ortp_tensor_bytes(w->held));
}

#define EACH_KIND(kind)                                                                            \
    for (int kind = ORTP_POOL_THREAD_CACHED; kind <= (int)ORTP_POOL_STRIPED; ++kind)

static void trim_gives_about_the_bytes_asked_for(void **state)
{
    (void)state;
    EACH_KIND(kind)
    {
        world w;
        world_open(&w, (ortp_pool_kind)kind);
        const size_t before = test_charged(w.runtime);
        size_t freed = 1;
        assert_int_equal(ortp_runtime_trim(w.runtime, 0, &freed), ORTP_OK);
        assert_int_equal(freed, 0);
        assert_int_equal(test_charged(w.runtime), before);
        assert_kept(&w, 2 * MIB, 1, 2);

        assert_int_equal(ortp_runtime_trim(w.runtime, 1, &freed), ORTP_OK); /* the idle block */
        assert_true(freed >= 1);
        assert_int_equal(test_charged(w.runtime), before - freed);
        assert_true(kept_by(&w).idle_tensors == 1 && kept_by(&w).entries == 2);

        assert_int_equal(ortp_runtime_trim(w.runtime, 3 * MIB, &freed), ORTP_OK);
        assert_true(freed > 0);
        assert_int_equal(kept_by(&w).idle_tensors, 0); /* blocks were not enough */
        world_close(&w);
    }
}

static void trim_of_all_leaves_what_is_held(void **state)
{
    (void)state;
    EACH_KIND(kind)
    {
        world w;
        world_open(&w, (ortp_pool_kind)kind);
        const size_t before = test_charged(w.runtime);
        size_t freed = 0;
        assert_int_equal(ortp_runtime_trim(w.runtime, ORTP_UNLIMITED, &freed), ORTP_OK);
        assert_int_equal(test_charged(w.runtime), before - freed);
        assert_true(freed >= 2 * MIB + 1600000 + MIB); /* block, tensor, entry */
        assert_kept(&w, 0, 0, 1);
        const size_t least = test_charged(w.runtime);
        assert_int_equal(ortp_runtime_trim(w.runtime, ORTP_UNLIMITED, &freed), ORTP_OK);
        assert_int_equal(freed, 0);
        assert_int_equal(ortp_runtime_trim(w.runtime, ORTP_UNLIMITED, NULL), ORTP_OK);
        assert_int_equal(test_charged(w.runtime), least);
        world_close(&w);
    }
    assert_int_equal(ortp_runtime_trim(NULL, 1, NULL), ORTP_E_INVAL);
}

static void relief_goes_as_far_as_the_pressure(void **state)
{
    (void)state;
    EACH_KIND(kind)
    {
        world w;
        world_open(&w, (ortp_pool_kind)kind);
        size_t before = test_charged(w.runtime), freed = 1;
        assert_int_equal(ortp_runtime_relieve(w.runtime, ORTP_PRESSURE_NONE, &freed), ORTP_OK);
        assert_int_equal(freed, 0);
        assert_int_equal(test_charged(w.runtime), before);

        fake_clock_advance(&w.clock, 9999); /* idle for less than ten seconds */
        assert_int_equal(ortp_runtime_relieve(w.runtime, ORTP_PRESSURE_LOW, &freed), ORTP_OK);
        assert_int_equal(freed, 0);
        assert_kept(&w, 2 * MIB, 1, 2);
        fake_clock_advance(&w.clock, 1);
        assert_int_equal(ortp_runtime_relieve(w.runtime, ORTP_PRESSURE_LOW, &freed), ORTP_OK);
        assert_true(freed >= 2 * MIB);
        assert_true(test_charged(w.runtime) <= before - freed); /* and control structures */
        assert_true(test_charged(w.runtime) > before - freed - 4096);
        assert_kept(&w, 0, 1, 2);

        ortp_block *block = NULL; /* idle since now */
        assert_int_equal(
            ortp_pool_acquire(ortp_runtime_pool(w.runtime), 2 * MIB, ORTP_LABEL_OTHER, &block),
            ORTP_OK);
        assert_int_equal(ortp_block_release(block), ORTP_OK);
        before = test_charged(w.runtime);
        assert_int_equal(ortp_runtime_relieve(w.runtime, ORTP_PRESSURE_MODERATE, &freed), ORTP_OK);
        assert_true(freed >= 2 * MIB);
        assert_int_equal(test_charged(w.runtime), before - freed);
        assert_kept(&w, 0, 1, 2);

        before = test_charged(w.runtime);
        assert_int_equal(ortp_runtime_relieve(w.runtime, ORTP_PRESSURE_CRITICAL, &freed), ORTP_OK);
        assert_true(freed >= 1600000 + MIB);
        assert_int_equal(test_charged(w.runtime), before - freed);
        assert_kept(&w, 0, 0, 1);
        assert_int_equal(ortp_runtime_relieve(w.runtime, ORTP_PRESSURE_CRITICAL, NULL), ORTP_OK);
        world_close(&w);
    }
}

static void other_pressures_are_refused(void **state)
{
    (void)state;
    world w;
    world_open(&w, ORTP_POOL_STRIPED);
    const size_t before = test_charged(w.runtime);
    static const int wrong[] = {-1, 4, 80};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); ++i) {
        size_t freed = 1;
        assert_int_equal(ortp_runtime_relieve(w.runtime, (ortp_pressure)wrong[i], &freed),
                         ORTP_E_INVAL);
        assert_int_equal(freed, 0);
    }
    assert_int_equal(ortp_runtime_relieve(NULL, ORTP_PRESSURE_LOW, NULL), ORTP_E_INVAL);
    assert_int_equal(test_charged(w.runtime), before);
    world_close(&w);
}

/* Ten seconds are ten seconds of idleness, not of life. */
static void what_is_used_is_not_old(void **state)
{
    (void)state;
    fake_clock clock = {60000};
    ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
    options.clock = fake_clock_use(&clock);
    ortp_runtime *runtime = test_runtime_create(&options);
    ortp_session *session = graph_session(runtime, GRAPH_ENCODER, NULL);
    graph_feed feed;
    graph_answer expected;
    graph_place place;
    graph_feed_make(&feed, GRAPH_ENCODER, 64);
    graph_answer_by_host(&expected, runtime, &feed, 1);
    graph_place_make(&place, &feed);
    ortp_error error = ORTP_ERROR_INIT;
    size_t freed = 0;
    for (int round = 0; round < 4; ++round) {
        assert_ok(graph_run_into(session, NULL, &feed, &place, &error), error);
        fake_clock_advance(&clock, 6000);
        assert_int_equal(ortp_runtime_relieve(runtime, ORTP_PRESSURE_LOW, &freed), ORTP_OK);
        assert_int_equal(freed, 0);
    }
    fake_clock_advance(&clock, 4000);
    assert_int_equal(ortp_runtime_relieve(runtime, ORTP_PRESSURE_LOW, &freed), ORTP_OK);
    assert_true(freed >= test_session_info(session).run_bytes);
    memset(place.data, 0, expected.bytes); /* the session goes on, with another block */
    assert_ok(graph_run_into(session, NULL, &feed, &place, &error), error);
    assert_true(graph_answer_equals(&expected, place.value));
    assert_int_equal(ortp_runtime_trim(runtime, ORTP_UNLIMITED, &freed), ORTP_OK);
    assert_true(freed >= test_session_info(session).run_bytes);
    assert_ok(graph_run_into(session, NULL, &feed, &place, &error), error);
    graph_place_free(&place);
    graph_answer_free(&expected);
    graph_feed_free(&feed);
    assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
    test_runtime_destroy(runtime);
}

static void androids_levels(void **state)
{
    (void)state;
    static const struct {
        int level;
        ortp_pressure pressure;
    } cases[] = {
        {INT32_MIN, ORTP_PRESSURE_NONE}, {-1, ORTP_PRESSURE_NONE},
        {0, ORTP_PRESSURE_NONE},         {4, ORTP_PRESSURE_NONE},
        {5, ORTP_PRESSURE_LOW},                                        /* RUNNING_MODERATE */
        {9, ORTP_PRESSURE_LOW},          {10, ORTP_PRESSURE_MODERATE}, /* RUNNING_LOW */
        {14, ORTP_PRESSURE_MODERATE},    {15, ORTP_PRESSURE_CRITICAL}, /* RUNNING_CRITICAL */
        {19, ORTP_PRESSURE_CRITICAL},    {20, ORTP_PRESSURE_LOW},      /* UI_HIDDEN */
        {39, ORTP_PRESSURE_LOW},         {40, ORTP_PRESSURE_MODERATE}, /* BACKGROUND */
        {59, ORTP_PRESSURE_MODERATE},    {60, ORTP_PRESSURE_CRITICAL}, /* MODERATE */
        {79, ORTP_PRESSURE_CRITICAL},    {80, ORTP_PRESSURE_CRITICAL}, /* COMPLETE */
        {81, ORTP_PRESSURE_CRITICAL},    {INT32_MAX, ORTP_PRESSURE_CRITICAL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); ++i) {
        assert_int_equal(ortp_pressure_from_android(cases[i].level), cases[i].pressure);
    }
}

int main(void)
{
    if (!test_ort_found()) {
        return TEST_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trim_gives_about_the_bytes_asked_for),
        cmocka_unit_test(trim_of_all_leaves_what_is_held),
        cmocka_unit_test(relief_goes_as_far_as_the_pressure),
        cmocka_unit_test(other_pressures_are_refused),
        cmocka_unit_test(what_is_used_is_not_old),
        cmocka_unit_test(androids_levels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
