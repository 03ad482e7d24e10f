/* SPDX-License-Identifier: MIT */
/*
 * An interpreter: bytes are operations on a budget, a pool and an encoder cache, each done on the product
 * and on a reference model; after every one they must agree. The first byte: kind of pool, limit, size of the
 * cache. Two bytes an operation.
 *
 * Under a limit the product may evict what nobody leases: then, and only then, the model follows.
 */
#include "fuzz.h"
#include "model.h"

#include "counting_alloc.h"
#include "fake_clock.h"
#include "internal.h"

#include <ortpool/encoder_cache.h>

#include <string.h>

#define KEYS 6u
#define VALUE_BYTES 700u

typedef struct world {
    model model;
    counting_alloc alloc;
    fake_clock clock;
    ortp_budget *budget;
    ortp_pool *pool;
    ortp_cache *cache;
    ortp_block *blocks[MODEL_BLOCKS];
    ortp_lease *leases[MODEL_LEASES];
    model_value *leased[MODEL_LEASES];
    uint64_t attachments_freed;
    uint64_t attachments_made;
    bool limited; /* ever */
} world;

static void attachment_free(void *attachment)
{
    ++*(uint64_t *)attachment;
}

static bool filled(const ortp_block *block, uint8_t fill, size_t bytes)
{
    const uint8_t *data = ortp_block_data(block);
    return data[0] == fill && memcmp(data, data + 1, bytes - 1) == 0;
}

static size_t bytes_of(uint8_t argument)
{
    static const size_t sizes[] = {1, 64, 65, 1000, 4096, 32768, 65472, 65536, 90000};
    return sizes[argument % ORTP__COUNT(sizes)] + argument % 3;
}

static ortp_cache_key key_of(const unsigned *number)
{
    return (ortp_cache_key){.model_id = *number % 2,
                            .parts = {number},
                            .part_bytes = {sizeof *number},
                            .part_count = 1};
}

/* ---- operations ---- */

static void acquire_or_release(world *w, uint8_t argument)
{
    const size_t at = argument % MODEL_BLOCKS;
    model_block *expected = &w->model.blocks[at];
    if (expected->held) {
        MUST(filled(w->blocks[at], expected->fill, expected->bytes));
        MUST(ortp_block_release(w->blocks[at]) == ORTP_OK);
        expected->held = false;
        return;
    }
    const size_t bytes = bytes_of((uint8_t)(argument / MODEL_BLOCKS * 5u + at));
    const unsigned label = (argument / 3u) % ORTP_LABEL_COUNT;
    const ortp_status status = ortp_pool_acquire(w->pool, bytes, (ortp_label)label, &w->blocks[at]);
    if (status != ORTP_OK) {
        MUST(status == ORTP_E_BUDGET && w->limited && w->blocks[at] == NULL);
        return;
    }
    MUST((uintptr_t)ortp_block_data(w->blocks[at]) % 64 == 0);
    MUST(ortp_block_bytes(w->blocks[at]) >= bytes);
    *expected = (model_block){true, bytes, label, argument};
    memset(ortp_block_data(w->blocks[at]), argument, bytes);
}

static void relabel(world *w, uint8_t argument)
{
    model_block *expected = &w->model.blocks[argument % MODEL_BLOCKS];
    if (expected->held) {
        expected->label = (argument / MODEL_BLOCKS) % ORTP_LABEL_COUNT;
        MUST(ortp_block_relabel(w->blocks[argument % MODEL_BLOCKS], (ortp_label)expected->label) ==
             ORTP_OK);
    }
}

static size_t free_lease(const world *w)
{
    size_t at = 0;
    while (at < MODEL_LEASES && w->leases[at] != NULL) {
        at++;
    }
    return at;
}

static void keep(world *w, size_t at, ortp_lease *lease, model_value *value)
{
    w->leases[at] = lease;
    w->leased[at] = value;
}

static bool in_product(const world *w, unsigned number)
{
    const ortp_cache_key key = key_of(&number);
    ortp_lease *lease;
    MUST(ortp_cache_get(w->cache, &key, &lease) == ORTP_OK);
    ortp_lease_release(lease);
    return lease != NULL;
}

