/* SPDX-License-Identifier: MIT */
/*
 * The pool among threads, both kinds: patterns survive, sums stay exact, ending threads lose nothing.
 * Threads count failures; the test asserts them.
 */
#include "fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define THREADS 8
#define ROUNDS 1500
#define SLOTS 24

typedef struct shared {
    fixture *f;
    _Atomic uint64_t failures, denied;
    _Atomic bool stop;
    _Atomic uintptr_t exchange[16]; /* blocks handed from thread to thread */
} shared;

typedef struct worker {
    shared *s;
    uint64_t random;
} worker;

/* ---- the kernel's barrier, wrapped (see CMakeLists.txt) ---- */

static _Atomic bool refuse_barrier;
static _Atomic uint64_t barriers;

bool __real_ortp__barrier_ready(void);
bool __wrap_ortp__barrier_ready(void);
void __real_ortp__barrier(void);
void __wrap_ortp__barrier(void);

bool __wrap_ortp__barrier_ready(void)
{
    return !refuse_barrier && __real_ortp__barrier_ready();
}

void __wrap_ortp__barrier(void)
{
    barriers++;
    __real_ortp__barrier();
}

/* ---- random operations ---- */

/* Every byte of a block tells of its address, so that two owners would be seen. */
static void fill(ortp_block *block)
{
    unsigned char byte = (unsigned char)((uintptr_t)block >> 4);
    memset(ortp_block_data(block), byte, ortp_block_bytes(block));
}

static bool intact(const ortp_block *block)
{
    unsigned char byte = (unsigned char)((uintptr_t)block >> 4);
    const unsigned char *data = ortp_block_data(block);
    size_t bytes = ortp_block_bytes(block);
    return data[0] == byte && data[bytes - 1] == byte && memcmp(data, data + 1, bytes - 1) == 0;
}

static void give_back(shared *s, ortp_block *block)
{
    if (block != NULL) {
        s->failures += !intact(block);
        s->failures += ortp_block_release(block) != ORTP_OK;
    }
}

static ortp_block *swap_with_others(worker *w, ortp_block *block)
{
    size_t at = random_below(&w->random, 16);
    /* acq_rel: what the last owner wrote into the block is seen by the next */
    return (ortp_block *)atomic_exchange(&w->s->exchange[at], (uintptr_t)block);
}

static void *use_at_random(void *ctx)
{
    worker *w = ctx;
    shared *s = w->s;
    ortp_block *slots[SLOTS] = {NULL};
    for (int i = 0; i < ROUNDS; i++) {
        size_t at = random_below(&w->random, SLOTS);
        size_t operation = random_below(&w->random, 100);
        if (operation == 0) {
            s->failures +=
                ortp_pool_trim(s->f->pool, random_below(&w->random, MIB), 0, NULL) != ORTP_OK;
        } else if (operation < 10) {
            slots[at] = swap_with_others(w, slots[at]);
        } else if (operation < 15 && slots[at] != NULL) {
            ortp_label label = (ortp_label)random_below(&w->random, ORTP_LABEL_COUNT);
            s->failures += ortp_block_relabel(slots[at], label) != ORTP_OK;
        } else if (slots[at] != NULL) {
            give_back(s, slots[at]);
            slots[at] = NULL;
        } else {
            size_t bytes = random_below(&w->random, 8) == 0 ? random_below(&w->random, 200000)
                                                            : random_below(&w->random, 3000);
            ortp_status status =
                ortp_pool_acquire(s->f->pool, bytes, ORTP_LABEL_TENSORS, &slots[at]);
            if (status == ORTP_OK) {
                fill(slots[at]);
            } else {
                s->failures += status != ORTP_E_BUDGET;
                s->denied++;
            }
        }
    }
    for (size_t i = 0; i < SLOTS; i++) {
        give_back(s, slots[i]);
    }
    return NULL;
}

