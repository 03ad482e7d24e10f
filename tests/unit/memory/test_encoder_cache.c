/* SPDX-License-Identifier: MIT */
/* The encoder cache on one thread: exact hits, order, age, leases, ownership. */
#include "fixture.h"

#include <string.h>

typedef struct bench {
    fixture f;
    ortp_cache *cache;
} bench;

static void bench_open(bench *b, size_t entries_max, uint64_t stale_ms)
{
    fixture_open(&b->f, ORTP_POOL_THREAD_CACHED, 0);
    ortp_cache_options options = ORTP_CACHE_OPTIONS_INIT;
    options.pool = b->f.pool;
    options.entries_max = entries_max;
    options.stale_ms = stale_ms;
    options.alloc = counting_alloc_use(&b->f.alloc);
    options.clock = fake_clock_use(&b->f.clock);
    assert_int_equal(ortp_cache_create(&options, &b->cache, NULL), ORTP_OK);
}

static void bench_close(bench *b)
{
    assert_int_equal(ortp_cache_destroy(b->cache, NULL), ORTP_OK);
    assert_int_equal(in_use_bytes(b->f.pool), 0); /* keys and values are back */
    fixture_close(&b->f);
}

static ortp_cache_info info_of(const bench *b)
{
    ortp_cache_info info = ORTP_CACHE_INFO_INIT;
    ortp_cache_get_info(b->cache, &info);
    return info;
}

static ortp_cache_key key_of(const void *bytes, size_t count)
{
    return (ortp_cache_key){
        .model_id = 1, .parts = {bytes}, .part_bytes = {count}, .part_count = 1};
}

/* ---- values that tell when they are disposed of ---- */

typedef struct token {
    int freed;
    ortp_block *block; /* still out when the attachment goes */
    bool block_was_out;
} token;

static void token_free(void *attachment)
{
    token *t = attachment;
    t->freed++;
    if (t->block != NULL) {
        t->block_was_out = ortp_block_relabel(t->block, ORTP_LABEL_CACHE) == ORTP_OK;
    }
}

static ortp_cache_value value_of(bench *b, token *t, int32_t length)
{
    ortp_cache_value value = {.block_count = 2,
                              .actual_length = length,
                              .attachment = t,
                              .attachment_free = token_free,
                              .attachment_bytes = 1000};
    value.blocks[0] = must_acquire(b->f.pool, 4000, ORTP_LABEL_TENSORS);
    value.blocks[1] = must_acquire(b->f.pool, 100000, ORTP_LABEL_TENSORS);
    memset(ortp_block_data(value.blocks[0]), (int)length, 4000);
    t->block = value.blocks[0];
    return value;
}

static void value_drop(const ortp_cache_value *value)
{
    value->attachment_free(value->attachment);
    for (size_t i = 0; i < value->block_count; i++) {
        must_release(value->blocks[i]);
    }
}

/* Puts `name` and ends the lease at once. */
static void put(bench *b, const char *name, token *t)
{
    ortp_cache_key key = key_of(name, strlen(name));
    ortp_cache_value value = value_of(b, t, name[0]);
    ortp_lease *lease = NULL;
    assert_int_equal(ortp_cache_put(b->cache, &key, &value, &lease), ORTP_OK);
    assert_non_null(lease);
    ortp_lease_release(lease);
}

static ortp_lease *get(bench *b, const char *name)
{
    ortp_cache_key key = key_of(name, strlen(name));
    ortp_lease *lease = (ortp_lease *)1;
    assert_int_equal(ortp_cache_get(b->cache, &key, &lease), ORTP_OK);
    return lease;
}

static bool hits(bench *b, const char *name)
{
    ortp_lease *lease = get(b, name);
    if (lease != NULL) {
        assert_int_equal(ortp_lease_value(lease)->actual_length, name[0]);
    }
    ortp_lease_release(lease);
    return lease != NULL;
}

/* ---- tests ---- */

