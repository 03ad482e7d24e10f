/* SPDX-License-Identifier: MIT */
/* The checks of `ortpool soak` by themselves: each is given what is right and what is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "random.h"
#include "soak/chaos.h"
#include "soak/gate.h"
#include "soak/growth.h"
#include "soak/histogram.h"
#include "soak/ledger.h"
#include "soak/record.h"
#include "soak/words.h"

#define KIB ((uint64_t)1 << 10)

/* ---- histogram ---- */

static int compare(const void *a, const void *b)
{
    const uint64_t left = *(const uint64_t *)a;
    const uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/* Against all values, sorted: never below, and above by a bucket at most. */
static void percentiles_of_a_histogram(void **state)
{
    (void)state;
    enum { VALUES = 20000 };
    static uint64_t values[VALUES];
    static histogram whole, half;
    uint64_t random = 7;
    for (int i = 0; i < VALUES; i++) {
        values[i] = random_next(&random) >> (20 + random_next(&random) % 44);
        histogram_add(i % 2 == 0 ? &whole : &half, values[i]);
    }
    histogram_merge(&whole, &half);
    qsort(values, VALUES, sizeof values[0], compare);
    assert_int_equal(whole.count, VALUES);
    static const double percents[] = {0, 0.01, 1, 10, 50, 90, 99, 99.9, 99.99};
    for (size_t i = 0; i < sizeof percents / sizeof percents[0]; i++) {
        const double rank = percents[i] / 100 * VALUES;
        const uint64_t exact = values[rank < 1 ? 0 : (size_t)(rank + 0.999999) - 1];
        const uint64_t got = histogram_get(&whole, percents[i]);
        assert_true(got >= exact);
        assert_true(exact >> HISTOGRAM_TOP != 0 || got - exact <= exact / 32);
    }
    assert_int_equal(histogram_get(&whole, 100), values[VALUES - 1]);
}

static void ends_of_a_histogram(void **state)
{
    (void)state;
    static histogram h;
    assert_int_equal(histogram_get(&h, 50), 0);
    histogram_add(&h, 0);
    assert_int_equal(histogram_get(&h, 50), 0);
    histogram_add(&h, UINT64_MAX);
    histogram_add(&h, UINT64_MAX);
    assert_int_equal(histogram_get(&h, 1), 0);
    assert_int_equal(histogram_get(&h, 50), UINT64_MAX);
    assert_int_equal(histogram_get(&h, 100), UINT64_MAX);
}

/* ---- growth ---- */

enum { POINTS = 32 };

static bool grows(const uint64_t *values, size_t count)
{
    const growth g = growth_judge(values, count, 64 * KIB);
    assert_true(g.judged);
    return g.grown;
}

static void growing_series_are_found(void **state)
{
    (void)state;
    uint64_t values[POINTS];
    uint64_t random = 1;
    for (uint64_t i = 0; i < POINTS; i++) { /* 4 KiB more each time */
        values[i] = 1000 * KIB + i * 4 * KIB;
    }
    assert_true(grows(values, POINTS));
    for (uint64_t i = 0; i < POINTS; i++) { /* the same under noise of half of it */
        values[i] = 1000 * KIB + i * 4 * KIB + random_next(&random) % (64 * KIB);
    }
    assert_true(grows(values, POINTS));
    for (uint64_t i = 0; i < POINTS; i++) { /* slower and slower */
        values[i] = 1000 * KIB - 400 * KIB / (i + 2);
    }
    assert_true(grows(values, POINTS));
    for (uint64_t i = 0; i < 8; i++) { /* few points */
        values[i] = 1000 * KIB + i * 16 * KIB;
    }
    assert_true(grows(values, 8));
    for (uint64_t i = 0; i < POINTS; i++) { /* one step, but a large one */
        values[i] = (i < POINTS / 2 ? 1000 : 2000) * KIB;
    }
    assert_true(grows(values, POINTS));
}

static void steady_series_are_not(void **state)
{
    (void)state;
    uint64_t values[POINTS];
    uint64_t random = 1;
    for (int i = 0; i < POINTS; i++) {
        values[i] = 1000 * KIB;
    }
    assert_false(grows(values, POINTS));
    for (int i = 0; i < POINTS; i++) { /* noise alone, of twice the allowance */
        values[i] = 1000 * KIB + random_next(&random) % (128 * KIB);
    }
    assert_false(grows(values, POINTS));
    for (int i = 0; i < POINTS; i++) { /* one step of more than is allowed: something began late */
        values[i] = (i < POINTS / 2 ? 1000 : 1100) * KIB;
    }
    assert_false(grows(values, POINTS));
    for (int i = 0; i < POINTS; i++) { /* the first and the last point lie off */
        values[i] = i == 0 ? 0 : i + 1 == POINTS ? 9000 * KIB : 1000 * KIB;
    }
    assert_false(grows(values, POINTS));
    for (uint64_t i = 0; i < POINTS; i++) { /* less and less */
        values[i] = 9000 * KIB - i * 100 * KIB;
    }
    assert_false(grows(values, POINTS));
    assert_false(growth_judge(values, GROWTH_LEAST - 1, 0).judged);
    memset(values, 0, sizeof values);
    assert_false(growth_judge(values, POINTS, 0).judged);
}

/* ---- ledger ---- */

static ortp_stats balanced(void)
{
    ortp_stats s = ORTP_STATS_INIT;
    s.in_use_tensors = 1;
    s.in_use_decode = 2;
    s.in_use_cache = 4;
    s.in_use_run = 8;
    s.in_use_weights = 16;
    s.in_use_other = 32;
    s.idle = 64;
    s.metadata = 128;
    s.mapped = 255;
    s.declared = 1000;
    s.charged = 1255;
    s.limit = 1255;
    return s;
}

static size_t complaints(const ortp_stats *s, const ortp_budget_info *b)
{
    failures f;
    failures_start(&f);
    ledger_check(s, b, "now", &f);
    const size_t count = f.count;
    assert_true(count == 0 || strncmp(f.kept[0], "now: ", 5) == 0);
    failures_end(&f);
    return count;
}

static void broken_ledgers_are_found(void **state)
{
    (void)state;
    ortp_budget_info fine = ORTP_BUDGET_INFO_INIT;
    ortp_stats s = balanced();
    assert_int_equal(complaints(&s, &fine), 0);
    s.limit = ORTP_UNLIMITED;
    assert_int_equal(complaints(&s, &fine), 0);
    uint64_t *const parts[] = {&s.in_use_tensors, &s.in_use_decode,  &s.in_use_cache,
                               &s.in_use_run,     &s.in_use_weights, &s.in_use_other,
                               &s.idle,           &s.metadata,       &s.declared};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        s = balanced();
        (*parts[i])--; /* a byte that nobody has */
        assert_int_equal(complaints(&s, &fine), 1);
        (*parts[i]) += 2; /* a byte that two have */
        assert_int_equal(complaints(&s, &fine), 1);
    }
    s = balanced();
    s.limit--;
    assert_int_equal(complaints(&s, &fine), 1);
    s = balanced();
    fine.refund_errors = 1;
    assert_int_equal(complaints(&s, &fine), 1);
}

