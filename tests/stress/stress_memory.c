/* SPDX-License-Identifier: MIT */
/*
 * Budget, both kinds of pool and the encoder cache under random operations of many threads. Every block
 * is full of a pattern that is checked when it is released; callbacks look whether a lock is held.
 */
#include "pattern.h"
#include "stress.h"

#include <ortpool/encoder_cache.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB ((size_t)1 << 20)
#define KEYS 12u
#define VALUE_BYTES 6000u
enum { POOLS = 2, HELD = 24, SLOTS = 16, LEASES = 4 };

typedef struct held {
    ortp_block *block;
    size_t bytes;
    uint64_t stamp;
} held;

typedef struct world {
    ortp_budget *budget;
    ortp_pool *pools[POOLS];
    ortp_cache *cache; /* over the first */
    struct {
        pthread_mutex_t lock;
        held item;
    } slots[SLOTS]; /* blocks on their way to another thread */
    _Atomic size_t declared;
    _Atomic uint64_t attachments_made, attachments_freed;
    _Atomic uint64_t callbacks_under_lock;
    _Atomic uint64_t stamps;
} world;

/* What a worker holds, over the ends of its threads. */
typedef struct belongings {
    held blocks[HELD];
    ortp_lease *leases[LEASES];
    unsigned lease_keys[LEASES];
} belongings;

/* ---- callbacks: under no lock ---- */

static void called(world *w)
{
    if (stress_locks_held() != 0) {
        atomic_fetch_add(&w->callbacks_under_lock, 1);
    }
}

static void attachment_free(void *attachment)
{
    world *w = attachment;
    called(w);
    atomic_fetch_add(&w->attachments_freed, 1);
}

static void log_line(void *ctx, ortp_log_level level, const char *message)
{
    (void)level;
    (void)message;
    called(ctx);
}

static size_t give_nothing(void *ctx, size_t wanted)
{
    (void)wanted;
    called(ctx);
    return 0;
}

/* ---- blocks ---- */

/* Classes of all kinds: many small, some at the border of a mapping of their own, a few large. */
static size_t some_bytes(worker *w)
{
    switch (stress_below(&w->random, 8)) {
    case 0:
        return 1 + stress_below(&w->random, 64);
    case 1:
        return 64u * 1024u - 100u + stress_below(&w->random, 200);
    case 2:
        return 1 + stress_below(&w->random, 600u * 1024u);
    default:
        return 1 + stress_below(&w->random, 16u * 1024u);
    }
}

/* Reads past the end, as some kernels do; to ThreadSanitizer that is a race with the next block. */
static void read_past_the_end(const ortp_block *block, size_t bytes)
{
#ifndef __SANITIZE_THREAD__
    const volatile unsigned char *data = ortp_block_data(block);
    (void)data[bytes];
    (void)data[ortp_block_bytes(block) + ORTP_BLOCK_TAIL - 1];
#else
    (void)block;
    (void)bytes;
#endif
}

static bool acquire(worker *w, ortp_pool *pool, held *item)
{
    world *all = w->world;
    const size_t bytes = some_bytes(w);
    const ortp_label label = (ortp_label)stress_below(&w->random, ORTP_LABEL_COUNT);
    ortp_block *block;
    const ortp_status status = ortp_pool_acquire(pool, bytes, label, &block);
    if (status != ORTP_OK) {
        CHECK(w, status == ORTP_E_BUDGET && block == NULL);
        return false;
    }
    const unsigned char *data = ortp_block_data(block);
    CHECK(w, (uintptr_t)data % 64 == 0 && ortp_block_bytes(block) >= bytes);
    CHECK(w, ortp_block_label(block) == label);
    *item = (held){block, bytes, atomic_fetch_add(&all->stamps, 1) * 64u};
    pattern_fill(ortp_block_data(block), bytes, item->stamp);
    read_past_the_end(block, bytes);
    return true;
}