static void a_hit_gives_the_value_back(void **state)
{
    (void)state;
    bench b;
    bench_open(&b, 0, 0);
    token t = {0};
    ortp_cache_key key = key_of("swipe", 5);
    ortp_cache_value value = value_of(&b, &t, 77);
    ortp_lease *lease;
    assert_int_equal(ortp_cache_get(b.cache, &key, &lease), ORTP_OK);
    assert_null(lease);
    assert_int_equal(ortp_cache_put(b.cache, &key, &value, &lease), ORTP_OK);
    const ortp_cache_value *kept = ortp_lease_value(lease);
    assert_memory_equal(kept, &value, sizeof value);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(ortp_block_label(value.blocks[i]), ORTP_LABEL_CACHE);
    }
    ortp_lease *again;
    assert_int_equal(ortp_cache_get(b.cache, &key, &again), ORTP_OK);
    assert_ptr_equal(ortp_lease_value(again)->blocks[0], value.blocks[0]);
    ortp_cache_info info = info_of(&b);
    assert_int_equal(info.entries, 1);
    assert_int_equal(info.leased, 1);
    assert_int_equal(info.hits, 1);
    assert_int_equal(info.misses, 1);
    assert_int_equal(info.puts, 1);
    assert_int_equal(info.value_bytes,
                     1000 + ortp_block_bytes(value.blocks[0]) + ortp_block_bytes(value.blocks[1]));
    ortp_lease_release(lease);
    assert_int_equal(info_of(&b).leased, 1);
    ortp_lease_release(again);
    assert_int_equal(info_of(&b).leased, 0);
    ortp_lease_release(NULL);
    assert_int_equal(t.freed, 0);
    bench_close(&b);
    assert_int_equal(t.freed, 1);
    assert_true(t.block_was_out); /* the attachment goes before the blocks */
}

static void only_the_same_bytes_hit(void **state)
{
    (void)state;
    bench b;
    bench_open(&b, 8, 0);
    unsigned char bytes[3600];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (unsigned char)(i * 7);
    }
    ortp_cache_key key = key_of(bytes, sizeof bytes);
    token t = {0};
    ortp_cache_value value = value_of(&b, &t, 1);
    ortp_lease *lease;
    assert_int_equal(ortp_cache_put(b.cache, &key, &value, &lease), ORTP_OK);
    ortp_lease_release(lease);

    unsigned char other[3600];
    memcpy(other, bytes, sizeof other);
    ortp_cache_key same = key_of(other, sizeof other);
    assert_int_equal(ortp_cache_get(b.cache, &same, &lease), ORTP_OK);
    assert_non_null(lease); /* other memory, same bytes */
    ortp_lease_release(lease);

    static const size_t changed[] = {0, 1, 1800, 3598, 3599};
    for (size_t i = 0; i < sizeof changed / sizeof *changed; i++) {
        other[changed[i]] ^= 1;
        assert_int_equal(ortp_cache_get(b.cache, &same, &lease), ORTP_OK);
        assert_null(lease);
        other[changed[i]] ^= 1;
    }
    ortp_cache_key shorter = key_of(bytes, sizeof bytes - 1);
    assert_int_equal(ortp_cache_get(b.cache, &shorter, &lease), ORTP_OK);
    assert_null(lease);
    ortp_cache_key model = key;
    model.model_id = 2;
    assert_int_equal(ortp_cache_get(b.cache, &model, &lease), ORTP_OK);
    assert_null(lease);

    /* Parts are joined: where they are cut is no part of the key. */
    ortp_cache_key split = {.model_id = 1,
                            .parts = {bytes, bytes + 1, NULL, bytes + 3000},
                            .part_bytes = {1, 2999, 0, 600},
                            .part_count = 4};
    assert_int_equal(ortp_cache_get(b.cache, &split, &lease), ORTP_OK);
    assert_non_null(lease);
    ortp_lease_release(lease);
    split.part_bytes[3] = 599;
    assert_int_equal(ortp_cache_get(b.cache, &split, &lease), ORTP_OK);
    assert_null(lease);
    bench_close(&b);
}