/*
 * Asks both for every key, in the same order, so that they agree on what was used last, too. Under a limit
 * the product may have evicted what nobody leases.
 */
static void follow(world *w)
{
    for (unsigned number = 0; w->limited && number < KEYS; number++) {
        const bool there = in_product(w, number);
        model_value *value = model_get(&w->model, number); /* a stale one goes here as there */
        if (value != NULL) {
            model_release(&w->model, value);
        }
        MUST(!there || value != NULL);
        MUST(there || value == NULL || model_reclaimed(&w->model, number));
    }
}

static void get(world *w, uint8_t argument)
{
    const unsigned number = argument % KEYS;
    const size_t at = free_lease(w);
    if (at == MODEL_LEASES) {
        return;
    }
    const ortp_cache_key key = key_of(&number);
    ortp_lease *lease;
    MUST(ortp_cache_get(w->cache, &key, &lease) == ORTP_OK);
    model_value *value = model_get(&w->model, number);
    MUST((lease != NULL) == (value != NULL));
    if (lease != NULL) {
        MUST(ortp_lease_value(lease)->actual_length == (int32_t)number);
        keep(w, at, lease, value);
    }
}

/*
 * A new entry came in under a limit: which ones had to go for it, by pressure or because the cache was
 * full, is read off the product.
 */
static void make_way(world *w, unsigned number)
{
    model *m = &w->model;
    for (unsigned key = 0; w->limited && key < KEYS; key++) {
        model_value *value = model_find(m, key);
        if (value != NULL && (key == number || !in_product(w, key))) {
            MUST(key != number || value->leases == 0 || m->now_ms - value->put_ms > m->stale_ms);
            model_evict(m, value);
        }
    }
    MUST(!w->limited || model_entries(m) < m->entries_max);
}

static void put(world *w, uint8_t argument)
{
    const unsigned number = argument % KEYS;
    const size_t at = free_lease(w);
    ortp_block *block = NULL;
    if (at == MODEL_LEASES) {
        return;
    }
    ortp_status status = ortp_pool_acquire(w->pool, VALUE_BYTES, ORTP_LABEL_TENSORS, &block);
    follow(w);
    if (status != ORTP_OK) {
        MUST(status == ORTP_E_BUDGET && w->limited);
        return;
    }
    memset(ortp_block_data(block), argument, VALUE_BYTES);
    const ortp_cache_key key = key_of(&number);
    const ortp_cache_value value = {.blocks = {block},
                                    .block_count = 1,
                                    .actual_length = (int32_t)number,
                                    .attachment = &w->attachments_freed,
                                    .attachment_free = attachment_free};
    ortp_lease *lease;
    ortp_cache_info before = ORTP_CACHE_INFO_INIT, after = ORTP_CACHE_INFO_INIT;
    ortp_cache_get_info(w->cache, &before);
    status = ortp_cache_put(w->cache, &key, &value, &lease);
    ortp_cache_get_info(w->cache, &after);
    if (status != ORTP_OK) {
        MUST(status == ORTP_E_BUDGET && w->limited && lease == NULL);
        MUST(ortp_block_label(block) == ORTP_LABEL_TENSORS);
        MUST(ortp_block_release(block) == ORTP_OK);
        return;
    }
    w->attachments_made++;
    if (after.puts > before.puts) {
        make_way(w, number);
    }
    model_value *expected = model_put(&w->model, number, argument);
    MUST(expected != NULL);
    const ortp_cache_value *given = ortp_lease_value(lease);
    MUST(filled(given->blocks[0], expected->fill,
                VALUE_BYTES)); /* the old one's, where it was there */
    keep(w, at, lease, expected);
}

