/* SPDX-License-Identifier: MIT */
/*
 * What fails: every allocation, mapping, lock, condition, thread key and barrier, one at a time and from one on,
 * and every charge. After each failure: the right status, a NULL result, a balanced ledger, and the
 * same call succeeds once the fault is gone.
 */
#include "fixture.h"

#include "platform.h"

#include <stdatomic.h>
#include <string.h>

/* ---- wrapped calls of the platform (see CMakeLists.txt) ---- */

enum { SITE_MAP, SITE_MUTEX, SITE_COND, SITE_KEY, SITE_KEY_SET, SITE_BARRIER, SITE_COUNT };

typedef struct site {
    uint64_t calls;
    uint64_t fail_at;
    bool persistent;
    uint64_t failed;
} site;

static site sites[SITE_COUNT];

static bool fails(int which)
{
    site *s = &sites[which];
    s->calls++;
    if (s->fail_at > 0 && (s->calls == s->fail_at || (s->calls > s->fail_at && s->persistent))) {
        s->failed++;
        return true;
    }
    return false;
}

void *__real_ortp__pages_map(size_t bytes);
void *__wrap_ortp__pages_map(size_t bytes);
bool __real_ortp__mutex_init(ortp__mutex *mutex, ortp__rank rank);
bool __wrap_ortp__mutex_init(ortp__mutex *mutex, ortp__rank rank);
bool __real_ortp__cond_init(ortp__cond *cond);
bool __wrap_ortp__cond_init(ortp__cond *cond);
bool __real_ortp__thread_key_create(ortp__thread_key *key, void (*ends)(void *));
bool __wrap_ortp__thread_key_create(ortp__thread_key *key, void (*ends)(void *));
bool __real_ortp__thread_key_set(const ortp__thread_key *key, void *value);
bool __wrap_ortp__thread_key_set(const ortp__thread_key *key, void *value);
bool __real_ortp__barrier_ready(void);
bool __wrap_ortp__barrier_ready(void);

void *__wrap_ortp__pages_map(size_t bytes)
{
    return fails(SITE_MAP) ? NULL : __real_ortp__pages_map(bytes);
}

bool __wrap_ortp__mutex_init(ortp__mutex *mutex, ortp__rank rank)
{
    return !fails(SITE_MUTEX) && __real_ortp__mutex_init(mutex, rank);
}

bool __wrap_ortp__cond_init(ortp__cond *cond)
{
    return !fails(SITE_COND) && __real_ortp__cond_init(cond);
}

bool __wrap_ortp__thread_key_create(ortp__thread_key *key, void (*ends)(void *))
{
    return !fails(SITE_KEY) && __real_ortp__thread_key_create(key, ends);
}

bool __wrap_ortp__thread_key_set(const ortp__thread_key *key, void *value)
{
    return !fails(SITE_KEY_SET) && __real_ortp__thread_key_set(key, value);
}

bool __wrap_ortp__barrier_ready(void)
{
    return !fails(SITE_BARRIER) && __real_ortp__barrier_ready();
}

/* ---- one life of everything, step by step ---- */

typedef struct life {
    ortp_pool_kind kind;
    size_t limit;
    counting_alloc alloc;
    ortp_budget *budget;
    ortp_pool *pool;
    ortp_cache *cache;
    ortp_block *small, *large, *others[20];
    ortp_cache_value value;
    ortp_lease *leases[8];
    bool value_ours;
    int attachments_freed;
} life;

static void attachment_free(void *attachment)
{
    ++*(int *)attachment;
}

static ortp_status make_budget(life *l)
{
    ortp_budget_options options = ORTP_BUDGET_OPTIONS_INIT;
    options.limit_bytes = l->limit;
    options.alloc = counting_alloc_use(&l->alloc);
    l->budget = (ortp_budget *)1;
    ortp_status status = ortp_budget_create(&options, &l->budget, NULL);
    assert_true(status == ORTP_OK || l->budget == NULL);
    return status;
}

static ortp_status make_pool(life *l)
{
    ortp_pool_options options = ORTP_POOL_OPTIONS_INIT;
    options.budget = l->budget;
    options.kind = l->kind;
    options.stripes = 3;
    options.alloc = counting_alloc_use(&l->alloc);
    l->pool = (ortp_pool *)1;
    ortp_error error = ORTP_ERROR_INIT;
    ortp_status status = ortp_pool_create(&options, &l->pool, &error);
    assert_int_equal(error.status, status);
    assert_int_equal(status == ORTP_OK, strlen(error.message) == 0);
    assert_true(status == ORTP_OK || l->pool == NULL);
    return status;
}