static void *watch(void *ctx)
{
    shared *s = ctx;
    while (!s->stop) {
        ortp_budget_info account = ORTP_BUDGET_INFO_INIT;
        ortp_budget_get_info(s->f->budget, &account);
        s->failures += account.charged_bytes > account.limit_bytes;
        ortp_pool_info info = ORTP_POOL_INFO_INIT;
        ortp_pool_get_info(s->f->pool, &info);
        s->failures += info.cached_bytes > THREADS * MIB;
        sleep_ms(1);
    }
    return NULL;
}

static void run_random_threads(fixture *f, shared *s)
{
    *s = (shared){.f = f};
    pthread_t threads[THREADS], watcher;
    worker workers[THREADS];
    assert_int_equal(pthread_create(&watcher, NULL, watch, s), 0);
    for (size_t i = 0; i < THREADS; i++) {
        workers[i] = (worker){.s = s, .random = 1000 + i};
        assert_int_equal(pthread_create(&threads[i], NULL, use_at_random, &workers[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    s->stop = true;
    assert_int_equal(pthread_join(watcher, NULL), 0);
    assert_ledger(f->budget, f->pool);
    for (size_t i = 0; i < 16; i++) {
        give_back(s, (ortp_block *)atomic_load(&s->exchange[i]));
    }
    assert_int_equal(s->failures, 0);
    ortp_pool_info info = ORTP_POOL_INFO_INIT;
    ortp_pool_get_info(f->pool, &info);
    assert_int_equal(info.in_use_blocks, 0);
    for (size_t i = 0; i < ORTP_LABEL_COUNT; i++) {
        assert_int_equal(info.in_use_bytes[i], 0);
    }
}

static void random_threads_keep_patterns_and_sums(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 0);
    shared s;
    run_random_threads(&f, &s);
    assert_int_equal(s.denied, 0);
    fixture_close(&f);
}

static void random_threads_without_a_barrier(void **state)
{
    (void)state;
    const uint64_t before = barriers;
    refuse_barrier = true;
    fixture f;
    fixture_open(&f, ORTP_POOL_THREAD_CACHED, 0);
    refuse_barrier = false;
    shared s;
    run_random_threads(&f, &s);
    assert_int_equal(s.denied, 0);
    fixture_close(&f);
    assert_int_equal(barriers, before);
}

static void random_threads_under_a_short_budget(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 3 * MIB);
    shared s;
    run_random_threads(&f, &s);
    assert_true(s.denied > 0);
    ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(f.budget, &info);
    assert_true(info.peak_bytes <= 3 * MIB);
    assert_true(info.reclaims > 0);
    fixture_close(&f);
}

/* ---- one step at a time ---- */

static void on_thread(void *(*run)(void *), void *ctx)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, run, ctx), 0);
    void *failure;
    assert_int_equal(pthread_join(thread, &failure), 0);
    assert_null(failure);
}

static void *release_it(void *ctx)
{
    return ortp_block_release(ctx) == ORTP_OK ? NULL : ctx;
}

static void release_on_another_thread(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 0);
    static const size_t some[] = {100, 300000};
    for (size_t i = 0; i < 2; i++) {
        ortp_block *block = must_acquire(f.pool, some[i], ORTP_LABEL_RUN);
        void *data = ortp_block_data(block);
        on_thread(release_it, block);
        assert_int_equal(in_use_bytes(f.pool), 0);
        assert_int_equal(ortp_block_release(block), ORTP_E_INVAL);
        block = must_acquire(f.pool, some[i], ORTP_LABEL_RUN);
        assert_ptr_equal(ortp_block_data(block), data); /* the thread ended: all came back */
        must_release(block);
    }
    fixture_close(&f);
}

static void *use_and_end(void *ctx)
{
    fixture *f = ctx;
    ortp_block *blocks[40];
    for (size_t i = 0; i < 40; i++) {
        if (ortp_pool_acquire(f->pool, i % 4 == 0 ? 80000 : 900, ORTP_LABEL_RUN, &blocks[i]) !=
            ORTP_OK) {
            return ctx;
        }
    }
    for (size_t i = 0; i < 40; i++) {
        if (ortp_block_release(blocks[i]) != ORTP_OK) {
            return ctx;
        }
    }
    return NULL;
}

