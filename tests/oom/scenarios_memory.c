/* SPDX-License-Identifier: MIT */
/* The memory room: a life of everything, and single steps on objects that live on. */
#include "sweep.h"

#include <ortpool/encoder_cache.h>
#include <ortpool/pool.h>

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LARGE (200u * 1024u)
#define MORE (100u * 1024u)

typedef struct world {
    counting_alloc alloc;
    ortp_pool_kind kind;
    ortp_budget *budget;
    ortp_pool *pool;
    ortp_cache *cache;
    int attachments_freed;
} world;

static ortp_status make(world *w, ortp_error *error)
{
    ortp_budget_options budget = ORTP_BUDGET_OPTIONS_INIT;
    budget.alloc = counting_alloc_use(&w->alloc);
    ortp_status status = ortp_budget_create(&budget, &w->budget, NULL);
    if (status != ORTP_OK) {
        return status;
    }
    ortp_pool_options pool = ORTP_POOL_OPTIONS_INIT;
    pool.budget = w->budget;
    pool.kind = w->kind;
    pool.stripes = 2;
    pool.alloc = counting_alloc_use(&w->alloc);
    status = ortp_pool_create(&pool, &w->pool, error);
    if (status != ORTP_OK) {
        assert_null(w->pool);
        return status;
    }
    ortp_cache_options cache = ORTP_CACHE_OPTIONS_INIT;
    cache.pool = w->pool;
    cache.entries_max = 2;
    cache.alloc = counting_alloc_use(&w->alloc);
    return ortp_cache_create(&cache, &w->cache, NULL);
}

static void unmake(world *w)
{
    assert_int_equal(ortp_cache_destroy(w->cache, NULL), ORTP_OK);
    assert_int_equal(ortp_pool_destroy(w->pool, NULL), ORTP_OK);
    assert_int_equal(ortp_budget_destroy(w->budget, NULL), ORTP_OK);
    w->cache = NULL;
    w->pool = NULL;
    w->budget = NULL;
}

static void attachment_free(void *attachment)
{
    ++*(int *)attachment;
}

/* Puts a value for `name`; the lease is the caller's. */
static ortp_status put_leased(world *w, const char *name, ortp_lease **lease)
{
    *lease = NULL;
    ortp_block *block;
    ortp_status status = ortp_pool_acquire(w->pool, 4096, ORTP_LABEL_TENSORS, &block);
    if (status != ORTP_OK) {
        assert_null(block);
        return status;
    }
    memset(ortp_block_data(block), name[0], 4096);
    ortp_cache_key key = {
        .model_id = 1, .parts = {name}, .part_bytes = {strlen(name)}, .part_count = 1};
    ortp_cache_value value = {.blocks = {block},
                              .block_count = 1,
                              .attachment = &w->attachments_freed,
                              .attachment_free = attachment_free};
    status = ortp_cache_put(w->cache, &key, &value, lease);
    if (status != ORTP_OK) {
        assert_null(*lease);
        assert_int_equal(ortp_block_label(block), ORTP_LABEL_TENSORS); /* still ours */
        assert_int_equal(ortp_block_release(block), ORTP_OK);
        return status;
    }
    const unsigned char *data = ortp_block_data(ortp_lease_value(*lease)->blocks[0]);
    assert_int_equal(data[0], name[0]);
    assert_int_equal(data[4095], name[0]);
    return ORTP_OK;
}

static ortp_status put(world *w, const char *name)
{
    ortp_lease *lease;
    ortp_status status = put_leased(w, name, &lease);
    ortp_lease_release(lease);
    return status;
}

/* More values in use at once than the cache holds and has spare handles for. */
static ortp_status hold_many(world *w)
{
    enum { MANY = 12 };
    static const char *const names[MANY] = {"d", "e", "f", "g", "h", "i",
                                            "j", "k", "l", "m", "n", "o"};
    ortp_lease *leases[MANY] = {NULL};
    ortp_status status = ORTP_OK;
    for (size_t i = 0; i < MANY && status == ORTP_OK; i++) {
        status = put_leased(w, names[i], &leases[i]);
    }
    for (size_t i = 0; i < MANY; i++) {
        ortp_lease_release(leases[i]);
    }
    return status;
}