static void arguments_are_checked(void **state)
{
    (void)state;
    bench b;
    bench_open(&b, 0, 0);
    token t = {0};
    ortp_cache_value value = value_of(&b, &t, 1);
    ortp_lease *lease = (ortp_lease *)1;
    ortp_cache_key bad[] = {
        {.part_count = 0},
        {.parts = {"x"}, .part_bytes = {1}, .part_count = 5},
        {.parts = {"x"}, .part_bytes = {0}, .part_count = 1},
        {.parts = {NULL}, .part_bytes = {1}, .part_count = 1},
        {.parts = {"x", "y"}, .part_bytes = {SIZE_MAX, 1}, .part_count = 2},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        lease = (ortp_lease *)1;
        assert_int_equal(ortp_cache_get(b.cache, &bad[i], &lease), ORTP_E_INVAL);
        assert_null(lease);
        assert_int_equal(ortp_cache_put(b.cache, &bad[i], &value, &lease), ORTP_E_INVAL);
        assert_null(lease);
    }
    ortp_cache_key key = key_of("k", 1);
    assert_int_equal(ortp_cache_get(NULL, &key, &lease), ORTP_E_INVAL);
    assert_int_equal(ortp_cache_get(b.cache, NULL, &lease), ORTP_E_INVAL);
    assert_int_equal(ortp_cache_get(b.cache, &key, NULL), ORTP_E_INVAL);
    assert_int_equal(ortp_cache_put(b.cache, &key, NULL, &lease), ORTP_E_INVAL);
    assert_int_equal(ortp_cache_put(b.cache, &key, &value, NULL), ORTP_E_INVAL);
    ortp_cache_value broken = value;
    broken.block_count = ORTP_CACHE_BLOCKS_MAX + 1;
    assert_int_equal(ortp_cache_put(b.cache, &key, &broken, &lease), ORTP_E_INVAL);
    broken = value;
    broken.blocks[1] = NULL;
    assert_int_equal(ortp_cache_put(b.cache, &key, &broken, &lease), ORTP_E_INVAL);

    /* A block that is not out: nothing changes, labels included. */
    broken = value;
    broken.blocks[2] = must_acquire(b.f.pool, 9000, ORTP_LABEL_RUN); /* no key is as large */
    must_release(broken.blocks[2]);
    broken.block_count = 3;
    assert_int_equal(ortp_cache_put(b.cache, &key, &broken, &lease), ORTP_E_INVAL);
    assert_int_equal(ortp_block_label(value.blocks[0]), ORTP_LABEL_TENSORS);
    assert_int_equal(ortp_block_label(value.blocks[1]), ORTP_LABEL_TENSORS);
    assert_int_equal(info_of(&b).entries, 0);
    value_drop(&value);
    assert_int_equal(t.freed, 1);

    ortp_cache_options options = ORTP_CACHE_OPTIONS_INIT;
    ortp_cache *cache = (ortp_cache *)1;
    assert_int_equal(ortp_cache_create(&options, &cache, NULL), ORTP_E_INVAL);
    assert_null(cache);
    options.pool = b.f.pool;
    options.entries_max = SIZE_MAX;
    assert_int_equal(ortp_cache_create(&options, &cache, NULL), ORTP_E_INVAL);
    options.entries_max = 0;
    options.alloc.alloc = counting_alloc_use(&b.f.alloc).alloc;
    assert_int_equal(ortp_cache_create(&options, &cache, NULL), ORTP_E_INVAL);
    assert_int_equal(ortp_cache_create(&options, NULL, NULL), ORTP_E_INVAL);
    assert_int_equal(ortp_cache_destroy(NULL, NULL), ORTP_OK);
    bench_close(&b);
}

