/* SPDX-License-Identifier: MIT */
/* Trimming: by size, by age, least recently used first. */
#include "fixture.h"

#include <stdio.h>
#include <string.h>

/* A small block in a magazine is idle from when it leaves it; a trim that frees nothing sees to that. */
static void release_now(fixture *f, ortp_block *block)
{
    must_release(block);
    assert_int_equal(ortp_pool_trim(f->pool, ORTP_UNLIMITED, 0, NULL), ORTP_OK);
}

/* Releases a block of `bytes` at this moment, so that it is idle from now on. */
static size_t idle_now(fixture *f, size_t bytes)
{
    ortp_block *block = must_acquire(f->pool, bytes, ORTP_LABEL_RUN);
    size_t held = ortp_block_bytes(block);
    release_now(f, block);
    return held;
}

static bool is_idle(fixture *f, size_t bytes)
{
    uint64_t maps = maps_of(f->pool);
    ortp_block *block = must_acquire(f->pool, bytes, ORTP_LABEL_RUN);
    bool reused = maps_of(f->pool) == maps;
    release_now(f, block);
    return reused;
}

static size_t trim(fixture *f, size_t keep, uint64_t idle_ms)
{
    size_t freed = 1;
    ortp_pool_info before = ORTP_POOL_INFO_INIT, after = ORTP_POOL_INFO_INIT;
    ortp_pool_get_info(f->pool, &before);
    assert_int_equal(ortp_pool_trim(f->pool, keep, idle_ms, &freed), ORTP_OK);
    ortp_pool_get_info(f->pool, &after);
    assert_int_equal(before.idle_bytes - after.idle_bytes, freed);
    assert_int_equal(after.cached_bytes, 0);
    assert_ledger(f->budget, f->pool);
    return freed;
}

static size_t idle_bytes(fixture *f)
{
    ortp_pool_info info = ORTP_POOL_INFO_INIT;
    ortp_pool_get_info(f->pool, &info);
    return info.idle_bytes;
}

static void trim_to_nothing(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 0);
    ortp_block *out = must_acquire(f.pool, 64, ORTP_LABEL_RUN);
    must_release(out);
    assert_int_equal(trim(&f, 0, 0), 64 * KIB);
    size_t before = charged_bytes(f.budget);
    (void)idle_now(&f, 100);
    (void)idle_now(&f, 20000);
    (void)idle_now(&f, 400000);
    assert_true(trim(&f, 0, 0) > 500000);
    assert_int_equal(idle_bytes(&f), 0);
    assert_int_equal(charged_bytes(f.budget), before); /* descriptors too */
    assert_int_equal(ortp_pool_trim(f.pool, 0, 0, NULL), ORTP_OK);
    assert_int_equal(ortp_pool_trim(NULL, 0, 0, NULL), ORTP_E_INVAL);
    fixture_close(&f);
}

/* Sizes of three kinds: two mappings and a slab; used in an order other than that of their making. */
static void least_recently_used_goes_first(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 0);
    static const size_t bytes[3] = {100000, 300000, 2000};
    static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                     {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (size_t o = 0; o < 6; o++) {
        ortp_block *blocks[3];
        for (size_t i = 0; i < 3; i++) {
            blocks[i] = must_acquire(f.pool, bytes[i], ORTP_LABEL_RUN);
        }
        for (size_t i = 0; i < 3; i++) {
            fake_clock_advance(&f.clock, 10);
            release_now(&f, blocks[orders[o][i]]);
        }
        /* To one byte below what there is: the oldest goes, the others stay. */
        assert_true(trim(&f, idle_bytes(&f) - 1, 0) > 0);
        ortp_pool_info info = ORTP_POOL_INFO_INIT;
        ortp_pool_get_info(f.pool, &info);
        assert_true(is_idle(&f, bytes[orders[o][1]]));
        assert_true(is_idle(&f, bytes[orders[o][2]]));
        assert_false(is_idle(&f, bytes[orders[o][0]]));
        (void)trim(&f, 0, 0);
    }
    fixture_close(&f);
}

static void keeps_what_it_is_told_to(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 0);
    ortp_block *blocks[10];
    for (size_t i = 0; i < 10; i++) {
        blocks[i] = must_acquire(f.pool, 131072 - 64, ORTP_LABEL_RUN);
    }
    for (size_t i = 0; i < 10; i++) {
        must_release(blocks[i]);
    }
    assert_int_equal(idle_bytes(&f), 10 * 131072);
    assert_int_equal(trim(&f, ORTP_UNLIMITED, 0), 0);
    assert_int_equal(trim(&f, 10 * 131072, 0), 0);
    assert_int_equal(trim(&f, 7 * 131072, 0), 3 * 131072);
    assert_int_equal(trim(&f, 5 * 131072 + 1, 0), 2 * 131072);
    assert_int_equal(trim(&f, 5 * 131072 - 1, 0), 131072);
    assert_int_equal(idle_bytes(&f), 4 * 131072);
    fixture_close(&f);
}

