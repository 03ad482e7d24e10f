/* SPDX-License-Identifier: MIT */
/* The pool on one thread, both kinds: what a block is, reuse, the ledger, limits, misuse. */
#include "fixture.h"

#include <stdio.h>
#include <string.h>

static const size_t sizes[] = {0,     1,     63,    64,    65,     100,    640,     4095,
                               4096,  5632,  16384, 38400, 57343,  57344,  57345,   65535,
                               65536, 65472, 65473, 99999, 153600, 614400, 1228800, 3000000};
#define SIZES (sizeof sizes / sizeof *sizes)

static void check_block(ortp_block *block, size_t bytes, size_t alignment)
{
    assert_true(ortp_block_bytes(block) >= bytes);
    unsigned char *data = ortp_block_data(block);
    assert_int_equal((uintptr_t)data % alignment, 0);
    memset(data, 0x3C, ortp_block_bytes(block));
    unsigned sum = 0;
    const volatile unsigned char *tail = data + ortp_block_bytes(block);
    for (size_t i = 0; i < ORTP_BLOCK_TAIL; i++) {
        sum += tail[i]; /* readable: what is there does not matter */
    }
    assert_in_range(sum, 0, 255 * ORTP_BLOCK_TAIL);
}

static void blocks_are_large_aligned_and_readable_behind(void **state)
{
    for (size_t alignment = 64; alignment <= 4096; alignment *= 2) {
        fixture f;
        fixture_open(&f, KIND_OF(state), 0);
        ortp_pool_options options = fixture_pool_options(&f, KIND_OF(state));
        options.alignment = alignment;
        ortp_pool *pool;
        assert_int_equal(ortp_pool_create(&options, &pool, NULL), ORTP_OK);
        assert_ptr_equal(ortp_pool_budget(pool), f.budget);
        ortp_block *blocks[SIZES];
        for (size_t i = 0; i < SIZES; i++) {
            size_t before = in_use_bytes(pool);
            blocks[i] = must_acquire(pool, sizes[i], ORTP_LABEL_TENSORS);
            check_block(blocks[i], sizes[i], alignment);
            /* A small block's tail is its neighbour or its slab's end, a large one's its own. */
            size_t tail = sizes[i] >= 65536 ? ORTP_BLOCK_TAIL : 0;
            assert_int_equal(in_use_bytes(pool) - before, ortp_block_bytes(blocks[i]) + tail);
        }
        assert_ledger(f.budget, pool);
        /* Fill a slab, so that its last block is among them. */
        ortp_block *row[64];
        for (size_t i = 0; i < 64; i++) {
            row[i] = must_acquire(pool, 9000, ORTP_LABEL_RUN);
            check_block(row[i], 9000, alignment);
        }
        for (size_t i = 0; i < 64; i++) {
            must_release(row[i]);
        }
        for (size_t i = 0; i < SIZES; i++) {
            must_release(blocks[i]);
        }
        assert_ledger(f.budget, pool);
        assert_int_equal(ortp_pool_destroy(pool, NULL), ORTP_OK);
        fixture_close(&f);
    }
}

static void blocks_do_not_overlap(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 0);
    enum { COUNT = 200 };
    ortp_block *blocks[COUNT];
    uint64_t random = 7;
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = must_acquire(f.pool, random_below(&random, 70000), ORTP_LABEL_OTHER);
        memset(ortp_block_data(blocks[i]), (int)(i % 251), ortp_block_bytes(blocks[i]));
    }
    for (size_t i = 0; i < COUNT; i++) {
        const unsigned char *data = ortp_block_data(blocks[i]);
        for (size_t k = 0; k < ortp_block_bytes(blocks[i]); k++) {
            if (data[k] != i % 251) {
                fail_msg("block %zu was overwritten at %zu", i, k);
            }
        }
        must_release(blocks[i]);
    }
    fixture_close(&f);
}

static void released_blocks_are_reused(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 0);
    for (size_t i = 0; i < SIZES; i++) {
        ortp_block *block = must_acquire(f.pool, sizes[i], ORTP_LABEL_RUN);
        void *data = ortp_block_data(block);
        must_release(block);
        uint64_t maps = maps_of(f.pool);
        ortp_pool_info before = ORTP_POOL_INFO_INIT, after = ORTP_POOL_INFO_INIT;
        ortp_pool_get_info(f.pool, &before);
        block = must_acquire(f.pool, sizes[i], ORTP_LABEL_RUN);
        assert_ptr_equal(ortp_block_data(block), data);
        assert_int_equal(maps_of(f.pool), maps);
        ortp_pool_get_info(f.pool, &after);
        assert_int_equal(after.reuses, before.reuses + 1);
        assert_int_equal(after.acquires, before.acquires + 1);
        must_release(block);
    }
    fixture_close(&f);
}