static void what_is_left_is_found(void **state)
{
    (void)state;
    failures f;
    failures_start(&f);
    ortp_stats s = ORTP_STATS_INIT;
    s.metadata = s.mapped = s.charged = 5; /* the runtime's own */
    ledger_check_empty(&s, &f);
    assert_int_equal(f.count, 0);
    uint64_t *const parts[] = {&s.in_use_other, &s.idle, &s.declared};
    for (size_t i = 0; i < 3; i++) {
        *parts[i] = 1;
        ledger_check_empty(&s, &f);
        assert_int_equal(f.count, i + 1);
        *parts[i] = 0;
    }
    failures_end(&f);
}

static void limits_are_watched(void **state)
{
    (void)state;
    ortp_budget *budget;
    assert_int_equal(ortp_budget_create(NULL, &budget, NULL), ORTP_OK);
    const ortp_account account = ORTP_ACCOUNT_DECLARED;
    failures f;
    failures_start(&f);
    limit_watch w;
    assert_true(limit_watch_start(&w, budget, ORTP_UNLIMITED));
    assert_int_equal(ortp_budget_charge(budget, account, 100000, ORTP_RECLAIM_NONE), ORTP_OK);
    assert_true(limit_watch_set(&w, 200000, &f));
    assert_false(limit_watch_set(&w, 50000, &f)); /* above it, as it was lowered */
    assert_int_equal(ortp_budget_refund(budget, account, 80000), ORTP_OK);
    assert_true(limit_watch_set(&w, 50000, &f));
    assert_int_equal(f.count, 0);
    /* Somebody else raises the limit: what is charged then is more than the watch allowed. */
    assert_int_equal(ortp_budget_set_limit(budget, ORTP_UNLIMITED, NULL), ORTP_OK);
    assert_int_equal(ortp_budget_charge(budget, account, 80000, ORTP_RECLAIM_NONE), ORTP_OK);
    assert_int_equal(ortp_budget_refund(budget, account, 80000), ORTP_OK);
    assert_int_equal(ortp_budget_set_limit(budget, 50000, NULL), ORTP_OK);
    assert_true(limit_watch_set(&w, ORTP_UNLIMITED, &f));
    assert_int_equal(f.count, 1);
    assert_non_null(strstr(f.kept[0], "under a limit of 50000"));
    /* And a limit that is another one than was set. */
    assert_int_equal(ortp_budget_set_limit(budget, 60000, NULL), ORTP_OK);
    assert_true(limit_watch_set(&w, ORTP_UNLIMITED, &f));
    assert_int_equal(f.count, 2);
    failures_end(&f);
    assert_int_equal(ortp_budget_refund(budget, account, 20000), ORTP_OK);
    assert_int_equal(ortp_budget_destroy(budget, NULL), ORTP_OK);
}