static void release(worker *w, held *item)
{
    const size_t wrong = pattern_wrong(ortp_block_data(item->block), item->bytes, item->stamp);
    if (wrong != SIZE_MAX) {
        stress_fail(w, "a block of %zu bytes was overwritten at %zu", item->bytes, wrong);
    }
    CHECK(w, ortp_block_release(item->block) == ORTP_OK);
    item->block = NULL;
}

static held *some_held(worker *w)
{
    belongings *own = w->own;
    return &own->blocks[stress_below(&w->random, HELD)];
}

static void turn_over(worker *w)
{
    world *all = w->world;
    held *item = some_held(w);
    if (item->block != NULL) {
        release(w, item);
    } else {
        (void)acquire(w, all->pools[stress_below(&w->random, POOLS)], item);
    }
}

/* Changes places with a block that another thread has left, or leaves one. */
static void exchange(worker *w)
{
    world *all = w->world;
    held *item = some_held(w);
    const size_t slot = stress_below(&w->random, SLOTS);
    (void)pthread_mutex_lock(&all->slots[slot].lock);
    const held other = all->slots[slot].item;
    all->slots[slot].item = *item;
    (void)pthread_mutex_unlock(&all->slots[slot].lock);
    *item = other;
}

static void relabel(worker *w)
{
    held *item = some_held(w);
    if (item->block != NULL) {
        const ortp_label label = (ortp_label)stress_below(&w->random, ORTP_LABEL_COUNT);
        CHECK(w, ortp_block_relabel(item->block, label) == ORTP_OK);
    }
}

/* ---- the cache ---- */

static ortp_cache_key key_of(const unsigned *number)
{
    return (ortp_cache_key){.model_id = *number % 3,
                            .parts = {number},
                            .part_bytes = {sizeof *number},
                            .part_count = 1};
}

static bool value_is(const ortp_lease *lease, unsigned number)
{
    const ortp_cache_value *value = ortp_lease_value(lease);
    return value->actual_length == (int32_t)number &&
           pattern_wrong(ortp_block_data(value->blocks[0]), VALUE_BYTES, number) == SIZE_MAX;
}

static ortp_lease *put(worker *w, unsigned number)
{
    world *all = w->world;
    ortp_block *block;
    if (ortp_pool_acquire(all->pools[0], VALUE_BYTES, ORTP_LABEL_TENSORS, &block) != ORTP_OK) {
        return NULL;
    }
    pattern_fill(ortp_block_data(block), VALUE_BYTES, number);
    const ortp_cache_key key = key_of(&number);
    const ortp_cache_value value = {.blocks = {block},
                                    .block_count = 1,
                                    .actual_length = (int32_t)number,
                                    .attachment = all,
                                    .attachment_free = attachment_free};
    atomic_fetch_add(&all->attachments_made, 1);
    ortp_lease *lease;
    const ortp_status status = ortp_cache_put(all->cache, &key, &value, &lease);
    if (status != ORTP_OK) { /* declined: ours still */
        CHECK(w, status == ORTP_E_BUDGET && lease == NULL);
        atomic_fetch_add(&all->attachments_freed, 1);
        CHECK(w, ortp_block_release(block) == ORTP_OK);
    }
    return lease;
}

/* Gets or puts and keeps the lease; a lease held already is checked, now and then ended. */
static void use_cache(worker *w)
{
    world *all = w->world;
    belongings *own = w->own;
    const size_t at = stress_below(&w->random, LEASES);
    if (own->leases[at] != NULL) {
        CHECK(w, value_is(own->leases[at], own->lease_keys[at]));
        ortp_lease_release(own->leases[at]);
        own->leases[at] = NULL;
        return;
    }
    const unsigned number = 1 + (unsigned)stress_below(&w->random, KEYS);
    const ortp_cache_key key = key_of(&number);
    ortp_lease *lease;
    CHECK(w, ortp_cache_get(all->cache, &key, &lease) == ORTP_OK);
    if (lease == NULL) {
        lease = put(w, number);
    }
    if (lease != NULL) {
        CHECK(w, value_is(lease, number));
        own->leases[at] = lease;
        own->lease_keys[at] = number;
    }
}