static void the_least_recently_used_goes_first(void **state)
{
    (void)state;
    bench b;
    bench_open(&b, 0, 0); /* four */
    token t[6] = {{0}};
    put(&b, "a", &t[0]);
    put(&b, "b", &t[1]);
    put(&b, "c", &t[2]);
    put(&b, "d", &t[3]);
    assert_true(hits(&b, "a")); /* now b is the oldest */
    put(&b, "e", &t[4]);
    assert_int_equal(t[1].freed, 1);
    assert_false(hits(&b, "b"));
    assert_true(hits(&b, "c"));
    assert_true(hits(&b, "a"));
    put(&b, "f", &t[5]);
    assert_int_equal(t[3].freed, 1);
    assert_true(hits(&b, "a") && hits(&b, "c") && hits(&b, "e") && hits(&b, "f"));
    ortp_cache_info info = info_of(&b);
    assert_int_equal(info.entries, 4);
    assert_int_equal(info.evictions, 2);
    assert_int_equal(info.stale, 0);
    bench_close(&b);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(t[i].freed, 1);
    }
}

static void stale_entries_do_not_hit(void **state)
{
    (void)state;
    bench b;
    bench_open(&b, 0, 0); /* 5,000 ms */
    token t[3] = {{0}};
    put(&b, "a", &t[0]);
    fake_clock_advance(&b.f.clock, 3000);
    put(&b, "b", &t[1]);
    fake_clock_advance(&b.f.clock, 2000);
    assert_true(hits(&b, "a")); /* 5,000 is not older than 5,000 */
    assert_int_equal(ortp_cache_evict_stale(b.cache), 0);
    fake_clock_advance(&b.f.clock, 1);
    assert_false(hits(&b, "a")); /* use does not make it younger */
    assert_int_equal(t[0].freed, 1);
    assert_int_equal(info_of(&b).stale, 1);
    assert_true(hits(&b, "b"));
    fake_clock_advance(&b.f.clock, 3000);
    assert_int_equal(ortp_cache_evict_stale(b.cache), 1);
    assert_int_equal(t[1].freed, 1);
    ortp_cache_info info = info_of(&b);
    assert_int_equal(info.entries, 0);
    assert_int_equal(info.value_bytes, 0);
    assert_int_equal(info.stale, 2);
    assert_int_equal(info.evictions, 0);

    /* A put of a stale key replaces it. */
    put(&b, "c", &t[2]);
    fake_clock_advance(&b.f.clock, 6000);
    token fresh = {0};
    put(&b, "c", &fresh);
    assert_int_equal(t[2].freed, 1);
    assert_int_equal(fresh.freed, 0);
    assert_int_equal(info_of(&b).reputs, 0);
    bench_close(&b);

    bench_open(&b, 0, ORTP_CACHE_NEVER_STALE);
    token u = {0};
    put(&b, "a", &u);
    fake_clock_advance(&b.f.clock, UINT64_MAX / 2);
    assert_true(hits(&b, "a"));
    assert_int_equal(ortp_cache_evict_stale(b.cache), 0);
    bench_close(&b);
}

static void what_is_leased_lives_on(void **state)
{
    (void)state;
    bench b;
    bench_open(&b, 1, 100);
    token t[4] = {{0}};
    put(&b, "a", &t[0]);
    ortp_lease *a = get(&b, "a");
    put(&b, "b", &t[1]); /* evicts a, by order */
    assert_int_equal(t[0].freed, 0);
    assert_false(hits(&b, "a"));
    ortp_lease *lb = get(&b, "b");
    fake_clock_advance(&b.f.clock, 101);
    assert_false(hits(&b, "b")); /* evicts b, by age */
    put(&b, "c", &t[2]);
    ortp_lease *c = get(&b, "c");
    assert_int_equal(ortp_cache_clear(b.cache), 1); /* and c */
    ortp_cache_info info = info_of(&b);
    assert_int_equal(info.entries, 0);
    assert_int_equal(info.leased, 3);
    assert_int_equal(info.evicted_leased, 3);
    assert_int_equal(info.value_bytes, 0);

    ortp_lease *leases[3] = {a, lb, c};
    static const char names[3] = {'a', 'b', 'c'};
    for (size_t i = 0; i < 3; i++) {
        const ortp_cache_value *value = ortp_lease_value(leases[i]);
        assert_int_equal(value->actual_length, names[i]);
        const unsigned char *data = ortp_block_data(value->blocks[0]);
        for (size_t k = 0; k < 4000; k++) {
            assert_int_equal(data[k], names[i]);
        }
        assert_int_equal(t[i].freed, 0);
        ortp_lease_release(leases[i]);
        assert_int_equal(t[i].freed, 1);
    }
    assert_int_equal(info_of(&b).leased, 0);
    assert_int_equal(info_of(&b).evicted_leased, 0);
    bench_close(&b);
}