static void end_lease(world *w, uint8_t argument)
{
    const size_t at = argument % MODEL_LEASES;
    if (w->leases[at] == NULL) {
        return;
    }
    const ortp_cache_value *value = ortp_lease_value(w->leases[at]);
    MUST(value->actual_length == (int32_t)w->leased[at]->key);
    MUST(filled(value->blocks[0], w->leased[at]->fill, VALUE_BYTES));
    ortp_lease_release(w->leases[at]);
    model_release(&w->model, w->leased[at]);
    w->leases[at] = NULL;
}

static void declare(world *w, uint8_t argument)
{
    const size_t bytes = (size_t)(argument & 0x7f) * 1000u;
    if (argument & 0x80) {
        const ortp_status status = ortp_budget_refund(w->budget, ORTP_ACCOUNT_DECLARED, bytes);
        MUST(status == (bytes <= w->model.declared ? ORTP_OK : ORTP_E_INVAL));
        w->model.declared -= status == ORTP_OK ? bytes : 0;
        return;
    }
    const ortp_status status =
        ortp_budget_charge(w->budget, ORTP_ACCOUNT_DECLARED, bytes, ORTP_RECLAIM_CACHE);
    MUST(status == ORTP_OK || (status == ORTP_E_BUDGET && w->limited));
    w->model.declared += status == ORTP_OK ? bytes : 0;
}

static void set_limit(world *w, uint8_t argument)
{
    const size_t limit = argument < 0xe0 ? (size_t)argument * 4096u : ORTP_UNLIMITED;
    size_t excess = 7;
    w->limited = true;
    const ortp_status status = ortp_budget_set_limit(w->budget, limit, &excess);
    ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(w->budget, &info);
    MUST(info.limit_bytes == limit);
    if (info.charged_bytes > limit) {
        MUST(status == ORTP_E_BUSY && excess == info.charged_bytes - limit);
    } else {
        MUST(status == ORTP_OK && excess == 0);
    }
}

static void manage(world *w, uint8_t argument)
{
    size_t freed;
    switch (argument % 4) {
    case 0:
        MUST(ortp_pool_trim(w->pool, (size_t)(argument / 4u) * 4096u, 0, &freed) == ORTP_OK);
        break;
    case 1: {
        const ortp_pool_need need = {.bytes = bytes_of(argument / 4u),
                                     .count = 1u + argument / 64u};
        const ortp_status status = ortp_pool_warm(w->pool, &need, 1);
        MUST(status == ORTP_OK || (status == ORTP_E_BUDGET && w->limited));
        break;
    }
    case 2:
        MUST(ortp_cache_clear(w->cache) == model_clear(&w->model, false));
        break;
    default:
        MUST(ortp_cache_evict_stale(w->cache) == model_clear(&w->model, true));
        break;
    }
}

static void advance(world *w, uint8_t argument)
{
    const uint64_t ms = argument < 200 ? argument : (uint64_t)argument * 100u;
    fake_clock_advance(&w->clock, ms);
    w->model.now_ms += ms;
}

/* ---- agreement ---- */

static void compare(world *w)
{
    ortp_budget_info account = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(w->budget, &account);
    ortp_pool_info info = ORTP_POOL_INFO_INIT;
    ortp_pool_get_info(w->pool, &info);
    ortp_cache_info cached = ORTP_CACHE_INFO_INIT;
    ortp_cache_get_info(w->cache, &cached);

    size_t held = 0, labelled[ORTP_LABEL_COUNT] = {0};
    for (size_t i = 0; i < MODEL_BLOCKS; i++) {
        if (w->model.blocks[i].held) {
            held++;
            labelled[w->model.blocks[i].label] += ortp__block_footprint(w->blocks[i]);
        }
    }
    size_t blocks = info.idle_bytes;
    for (size_t i = 0; i < ORTP_LABEL_COUNT; i++) {
        blocks += info.in_use_bytes[i];
        /* The cache's own keys and values come on top of one label. */
        MUST(i == ORTP_LABEL_CACHE ? info.in_use_bytes[i] >= labelled[i]
                                   : info.in_use_bytes[i] == labelled[i]);
    }
    MUST(account.account_bytes[ORTP_ACCOUNT_BLOCKS] == blocks);
    MUST(account.account_bytes[ORTP_ACCOUNT_DECLARED] == w->model.declared);
    MUST(account.charged_bytes == account.mapped_bytes + w->model.declared);
    MUST(cached.entries == model_entries(&w->model));
    MUST(info.in_use_blocks == held + 2 * model_alive(&w->model)); /* a key and a value each */
    MUST(w->attachments_freed == w->model.disposed);
    MUST(w->attachments_made - w->attachments_freed == model_alive(&w->model));
}