static void ending_threads_give_all_back(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 0);
    on_thread(use_and_end, &f);
    ortp_pool_info first = ORTP_POOL_INFO_INIT;
    ortp_pool_get_info(f.pool, &first);
    size_t metadata = charged_bytes(f.budget);
    assert_int_equal(first.cached_bytes, 0);
    assert_int_equal(first.in_use_blocks, 0);
    assert_int_equal(first.acquires, 40);
    assert_int_equal(first.releases, 40);
    for (int i = 0; i < 10; i++) {
        on_thread(use_and_end, &f);
    }
    ortp_pool_info info = ORTP_POOL_INFO_INIT;
    ortp_pool_get_info(f.pool, &info);
    assert_int_equal(info.maps, first.maps); /* each used what the one before had left */
    assert_int_equal(info.acquires, 11 * 40);
    assert_int_equal(charged_bytes(f.budget), metadata); /* their caches are gone */
    fixture_close(&f);
}

/* A destructor of another key that runs after the pool's own still may use the pool. */
static void release_at_the_very_end(void *block)
{
    if (ortp_block_release(block) != ORTP_OK) {
        abort();
    }
}

typedef struct late {
    fixture *f;
    pthread_key_t key;
} late;

static void *keep_until_the_end(void *ctx)
{
    late *l = ctx;
    ortp_block *block;
    if (ortp_pool_acquire(l->f->pool, 900, ORTP_LABEL_RUN, &block) != ORTP_OK ||
        pthread_setspecific(l->key, block) != 0) {
        return ctx;
    }
    return NULL;
}

static void destructors_may_release(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 0); /* the pool's key comes first, and is run first */
    late l = {.f = &f};
    assert_int_equal(pthread_key_create(&l.key, release_at_the_very_end), 0);
    for (int i = 0; i < 3; i++) {
        on_thread(keep_until_the_end, &l);
        assert_int_equal(in_use_bytes(f.pool), 0);
        assert_ledger(f.budget, f.pool);
    }
    ortp_pool_info info = ORTP_POOL_INFO_INIT;
    ortp_pool_get_info(f.pool, &info);
    assert_int_equal(info.cached_bytes, 0);
    assert_int_equal(info.maps, 1);
    assert_int_equal(pthread_key_delete(l.key), 0);
    fixture_close(&f);
}

/* ---- idle memory in the magazines of threads that live on ---- */

typedef struct holder {
    fixture *f;
    ortp_block *given; /* released there, too */
    _Atomic bool ready, leave;
    bool failed;
} holder;

/* A whole slab of eight blocks and two mappings: all fit the magazines, the depot has none left. */
static bool cache_some(fixture *f)
{
    ortp_block *blocks[10];
    bool ok = true;
    for (size_t i = 0; i < 10; i++) {
        ok = ortp_pool_acquire(f->pool, i < 2 ? 80000 : 57344, ORTP_LABEL_RUN, &blocks[i]) ==
                 ORTP_OK &&
             ok;
    }
    for (size_t i = 0; i < 10; i++) {
        ok = ortp_block_release(blocks[i]) == ORTP_OK && ok;
    }
    return ok;
}

static void *cache_and_wait(void *ctx)
{
    holder *h = ctx;
    h->failed = h->given != NULL ? ortp_block_release(h->given) != ORTP_OK : !cache_some(h->f);
    h->ready = true;
    while (!h->leave) {
        sleep_ms(1);
    }
    return NULL;
}

static void holder_start(holder *h, fixture *f, ortp_block *given, pthread_t *thread)
{
    *h = (holder){.f = f, .given = given};
    assert_int_equal(pthread_create(thread, NULL, cache_and_wait, h), 0);
    while (!h->ready) {
        sleep_ms(1);
    }
    assert_false(h->failed);
}