static void several_leases_of_one_entry(void **state)
{
    (void)state;
    bench b;
    bench_open(&b, 2, 0);
    token t = {0};
    put(&b, "a", &t);
    ortp_lease *leases[5];
    for (size_t i = 0; i < 5; i++) {
        leases[i] = get(&b, "a");
        assert_non_null(leases[i]);
    }
    assert_int_equal(info_of(&b).leased, 1);
    assert_int_equal(ortp_cache_clear(b.cache), 1);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(t.freed, 0);
        ortp_lease_release(leases[i]);
    }
    assert_int_equal(t.freed, 1);

    /* One release too many does nothing. */
    ortp_lease_release(leases[0]);
    assert_int_equal(info_of(&b).leased, 0);
    token u = {0};
    put(&b, "a", &u);
    ortp_lease *lease = get(&b, "a");
    ortp_lease_release(lease);
    ortp_lease_release(lease);
    assert_int_equal(u.freed, 0);
    assert_int_equal(info_of(&b).leased, 0);
    assert_true(hits(&b, "a"));
    bench_close(&b);
    assert_int_equal(u.freed, 1);
}

static void a_second_put_leases_the_first_value(void **state)
{
    (void)state;
    bench b;
    bench_open(&b, 2, 0);
    token first = {0}, second = {0};
    put(&b, "a", &first);
    put(&b, "b", &(token){0});
    ortp_cache_key key = key_of("a", 1);
    ortp_cache_value value = value_of(&b, &second, 99);
    ortp_lease *lease;
    size_t in_use = in_use_bytes(b.f.pool);
    assert_int_equal(ortp_cache_put(b.cache, &key, &value, &lease), ORTP_OK);
    assert_ptr_equal(ortp_lease_value(lease)->attachment, &first);
    assert_int_equal(ortp_lease_value(lease)->actual_length, 'a');
    assert_int_equal(second.freed, 1);
    assert_true(second.block_was_out);
    assert_int_equal(first.freed, 0);
    assert_true(in_use_bytes(b.f.pool) < in_use); /* the given blocks are back */
    ortp_lease_release(lease);
    ortp_cache_info info = info_of(&b);
    assert_int_equal(info.puts, 2);
    assert_int_equal(info.reputs, 1);
    assert_int_equal(info.entries, 2);
    token third = {0};
    put(&b, "c", &third); /* b goes: the second put of a was a use of it */
    assert_true(hits(&b, "a"));
    assert_false(hits(&b, "b"));
    (void)ortp_cache_clear(b.cache);
    bench_close(&b);
    assert_int_equal(first.freed, 1);
}

static void clear_counts_and_spares_leases(void **state)
{
    (void)state;
    bench b;
    bench_open(&b, 4, 0);
    token t[3] = {{0}};
    put(&b, "a", &t[0]);
    put(&b, "b", &t[1]);
    put(&b, "c", &t[2]);
    ortp_lease *lease = get(&b, "b");
    assert_int_equal(ortp_cache_clear(b.cache), 3);
    assert_int_equal(t[0].freed + t[2].freed, 2);
    assert_int_equal(t[1].freed, 0);
    assert_int_equal(ortp_cache_clear(b.cache), 0);
    assert_int_equal(info_of(&b).evictions, 3);

    /* Destroying while leases are out is refused; the cache stays usable. */
    put(&b, "d", &t[0]);
    assert_int_equal(ortp_cache_destroy(b.cache, NULL), ORTP_E_BUSY);
    assert_int_equal(t[0].freed, 2);
    put(&b, "d", &t[0]);
    assert_true(hits(&b, "d"));
    ortp_lease_release(lease);
    bench_close(&b);
}