static ortp_status make_cache(life *l)
{
    ortp_cache_options options = ORTP_CACHE_OPTIONS_INIT;
    options.pool = l->pool;
    options.entries_max = 1;
    options.alloc = counting_alloc_use(&l->alloc);
    l->cache = (ortp_cache *)1;
    ortp_status status = ortp_cache_create(&options, &l->cache, NULL);
    assert_true(status == ORTP_OK || l->cache == NULL);
    return status;
}

static ortp_status acquire(life *l, size_t bytes, ortp_block **out)
{
    *out = (ortp_block *)1;
    ortp_status status = ortp_pool_acquire(l->pool, bytes, ORTP_LABEL_TENSORS, out);
    assert_true(status == ORTP_OK || *out == NULL);
    if (status == ORTP_OK) {
        memset(ortp_block_data(*out), 1, ortp_block_bytes(*out));
    }
    return status;
}

static ortp_status acquire_small(life *l)
{
    return acquire(l, 700, &l->small);
}

static ortp_status acquire_large(life *l)
{
    return acquire(l, 120000, &l->large);
}

static ortp_status acquire_others(life *l)
{
    for (size_t i = 0; i < 20; i++) {
        if (l->others[i] == NULL) {
            ortp_status status = acquire(l, 7000, &l->others[i]);
            if (status != ORTP_OK) {
                return status;
            }
        }
    }
    return ORTP_OK;
}

static ortp_status warm(life *l)
{
    const ortp_pool_need needs[] = {{2500, 40}, {90000, 2}};
    return ortp_pool_warm(l->pool, needs, 2);
}

/* Eight entries of one place, all leased: the handles made at first do not suffice. */
static ortp_status put_entries(life *l)
{
    for (size_t i = 0; i < 8; i++) {
        if (l->leases[i] != NULL) {
            continue;
        }
        if (!l->value_ours) {
            l->value = (ortp_cache_value){.block_count = 1,
                                          .attachment = &l->attachments_freed,
                                          .attachment_free = attachment_free};
            ortp_status status = acquire(l, 300, &l->value.blocks[0]);
            if (status != ORTP_OK) {
                return status;
            }
            l->value_ours = true;
        }
        unsigned char bytes[3000] = {(unsigned char)i};
        ortp_cache_key key = {.parts = {bytes}, .part_bytes = {sizeof bytes}, .part_count = 1};
        int freed = l->attachments_freed;
        ortp_lease *lease = (ortp_lease *)1;
        ortp_status status = ortp_cache_put(l->cache, &key, &l->value, &lease);
        assert_int_equal(l->attachments_freed, freed);
        if (status != ORTP_OK) {
            assert_null(lease);
            assert_int_equal(ortp_block_label(l->value.blocks[0]), ORTP_LABEL_TENSORS);
            return status;
        }
        l->value_ours = false;
        l->leases[i] = lease;
    }
    return ORTP_OK;
}

static ortp_status (*const steps[])(life *) = {make_budget,   make_pool,  acquire_small,
                                               acquire_large, warm,       acquire_others,
                                               make_cache,    put_entries};
#define STEPS (sizeof steps / sizeof *steps)

static void end(life *l)
{
    for (size_t i = 0; i < 8; i++) {
        ortp_lease_release(l->leases[i]);
    }
    assert_int_equal(ortp_cache_destroy(l->cache, NULL), ORTP_OK);
    if (l->value_ours) {
        must_release(l->value.blocks[0]);
    }
    must_release(l->small);
    must_release(l->large);
    for (size_t i = 0; i < 20; i++) {
        must_release(l->others[i]);
    }
    if (l->pool != NULL) {
        assert_int_equal(in_use_bytes(l->pool), 0);
        assert_ledger(l->budget, l->pool);
    }
    assert_int_equal(ortp_pool_destroy(l->pool, NULL), ORTP_OK);
    assert_int_equal(ortp_budget_destroy(l->budget, NULL), ORTP_OK);
    counting_alloc_assert_empty(&l->alloc);
}

/* Metadata is what the allocator has given out, no more and no less. */
static void check_ledger(const life *l)
{
    if (l->budget == NULL) {
        assert_int_equal(l->alloc.live_bytes, 0);
        return;
    }
    ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(l->budget, &info);
    assert_int_equal(info.account_bytes[ORTP_ACCOUNT_METADATA], l->alloc.live_bytes);
    if (l->pool != NULL) {
        assert_ledger(l->budget, l->pool);
    } else {
        assert_int_equal(info.account_bytes[ORTP_ACCOUNT_BLOCKS], 0);
    }
}