/* ---- words ---- */

static void wrong_words_are_found(void **state)
{
    (void)state;
    const ortp_prediction right = {
        .candidates = {{.word = "good", .score = 7.3}, {.word = "god", .score = 3.3}},
        .candidate_count = 2};
    char message[256];
    ortp_prediction other = right;
    other.cache_hit = true;
    other.microseconds = 17;
    assert_true(words_same(&right, &other, message, sizeof message));
    (void)strcpy(other.candidates[1].word, "gods");
    assert_false(words_same(&right, &other, message, sizeof message));
    assert_non_null(strstr(message, "candidate 2 is 'gods'"));
    other = right;
    other.candidates[0].score += 1e-15; /* the last bit or so */
    assert_false(words_same(&right, &other, message, sizeof message));
    other = right;
    other.candidate_count = 1;
    assert_false(words_same(&right, &other, message, sizeof message));
    assert_non_null(strstr(message, "1 candidates, expected 2"));
}

/* ---- failures, record ---- */

static void failures_are_kept_clean(void **state)
{
    (void)state;
    failures f;
    failures_start(&f);
    failures_add(&f, "swipe\n\x1b[31m \xc3\xa9 %d", 7);
    assert_string_equal(f.kept[0], "swipe ?[31m ?? 7");
    for (size_t i = 1; i < 2 * FAILURES_KEPT; i++) {
        failures_add(&f, "%zu", i);
    }
    assert_int_equal(f.count, 2 * FAILURES_KEPT);
    assert_string_equal(f.kept[FAILURES_KEPT - 1], "15");
    failures_end(&f);
}

static void predictions_are_counted(void **state)
{
    (void)state;
    static record r;
    record_start(&r, 100);
    assert_int_equal(record_words(&r, true, false, 10, 100), 1);
    assert_int_equal(record_words(&r, false, true, 20, 101), 2);
    record_refused(&r, true);
    record_refused(&r, false);
    record_refused(&r, false);
    record_failed(&r);
    double last;
    const record_counts c = record_get(&r, &last);
    assert_true(last == 101);
    assert_true(c.right == 1 && c.wrong == 1 && c.refused_budget == 2 && c.refused_deadline == 1 &&
                c.failed == 1);
    assert_true(r.hits.max == 20 && r.misses.max == 10);
    /* What is long past is not recent. */
    assert_true(record_get_recent(&r, 101).rate == 2);
    assert_int_equal(record_get_recent(&r, 102.5).p99, 20);
    assert_int_equal(record_words(&r, true, false, 1000, 105), 3);
    assert_int_equal(record_get_recent(&r, 106).p50, 1000);
    record_end(&r);
}