/* One byte more than a class holds is the next class's, also where blocks lie in a magazine. */
static void borders_of_classes(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 0);
    size_t stride = 0;
    do {
        ortp_block *block = must_acquire(f.pool, stride + 1, ORTP_LABEL_RUN);
        const size_t next = ortp_block_bytes(block);
        assert_true(next > stride);
        must_release(block);
        for (int turn = 0; turn < 2; turn++) { /* mapped, then reused */
            ortp_block *last = must_acquire(f.pool, next, ORTP_LABEL_RUN);
            ortp_block *first = must_acquire(f.pool, next + 1, ORTP_LABEL_RUN);
            ortp_block *within;
            assert_int_equal(ortp_pool_acquire_within(f.pool, stride + 1, ORTP_LABEL_RUN,
                                                      ORTP_RECLAIM_NONE, &within),
                             ORTP_OK);
            assert_int_equal(ortp_block_bytes(last), next);
            assert_int_equal(ortp_block_bytes(within), next);
            assert_true(ortp_block_bytes(first) > next);
            must_release(last);
            must_release(within);
            must_release(first);
        }
        stride = next;
    } while (stride < 57344);
    assert_int_equal(stride, 57344);
    /* Of the last class all but its last byte: 64 KiB and more are large. */
    ortp_block *last = must_acquire(f.pool, 65535, ORTP_LABEL_RUN);
    ortp_block *large = must_acquire(f.pool, 65536, ORTP_LABEL_RUN);
    assert_int_equal(ortp_block_bytes(last), 65536);
    assert_true(ortp_block_bytes(large) > 65536);
    must_release(last);
    must_release(large);
    fixture_close(&f);
}

static void large_blocks_serve_what_is_a_little_smaller(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 0);
    ortp_block *block = must_acquire(f.pool, 1000000, ORTP_LABEL_RUN);
    must_release(block);
    uint64_t maps = maps_of(f.pool);
    block = must_acquire(f.pool, 850000, ORTP_LABEL_RUN); /* 1.25 times it is enough */
    assert_int_equal(maps_of(f.pool), maps);
    must_release(block);
    block = must_acquire(f.pool, 700000, ORTP_LABEL_RUN); /* would waste more */
    assert_int_equal(maps_of(f.pool), maps + 1);
    ortp_block *both[2] = {block, must_acquire(f.pool, 1000000, ORTP_LABEL_RUN)};
    assert_int_equal(maps_of(f.pool), maps + 1);
    must_release(both[0]);
    must_release(both[1]);

    /* Of several that fit, the smallest. */
    ortp_block *larger = must_acquire(f.pool, 1000000, ORTP_LABEL_RUN);
    ortp_block *exact = must_acquire(f.pool, 900000, ORTP_LABEL_RUN);
    void *exact_data = ortp_block_data(exact);
    must_release(exact);
    must_release(larger);
    exact = must_acquire(f.pool, 900000, ORTP_LABEL_RUN);
    assert_ptr_equal(ortp_block_data(exact), exact_data);
    must_release(exact);
    fixture_close(&f);
}

