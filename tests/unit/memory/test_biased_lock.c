/* SPDX-License-Identifier: MIT */
/* The biased lock: one owner against others, with a barrier in all threads and without. */
#include "fixture.h"

#include "biased_lock.h"

#include <pthread.h>

static void the_owner_goes_the_short_way_until_it_is_revoked(void **state)
{
    (void)state;
    ortp__biased_lock lock;
    assert_true(ortp__biased_init(&lock, ORTP_RANK_THREAD_CACHE, true));
    for (int i = 0; i < 3; i++) {
        assert_true(ortp__biased_enter(&lock));
        ortp__biased_leave(&lock);
        ortp__biased_revoke(&lock);
        assert_false(ortp__biased_enter(&lock));
        ortp__biased_seize(&lock);
        ortp__assert_held(&lock.mutex);
        assert_false(ortp__biased_enter(&lock));
        ortp__biased_give_back(&lock);
    }
    ortp__biased_destroy(&lock);
}

static void without_a_barrier_it_is_a_mutex(void **state)
{
    (void)state;
    ortp__biased_lock lock;
    assert_true(ortp__biased_init(&lock, ORTP_RANK_THREAD_CACHE, false));
    assert_false(ortp__biased_enter(&lock));
    ortp__biased_revoke(&lock);
    ortp__biased_seize(&lock);
    ortp__biased_give_back(&lock);
    assert_false(ortp__biased_enter(&lock));
    ortp__biased_destroy(&lock);
}

/* ---- an owner that stays inside ---- */

typedef struct visit {
    ortp__biased_lock lock;
    _Atomic bool inside;
} visit;

static void *come_in(void *ctx)
{
    visit *v = ctx;
    ortp__biased_revoke(&v->lock);
    ortp__barrier();
    ortp__biased_seize(&v->lock);
    v->inside = true;
    ortp__biased_give_back(&v->lock);
    return NULL;
}

static void another_waits_for_the_owner(void **state)
{
    (void)state;
    visit v = {.inside = false};
    if (!ortp__barrier_ready()) {
        skip();
    }
    assert_true(ortp__biased_init(&v.lock, ORTP_RANK_THREAD_CACHE, true));
    assert_true(ortp__biased_enter(&v.lock));
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, come_in, &v), 0);
    sleep_ms(30); /* it yields for a while, then sleeps */
    assert_false(v.inside);
    ortp__biased_leave(&v.lock);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(v.inside);
    assert_true(ortp__biased_enter(&v.lock));
    ortp__biased_leave(&v.lock);
    ortp__biased_destroy(&v.lock);
}

/* ---- all at once ---- */

enum { OTHERS = 2, VISITS = 4000 };

typedef struct meeting {
    ortp__biased_lock lock;
    ortp__mutex registry; /* the others one at a time */
    bool biased;
    uint64_t count; /* guarded by the lock */
    uint64_t owners_turns, short_turns;
    _Atomic bool started; /* the owner is at work */
    _Atomic int others_left;
    _Atomic uint64_t intrusions;
} meeting;

static void *own(void *ctx)
{
    meeting *m = ctx;
    while (m->others_left > 0) {
        for (int i = 0; i < 100; i++) {
            m->owners_turns++;
            if (ortp__biased_enter(&m->lock)) {
                m->short_turns++;
                m->count++;
                ortp__biased_leave(&m->lock);
            } else {
                ortp__lock(&m->lock.mutex);
                m->count++;
                ortp__unlock(&m->lock.mutex);
            }
        }
        m->started = true;
    }
    return NULL;
}

static void *intrude(void *ctx)
{
    meeting *m = ctx;
    while (!m->started) {
        sleep_ms(1);
    }
    for (int i = 0; i < VISITS; i++) {
        ortp__lock(&m->registry);
        ortp__biased_revoke(&m->lock);
        if (m->biased) {
            ortp__barrier();
        }
        ortp__biased_seize(&m->lock);
        const volatile uint64_t *count = &m->count;
        const uint64_t before = *count;
        for (int k = 0; k < 100; k++) {
            m->intrusions += *count != before;
        }
        m->count = before + 1;
        ortp__biased_give_back(&m->lock);
        ortp__unlock(&m->registry);
    }
    m->others_left--;
    return NULL;
}

static void meet(bool biased)
{
    meeting m = {.biased = biased, .others_left = OTHERS};
    assert_true(ortp__biased_init(&m.lock, ORTP_RANK_THREAD_CACHE, biased));
    assert_true(ortp__mutex_init(&m.registry, ORTP_RANK_POOL));
    pthread_t owner, others[OTHERS];
    assert_int_equal(pthread_create(&owner, NULL, own, &m), 0);
    for (int i = 0; i < OTHERS; i++) {
        assert_int_equal(pthread_create(&others[i], NULL, intrude, &m), 0);
    }
    for (int i = 0; i < OTHERS; i++) {
        assert_int_equal(pthread_join(others[i], NULL), 0);
    }
    assert_int_equal(pthread_join(owner, NULL), 0);
    assert_int_equal(m.intrusions, 0);
    assert_int_equal(m.count, m.owners_turns + (uint64_t)OTHERS * VISITS);
    assert_true(biased ? m.short_turns > 0 : m.short_turns == 0);
    ortp__mutex_destroy(&m.registry);
    ortp__biased_destroy(&m.lock);
}

static void nobody_is_inside_with_another(void **state)
{
    (void)state;
    if (!ortp__barrier_ready()) {
        skip();
    }
    meet(true);
}

static void nobody_is_inside_with_another_without_a_barrier(void **state)
{
    (void)state;
    meet(false);
}

/* At first a wait gives the processor away, later it sleeps: who is waited for may be of lower priority. */
static void who_waits_long_sleeps(void **state)
{
    (void)state;
    const uint64_t before_us = ortp__now_us();
    ortp__wait_a_little(0);
    ortp__wait_a_little(1000000);
    assert_true(ortp__now_us() - before_us >= 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_waits_long_sleeps),
        cmocka_unit_test(the_owner_goes_the_short_way_until_it_is_revoked),
        cmocka_unit_test(without_a_barrier_it_is_a_mutex),
        cmocka_unit_test(another_waits_for_the_owner),
        cmocka_unit_test(nobody_is_inside_with_another),
        cmocka_unit_test(nobody_is_inside_with_another_without_a_barrier),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