static void values_may_be_all_attachment_or_all_blocks(void **state)
{
    (void)state;
    bench b;
    bench_open(&b, 4, 0);
    token t = {0};
    ortp_cache_key key = key_of("a", 1);
    ortp_cache_value value = {
        .attachment = &t, .attachment_free = token_free, .attachment_bytes = 5};
    ortp_lease *lease;
    assert_int_equal(ortp_cache_put(b.cache, &key, &value, &lease), ORTP_OK);
    ortp_lease_release(lease);
    assert_int_equal(info_of(&b).value_bytes, 5);
    key = key_of("b", 1);
    value = (ortp_cache_value){.block_count = 1};
    value.blocks[0] = must_acquire(b.f.pool, 100, ORTP_LABEL_RUN);
    assert_int_equal(ortp_cache_put(b.cache, &key, &value, &lease), ORTP_OK);
    ortp_lease_release(lease);
    assert_int_equal(ortp_cache_clear(b.cache), 2);
    assert_int_equal(t.freed, 1);
    bench_close(&b);
}

static void a_disabled_cache_declines(void **state)
{
    (void)state;
    bench b;
    fixture_open(&b.f, ORTP_POOL_STRIPED, 0);
    ortp_cache_options options = ORTP_CACHE_OPTIONS_INIT;
    options.pool = b.f.pool;
    options.disabled = true;
    options.alloc = counting_alloc_use(&b.f.alloc);
    assert_int_equal(ortp_cache_create(&options, &b.cache, NULL), ORTP_OK);
    token t = {0};
    ortp_cache_value value = value_of(&b, &t, 1);
    ortp_cache_key key = key_of("a", 1);
    ortp_lease *lease = (ortp_lease *)1;
    assert_int_equal(ortp_cache_put(b.cache, &key, &value, &lease), ORTP_E_AGAIN);
    assert_null(lease);
    assert_int_equal(ortp_block_label(value.blocks[0]), ORTP_LABEL_TENSORS);
    assert_int_equal(t.freed, 0);
    assert_false(hits(&b, "a"));
    value_drop(&value);
    ortp_cache_info info = info_of(&b);
    assert_int_equal(info.declined, 1);
    assert_int_equal(info.misses, 1);
    bench_close(&b);
}

static void reclaim_evicts_what_nobody_leases(void **state)
{
    (void)state;
    bench b;
    bench_open(&b, 4, 0);
    token t[4] = {{0}};
    put(&b, "a", &t[0]);
    put(&b, "b", &t[1]);
    put(&b, "c", &t[2]);
    put(&b, "d", &t[3]);
    ortp_lease *a = get(&b, "a");
    ortp_lease_release(get(&b, "b")); /* order of use now: c d a b */
    assert_int_equal(ortp_pool_trim(b.f.pool, 0, 0, NULL), ORTP_OK);
    ortp_budget *budget = b.f.budget;

    /* Idle blocks only: the cache is not asked. */
    assert_int_equal(ortp_budget_reclaim(budget, ORTP_RECLAIM_TENSORS, ORTP_UNLIMITED), 0);
    assert_int_equal(info_of(&b).entries, 4);
    /* A little: the oldest. */
    size_t before = charged_bytes(budget);
    assert_true(ortp_budget_reclaim(budget, ORTP_RECLAIM_CACHE, 50000) >= 50000);
    assert_int_equal(t[2].freed, 1);
    assert_int_equal(info_of(&b).entries, 3);
    assert_true(before - charged_bytes(budget) >= 50000);
    /* All: what is leased stays, in the table too. */
    assert_true(ortp_budget_reclaim(budget, ORTP_RECLAIM_CACHE, ORTP_UNLIMITED) > 0);
    assert_int_equal(t[0].freed, 0);
    assert_int_equal(t[1].freed, 1);
    assert_int_equal(t[3].freed, 1);
    assert_true(hits(&b, "a"));
    assert_int_equal(info_of(&b).evictions, 3);
    ortp_lease_release(a);
    bench_close(&b);
}