static void labels_are_counted(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 0);
    ortp_block *blocks[ORTP_LABEL_COUNT];
    for (int label = 0; label < ORTP_LABEL_COUNT; label++) {
        blocks[label] = must_acquire(f.pool, 1000 * (size_t)(label + 1), (ortp_label)label);
        assert_int_equal(ortp_block_label(blocks[label]), label);
    }
    ortp_pool_info info = ORTP_POOL_INFO_INIT;
    ortp_pool_get_info(f.pool, &info);
    assert_int_equal(info.kind, KIND_OF(state));
    assert_int_equal(info.in_use_blocks, ORTP_LABEL_COUNT);
    for (int label = 0; label < ORTP_LABEL_COUNT; label++) {
        assert_int_equal(info.in_use_bytes[label], ortp_block_bytes(blocks[label]));
    }
    assert_int_equal(ortp_block_relabel(blocks[ORTP_LABEL_RUN], ORTP_LABEL_CACHE), ORTP_OK);
    assert_int_equal(ortp_block_label(blocks[ORTP_LABEL_RUN]), ORTP_LABEL_CACHE);
    ortp_pool_get_info(f.pool, &info);
    assert_int_equal(info.in_use_bytes[ORTP_LABEL_RUN], 0);
    assert_int_equal(info.in_use_bytes[ORTP_LABEL_CACHE],
                     ortp_block_bytes(blocks[ORTP_LABEL_CACHE]) +
                         ortp_block_bytes(blocks[ORTP_LABEL_RUN]));
    assert_int_equal(ortp_block_relabel(blocks[0], ORTP_LABEL_COUNT), ORTP_E_INVAL);
    assert_int_equal(ortp_block_relabel(blocks[0], (ortp_label)-1), ORTP_E_INVAL);
    assert_int_equal(ortp_block_relabel(NULL, ORTP_LABEL_RUN), ORTP_E_INVAL);
    for (int label = 0; label < ORTP_LABEL_COUNT; label++) {
        must_release(blocks[label]);
    }
    ortp_pool_get_info(f.pool, &info);
    for (int label = 0; label < ORTP_LABEL_COUNT; label++) {
        assert_int_equal(info.in_use_bytes[label], 0);
    }
    assert_int_equal(ortp_block_relabel(blocks[0], ORTP_LABEL_RUN), ORTP_E_INVAL); /* not out */
    fixture_close(&f);
}

/* Random operations against a model that counts on its own. */
static void ledger_holds_after_random_operations(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 0);
    enum { SLOTS = 60 };
    ortp_block *slots[SLOTS] = {NULL};
    uint64_t random = 42;
    for (int i = 0; i < 4000; i++) {
        size_t at = random_below(&random, SLOTS);
        size_t operation = random_below(&random, 100);
        ortp_label label = (ortp_label)random_below(&random, ORTP_LABEL_COUNT);
        if (operation == 0) {
            assert_int_equal(
                ortp_pool_trim(f.pool, random_below(&random, MIB), random_below(&random, 20), NULL),
                ORTP_OK);
        } else if (operation == 1) {
            fake_clock_advance(&f.clock, random_below(&random, 10));
        } else if (operation < 5 && slots[at] != NULL) {
            assert_int_equal(ortp_block_relabel(slots[at], label), ORTP_OK);
        } else if (slots[at] != NULL) {
            must_release(slots[at]);
            slots[at] = NULL;
        } else {
            size_t bytes = random_below(&random, 4) == 0 ? random_below(&random, 400000)
                                                         : random_below(&random, 5000);
            slots[at] = must_acquire(f.pool, bytes, label);
        }
        if (i % 100 == 0) {
            assert_ledger(f.budget, f.pool);
            size_t blocks = 0;
            size_t least[ORTP_LABEL_COUNT] = {0};
            for (size_t s = 0; s < SLOTS; s++) {
                if (slots[s] != NULL) {
                    blocks++;
                    least[ortp_block_label(slots[s])] += ortp_block_bytes(slots[s]);
                }
            }
            ortp_pool_info info = ORTP_POOL_INFO_INIT;
            ortp_pool_get_info(f.pool, &info);
            assert_int_equal(info.in_use_blocks, blocks);
            for (int l = 0; l < ORTP_LABEL_COUNT; l++) {
                /* A large block's tail is the one thing between its bytes and its footprint. */
                assert_true(info.in_use_bytes[l] >= least[l]);
                assert_true(info.in_use_bytes[l] <= least[l] + blocks * ORTP_BLOCK_TAIL);
            }
        }
    }
    for (size_t s = 0; s < SLOTS; s++) {
        assert_int_equal(ortp_block_release(slots[s]), ORTP_OK);
    }
    size_t freed;
    assert_int_equal(ortp_pool_trim(f.pool, 0, 0, &freed), ORTP_OK);
    ortp_pool_info info = ORTP_POOL_INFO_INIT;
    ortp_pool_get_info(f.pool, &info);
    assert_int_equal(info.idle_bytes, 0);
    assert_int_equal(info.maps, info.unmaps);
    fixture_close(&f);
}

