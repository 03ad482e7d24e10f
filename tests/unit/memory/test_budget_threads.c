/* SPDX-License-Identifier: MIT */
/* The budget among threads: exact whatever they do. Threads count failures; the test asserts them. */
#include "fixture.h"

#include <pthread.h>
#include <stdatomic.h>

#define THREADS 16
#define ROUNDS 3000
#define LIMIT 200000

typedef struct shared {
    ortp_budget *budget;
    size_t own;
    _Atomic bool stop;
    _Atomic uint64_t failures;
    _Atomic uint64_t charged_ok, denied;
} shared;

typedef struct worker {
    shared *s;
    uint64_t random;
} worker;

/* Charges and refunds at random, and gives all back at the end. */
static void *charge_at_random(void *ctx)
{
    worker *w = ctx;
    shared *s = w->s;
    size_t held[ORTP_ACCOUNT_COUNT] = {0};
    for (int i = 0; i < ROUNDS; i++) {
        ortp_account account = (ortp_account)random_below(&w->random, ORTP_ACCOUNT_COUNT);
        if (random_below(&w->random, 2) == 0) {
            size_t bytes = 1 + random_below(&w->random, LIMIT / 8);
            ortp_status status = ortp_budget_charge(s->budget, account, bytes, ORTP_RECLAIM_CACHE);
            if (status == ORTP_OK) {
                held[account] += bytes;
                s->charged_ok++;
            } else {
                s->failures += status != ORTP_E_BUDGET;
                s->denied++;
            }
        } else if (held[account] > 0) {
            size_t bytes = 1 + random_below(&w->random, held[account]);
            s->failures += ortp_budget_refund(s->budget, account, bytes) != ORTP_OK;
            held[account] -= bytes;
        }
    }
    for (int a = 0; a < ORTP_ACCOUNT_COUNT; a++) {
        s->failures += ortp_budget_refund(s->budget, (ortp_account)a, held[a]) != ORTP_OK;
    }
    return NULL;
}

static bool consistent(const ortp_budget_info *info)
{
    size_t sum = 0;
    for (int a = 0; a < ORTP_ACCOUNT_COUNT; a++) {
        sum += info->account_bytes[a];
    }
    return sum == info->charged_bytes && info->peak_bytes >= info->charged_bytes &&
           info->mapped_bytes + info->account_bytes[ORTP_ACCOUNT_DECLARED] == info->charged_bytes;
}

static void *sample(void *ctx)
{
    shared *s = ctx;
    while (!s->stop) {
        ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
        ortp_budget_get_info(s->budget, &info);
        s->failures += info.charged_bytes > info.limit_bytes;
        s->failures += !consistent(&info);
        double usage = ortp_budget_usage(s->budget);
        s->failures += !(usage >= 0.0 && usage <= 1.0);
    }
    return NULL;
}

static void open_shared(shared *s, size_t limit)
{
    ortp_budget_options options = ORTP_BUDGET_OPTIONS_INIT;
    options.limit_bytes = limit;
    assert_int_equal(ortp_budget_create(&options, &s->budget, NULL), ORTP_OK);
    s->own = charged_bytes(s->budget);
}