/* ---- pressure ---- */

static void plans_follow_from_the_seed(void **state)
{
    (void)state;
    chaos_plan a = {.random = 42};
    chaos_plan b = {.random = 42};
    chaos_plan c = {.random = 43};
    size_t seen[CHAOS_ACTIONS] = {0};
    size_t other = 0;
    size_t low = 0;
    for (int i = 0; i < 2000; i++) {
        const chaos_step step = chaos_next(&a);
        const chaos_step same = chaos_next(&b);
        assert_true(step.action == same.action && step.share == same.share &&
                    step.pause_ms == same.pause_ms);
        assert_true(step.share >= 0 && step.share < 1);
        other += chaos_next(&c).action != step.action ? 1 : 0;
        seen[step.action]++;
        /* A lowered limit is raised soon, and not lowered twice. */
        const bool lowers = step.action == CHAOS_NEAR || step.action == CHAOS_BELOW;
        assert_true(!lowers || low == 0);
        assert_true(step.action != CHAOS_RAISE || low > 0);
        low = lowers ? 1 : step.action == CHAOS_RAISE ? 0 : low > 0 ? low + 1 : 0;
        assert_true(low <= 3);
    }
    assert_true(other > 500);
    for (size_t i = 0; i < CHAOS_ACTIONS; i++) {
        assert_true(seen[i] > 20);
    }
}

/* ---- gate ---- */

typedef struct walker {
    pthread_t thread;
    gate *gate;
    atomic_int *inside;
    atomic_int *passes;
} walker;

static void *walk(void *ctx)
{
    walker *w = ctx;
    while (gate_pass(w->gate)) {
        atomic_fetch_add(w->inside, 1);
        gate_sleep(w->gate, 1);
        atomic_fetch_sub(w->inside, 1);
        atomic_fetch_add(w->passes, 1);
        gate_wake(w->gate);
    }
    gate_leave(w->gate);
    return NULL;
}

static void a_closed_gate_holds_all(void **state)
{
    (void)state;
    enum { WALKERS = 4 };
    gate g;
    assert_true(gate_start(&g));
    atomic_int inside = 0;
    atomic_int passes = 0;
    walker walkers[WALKERS];
    for (int i = 0; i < WALKERS; i++) {
        walkers[i] = (walker){.gate = &g, .inside = &inside, .passes = &passes};
        gate_join(&g);
        assert_int_equal(pthread_create(&walkers[i].thread, NULL, walk, &walkers[i]), 0);
    }
    for (int round = 0; round < 50; round++) {
        gate_wait(&g, 20);
        assert_true(gate_close(&g, 60000));
        assert_int_equal(atomic_load(&inside), 0);
        assert_true(gate_wanted(&g));
        gate_open(&g);
        assert_false(gate_wanted(&g));
    }
    gate_end(&g);
    for (int i = 0; i < WALKERS; i++) {
        assert_int_equal(pthread_join(walkers[i].thread, NULL), 0);
    }
    assert_true(atomic_load(&passes) > 0);
    assert_true(gate_close(&g, 0)); /* of nobody: no wait */
    gate_join(&g);
    assert_false(gate_close(&g, 20)); /* who does not come is seen */
    gate_leave(&g);
    gate_destroy(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percentiles_of_a_histogram), cmocka_unit_test(ends_of_a_histogram),
        cmocka_unit_test(growing_series_are_found),   cmocka_unit_test(steady_series_are_not),
        cmocka_unit_test(broken_ledgers_are_found),   cmocka_unit_test(what_is_left_is_found),
        cmocka_unit_test(limits_are_watched),         cmocka_unit_test(wrong_words_are_found),
        cmocka_unit_test(failures_are_kept_clean),    cmocka_unit_test(predictions_are_counted),
        cmocka_unit_test(plans_follow_from_the_seed), cmocka_unit_test(a_closed_gate_holds_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