static void double_release_is_refused(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 0);
    static const size_t some[] = {100, 200000};
    for (size_t i = 0; i < 2; i++) {
        ortp_block *block = must_acquire(f.pool, some[i], ORTP_LABEL_RUN);
        must_release(block);
        ortp_pool_info before = ORTP_POOL_INFO_INIT, after = ORTP_POOL_INFO_INIT;
        ortp_pool_get_info(f.pool, &before);
        assert_int_equal(ortp_block_release(block), ORTP_E_INVAL);
        ortp_pool_get_info(f.pool, &after);
        assert_memory_equal(&before, &after, sizeof before);
    }
    assert_int_equal(ortp_block_release(NULL), ORTP_OK);
    fixture_close(&f);
}

static void destroy_says_what_is_out(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 0);
    static const size_t some[] = {5000, 500000};
    for (size_t i = 0; i < 2; i++) {
        ortp_block *block = must_acquire(f.pool, some[i], ORTP_LABEL_DECODE);
        ortp_error error = ORTP_ERROR_INIT;
        assert_int_equal(ortp_pool_destroy(f.pool, &error), ORTP_E_BUSY);
        assert_int_equal(error.status, ORTP_E_BUSY);
        assert_non_null(strstr(error.message, "decode"));
        char size[32];
        (void)snprintf(size, sizeof size, "%zu", ortp_block_bytes(block));
        assert_non_null(strstr(error.message, size));
        assert_int_equal(ortp_pool_destroy(f.pool, NULL), ORTP_E_BUSY);
        must_release(block);
        block = must_acquire(f.pool, some[i], ORTP_LABEL_DECODE); /* it stays usable */
        must_release(block);
    }
    assert_int_equal(ortp_pool_destroy(NULL, NULL), ORTP_OK);
    fixture_close(&f);
}

static void options_are_checked(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 0);
    ortp_pool *pool = (ortp_pool *)1;
    ortp_error error = ORTP_ERROR_INIT;
    assert_int_equal(ortp_pool_create(NULL, &pool, &error),
                     ORTP_E_INVAL); /* the budget is missing */
    assert_null(pool);
    assert_true(strlen(error.message) > 0);
    static const size_t alignments[] = {1, 16, 32, 63, 65, 96, 192, 8192};
    for (size_t i = 0; i < sizeof alignments / sizeof *alignments; i++) {
        ortp_pool_options options = fixture_pool_options(&f, KIND_OF(state));
        options.alignment = alignments[i];
        assert_int_equal(ortp_pool_create(&options, &pool, NULL), ORTP_E_INVAL);
    }
    ortp_pool_options options = fixture_pool_options(&f, KIND_OF(state));
    options.stripes = 65;
    assert_int_equal(ortp_pool_create(&options, &pool, NULL), ORTP_E_INVAL);
    options = fixture_pool_options(&f, (ortp_pool_kind)2);
    assert_int_equal(ortp_pool_create(&options, &pool, NULL), ORTP_E_INVAL);
    options = fixture_pool_options(&f, KIND_OF(state));
    options.alloc.free = NULL;
    assert_int_equal(ortp_pool_create(&options, &pool, NULL), ORTP_E_INVAL);
    assert_int_equal(ortp_pool_create(&options, NULL, NULL), ORTP_E_INVAL);

    options = fixture_pool_options(&f, KIND_OF(state));
    options.stripes = 64;
    assert_int_equal(ortp_pool_create(&options, &pool, NULL), ORTP_OK);
    assert_int_equal(ortp_pool_destroy(pool, NULL), ORTP_OK);
    options.stripes = 0;
    assert_int_equal(ortp_pool_create(&options, &pool, NULL), ORTP_OK);
    ortp_pool_info info = ORTP_POOL_INFO_INIT;
    ortp_pool_get_info(pool, &info);
    assert_int_equal(info.maps, 0); /* no pages yet */
    assert_int_equal(ortp_pool_destroy(pool, NULL), ORTP_OK);
    fixture_close(&f);
}