static void keeps_what_was_used_lately(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 0);
    (void)idle_now(&f, 100000);
    (void)idle_now(&f, 1000);
    fake_clock_advance(&f.clock, 50);
    (void)idle_now(&f, 300000);
    (void)idle_now(&f, 9000);
    fake_clock_advance(&f.clock, 49);
    assert_int_equal(trim(&f, 0, 100), 0);
    fake_clock_advance(&f.clock, 1);
    assert_true(trim(&f, 0, 100) > 150000); /* the two of the first moment */
    assert_true(is_idle(&f, 300000));
    assert_true(is_idle(&f, 9000));
    fake_clock_advance(&f.clock, 50); /* is_idle() used them */
    assert_int_equal(trim(&f, 0, 51), 0);
    assert_true(trim(&f, 0, 50) > 300000);
    assert_int_equal(idle_bytes(&f), 0);

    /* A slab is as old as the latest release of its blocks. */
    ortp_block *early = must_acquire(f.pool, 640, ORTP_LABEL_RUN);
    ortp_block *late = must_acquire(f.pool, 640, ORTP_LABEL_RUN);
    release_now(&f, late);
    fake_clock_advance(&f.clock, 100);
    release_now(&f, early);
    assert_int_equal(trim(&f, 0, 1), 0);
    fake_clock_advance(&f.clock, 1);
    assert_true(trim(&f, 0, 1) > 0);
    fixture_close(&f);
}

/* No clock is read for small blocks in magazines: they count as used until they leave. */
static void idle_in_a_magazine(void **state)
{
    fixture f;
    fixture_open(&f, ORTP_POOL_THREAD_CACHED, 0);
    (void)state;
    must_release(must_acquire(f.pool, 640, ORTP_LABEL_RUN));
    must_release(must_acquire(f.pool, 640, ORTP_LABEL_RUN)); /* the short way */
    must_release(must_acquire(f.pool, 100000, ORTP_LABEL_RUN));
    fake_clock_advance(&f.clock, 100);
    assert_in_range(trim(&f, 0, 50), 100000, 120000); /* the large one alone */
    fake_clock_advance(&f.clock, 49);
    assert_int_equal(trim(&f, 0, 50), 0);
    fake_clock_advance(&f.clock, 1);
    assert_int_equal(trim(&f, 0, 50), 64 * KIB);

    /* The older half of a full magazine leaves alone. */
    ortp_block *blocks[17];
    for (size_t i = 0; i < 17; i++) {
        blocks[i] = must_acquire(f.pool, 8192, ORTP_LABEL_RUN);
    }
    for (size_t i = 0; i < 17; i++) {
        fake_clock_advance(&f.clock, 10);
        must_release(blocks[i]);
    }
    fake_clock_advance(&f.clock, 10);
    assert_int_equal(trim(&f, 0, 20), 0);
    assert_true(is_idle(&f, 8192));
    fixture_close(&f);
}

/* A release may have read the clock before one that came to the stripe earlier: times decide. */
static void slabs_go_by_their_times(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 0);
    ortp_block *blocks[9]; /* a slab of eight, and one more */
    for (size_t i = 0; i < 9; i++) {
        blocks[i] = must_acquire(f.pool, 57344, ORTP_LABEL_RUN);
    }
    assert_int_equal(maps_of(f.pool), 2);
    fake_clock_advance(&f.clock, 20);
    for (size_t i = 0; i < 8; i++) {
        release_now(&f, blocks[i]);
    }
    const void *newest = ortp_block_data(blocks[0]); /* the first of its slab */
    fake_clock_advance(&f.clock, (uint64_t)0 - 10);
    release_now(&f, blocks[8]);
    assert_true(trim(&f, idle_bytes(&f) - 1, 0) > 0);
    ortp_block *left = must_acquire(f.pool, 57344, ORTP_LABEL_RUN);
    assert_int_equal(maps_of(f.pool), 2);
    assert_in_range((uintptr_t)ortp_block_data(left), (uintptr_t)newest,
                    (uintptr_t)newest + 7 * 57344);
    must_release(left);
    fixture_close(&f);
}

typedef struct heard {
    int count;
    char message[512];
} heard;

static void hear(void *ctx, ortp_log_level level, const char *message)
{
    heard *h = ctx;
    h->count += level == ORTP_LOG_DEBUG;
    (void)snprintf(h->message, sizeof h->message, "%s", message);
}

static void trimming_is_logged(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 0);
    heard h = {0};
    ortp_pool_options options = fixture_pool_options(&f, KIND_OF(state));
    options.log = (ortp_logger){.fn = hear, .ctx = &h, .level = ORTP_LOG_DEBUG};
    ortp_pool *pool;
    assert_int_equal(ortp_pool_create(&options, &pool, NULL), ORTP_OK);
    must_release(must_acquire(pool, 131072 - 64, ORTP_LABEL_RUN));
    assert_int_equal(ortp_pool_trim(pool, 0, 0, NULL), ORTP_OK);
    assert_int_equal(h.count, 1);
    assert_non_null(strstr(h.message, "131072"));
    assert_int_equal(ortp_pool_trim(pool, 0, 0, NULL), ORTP_OK);
    assert_int_equal(h.count, 1);
    assert_int_equal(ortp_pool_destroy(pool, NULL), ORTP_OK);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH_KINDS(trim_to_nothing),          BOTH_KINDS(least_recently_used_goes_first),
        BOTH_KINDS(keeps_what_it_is_told_to), BOTH_KINDS(keeps_what_was_used_lately),
        BOTH_KINDS(slabs_go_by_their_times),  BOTH_KINDS(trimming_is_logged),
        cmocka_unit_test(idle_in_a_magazine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