static void holder_end(holder *h, pthread_t thread)
{
    h->leave = true;
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void magazines_of_others_are_within_reach(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 0);
    must_release(must_acquire(f.pool, 100000, ORTP_LABEL_RUN)); /* this thread is known */
    holder h;
    pthread_t thread;
    holder_start(&h, &f, NULL, &thread);
    ortp_pool_info info = ORTP_POOL_INFO_INIT;
    ortp_pool_get_info(f.pool, &info);
    assert_int_equal(info.cached_bytes > 0, KIND_OF(state) == ORTP_POOL_THREAD_CACHED);
    assert_int_equal(info.in_use_blocks, 0);

    /* No room for a new slab or mapping: their blocks are taken over, without a denial... */
    size_t limit = charged_bytes(f.budget);
    assert_int_equal(ortp_budget_set_limit(f.budget, limit, NULL), ORTP_OK);
    uint64_t maps = maps_of(f.pool);
    ortp_block *small = must_acquire(f.pool, 57344, ORTP_LABEL_RUN);
    assert_int_equal(maps_of(f.pool), maps);
    ortp_budget_info account = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(f.budget, &account);
    assert_int_equal(account.denials, 0);

    /* ... or unmapped for something larger. */
    ortp_block *large = must_acquire(f.pool, 200000, ORTP_LABEL_RUN);
    ortp_budget_get_info(f.budget, &account);
    assert_int_equal(account.denials, 0);
    assert_true(account.reclaims > 0);
    assert_ledger(f.budget, f.pool);
    must_release(small);
    must_release(large);
    assert_int_equal(ortp_pool_trim(f.pool, 0, 0, NULL), ORTP_OK);
    ortp_pool_get_info(f.pool, &info);
    assert_int_equal(info.idle_bytes, 0);
    holder_end(&h, thread);
    fixture_close(&f);
}

/* The last of `count` blocks of `bytes` is used later than the others, and by another thread. */
static void check_order_of_use(ortp_pool_kind kind, size_t bytes, size_t count)
{
    fixture f;
    fixture_open(&f, kind, 0);
    ortp_block *blocks[9];
    for (size_t i = 0; i < count; i++) {
        blocks[i] = must_acquire(f.pool, bytes, ORTP_LABEL_RUN);
    }
    assert_int_equal(maps_of(f.pool), 2);
    void *latest = ortp_block_data(blocks[count - 1]);
    for (size_t i = 0; i + 1 < count; i++) {
        must_release(blocks[i]);
    }
    /* Small ones are used until they leave their magazine. */
    assert_int_equal(ortp_pool_trim(f.pool, ORTP_UNLIMITED, 0, NULL), ORTP_OK);
    fake_clock_advance(&f.clock, 10);
    holder h;
    pthread_t thread;
    holder_start(&h, &f, blocks[count - 1], &thread);
    ortp_pool_info info = ORTP_POOL_INFO_INIT;
    ortp_pool_get_info(f.pool, &info);
    assert_int_equal(ortp_pool_trim(f.pool, info.idle_bytes - 1, 0, NULL), ORTP_OK);
    ortp_pool_get_info(f.pool, &info);
    assert_int_equal(info.unmaps, 1);
    bool found = false; /* what is left holds the block that was used last */
    for (size_t i = 0; i + 1 < count; i++) {
        blocks[i] = must_acquire(f.pool, bytes, ORTP_LABEL_RUN);
        found = found || ortp_block_data(blocks[i]) == latest;
    }
    assert_int_equal(maps_of(f.pool), 2);
    assert_true(found);
    for (size_t i = 0; i + 1 < count; i++) {
        must_release(blocks[i]);
    }
    holder_end(&h, thread);
    fixture_close(&f);
}

static void trim_knows_the_order_of_use_over_threads(void **state)
{
    check_order_of_use(KIND_OF(state), 300000, 2); /* two mappings */
    check_order_of_use(KIND_OF(state), 57344, 9);  /* two slabs, of eight and of one */
}

/* A thread that finds no room for a cache works without, and that is no denial. */
static void a_thread_without_a_cache_works_on(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 0);
    for (int i = 0; i < 3; i++) { /* idle in the depot, not in this thread's magazine */
        on_thread(use_and_end, &f);
    }
    assert_int_equal(ortp_budget_set_limit(f.budget, charged_bytes(f.budget) + 100, NULL), ORTP_OK);
    on_thread(use_and_end, &f);
    ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(f.budget, &info);
    assert_int_equal(info.denials, 0);
    assert_int_equal(info.reclaims, 0);
    fixture_close(&f);
}