static void impossible_requests(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 0);
    ortp_block *block = (ortp_block *)1;
    static const size_t huge[] = {SIZE_MAX, SIZE_MAX - 64, SIZE_MAX / 2, SIZE_MAX / 4 + 1};
    for (size_t i = 0; i < sizeof huge / sizeof *huge; i++) {
        assert_int_equal(ortp_pool_acquire(f.pool, huge[i], ORTP_LABEL_RUN, &block), ORTP_E_INVAL);
        assert_null(block);
    }
    /* May be asked for, and the system has no such range. */
    size_t before = charged_bytes(f.budget);
    assert_int_equal(ortp_pool_acquire(f.pool, SIZE_MAX / 4, ORTP_LABEL_RUN, &block), ORTP_E_NOMEM);
    assert_null(block);
    ortp_pool_info info = ORTP_POOL_INFO_INIT;
    ortp_pool_get_info(f.pool, &info);
    assert_int_equal(info.in_use_blocks, 0);
    assert_true(charged_bytes(f.budget) - before < 64 * KIB); /* this thread's cache, no more */
    assert_int_equal(ortp_budget_set_limit(f.budget, 10 * MIB, NULL), ORTP_OK);
    assert_int_equal(ortp_pool_acquire(f.pool, SIZE_MAX / 4, ORTP_LABEL_RUN, &block),
                     ORTP_E_BUDGET);
    assert_int_equal(ortp_pool_acquire(f.pool, 1, ORTP_LABEL_COUNT, &block), ORTP_E_INVAL);
    assert_int_equal(ortp_pool_acquire(f.pool, 1, (ortp_label)-1, &block), ORTP_E_INVAL);
    assert_int_equal(ortp_pool_acquire(f.pool, 1, ORTP_LABEL_RUN, NULL), ORTP_E_INVAL);
    assert_int_equal(ortp_pool_acquire(NULL, 1, ORTP_LABEL_RUN, &block), ORTP_E_INVAL);
    assert_int_equal(ortp_pool_acquire_within(f.pool, 1, ORTP_LABEL_RUN, (ortp_reclaim)9, &block),
                     ORTP_E_INVAL);
    fixture_close(&f);
}

static void limit_is_reached_exactly(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 0);
    static const size_t some[] = {300, 300000};
    for (size_t i = 0; i < 2; i++) {
        ortp_block *block = must_acquire(f.pool, 64, ORTP_LABEL_RUN); /* the thread is known */
        must_release(block);
        assert_int_equal(ortp_pool_trim(f.pool, 0, 0, NULL), ORTP_OK);
        size_t empty = charged_bytes(f.budget);
        block = must_acquire(f.pool, some[i], ORTP_LABEL_RUN);
        size_t need = charged_bytes(f.budget) - empty;
        must_release(block);
        assert_int_equal(ortp_budget_set_limit(f.budget, empty + need - 1, NULL), ORTP_OK);
        assert_int_equal(ortp_pool_trim(f.pool, 0, 0, NULL), ORTP_OK);
        assert_int_equal(charged_bytes(f.budget), empty);
        assert_int_equal(ortp_pool_acquire(f.pool, some[i], ORTP_LABEL_RUN, &block), ORTP_E_BUDGET);
        assert_null(block);
        assert_int_equal(charged_bytes(f.budget), empty); /* rolled back */
        assert_ledger(f.budget, f.pool);
        assert_int_equal(ortp_budget_set_limit(f.budget, empty + need, NULL), ORTP_OK);
        block = must_acquire(f.pool, some[i], ORTP_LABEL_RUN);
        assert_int_equal(charged_bytes(f.budget), empty + need);
        must_release(block);
        assert_int_equal(ortp_budget_set_limit(f.budget, ORTP_UNLIMITED, NULL), ORTP_OK);
    }
    fixture_close(&f);
}

static void denial_takes_idle_blocks_first(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 0);
    ortp_block *idle[3];
    for (size_t i = 0; i < 3; i++) {
        idle[i] = must_acquire(f.pool, 300000, ORTP_LABEL_RUN);
    }
    ortp_block *kept = must_acquire(f.pool, 300000, ORTP_LABEL_RUN);
    for (size_t i = 0; i < 3; i++) {
        must_release(idle[i]);
    }
    assert_int_equal(ortp_budget_set_limit(f.budget, charged_bytes(f.budget), NULL), ORTP_OK);

    ortp_block *block;
    assert_int_equal(
        ortp_pool_acquire_within(f.pool, 800000, ORTP_LABEL_RUN, ORTP_RECLAIM_NONE, &block),
        ORTP_E_BUDGET);
    assert_int_equal(
        ortp_pool_acquire_within(f.pool, 800000, ORTP_LABEL_RUN, ORTP_RECLAIM_BLOCKS, &block),
        ORTP_OK);
    ortp_pool_info info = ORTP_POOL_INFO_INIT;
    ortp_pool_get_info(f.pool, &info);
    assert_int_equal(info.unmaps, 3);
    assert_int_equal(info.in_use_blocks, 2);
    assert_int_equal(ortp_pool_acquire(f.pool, 300000, ORTP_LABEL_RUN, &idle[0]), ORTP_E_BUDGET);
    must_release(block);
    must_release(kept);
    idle[0] = must_acquire(f.pool, 300000, ORTP_LABEL_RUN); /* nothing was lost by the denial */
    must_release(idle[0]);
    fixture_close(&f);
}