/* ---- pressure ---- */

/* In every second round the limit stands, a tight one: then nothing may ever be above it. */
static bool limit_stands(uint64_t round)
{
    return round % 2 == 0;
}

/*
 * At any instant: charged is the sum of its accounts and within a limit that stands. Where limits
 * change it may be above one that has been lowered, but does not grow then.
 */
static void look(worker *w)
{
    world *all = w->world;
    ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(all->budget, &info);
    size_t sum = 0;
    for (size_t i = 0; i < ORTP_ACCOUNT_COUNT; i++) {
        sum += info.account_bytes[i];
    }
    CHECK(w, sum == info.charged_bytes && info.refund_errors == 0);
    if (limit_stands(w->round)) {
        CHECK(w, info.charged_bytes <= info.limit_bytes);
    } else if (info.charged_bytes > info.limit_bytes) {
        ortp_budget_info later = ORTP_BUDGET_INFO_INIT;
        ortp_budget_get_info(all->budget, &later);
        CHECK(w, later.limit_bytes != info.limit_bytes ||
                     later.charged_bytes <= info.charged_bytes ||
                     later.charged_bytes <= later.limit_bytes);
    }
}

static void change_limit(worker *w)
{
    world *all = w->world;
    if (limit_stands(w->round)) {
        look(w);
        return;
    }
    const size_t limit = 3 * MIB + stress_below(&w->random, 20 * MIB);
    size_t excess = 1;
    const ortp_status status = ortp_budget_set_limit(all->budget, limit, &excess);
    CHECK(w, status == ORTP_OK ? excess == 0 : status == ORTP_E_BUSY && excess > 0);
}

static void declare(worker *w)
{
    world *all = w->world;
    const size_t bytes = 1 + stress_below(&w->random, MIB);
    const ortp_status status =
        ortp_budget_charge(all->budget, ORTP_ACCOUNT_DECLARED, bytes, ORTP_RECLAIM_CACHE);
    if (status != ORTP_OK) {
        CHECK(w, status == ORTP_E_BUDGET);
        return;
    }
    atomic_fetch_add(&all->declared, bytes);
    look(w);
    CHECK(w, ortp_budget_refund(all->budget, ORTP_ACCOUNT_DECLARED, bytes) == ORTP_OK);
    atomic_fetch_sub(&all->declared, bytes);
}

static void trim(worker *w)
{
    world *all = w->world;
    size_t freed;
    CHECK(w, ortp_pool_trim(all->pools[stress_below(&w->random, POOLS)],
                            stress_below(&w->random, 2 * MIB), 0, &freed) == ORTP_OK);
}

static void warm(worker *w)
{
    world *all = w->world;
    const ortp_pool_need needs[] = {{.bytes = some_bytes(w), .count = 2},
                                    {.bytes = some_bytes(w), .count = 3}};
    const ortp_status status =
        ortp_pool_warm(all->pools[stress_below(&w->random, POOLS)], needs, 2);
    CHECK(w, status == ORTP_OK || status == ORTP_E_BUDGET);
}

/* A pool of one's own on the shared budget: born, used, not destroyed while in use, gone. */
static void own_pool(worker *w)
{
    world *all = w->world;
    ortp_pool_options options = ORTP_POOL_OPTIONS_INIT;
    options.budget = all->budget;
    options.kind = stress_below(&w->random, 2) == 0 ? ORTP_POOL_STRIPED : ORTP_POOL_THREAD_CACHED;
    options.poison = true;
    ortp_pool *pool;
    const ortp_status status = ortp_pool_create(&options, &pool, NULL);
    if (status != ORTP_OK) {
        CHECK(w, status == ORTP_E_BUDGET && pool == NULL);
        return;
    }
    held item;
    if (acquire(w, pool, &item)) {
        CHECK(w, ortp_pool_destroy(pool, NULL) == ORTP_E_BUSY);
        release(w, &item);
    }
    CHECK(w, ortp_pool_destroy(pool, NULL) == ORTP_OK);
}