/* Lives through all steps; where one fails, `repair` is called and the step made again. */
static bool live(life *l, void (*repair)(life *), bool (*expected)(ortp_status))
{
    bool failed = false;
    for (size_t i = 0; i < STEPS; i++) {
        ortp_status status = steps[i](l);
        check_ledger(l);
        if (status != ORTP_OK) {
            assert_true(expected(status));
            failed = true;
            repair(l);
            assert_int_equal(steps[i](l), ORTP_OK);
            check_ledger(l);
        }
    }
    return failed;
}

/* ---- allocations ---- */

static void repair_alloc(life *l)
{
    counting_alloc_fail(&l->alloc, 0, false);
}

static bool is_nomem(ortp_status status)
{
    return status == ORTP_E_NOMEM;
}

static void every_allocation_fails_once(void **state)
{
    for (int persistent = 0; persistent < 2; persistent++) {
        unsigned reported = 0;
        uint64_t n = 1;
        for (;; n++) {
            life l = {.kind = KIND_OF(state)};
            counting_alloc_fail(&l.alloc, n, persistent != 0);
            reported += live(&l, repair_alloc, is_nomem);
            bool reached = l.alloc.failed > 0;
            counting_alloc_fail(&l.alloc, 0, false);
            end(&l);
            if (!reached) {
                break;
            }
        }
        assert_true(n > 15); /* so many allocations a life has */
        /* Once: all but the thread's cache, without which it works on. From one on: all. */
        bool cached = KIND_OF(state) == ORTP_POOL_THREAD_CACHED;
        assert_int_equal(reported, persistent == 0 && cached ? n - 2 : n - 1);
    }
}

/* ---- the system ---- */

static void repair_sites(life *l)
{
    (void)l;
    for (size_t i = 0; i < SITE_COUNT; i++) {
        sites[i].fail_at = 0;
    }
}

static bool is_nomem_or_sys(ortp_status status)
{
    return status == ORTP_E_NOMEM || status == ORTP_E_SYS;
}

static void every_call_of_the_system_fails_once(void **state)
{
    bool cached = KIND_OF(state) == ORTP_POOL_THREAD_CACHED;
    static const struct {
        int site;
        uint64_t least[2]; /* calls in a life: thread cached, striped */
    } expected[] = {{SITE_MAP, {5, 5}}, {SITE_MUTEX, {7, 6}},   {SITE_COND, {1, 1}},
                    {SITE_KEY, {1, 0}}, {SITE_KEY_SET, {1, 0}}, {SITE_BARRIER, {1, 0}}};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        for (int persistent = 0; persistent < 2; persistent++) {
            uint64_t n = 1;
            for (;; n++) {
                memset(sites, 0, sizeof sites);
                sites[expected[i].site].fail_at = n;
                sites[expected[i].site].persistent = persistent != 0;
                life l = {.kind = KIND_OF(state)};
                (void)live(&l, repair_sites, is_nomem_or_sys);
                bool reached = sites[expected[i].site].failed > 0;
                repair_sites(&l);
                end(&l);
                if (!reached) {
                    break;
                }
            }
            assert_true(n - 1 >= expected[i].least[cached ? 0 : 1]);
        }
    }
    memset(sites, 0, sizeof sites);
}

/* ---- the budget ---- */

static void repair_limit(life *l)
{
    if (l->budget != NULL) {
        assert_int_equal(ortp_budget_set_limit(l->budget, ORTP_UNLIMITED, NULL), ORTP_OK);
    } else {
        l->limit = ORTP_UNLIMITED;
    }
}

static bool is_budget(ortp_status status)
{
    return status == ORTP_E_BUDGET;
}

static void every_charge_is_denied_once(void **state)
{
    life whole = {.kind = KIND_OF(state), .limit = 0};
    (void)live(&whole, repair_limit, is_budget);
    size_t all = charged_bytes(whole.budget);
    end(&whole);

    bool failed = true;
    size_t limit = 1;
    unsigned denials = 0;
    while (failed) {
        life l = {.kind = KIND_OF(state), .limit = limit};
        failed = live(&l, repair_limit, is_budget);
        denials += failed;
        end(&l);
        limit += 1999; /* less than the least of the larger charges */
    }
    assert_true(denials > 100);
    assert_true(limit >= all / 2 && limit <= all + 2 * 1999);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH_KINDS(every_allocation_fails_once),
        BOTH_KINDS(every_call_of_the_system_fails_once),
        BOTH_KINDS(every_charge_is_denied_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