/* A reclaimer that frees no memory, but releases a block: the acquire takes that one. */
static size_t release_one(void *ctx, size_t wanted)
{
    (void)wanted;
    ortp_block **held = ctx;
    (void)ortp_block_release(*held);
    *held = NULL;
    return 0;
}

static void denial_looks_once_more(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 0);
    ortp_block *held = must_acquire(f.pool, 300000, ORTP_LABEL_TENSORS);
    ortp_reclaimer *reclaimer;
    assert_int_equal(
        ortp_budget_add_reclaimer(f.budget, ORTP_RECLAIM_TENSORS, release_one, &held, &reclaimer),
        ORTP_OK);
    /* A second block keeps the short budget from fitting even when the first is unmapped. */
    ortp_block *kept = must_acquire(f.pool, 2000000, ORTP_LABEL_TENSORS);
    assert_int_equal(ortp_budget_set_limit(f.budget, charged_bytes(f.budget), NULL), ORTP_OK);
    ortp_block *block = must_acquire(f.pool, 300000, ORTP_LABEL_RUN);
    assert_null(held);
    assert_int_equal(maps_of(f.pool), 2);
    ortp_budget_remove_reclaimer(f.budget, reclaimer);
    must_release(block);
    must_release(kept);
    fixture_close(&f);
}

static void thread_caches_keep_to_their_cap(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 0);
    ortp_pool_options options = fixture_pool_options(&f, KIND_OF(state));
    options.thread_cache_bytes = 256 * KIB;
    ortp_pool *pool;
    assert_int_equal(ortp_pool_create(&options, &pool, NULL), ORTP_OK);
    uint64_t random = 3;
    size_t most = 0;
    for (int i = 0; i < 300; i++) {
        ortp_block *blocks[12];
        for (size_t k = 0; k < 12; k++) {
            blocks[k] =
                must_acquire(pool, random_below(&random, k == 0 ? 300000 : 60000), ORTP_LABEL_RUN);
        }
        for (size_t k = 0; k < 12; k++) {
            must_release(blocks[k]);
            ortp_pool_info info = ORTP_POOL_INFO_INIT;
            ortp_pool_get_info(pool, &info);
            assert_true(info.cached_bytes <= options.thread_cache_bytes);
            most = info.cached_bytes > most ? info.cached_bytes : most;
        }
    }
    bool cached = KIND_OF(state) == ORTP_POOL_THREAD_CACHED;
    assert_true(cached ? most > options.thread_cache_bytes / 2 : most == 0);
    assert_ledger(f.budget, pool);
    assert_int_equal(ortp_pool_destroy(pool, NULL), ORTP_OK);
    fixture_close(&f);
}

static void lowered_limit_unmaps_what_is_idle(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 0);
    ortp_block *out = must_acquire(f.pool, 500000, ORTP_LABEL_RUN);
    size_t with_one = charged_bytes(f.budget);
    ortp_block *small = must_acquire(f.pool, 1000, ORTP_LABEL_RUN);
    ortp_block *large = must_acquire(f.pool, 900000, ORTP_LABEL_RUN);
    must_release(small);
    must_release(large);
    assert_int_equal(ortp_budget_set_limit(f.budget, with_one, NULL), ORTP_OK);
    assert_true(charged_bytes(f.budget) <= with_one);
    size_t excess;
    assert_int_equal(ortp_budget_set_limit(f.budget, with_one - 100000, &excess), ORTP_E_BUSY);
    assert_int_equal(excess, charged_bytes(f.budget) - (with_one - 100000));
    must_release(out);
    assert_int_equal(ortp_budget_set_limit(f.budget, ORTP_UNLIMITED, NULL), ORTP_OK);
    fixture_close(&f);
}