static void reclaimer(worker *w)
{
    world *all = w->world;
    ortp_reclaimer *made;
    const ortp_status status =
        ortp_budget_add_reclaimer(all->budget, ORTP_RECLAIM_TENSORS, give_nothing, all, &made);
    CHECK(w, status == ORTP_OK || status == ORTP_E_BUDGET);
    if (status == ORTP_OK) {
        (void)ortp_budget_reclaim(all->budget, ORTP_RECLAIM_CACHE,
                                  1 + stress_below(&w->random, MIB));
        ortp_budget_remove_reclaimer(all->budget, made);
    }
}

static void step(worker *w)
{
    world *all = w->world;
    const size_t drawn = stress_below(&w->random, 1000);
    if (drawn < 600) {
        turn_over(w);
    } else if (drawn < 700) {
        exchange(w);
    } else if (drawn < 720) {
        relabel(w);
    } else if (drawn < 900) {
        use_cache(w);
    } else if (drawn < 905) {
        (void)ortp_cache_clear(all->cache);
    } else if (drawn < 910) {
        (void)ortp_cache_evict_stale(all->cache);
    } else if (drawn < 935) {
        declare(w);
    } else if (drawn < 960) {
        look(w);
    } else if (drawn < 970) {
        trim(w);
    } else if (drawn < 980) {
        warm(w);
    } else if (drawn < 987) {
        change_limit(w);
    } else if (drawn < 992) {
        reclaimer(w);
    } else {
        own_pool(w);
    }
}

/* ---- between rounds ---- */

static size_t blocks_held(const worker *w, void **own)
{
    const world *all = w->world;
    size_t count = 0;
    for (size_t i = 0; i < w->options->workers; i++) {
        const belongings *b = own[i];
        for (size_t k = 0; k < HELD; k++) {
            count += b->blocks[k].block != NULL;
        }
    }
    for (size_t i = 0; i < SLOTS; i++) {
        count += all->slots[i].item.block != NULL;
    }
    return count;
}

static void **everyone; /* belongings of all workers, for quiet() */

/* For a round in which it stands: room for a little more than what is held. */
static void set_tight_limit(worker *w, uint64_t round)
{
    world *all = w->world;
    if (limit_stands(round)) {
        (void)ortp_budget_reclaim(all->budget, ORTP_RECLAIM_CACHE, SIZE_MAX);
        ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
        ortp_budget_get_info(all->budget, &info);
        size_t excess;
        CHECK(w, ortp_budget_set_limit(all->budget, info.charged_bytes + MIB, &excess) == ORTP_OK);
    }
}

static void quiet(worker *w)
{
    world *all = w->world;
    ortp_budget_info account = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(all->budget, &account);
    size_t blocks = 0, in_use = 0;
    for (size_t i = 0; i < POOLS; i++) {
        ortp_pool_info info = ORTP_POOL_INFO_INIT;
        ortp_pool_get_info(all->pools[i], &info);
        blocks += info.idle_bytes;
        in_use += info.in_use_blocks;
        for (size_t k = 0; k < ORTP_LABEL_COUNT; k++) {
            blocks += info.in_use_bytes[k];
        }
        CHECK(w, info.acquires - info.releases == info.in_use_blocks);
        CHECK(w, info.cached_bytes == 0); /* threads that ended gave their magazines back */
    }
    CHECK(w, account.account_bytes[ORTP_ACCOUNT_BLOCKS] == blocks);
    CHECK(w, account.account_bytes[ORTP_ACCOUNT_DECLARED] == 0 && all->declared == 0);
    CHECK(w, account.refund_errors == 0);
    ortp_cache_info cached = ORTP_CACHE_INFO_INIT;
    ortp_cache_get_info(all->cache, &cached);
    const size_t values = cached.entries + cached.evicted_leased; /* a key and a block each */
    CHECK(w, in_use == blocks_held(w, everyone) + 2 * values);
    CHECK(w, all->attachments_made - all->attachments_freed == values);
    CHECK(w, all->callbacks_under_lock == 0);
    set_tight_limit(w, w->round + 1);
}