static ortp_status acquire_some(ortp_pool *pool)
{
    static const size_t sizes[] = {64, 1000, LARGE, 64, 30000};
    ortp_block *blocks[sizeof sizes / sizeof sizes[0]] = {NULL};
    ortp_status status = ORTP_OK;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0] && status == ORTP_OK; i++) {
        status = ortp_pool_acquire(pool, sizes[i], ORTP_LABEL_DECODE, &blocks[i]);
        if (status == ORTP_OK) {
            memset(ortp_block_data(blocks[i]), (int)i, sizes[i]);
        }
    }
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        if (blocks[i] != NULL) {
            (void)ortp_block_release(blocks[i]);
        }
    }
    return status;
}

typedef struct visitor {
    ortp_pool *pool;
    ortp_status status;
} visitor;

static void *visit(void *ctx)
{
    visitor *v = ctx;
    v->status = acquire_some(v->pool);
    return NULL;
}

/* The same from a thread that is born and ends. */
static ortp_status acquire_elsewhere(ortp_pool *pool)
{
    visitor v = {.pool = pool};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, visit, &v), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    return v.status;
}

static ortp_status use(world *w)
{
    static const ortp_pool_need needs[] = {{.bytes = LARGE, .count = 2},
                                           {.bytes = 500, .count = 3}};
    ortp_status status = acquire_some(w->pool);
    if (status == ORTP_OK) {
        status = acquire_elsewhere(w->pool);
    }
    if (status == ORTP_OK) {
        status = ortp_pool_warm(w->pool, needs, 2);
    }
    static const char *const names[] = {"a", "b", "c", "a"}; /* one is evicted, one comes again */
    for (size_t i = 0; i < 4 && status == ORTP_OK; i++) {
        status = put(w, names[i]);
    }
    if (status == ORTP_OK) {
        status = hold_many(w);
    }
    if (status == ORTP_OK) {
        status = ortp_pool_trim(w->pool, 0, 0, NULL);
    }
    return status;
}

static void assert_balanced(const world *w)
{
    if (w->budget == NULL || w->pool == NULL) {
        return;
    }
    ortp_budget_info account = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(w->budget, &account);
    ortp_pool_info info = ORTP_POOL_INFO_INIT;
    ortp_pool_get_info(w->pool, &info);
    size_t blocks = info.idle_bytes;
    for (size_t i = 0; i < ORTP_LABEL_COUNT; i++) {
        blocks += info.in_use_bytes[i];
    }
    assert_int_equal(account.account_bytes[ORTP_ACCOUNT_BLOCKS], blocks);
    assert_int_equal(account.mapped_bytes + account.account_bytes[ORTP_ACCOUNT_DECLARED],
                     account.charged_bytes);
    assert_int_equal(account.refund_errors, 0);
}

/* ---- from nothing to nothing ---- */

static void *open_nothing(ortp_pool_kind kind)
{
    world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->kind = kind;
    return w;
}

static void *open_nothing_cached(void)
{
    return open_nothing(ORTP_POOL_THREAD_CACHED);
}

static void *open_nothing_striped(void)
{
    return open_nothing(ORTP_POOL_STRIPED);
}

static ortp_status live(void *world_, ortp_error *error)
{
    world *w = world_;
    ortp_status status = make(w, error);
    if (status == ORTP_OK) {
        status = use(w);
    }
    assert_balanced(w);
    unmake(w);
    return status;
}

static void check_nothing(void *world_)
{
    counting_alloc_assert_empty(&((world *)world_)->alloc);
}

static void close_nothing(void *world_)
{
    free(world_);
}

/* ---- use of what lives on ---- */

static void *open_made(ortp_pool_kind kind)
{
    world *w = open_nothing(kind);
    assert_int_equal(make(w, NULL), ORTP_OK);
    return w;
}