static void destroy_with_idle_threads(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 0);
    holder h;
    pthread_t thread;
    holder_start(&h, &f, NULL, &thread);
    assert_int_equal(ortp_pool_destroy(f.pool, NULL), ORTP_OK);
    /* The thread ends after its pool: no destructor may touch it. */
    holder_end(&h, thread);
    assert_int_equal(ortp_budget_destroy(f.budget, NULL), ORTP_OK);
    counting_alloc_assert_empty(&f.alloc);
}

/* Whoever looks into the magazines of others does so behind a barrier, one for all of them. */
static void others_come_behind_a_barrier(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 0);
    holder h[3];
    pthread_t threads[3];
    for (size_t i = 0; i < 3; i++) {
        holder_start(&h[i], &f, NULL, &threads[i]);
    }
    const bool biased = KIND_OF(state) == ORTP_POOL_THREAD_CACHED && __real_ortp__barrier_ready();
    uint64_t before = barriers;
    ortp_pool_info info = ORTP_POOL_INFO_INIT;
    ortp_pool_get_info(f.pool, &info);
    assert_int_equal(barriers - before, biased ? 1 : 0);
    before = barriers;
    (void)ortp_budget_reclaim(f.budget, ORTP_RECLAIM_BLOCKS, 1);
    assert_int_equal(barriers - before, biased ? 1 : 0);
    before = barriers;
    for (size_t i = 0; i < 3; i++) {
        holder_end(&h[i], threads[i]);
    }
    assert_int_equal(barriers - before, biased ? 3 : 0);
    fixture_close(&f);
}

/* ---- several pools on one thread ---- */

static void pools_in_turn(void **state)
{
    enum { POOLS = 3 };
    fixture f;
    fixture_open(&f, KIND_OF(state), 0);
    ortp_pool *pools[POOLS];
    ortp_pool_options options = fixture_pool_options(&f, KIND_OF(state));
    for (size_t i = 0; i < POOLS; i++) {
        assert_int_equal(ortp_pool_create(&options, &pools[i], NULL), ORTP_OK);
    }
    ortp_block *blocks[POOLS] = {NULL};
    for (size_t turn = 0; turn < 10; turn++) {
        for (size_t i = 0; i < POOLS; i++) {
            blocks[i] = must_acquire(pools[i], 640, ORTP_LABEL_RUN);
        }
        for (size_t i = 0; i < POOLS; i++) {
            must_release(blocks[i]);
        }
    }
    for (size_t i = 0; i < POOLS; i++) {
        ortp_pool_info info = ORTP_POOL_INFO_INIT;
        ortp_pool_get_info(pools[i], &info);
        assert_int_equal(info.acquires, 10);
        assert_int_equal(info.releases, 10);
        assert_int_equal(info.reuses, 9);
        assert_int_equal(info.maps, 1);
        assert_int_equal(ortp_pool_destroy(pools[i], NULL), ORTP_OK);
    }
    fixture_close(&f);
}

/* ---- two releases of one block at the same time ---- */

typedef struct race {
    ortp_block *block;
    _Atomic int waiting;
    _Atomic int accepted;
} race;

static void *release_at_once(void *ctx)
{
    race *r = ctx;
    r->waiting++;
    while (r->waiting < 2) {
    }
    r->accepted += ortp_block_release(r->block) == ORTP_OK;
    return NULL;
}

static void of_two_releases_one_is_refused(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 0);
    for (int i = 0; i < 100; i++) {
        race r = {.block = must_acquire(f.pool, 900, ORTP_LABEL_RUN)};
        pthread_t threads[2];
        for (int t = 0; t < 2; t++) {
            assert_int_equal(pthread_create(&threads[t], NULL, release_at_once, &r), 0);
        }
        for (int t = 0; t < 2; t++) {
            assert_int_equal(pthread_join(threads[t], NULL), 0);
        }
        assert_int_equal(r.accepted, 1);
    }
    fixture_close(&f);
}

