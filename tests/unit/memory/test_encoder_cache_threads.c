/* SPDX-License-Identifier: MIT */
/* The encoder cache among threads: values under a lease never change, each is disposed of once. */
#include "fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define THREADS 8
#define ROUNDS 600
#define KEYS 12
#define VALUE_BYTES 3000

typedef struct shared {
    fixture f;
    ortp_cache *cache;
    _Atomic uint64_t failures;
    _Atomic int64_t attachments; /* live */
    _Atomic uint64_t hits;
    _Atomic bool stop;
} shared;

typedef struct worker {
    shared *s;
    uint64_t random;
} worker;

typedef struct attachment {
    shared *s;
    _Atomic bool freed;
} attachment;

static void attachment_free(void *ptr)
{
    attachment *a = ptr;
    a->s->failures += atomic_exchange(&a->freed, true);
    a->s->attachments--;
    free(a);
}

static ortp_cache_key key_of(const size_t *number)
{
    return (ortp_cache_key){
        .model_id = 9, .parts = {number}, .part_bytes = {sizeof *number}, .part_count = 1};
}

/* What a lease promises: the value of its key, whole. */
static void check(shared *s, const ortp_lease *lease, size_t number)
{
    const ortp_cache_value *value = ortp_lease_value(lease);
    const unsigned char *data = ortp_block_data(value->blocks[0]);
    s->failures += value->actual_length != (int32_t)number;
    s->failures += data[0] != number || memcmp(data, data + 1, VALUE_BYTES - 1) != 0;
    s->failures += atomic_load(&((attachment *)value->attachment)->freed);
}

static ortp_lease *put_new(shared *s, size_t number)
{
    ortp_cache_value value = {.block_count = 1, .actual_length = (int32_t)number};
    if (ortp_pool_acquire(s->f.pool, VALUE_BYTES, ORTP_LABEL_TENSORS, &value.blocks[0]) !=
        ORTP_OK) {
        return NULL;
    }
    memset(ortp_block_data(value.blocks[0]), (int)number, VALUE_BYTES);
    attachment *a = malloc(sizeof *a);
    if (a == NULL) {
        s->failures++;
        (void)ortp_block_release(value.blocks[0]);
        return NULL;
    }
    *a = (attachment){.s = s};
    s->attachments++;
    value.attachment = a;
    value.attachment_free = attachment_free;
    ortp_cache_key key = key_of(&number);
    ortp_lease *lease = NULL;
    ortp_status status = ortp_cache_put(s->cache, &key, &value, &lease);
    if (status != ORTP_OK) {
        s->failures += status != ORTP_E_BUDGET;
        attachment_free(a);
        s->failures += ortp_block_release(value.blocks[0]) != ORTP_OK;
    }
    return lease;
}

static void *work(void *ctx)
{
    worker *w = ctx;
    shared *s = w->s;
    for (int i = 0; i < ROUNDS; i++) {
        size_t number = random_below(&w->random, KEYS);
        size_t operation = random_below(&w->random, 50);
        if (operation == 0) {
            (void)ortp_cache_clear(s->cache);
        } else if (operation == 1) {
            fake_clock_advance(&s->f.clock, 30);
            (void)ortp_cache_evict_stale(s->cache);
        } else if (operation == 2) {
            (void)ortp_budget_reclaim(s->f.budget, ORTP_RECLAIM_CACHE,
                                      random_below(&w->random, 20000));
        } else {
            ortp_cache_key key = key_of(&number);
            ortp_lease *lease = NULL;
            s->failures += ortp_cache_get(s->cache, &key, &lease) != ORTP_OK;
            s->hits += lease != NULL;
            if (lease == NULL) {
                lease = put_new(s, number);
            }
            if (lease != NULL) {
                check(s, lease, number);
                if (operation == 3) {
                    sleep_ms(1);
                    check(s, lease, number);
                }
                ortp_lease_release(lease);
            }
        }
    }
    return NULL;
}

static void *watch(void *ctx)
{
    shared *s = ctx;
    while (!s->stop) {
        ortp_cache_info info = ORTP_CACHE_INFO_INIT;
        ortp_cache_get_info(s->cache, &info);
        s->failures += info.entries > 4;
        s->failures += info.evicted_leased > info.leased;
        s->failures += info.leased > THREADS;
        sleep_ms(1);
    }
    return NULL;
}