static bool open_world(world *all)
{
    ortp_budget_options budget = ORTP_BUDGET_OPTIONS_INIT;
    budget.limit_bytes = 4 * MIB;
    budget.log = (ortp_logger){.fn = log_line, .ctx = all, .level = ORTP_LOG_DEBUG};
    if (ortp_budget_create(&budget, &all->budget, NULL) != ORTP_OK) {
        return false;
    }
    for (size_t i = 0; i < POOLS; i++) {
        ortp_pool_options pool = ORTP_POOL_OPTIONS_INIT;
        pool.budget = all->budget;
        pool.kind = i == 0 ? ORTP_POOL_THREAD_CACHED : ORTP_POOL_STRIPED;
        pool.stripes = 3;
        pool.thread_cache_bytes = 128u * 1024u;
        pool.log = budget.log;
        if (ortp_pool_create(&pool, &all->pools[i], NULL) != ORTP_OK) {
            return false;
        }
    }
    ortp_cache_options cache = ORTP_CACHE_OPTIONS_INIT;
    cache.pool = all->pools[0];
    cache.stale_ms = 20;
    cache.log = budget.log;
    for (size_t i = 0; i < SLOTS; i++) {
        (void)pthread_mutex_init(&all->slots[i].lock, NULL);
    }
    return ortp_cache_create(&cache, &all->cache, NULL) == ORTP_OK;
}

/* Everything back; then nothing may be charged. */
static bool close_world(world *all, void **own, size_t workers)
{
    for (size_t i = 0; i < workers; i++) {
        belongings *b = own[i];
        for (size_t k = 0; k < HELD; k++) {
            if (b->blocks[k].block != NULL) {
                (void)ortp_block_release(b->blocks[k].block);
            }
        }
        for (size_t k = 0; k < LEASES; k++) {
            ortp_lease_release(b->leases[k]);
        }
        free(b);
    }
    for (size_t i = 0; i < SLOTS; i++) {
        if (all->slots[i].item.block != NULL) {
            (void)ortp_block_release(all->slots[i].item.block);
        }
        (void)pthread_mutex_destroy(&all->slots[i].lock);
    }
    bool well = ortp_cache_destroy(all->cache, NULL) == ORTP_OK;
    for (size_t i = 0; i < POOLS; i++) {
        well = ortp_pool_destroy(all->pools[i], NULL) == ORTP_OK && well;
    }
    return ortp_budget_destroy(all->budget, NULL) == ORTP_OK && well &&
           all->attachments_made == all->attachments_freed;
}

int main(int argc, char **argv)
{
    stress options;
    if (!stress_options(argc, argv, 4000, &options)) {
        return 2;
    }
    static world all;
    void *own[WORKERS_MAX] = {NULL};
    bool ready = open_world(&all);
    for (size_t i = 0; i < options.workers; i++) {
        own[i] = calloc(1, sizeof(belongings));
        ready = ready && own[i] != NULL;
    }
    if (!ready) {
        (void)fputs("no memory for the set-up\n", stderr);
        return 1;
    }
    everyone = own;
    const stress_program program = {.name = "stress_memory", .step = step, .quiet = quiet};
    const int result = stress_run(&program, &options, &all, own);
    if (result == 0 && !close_world(&all, own, options.workers)) {
        (void)fputs("FAILED: something is left at the end\n", stderr);
        return 1;
    }
    return result;
}