/* ---- warming while others work ---- */

static void *warm_again_and_again(void *ctx)
{
    shared *s = ctx;
    const ortp_pool_need needs[] = {{900, 30}, {80000, 4}};
    for (int i = 0; i < 40; i++) {
        s->failures += ortp_pool_warm(s->f->pool, needs, 2) != ORTP_OK;
    }
    return NULL;
}

static void warming_while_others_work(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 0);
    shared s = {.f = &f};
    pthread_t warmers[2], users[2];
    worker workers[2];
    for (size_t i = 0; i < 2; i++) {
        workers[i] = (worker){.s = &s, .random = i};
        assert_int_equal(pthread_create(&warmers[i], NULL, warm_again_and_again, &s), 0);
        assert_int_equal(pthread_create(&users[i], NULL, use_at_random, &workers[i]), 0);
    }
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(warmers[i], NULL), 0);
        assert_int_equal(pthread_join(users[i], NULL), 0);
    }
    for (size_t i = 0; i < 16; i++) {
        give_back(&s, (ortp_block *)atomic_load(&s.exchange[i]));
    }
    assert_int_equal(s.failures, 0);
    assert_int_equal(in_use_bytes(f.pool), 0);
    fixture_close(&f);
}

/* ---- destroy against a release that takes its time ---- */

typedef struct slow_clock {
    ortp_block *block;
    ortp_status released;
    _Atomic bool slow;
    _Atomic bool entered;
} slow_clock;

/* A release reads the clock when its block is no longer out and not yet back. */
static uint64_t read_slowly(void *ctx)
{
    slow_clock *c = ctx;
    while (c->slow) {
        c->entered = true;
        sleep_ms(1);
    }
    return 1;
}

static void *release_slowly(void *ctx)
{
    slow_clock *c = ctx;
    c->released = ortp_block_release(c->block);
    return NULL;
}

static void destroy_is_refused_while_a_release_runs(void **state)
{
    const size_t sizes[] = {1000, 200000};
    for (size_t i = 0; i < 2; i++) {
        fixture f;
        fixture_open(&f, KIND_OF(state), 0);
        slow_clock c = {.released = ORTP_E_BUSY};
        ortp_pool_options options = fixture_pool_options(&f, KIND_OF(state));
        options.clock = (ortp_clock){.now_ms = read_slowly, .ctx = &c};
        options.poison = true;
        ortp_pool *pool;
        assert_int_equal(ortp_pool_create(&options, &pool, NULL), ORTP_OK);
        c.block = must_acquire(pool, sizes[i], ORTP_LABEL_OTHER);
        c.slow = true;
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, release_slowly, &c), 0);
        while (!c.entered) {
            sleep_ms(1);
        }
        ortp_error error = ORTP_ERROR_INIT;
        assert_int_equal(ortp_pool_destroy(pool, &error), ORTP_E_BUSY);
        assert_non_null(strstr(error.message, "1 blocks are being released"));
        c.slow = false;
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(c.released, ORTP_OK);
        assert_int_equal(ortp_pool_destroy(pool, NULL), ORTP_OK);
        fixture_close(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH_KINDS(destroy_is_refused_while_a_release_runs),
        BOTH_KINDS(random_threads_keep_patterns_and_sums),
        BOTH_KINDS(random_threads_under_a_short_budget),
        cmocka_unit_test(random_threads_without_a_barrier),
        BOTH_KINDS(others_come_behind_a_barrier),
        BOTH_KINDS(pools_in_turn),
        BOTH_KINDS(release_on_another_thread),
        BOTH_KINDS(ending_threads_give_all_back),
        BOTH_KINDS(destructors_may_release),
        BOTH_KINDS(magazines_of_others_are_within_reach),
        BOTH_KINDS(trim_knows_the_order_of_use_over_threads),
        BOTH_KINDS(a_thread_without_a_cache_works_on),
        BOTH_KINDS(destroy_with_idle_threads),
        BOTH_KINDS(of_two_releases_one_is_refused),
        BOTH_KINDS(warming_while_others_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
