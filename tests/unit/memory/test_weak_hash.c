/* SPDX-License-Identifier: MIT */
/*
 * The encoder cache over a hash of two bits (weak_hash/xxhash.h): keys that collide are told apart by
 * model, length and bytes, and a hit is exact.
 */
#include "fixture.h"

#include <string.h>

enum { KEYS = 12 };

typedef struct named {
    uint64_t model;
    const char *bytes;
} named;

/* Many with one hash: other bytes at the end, at the second place, other lengths, other models. */
static const named names[KEYS] = {
    {1, "aaaa"}, {1, "aaab"}, {1, "abaa"}, {1, "aaa"},  {1, "aaaaa"}, {2, "aaaa"},
    {2, "aaab"}, {3, "aaaa"}, {1, "eaaa"}, {1, "iaaa"}, {1, "baaa"},  {1, "a"},
};

static ortp_cache_key key_of(const named *name)
{
    return (ortp_cache_key){.model_id = name->model,
                            .parts = {name->bytes},
                            .part_bytes = {strlen(name->bytes)},
                            .part_count = 1};
}

/* The same bytes cut in three, the middle part empty. */
static ortp_cache_key cut_key_of(const named *name)
{
    return (ortp_cache_key){.model_id = name->model,
                            .parts = {name->bytes, NULL, name->bytes + 1},
                            .part_bytes = {1, 0, strlen(name->bytes) - 1},
                            .part_count = 3};
}

static void put(fixture *f, ortp_cache *cache, const named *name, int number, bool cut)
{
    ortp_cache_key key = cut ? cut_key_of(name) : key_of(name);
    ortp_block *block = must_acquire(f->pool, sizeof number, ORTP_LABEL_TENSORS);
    memcpy(ortp_block_data(block), &number, sizeof number);
    ortp_cache_value value = {.blocks = {block}, .block_count = 1, .actual_length = 1};
    ortp_lease *lease;
    assert_int_equal(ortp_cache_put(cache, &key, &value, &lease), ORTP_OK);
    ortp_lease_release(lease);
}

static int get(ortp_cache *cache, const ortp_cache_key *key)
{
    ortp_lease *lease;
    assert_int_equal(ortp_cache_get(cache, key, &lease), ORTP_OK);
    if (lease == NULL) {
        return -1;
    }
    int number;
    memcpy(&number, ortp_block_data(ortp_lease_value(lease)->blocks[0]), sizeof number);
    ortp_lease_release(lease);
    return number;
}

static void colliding_keys_are_told_apart(void **state)
{
    (void)state;
    fixture f;
    fixture_open(&f, ORTP_POOL_THREAD_CACHED, 0);
    ortp_cache_options options = ORTP_CACHE_OPTIONS_INIT;
    options.pool = f.pool;
    options.entries_max = KEYS;
    options.alloc = counting_alloc_use(&f.alloc);
    options.clock = fake_clock_use(&f.clock);
    ortp_cache *cache;
    assert_int_equal(ortp_cache_create(&options, &cache, NULL), ORTP_OK);

    for (int i = 0; i < KEYS; i++) {
        ortp_cache_key key = key_of(&names[i]);
        assert_int_equal(get(cache, &key), -1); /* nobody else's entry */
        put(&f, cache, &names[i], i, i % 2 == 1);
    }
    for (int i = 0; i < KEYS; i++) {
        ortp_cache_key key = key_of(&names[i]), cut = cut_key_of(&names[i]);
        assert_int_equal(get(cache, &key), i);
        assert_int_equal(get(cache, &cut), i);
    }
    assert_int_equal(ortp_cache_destroy(cache, NULL), ORTP_OK);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(colliding_keys_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