static void *open_made_cached(void)
{
    return open_made(ORTP_POOL_THREAD_CACHED);
}

static void *open_made_striped(void)
{
    return open_made(ORTP_POOL_STRIPED);
}

static ortp_status use_made(void *world_, ortp_error *error)
{
    (void)error;
    return use(world_);
}

static void check_made(void *world_)
{
    world *w = world_;
    assert_balanced(w);
    ortp_pool_info info = ORTP_POOL_INFO_INIT;
    ortp_pool_get_info(w->pool, &info);
    ortp_cache_info cached = ORTP_CACHE_INFO_INIT;
    ortp_cache_get_info(w->cache, &cached);
    /* In use: keys and values in the cache, nothing else. */
    assert_int_equal(info.in_use_blocks, 2 * cached.entries);
    assert_int_equal(info.in_use_bytes[ORTP_LABEL_DECODE], 0);
    assert_int_equal(info.in_use_bytes[ORTP_LABEL_TENSORS], 0);
}

static void close_made(void *world_)
{
    world *w = world_;
    unmake(w);
    check_nothing(w);
    free(w);
}

/* ---- under a limit that leaves nothing: failures while room is made ---- */

static void *open_tight(ortp_pool_kind kind)
{
    world *w = open_made(kind);
    assert_int_equal(put(w, "x"), ORTP_OK);
    assert_int_equal(acquire_some(w->pool), ORTP_OK);
    size_t excess;
    ortp_budget_info account = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(w->budget, &account);
    assert_int_equal(ortp_budget_set_limit(w->budget, account.charged_bytes + MORE, &excess),
                     ORTP_OK);
    return w;
}

static void *open_tight_cached(void)
{
    return open_tight(ORTP_POOL_THREAD_CACHED);
}

static void *open_tight_striped(void)
{
    return open_tight(ORTP_POOL_STRIPED);
}

/* Fits only when the idle block goes that is too small for it. */
static ortp_status squeeze(void *world_, ortp_error *error)
{
    (void)error;
    world *w = world_;
    ortp_block *block;
    ortp_status status = ortp_pool_acquire(w->pool, LARGE + MORE, ORTP_LABEL_RUN, &block);
    if (status != ORTP_OK) {
        assert_null(block);
        return status;
    }
    memset(ortp_block_data(block), 5, LARGE + MORE);
    assert_int_equal(ortp_block_release(block), ORTP_OK);
    return put(w, "y");
}

const scenario scenarios_memory[] = {
    {"memory: a life (thread cached)", open_nothing_cached, live, check_nothing, close_nothing,
     false},
    {"memory: a life (striped)", open_nothing_striped, live, check_nothing, close_nothing, false},
    {"memory: use (thread cached)", open_made_cached, use_made, check_made, close_made, false},
    {"memory: use (striped)", open_made_striped, use_made, check_made, close_made, false},
    {"memory: at the limit (thread cached)", open_tight_cached, squeeze, check_made, close_made,
     false},
    {"memory: at the limit (striped)", open_tight_striped, squeeze, check_made, close_made, false},
};
const size_t scenarios_memory_count = sizeof scenarios_memory / sizeof scenarios_memory[0];

/* ---- what a sweep must find ---- */

static ortp_status forget(void *world_, ortp_error *error)
{
    (void)error;
    world *w = world_;
    ortp_block *first, *second;
    ortp_status status = ortp_pool_acquire(w->pool, LARGE, ORTP_LABEL_DECODE, &first);
    if (status != ORTP_OK) {
        return status;
    }
    status = ortp_pool_acquire(w->pool, LARGE, ORTP_LABEL_DECODE, &second);
    if (status != ORTP_OK) {
        return status; /* without giving the first one back */
    }
    assert_int_equal(ortp_block_release(second), ORTP_OK);
    assert_int_equal(ortp_block_release(first), ORTP_OK);
    return ORTP_OK;
}

const scenario scenario_broken = {"broken",   open_made_striped, forget,
                                  check_made, close_made,        false};