static void run(ortp_pool_kind kind, size_t limit)
{
    shared s = {.failures = 0};
    fixture_open(&s.f, kind, limit);
    ortp_cache_options options = ORTP_CACHE_OPTIONS_INIT;
    options.pool = s.f.pool;
    options.stale_ms = 100;
    options.alloc = counting_alloc_use(&s.f.alloc);
    options.clock = fake_clock_use(&s.f.clock);
    assert_int_equal(ortp_cache_create(&options, &s.cache, NULL), ORTP_OK);
    pthread_t threads[THREADS], watcher;
    worker workers[THREADS];
    assert_int_equal(pthread_create(&watcher, NULL, watch, &s), 0);
    for (size_t i = 0; i < THREADS; i++) {
        workers[i] = (worker){.s = &s, .random = 50 + i};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    s.stop = true;
    assert_int_equal(pthread_join(watcher, NULL), 0);
    assert_int_equal(s.failures, 0);
    assert_true(s.hits > 0);
    ortp_cache_info info = ORTP_CACHE_INFO_INIT;
    ortp_cache_get_info(s.cache, &info);
    assert_int_equal(info.leased, 0);
    assert_int_equal(info.hits, s.hits);
    assert_int_equal(s.attachments, info.entries);
    assert_int_equal(info.puts, info.entries + info.evictions + info.stale);
    assert_ledger(s.f.budget, s.f.pool);
    assert_int_equal(ortp_cache_destroy(s.cache, NULL), ORTP_OK);
    assert_int_equal(s.attachments, 0);
    assert_int_equal(in_use_bytes(s.f.pool), 0);
    fixture_close(&s.f);
}

static void eight_threads(void **state)
{
    run(KIND_OF(state), 0);
}

static void eight_threads_under_a_short_budget(void **state)
{
    run(KIND_OF(state), 320 * KIB);
}

/* ---- a destructor that takes its time ---- */

typedef struct gate {
    ortp_budget *budget;
    ortp_cache *cache;
    ortp_lease *lease; /* NULL: clear, or reclaim */
    bool reclaims;
    ortp_status destroyed;
    _Atomic bool entered;
    _Atomic bool open;
    _Atomic bool left;
} gate;

static void wait_at_gate(void *ctx)
{
    gate *g = ctx;
    g->entered = true;
    while (!g->open) {
        sleep_ms(1);
    }
    g->left = true;
}

static void *dispose_of_it(void *ctx)
{
    gate *g = ctx;
    if (g->lease != NULL) {
        ortp_lease_release(g->lease);
    } else if (g->reclaims) {
        (void)ortp_budget_reclaim(g->budget, ORTP_RECLAIM_CACHE, ORTP_UNLIMITED);
    } else {
        (void)ortp_cache_clear(g->cache);
    }
    return NULL;
}

static void *destroy_it(void *ctx)
{
    gate *g = ctx;
    g->destroyed = ortp_cache_destroy(g->cache, NULL);
    return NULL;
}

/* One entry, and a thread that stands in its destructor. */
static void open_gate(gate *g, fixture *f, pthread_t *thread, bool by_lease)
{
    ortp_cache_options options = ORTP_CACHE_OPTIONS_INIT;
    options.pool = f->pool;
    options.alloc = counting_alloc_use(&f->alloc);
    assert_int_equal(ortp_cache_create(&options, &g->cache, NULL), ORTP_OK);
    g->budget = f->budget;
    size_t number = 1;
    ortp_cache_key key = key_of(&number);
    ortp_cache_value value = {
        .attachment = g, .attachment_free = wait_at_gate, .attachment_bytes = 1};
    ortp_lease *lease;
    assert_int_equal(ortp_cache_put(g->cache, &key, &value, &lease), ORTP_OK);
    if (by_lease) {
        g->lease = lease;
        assert_int_equal(ortp_cache_clear(g->cache), 1);
        assert_false(g->entered);
        assert_int_equal(ortp_cache_destroy(g->cache, NULL), ORTP_E_BUSY);
    } else {
        ortp_lease_release(lease);
    }
    assert_int_equal(pthread_create(thread, NULL, dispose_of_it, g), 0);
    while (!g->entered) {
        sleep_ms(1);
    }
}

/* By then nothing is leased nor in the table, and the call has yet to give its handle back. */
static void destroy_is_refused_while_a_value_goes(void **state)
{
    for (int by_lease = 0; by_lease < 2; by_lease++) {
        fixture f;
        fixture_open(&f, KIND_OF(state), 0);
        gate g = {.budget = NULL};
        pthread_t thread;
        open_gate(&g, &f, &thread, by_lease == 1);
        ortp_cache_info info = ORTP_CACHE_INFO_INIT;
        ortp_cache_get_info(g.cache, &info);
        assert_int_equal(info.leased + info.entries, 0);
        assert_int_equal(ortp_cache_destroy(g.cache, NULL), ORTP_E_BUSY);
        g.open = true;
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(ortp_cache_destroy(g.cache, NULL), ORTP_OK);
        fixture_close(&f);
    }
}

/* A charge of anybody's may be evicting: that is no reason to refuse, destroy waits for it. */
static void destroy_waits_for_a_reclaim(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 0);
    gate g = {.reclaims = true, .destroyed = ORTP_E_BUSY};
    pthread_t threads[2];
    open_gate(&g, &f, &threads[0], false);
    assert_int_equal(pthread_create(&threads[1], NULL, destroy_it, &g), 0);
    sleep_ms(5);
    g.open = true;
    assert_int_equal(pthread_join(threads[0], NULL), 0);
    assert_int_equal(pthread_join(threads[1], NULL), 0);
    assert_int_equal(g.destroyed, ORTP_OK);
    assert_true(g.left);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH_KINDS(eight_threads),
        BOTH_KINDS(eight_threads_under_a_short_budget),
        BOTH_KINDS(destroy_is_refused_while_a_value_goes),
        BOTH_KINDS(destroy_waits_for_a_reclaim),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