static void sixteen_threads_never_exceed_the_limit(void **state)
{
    (void)state;
    shared s = {0};
    open_shared(&s, LIMIT);
    pthread_t threads[THREADS], sampler;
    worker workers[THREADS];
    assert_int_equal(pthread_create(&sampler, NULL, sample, &s), 0);
    for (size_t i = 0; i < THREADS; i++) {
        workers[i] = (worker){.s = &s, .random = i};
        assert_int_equal(pthread_create(&threads[i], NULL, charge_at_random, &workers[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    s.stop = true;
    assert_int_equal(pthread_join(sampler, NULL), 0);
    assert_int_equal(s.failures, 0);
    assert_true(s.denied > 0);
    ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(s.budget, &info);
    assert_int_equal(info.charged_bytes, s.own);
    assert_int_equal(info.charges, s.charged_ok + 1);
    assert_int_equal(info.denials, s.denied);
    assert_true(info.peak_bytes <= LIMIT);
    assert_true(info.peak_bytes > LIMIT / 2);
    assert_int_equal(ortp_budget_destroy(s.budget, NULL), ORTP_OK);
}

/* After set_limit() returned, what is above the new limit only falls. */
static void lowered_limit_holds_at_once(void **state)
{
    (void)state;
    shared s = {0};
    open_shared(&s, LIMIT);
    pthread_t threads[4];
    worker workers[4];
    for (size_t i = 0; i < 4; i++) {
        workers[i] = (worker){.s = &s, .random = 100 + i};
        assert_int_equal(pthread_create(&threads[i], NULL, charge_at_random, &workers[i]), 0);
    }
    size_t low = LIMIT / 4;
    for (int round = 0; round < 50; round++) {
        size_t excess;
        ortp_status status = ortp_budget_set_limit(s.budget, low, &excess);
        assert_true((status == ORTP_OK && excess == 0) || (status == ORTP_E_BUSY && excess > 0));
        size_t last = SIZE_MAX;
        for (int i = 0; i < 50; i++) {
            size_t charged = charged_bytes(s.budget);
            assert_true(charged <= low || charged <= last);
            last = charged <= low ? low : charged;
        }
        assert_int_equal(ortp_budget_set_limit(s.budget, LIMIT, NULL), ORTP_OK);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(s.failures, 0);
    assert_int_equal(charged_bytes(s.budget), s.own);
    assert_int_equal(ortp_budget_destroy(s.budget, NULL), ORTP_OK);
}

/* ---- reclaimers that take their time ---- */

typedef struct gate {
    ortp_budget *budget;
    _Atomic size_t idle;
    _Atomic int entered;
    _Atomic bool open;
    _Atomic bool removed;
    ortp_reclaimer *reclaimer;
    ortp_status status;
    size_t bytes;
} gate;

/* Takes all idle memory into its hands, and refunds it only when the gate opens. */
static size_t hold_then_give(void *ctx, size_t wanted)
{
    (void)wanted;
    gate *g = ctx;
    size_t taken = atomic_exchange(&g->idle, 0);
    g->entered++;
    if (taken == 0) {
        return 0;
    }
    while (!g->open) {
        sleep_ms(1);
    }
    (void)ortp_budget_refund(g->budget, ORTP_ACCOUNT_BLOCKS, taken);
    return taken;
}

static void *charge_ten(void *ctx)
{
    gate *g = ctx;
    return ortp_budget_charge(g->budget, ORTP_ACCOUNT_BLOCKS, 10, ORTP_RECLAIM_BLOCKS) == ORTP_OK
               ? NULL
               : g;
}

static void *remove_it(void *ctx)
{
    gate *g = ctx;
    ortp_budget_remove_reclaimer(g->budget, g->reclaimer);
    g->removed = true;
    return NULL;
}

static void *reclaim_ten(void *ctx)
{
    gate *g = ctx;
    (void)ortp_budget_reclaim(g->budget, ORTP_RECLAIM_CACHE, 10);
    return NULL;
}

static void open_gate(gate *g, size_t idle)
{
    ortp_budget_options options = ORTP_BUDGET_OPTIONS_INIT;
    assert_int_equal(ortp_budget_create(&options, &g->budget, NULL), ORTP_OK);
    assert_int_equal(
        ortp_budget_add_reclaimer(g->budget, ORTP_RECLAIM_BLOCKS, hold_then_give, g, &g->reclaimer),
        ORTP_OK);
    assert_int_equal(ortp_budget_charge(g->budget, ORTP_ACCOUNT_BLOCKS, idle, ORTP_RECLAIM_NONE),
                     ORTP_OK);
    assert_int_equal(ortp_budget_set_limit(g->budget, charged_bytes(g->budget), NULL), ORTP_OK);
    g->idle = idle;
}

static void wait_entered(gate *g, int count)
{
    while (g->entered < count) {
        sleep_ms(1);
    }
}

static void removal_waits_for_a_running_call(void **state)
{
    (void)state;
    gate g = {0};
    open_gate(&g, 100);
    pthread_t charger, remover;
    assert_int_equal(pthread_create(&charger, NULL, charge_ten, &g), 0);
    wait_entered(&g, 1);
    assert_int_equal(pthread_create(&remover, NULL, remove_it, &g), 0);
    sleep_ms(30);
    assert_false(g.removed);
    pthread_t reclaimer; /* while it is on its way out it is not called any more */
    assert_int_equal(pthread_create(&reclaimer, NULL, reclaim_ten, &g), 0);
    sleep_ms(30);
    assert_int_equal(g.entered, 1);
    g.open = true;
    void *result;
    assert_int_equal(pthread_join(reclaimer, NULL), 0);
    assert_int_equal(pthread_join(charger, &result), 0);
    assert_null(result);
    assert_int_equal(pthread_join(remover, NULL), 0);
    assert_true(g.removed);

    /* And it is never called again. */
    int entered = g.entered;
    g.idle = 10;
    assert_int_equal(ortp_budget_charge(g.budget, ORTP_ACCOUNT_BLOCKS, 100000, ORTP_RECLAIM_CACHE),
                     ORTP_E_BUDGET);
    assert_int_equal(g.entered, entered);
    assert_int_equal(ortp_budget_refund(g.budget, ORTP_ACCOUNT_BLOCKS, 10), ORTP_OK);
    assert_int_equal(ortp_budget_destroy(g.budget, NULL), ORTP_OK);
}

/* Memory in another thread's hands, reclaimed and not yet refunded, is worth waiting for. */
static void no_denial_while_another_thread_gives_back(void **state)
{
    (void)state;
    gate g = {0};
    open_gate(&g, 100);
    pthread_t first, second;
    assert_int_equal(pthread_create(&first, NULL, charge_ten, &g), 0);
    wait_entered(&g, 1);
    assert_int_equal(pthread_create(&second, NULL, charge_ten, &g), 0);
    wait_entered(&g, 2); /* finds nothing */
    sleep_ms(20);
    g.open = true;
    void *result;
    assert_int_equal(pthread_join(first, &result), 0);
    assert_null(result);
    assert_int_equal(pthread_join(second, &result), 0);
    assert_null(result);
    ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(g.budget, &info);
    assert_int_equal(info.denials, 0);
    ortp_budget_remove_reclaimer(g.budget, g.reclaimer);
    assert_int_equal(ortp_budget_refund(g.budget, ORTP_ACCOUNT_BLOCKS, 20), ORTP_OK);
    assert_int_equal(ortp_budget_destroy(g.budget, NULL), ORTP_OK);
}

/* Registering and removing while other threads reclaim without a pause. */
static void *come_and_go(void *ctx)
{
    shared *s = ctx;
    gate own = {.budget = s->budget, .open = true};
    for (int i = 0; i < 300; i++) {
        ortp_reclaimer *r = NULL;
        ortp_reclaim level = i % 2 == 0 ? ORTP_RECLAIM_BLOCKS : ORTP_RECLAIM_CACHE;
        s->failures +=
            ortp_budget_add_reclaimer(s->budget, level, hold_then_give, &own, &r) != ORTP_OK;
        ortp_budget_remove_reclaimer(s->budget, r);
    }
    return NULL;
}

static void *reclaim_in_vain(void *ctx)
{
    shared *s = ctx;
    while (!s->stop) {
        s->failures += ortp_budget_reclaim(s->budget, ORTP_RECLAIM_CACHE, ORTP_UNLIMITED) >
                       MIB; /* other threads' nodes come and go meanwhile */
    }
    return NULL;
}

static void reclaimers_come_and_go(void **state)
{
    (void)state;
    shared s = {0};
    open_shared(&s, 0);
    pthread_t goers[4], reclaimers[2];
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&reclaimers[i], NULL, reclaim_in_vain, &s), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&goers[i], NULL, come_and_go, &s), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(goers[i], NULL), 0);
    }
    s.stop = true;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(reclaimers[i], NULL), 0);
    }
    assert_int_equal(s.failures, 0);
    assert_int_equal(charged_bytes(s.budget), s.own);
    assert_int_equal(ortp_budget_destroy(s.budget, NULL), ORTP_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sixteen_threads_never_exceed_the_limit),
        cmocka_unit_test(lowered_limit_holds_at_once),
        cmocka_unit_test(removal_waits_for_a_running_call),
        cmocka_unit_test(no_denial_while_another_thread_gives_back),
        cmocka_unit_test(reclaimers_come_and_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