static void a_short_budget_makes_room_from_the_cache(void **state)
{
    (void)state;
    bench b;
    bench_open(&b, 4, 0);
    token t = {0};
    put(&b, "a", &t);
    assert_int_equal(ortp_budget_set_limit(b.f.budget, charged_bytes(b.f.budget), NULL), ORTP_OK);
    ortp_block *block;
    assert_int_equal(
        ortp_pool_acquire_within(b.f.pool, 90000, ORTP_LABEL_RUN, ORTP_RECLAIM_BLOCKS, &block),
        ORTP_E_BUDGET);
    assert_int_equal(t.freed, 0);
    block = must_acquire(b.f.pool, 90000, ORTP_LABEL_RUN);
    assert_int_equal(t.freed, 1);
    must_release(block);
    bench_close(&b);
}

static void a_put_that_does_not_fit_changes_nothing(void **state)
{
    (void)state;
    bench b;
    bench_open(&b, 4, 0);
    token t = {0};
    ortp_cache_value value = value_of(&b, &t, 1);
    static unsigned char large[300000];
    ortp_cache_key key = key_of(large, sizeof large);
    assert_int_equal(ortp_budget_set_limit(b.f.budget, charged_bytes(b.f.budget), NULL), ORTP_OK);
    ortp_pool_info before = ORTP_POOL_INFO_INIT, after = ORTP_POOL_INFO_INIT;
    ortp_pool_get_info(b.f.pool, &before);
    ortp_lease *lease = (ortp_lease *)1;
    for (int i = 0; i < 20; i++) { /* handles come back */
        assert_int_equal(ortp_cache_put(b.cache, &key, &value, &lease), ORTP_E_BUDGET);
        assert_null(lease);
    }
    ortp_pool_get_info(b.f.pool, &after);
    assert_memory_equal(before.in_use_bytes, after.in_use_bytes, sizeof before.in_use_bytes);
    assert_int_equal(ortp_block_label(value.blocks[0]), ORTP_LABEL_TENSORS);
    assert_int_equal(t.freed, 0);
    assert_int_equal(info_of(&b).declined, 20);
    assert_int_equal(info_of(&b).entries, 0);
    assert_int_equal(ortp_budget_set_limit(b.f.budget, ORTP_UNLIMITED, NULL), ORTP_OK);
    must_release(must_acquire(b.f.pool, 64, ORTP_LABEL_RUN)); /* room for a small key */
    uint64_t calls = b.f.alloc.calls;
    key = key_of(large, 64);
    assert_int_equal(ortp_cache_put(b.cache, &key, &value, &lease), ORTP_OK);
    assert_int_equal(b.f.alloc.calls, calls); /* nor was a handle lost */
    ortp_lease_release(lease);
    bench_close(&b);
    assert_int_equal(t.freed, 1);
}

static void getting_allocates_nothing(void **state)
{
    (void)state;
    bench b;
    bench_open(&b, 4, 100);
    token t[2] = {{0}};
    put(&b, "a", &t[0]);
    put(&b, "b", &t[1]);
    uint64_t calls = b.f.alloc.calls;
    uint64_t maps = maps_of(b.f.pool);
    for (int i = 0; i < 100; i++) {
        assert_true(hits(&b, "a"));
        assert_false(hits(&b, "x"));
    }
    fake_clock_advance(&b.f.clock, 200);
    assert_false(hits(&b, "a"));
    assert_int_equal(b.f.alloc.calls, calls);
    /* A put after the first ones finds its handle and its key's block ready, too. */
    put(&b, "a", &t[0]);
    assert_int_equal(b.f.alloc.calls, calls);
    assert_int_equal(maps_of(b.f.pool), maps);
    bench_close(&b);
}