static void open_world(world *w, uint8_t setting)
{
    memset(w, 0, sizeof *w);
    fake_clock_advance(&w->clock, 1);
    w->model.now_ms = 1;
    w->model.entries_max = 1 + setting / 2u % MODEL_ENTRIES;
    w->model.stale_ms = 300;
    ortp_budget_options budget = ORTP_BUDGET_OPTIONS_INIT;
    budget.alloc = counting_alloc_use(&w->alloc);
    MUST(ortp_budget_create(&budget, &w->budget, NULL) == ORTP_OK);
    ortp_pool_options pool = ORTP_POOL_OPTIONS_INIT;
    pool.budget = w->budget;
    pool.kind = setting % 2 == 0 ? ORTP_POOL_THREAD_CACHED : ORTP_POOL_STRIPED;
    pool.stripes = 1 + setting / 8u % 3;
    pool.poison = setting >= 128;
    pool.thread_cache_bytes = 64u * 1024u;
    pool.alloc = budget.alloc;
    pool.clock = fake_clock_use(&w->clock);
    MUST(ortp_pool_create(&pool, &w->pool, NULL) == ORTP_OK);
    ortp_cache_options cache = ORTP_CACHE_OPTIONS_INIT;
    cache.pool = w->pool;
    cache.entries_max = w->model.entries_max;
    cache.stale_ms = w->model.stale_ms;
    cache.alloc = budget.alloc;
    cache.clock = pool.clock;
    MUST(ortp_cache_create(&cache, &w->cache, NULL) == ORTP_OK);
}

static void close_world(world *w)
{
    bool out = false, leased = false;
    for (size_t i = 0; i < MODEL_BLOCKS; i++) {
        out = out || w->model.blocks[i].held;
    }
    for (size_t i = 0; i < MODEL_LEASES; i++) {
        leased = leased || w->leases[i] != NULL;
    }
    MUST(!leased || ortp_cache_destroy(w->cache, NULL) == ORTP_E_BUSY);
    for (size_t i = 0; i < MODEL_LEASES; i++) {
        if (w->leases[i] != NULL) {
            ortp_lease_release(w->leases[i]);
        }
    }
    MUST(ortp_cache_destroy(w->cache, NULL) == ORTP_OK);
    MUST(w->attachments_freed == w->attachments_made);
    MUST(!out || ortp_pool_destroy(w->pool, NULL) == ORTP_E_BUSY);
    for (size_t i = 0; i < MODEL_BLOCKS; i++) {
        if (w->model.blocks[i].held) {
            MUST(ortp_block_release(w->blocks[i]) == ORTP_OK);
        }
    }
    MUST(ortp_pool_destroy(w->pool, NULL) == ORTP_OK);
    MUST(ortp_budget_refund(w->budget, ORTP_ACCOUNT_DECLARED, w->model.declared) == ORTP_OK);
    MUST(ortp_budget_destroy(w->budget, NULL) == ORTP_OK);
    MUST(w->alloc.live_blocks == 0 && w->alloc.errors == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const operations[])(world * w, uint8_t argument) = {
        acquire_or_release,
        acquire_or_release,
        acquire_or_release,
        get,
        put,
        end_lease,
        end_lease,
        relabel,
        manage,
        advance,
        declare,
        set_limit,
    };
    if (size == 0) {
        return 0;
    }
    static world w;
    open_world(&w, data[0]);
    for (size_t i = 1; i + 1 < size; i += 2) {
        operations[data[i] % ORTP__COUNT(operations)](&w, data[i + 1]);
        follow(&w);
        compare(&w);
    }
    close_world(&w);
    return 0;
}