static void slabs_go_only_when_wholly_free(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 0);
    ortp_block *first = must_acquire(f.pool, 640, ORTP_LABEL_RUN);
    ortp_block *second = must_acquire(f.pool, 640, ORTP_LABEL_RUN);
    must_release(second);
    size_t freed;
    assert_int_equal(ortp_pool_trim(f.pool, 0, 0, &freed), ORTP_OK);
    assert_int_equal(freed, 0);
    memset(ortp_block_data(first), 1, ortp_block_bytes(first));
    must_release(first);
    assert_int_equal(ortp_pool_trim(f.pool, 0, 0, &freed), ORTP_OK);
    assert_int_equal(freed, 64 * KIB);
    fixture_close(&f);
}

static void poison_fills_on_release(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 0);
    ortp_pool_options options = fixture_pool_options(&f, KIND_OF(state));
    options.poison = true;
    ortp_pool *pool;
    assert_int_equal(ortp_pool_create(&options, &pool, NULL), ORTP_OK);
    static const size_t some[] = {1000, 100000};
    for (size_t i = 0; i < 2; i++) {
        ortp_block *block = must_acquire(pool, some[i], ORTP_LABEL_RUN);
        memset(ortp_block_data(block), 1, ortp_block_bytes(block));
        must_release(block);
        block = must_acquire(pool, some[i], ORTP_LABEL_RUN);
        const unsigned char *data = ortp_block_data(block);
        for (size_t k = 0; k < ortp_block_bytes(block); k++) {
            assert_int_equal(data[k], 0xDB);
        }
        must_release(block);
    }
    assert_int_equal(ortp_pool_destroy(pool, NULL), ORTP_OK);
    fixture_close(&f);
}

static void huge_pages_are_an_advice(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 0);
    ortp_pool_options options = fixture_pool_options(&f, KIND_OF(state));
    options.huge_pages = true;
    ortp_pool *pool;
    assert_int_equal(ortp_pool_create(&options, &pool, NULL), ORTP_OK);
    ortp_block *block = must_acquire(pool, 5 * MIB, ORTP_LABEL_RUN);
    memset(ortp_block_data(block), 1, ortp_block_bytes(block));
    must_release(block);
    assert_ledger(f.budget, pool);
    assert_int_equal(ortp_pool_destroy(pool, NULL), ORTP_OK);
    fixture_close(&f);
}

static void pools_of_one_budget_help_each_other(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 0);
    ortp_pool_options options = fixture_pool_options(&f, ORTP_POOL_STRIPED);
    ortp_pool *other;
    assert_int_equal(ortp_pool_create(&options, &other, NULL), ORTP_OK);
    must_release(must_acquire(f.pool, 500000, ORTP_LABEL_RUN));
    assert_int_equal(ortp_budget_set_limit(f.budget, charged_bytes(f.budget) + 100000, NULL),
                     ORTP_OK);
    ortp_block *block = must_acquire(other, 500000, ORTP_LABEL_RUN);
    ortp_pool_info info = ORTP_POOL_INFO_INIT;
    ortp_pool_get_info(f.pool, &info);
    assert_int_equal(info.unmaps, 1);
    must_release(block);
    assert_int_equal(ortp_pool_destroy(other, NULL), ORTP_OK);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH_KINDS(blocks_are_large_aligned_and_readable_behind),
        BOTH_KINDS(blocks_do_not_overlap),
        BOTH_KINDS(released_blocks_are_reused),
        BOTH_KINDS(borders_of_classes),
        BOTH_KINDS(large_blocks_serve_what_is_a_little_smaller),
        BOTH_KINDS(labels_are_counted),
        BOTH_KINDS(ledger_holds_after_random_operations),
        BOTH_KINDS(double_release_is_refused),
        BOTH_KINDS(destroy_says_what_is_out),
        BOTH_KINDS(options_are_checked),
        BOTH_KINDS(impossible_requests),
        BOTH_KINDS(limit_is_reached_exactly),
        BOTH_KINDS(denial_takes_idle_blocks_first),
        BOTH_KINDS(denial_looks_once_more),
        BOTH_KINDS(thread_caches_keep_to_their_cap),
        BOTH_KINDS(lowered_limit_unmaps_what_is_idle),
        BOTH_KINDS(slabs_go_only_when_wholly_free),
        BOTH_KINDS(poison_fills_on_release),
        BOTH_KINDS(huge_pages_are_an_advice),
        BOTH_KINDS(pools_of_one_budget_help_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