/* More evicted entries under leases than there are handles: new ones are made, and kept for reuse. */
static void many_evicted_leases(void **state)
{
    (void)state;
    bench b;
    bench_open(&b, 1, 0);
    enum { COUNT = 30 };
    token t[COUNT] = {{0}};
    ortp_lease *leases[COUNT];
    for (int round = 0; round < 2; round++) {
        uint64_t calls = b.f.alloc.calls;
        for (size_t i = 0; i < COUNT; i++) {
            unsigned char byte = (unsigned char)i;
            ortp_cache_key key = key_of(&byte, 1);
            ortp_cache_value value = value_of(&b, &t[i], (int32_t)i);
            assert_int_equal(ortp_cache_put(b.cache, &key, &value, &leases[i]), ORTP_OK);
        }
        assert_int_equal(info_of(&b).evicted_leased, COUNT - 1);
        if (round == 1) {
            assert_int_equal(b.f.alloc.calls, calls);
        }
        for (size_t i = 0; i < COUNT; i++) {
            assert_int_equal(ortp_lease_value(leases[i])->actual_length, i);
            ortp_lease_release(leases[i]);
        }
        (void)ortp_cache_clear(b.cache);
    }
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(t[i].freed, 2);
    }
    bench_close(&b);
}

enum { HELD = 12 };

/* Puts HELD values in a cache of one entry and holds all leases; the allocations that took. */
static uint64_t hold_many(bench *b, size_t spare_entries)
{
    ortp_cache_options options = ORTP_CACHE_OPTIONS_INIT;
    options.pool = b->f.pool;
    options.entries_max = 1;
    options.spare_entries = spare_entries;
    options.alloc = counting_alloc_use(&b->f.alloc);
    ortp_cache *cache = NULL;
    assert_int_equal(ortp_cache_create(&options, &cache, NULL), ORTP_OK);
    token t[HELD] = {{0}};
    ortp_lease *leases[HELD];
    uint64_t calls = b->f.alloc.calls;
    for (size_t i = 0; i < HELD; i++) {
        unsigned char byte = (unsigned char)i;
        ortp_cache_key key = key_of(&byte, 1);
        ortp_cache_value value = value_of(b, &t[i], (int32_t)i);
        assert_int_equal(ortp_cache_put(cache, &key, &value, &leases[i]), ORTP_OK);
    }
    calls = b->f.alloc.calls - calls;
    for (size_t i = 0; i < HELD; i++) {
        ortp_lease_release(leases[i]);
    }
    assert_int_equal(ortp_cache_destroy(cache, NULL), ORTP_OK);
    return calls;
}

static void spare_entries_are_there_beforehand(void **state)
{
    (void)state;
    bench b;
    bench_open(&b, 1, 0);
    (void)hold_many(&b, 0); /* the pool has its blocks now */
    assert_true(hold_many(&b, 0) > 0);
    assert_int_equal(hold_many(&b, HELD - 1), 0);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hit_gives_the_value_back),
        cmocka_unit_test(only_the_same_bytes_hit),
        cmocka_unit_test(arguments_are_checked),
        cmocka_unit_test(the_least_recently_used_goes_first),
        cmocka_unit_test(stale_entries_do_not_hit),
        cmocka_unit_test(what_is_leased_lives_on),
        cmocka_unit_test(several_leases_of_one_entry),
        cmocka_unit_test(a_second_put_leases_the_first_value),
        cmocka_unit_test(clear_counts_and_spares_leases),
        cmocka_unit_test(values_may_be_all_attachment_or_all_blocks),
        cmocka_unit_test(a_disabled_cache_declines),
        cmocka_unit_test(reclaim_evicts_what_nobody_leases),
        cmocka_unit_test(a_short_budget_makes_room_from_the_cache),
        cmocka_unit_test(a_put_that_does_not_fit_changes_nothing),
        cmocka_unit_test(getting_allocates_nothing),
        cmocka_unit_test(many_evicted_leases),
        cmocka_unit_test(spare_entries_are_there_beforehand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
