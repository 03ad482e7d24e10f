/* SPDX-License-Identifier: MIT */
/*
 * A real model under 200 budgets, from none to more than enough: whatever the limit, a predictor is
 * made or refused, a swipe gives the right words or ORTP_E_BUDGET, nothing crashes, no step takes the
 * process above the limit (by a count of pages and control structures that is not ortpool's own), and
 * everything comes back.
 *
 * Thresholds are found first, by bisection:
 *
 *     0 ...... open ............... first ......... all ......... enough
 *     refused  | created, no swipe  | some swipes   | all swipes
 *
 * and most budgets lie between open and first, where ONNX Runtime is refused in the middle of a run.
 * ORTPOOL_TEST_THIN=1, and a build with a sanitizer: fewer budgets, the same places.
 */
#include "page_watch.h"
#include "rig.h"

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SWIPES 3u
#define GRAIN ((size_t)16 << 10) /* how closely a threshold is found */
/* A runtime's struct is there a moment before it is charged, for the budget may be its own. */
#define RUNTIME_STRUCT_BYTES 1024u

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

static swipe_rows rows;
static const swipe_row *swipes[SWIPES]; /* of rising length, so of rising need */
static ortp_prediction expected[SWIPES];

/* How far one budget got. */
typedef enum reach { NO_BUDGET, NO_RUNTIME, NO_PREDICTOR, NO_SWIPE, SOME_SWIPES, ALL_SWIPES,
                     REACH_COUNT } reach;
static const char *const reach_names[REACH_COUNT] = {"no budget",    "no runtime", "no predictor",
                                                     "no swipe yet", "some swipes", "all swipes"};

/* ---- one budget ---- */

static size_t declared_of(const ortp_budget *budget)
{
    ortp_budget_info info;
    ortp_budget_get_info(budget, &info);
    return info.account_bytes[ORTP_ACCOUNT_DECLARED];
}

static void assert_watched(const char *when)
{
    const page_watch_counts counts = page_watch_get();
    if (counts.violations > 0) {
        fail_msg("%s: %llu steps above the limit, the first: %s", when,
                 (unsigned long long)counts.violations, counts.first);
    }
}

/* Ours and theirs, at a quiet point. */
static void assert_agree(const ortp_budget *budget, size_t limit)
{
    ortp_budget_info info;
    ortp_budget_get_info(budget, &info);
    const page_watch_counts counts = page_watch_get();
    assert_int_equal(info.account_bytes[ORTP_ACCOUNT_BLOCKS], counts.mapped_bytes);
    assert_true(info.charged_bytes <= limit);
    assert_true(counts.both_peak <= limit);
    assert_int_equal(info.refund_errors, 0);
    assert_watched("at a quiet point");
}

static void assert_budget(ortp_status status, const ortp_error *error, const char *what)
{
    if (status != ORTP_E_BUDGET) {
        fail_msg("%s: %s, not ORTP_E_BUDGET: %s", what, ortp_status_name(status), error->message);
    }
    assert_int_equal(error->status, ORTP_E_BUDGET);
    assert_true(error->message[0] != 0);
}

/* Whether the swipe gave its words; the only other end that is right is BUDGET. */
static bool predict(ortp_predictor *predictor, size_t i)
{
    const ortp_predict_options options = {.struct_size = sizeof options, .top = 5};
    ortp_prediction out;
    ortp_error error = ORTP_ERROR_INIT;
    const ortp_status status =
        ortp_predictor_predict(predictor, &swipes[i]->swipe, &options, &out, &error);
    if (status != ORTP_OK) {
        assert_budget(status, &error, "a swipe");
        return false;
    }
    assert_same_words(&out, &expected[i], 0.0);
    return true;
}

static ortp_status open_predictor(ortp_runtime *runtime, ortp_predictor **out, ortp_error *error)
{
    ortp_predictor_options options = ORTP_PREDICTOR_OPTIONS_INIT;
    options.runtime = runtime;
    options.model_directory = test_file(SWIPE_EN);
    options.beam_width = 4;
    options.path = ORTP_PATH_BATCHED;
    return ortp_predictor_create(&options, out, error);
}

/* The limit is lifted: what was refused a moment ago is right now. */
static void lift(ortp_budget *budget, ortp_predictor *predictor)
{
    page_watch_limit(SIZE_MAX, 0);
    assert_int_equal(ortp_budget_set_limit(budget, ORTP_UNLIMITED, NULL), ORTP_OK);
    for (size_t i = 0; i < SWIPES; i++) {
        assert_true(predict(predictor, i));
    }
}

static reach use_predictor(ortp_budget *budget, ortp_predictor *predictor, size_t limit,
                           bool lift_after)
{
    page_watch_limit(limit, declared_of(budget)); /* which nothing changes from here on */
    size_t right = 0;
    for (size_t i = 0; i < SWIPES; i++) {
        right += predict(predictor, i) ? 1 : 0;
        assert_agree(budget, limit);
    }
    if (lift_after && right < SWIPES) {
        lift(budget, predictor);
    }
    return right == 0 ? NO_SWIPE : right < SWIPES ? SOME_SWIPES : ALL_SWIPES;
}

static reach use_runtime(ortp_budget *budget, ortp_runtime *runtime, size_t limit, bool lift_after)
{
    ortp_predictor *predictor = NULL;
    ortp_error error = ORTP_ERROR_INIT;
    const ortp_status status = open_predictor(runtime, &predictor, &error);
    if (status != ORTP_OK) {
        assert_null(predictor);
        assert_budget(status, &error, "a predictor");
        assert_int_equal(declared_of(budget), 0);
        assert_agree(budget, limit);
        return NO_PREDICTOR;
    }
    assert_agree(budget, limit);
    const reach got = use_predictor(budget, predictor, limit, lift_after);
    assert_int_equal(ortp_predictor_destroy(predictor), ORTP_OK);
    assert_int_equal(declared_of(budget), 0);
    return got;
}

static reach use_budget(ortp_budget *budget, size_t limit, bool lift_after)
{
    ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
    options.api = test_ort_api();
    options.budget = budget;
    options.alloc = page_watch_alloc();
    ortp_runtime *runtime = NULL;
    ortp_error error = ORTP_ERROR_INIT;
    page_watch_limit(limit + RUNTIME_STRUCT_BYTES, 0);
    const ortp_status status = ortp_runtime_create(&options, &runtime, &error);
    assert_watched("with a runtime");
    if (status != ORTP_OK) {
        assert_null(runtime);
        assert_budget(status, &error, "a runtime");
        return NO_RUNTIME;
    }
    page_watch_start();
    page_watch_limit(limit, 0);
    const reach got = use_runtime(budget, runtime, limit, lift_after);
    test_runtime_destroy(runtime);
    return got;
}

/* Everything from the budget's creation to its end, under `limit`. */
static reach try_limit(size_t limit, bool lift_after)
{
    ortp_budget_options options = ORTP_BUDGET_OPTIONS_INIT;
    options.limit_bytes = limit; /* 0 stands for none: that one is set below */
    options.alloc = page_watch_alloc();
    page_watch_start();
    page_watch_limit(limit > 0 ? limit : SIZE_MAX, 0);
    ortp_budget *budget = NULL;
    const ortp_status status = ortp_budget_create(&options, &budget);
    reach got = NO_BUDGET;
    if (status == ORTP_OK) {
        const size_t own = page_watch_get().control_bytes;
        if (limit == 0) {
            assert_int_equal(ortp_budget_set_limit(budget, 0, NULL), ORTP_E_BUSY);
        }
        got = use_budget(budget, limit, lift_after);
        ortp_budget_info info;
        ortp_budget_get_info(budget, &info);
        assert_int_equal(info.charged_bytes, own);
        assert_int_equal(info.account_bytes[ORTP_ACCOUNT_METADATA], own);
        assert_int_equal(page_watch_get().control_bytes, own);
        assert_int_equal(ortp_budget_destroy(budget), ORTP_OK);
    } else {
        assert_int_equal(status, ORTP_E_BUDGET);
        assert_null(budget);
    }
    assert_watched("in the end");
    const page_watch_counts counts = page_watch_get();
    assert_int_equal(counts.mapped_bytes, 0);
    assert_int_equal(counts.control_bytes, 0);
    assert_int_equal(counts.control_blocks, 0);
    return got;
}

/* ---- before: swipes, words, thresholds ---- */

static bool thin(void)
{
    const char *wish = getenv("ORTPOOL_TEST_THIN");
    return wish != NULL ? strcmp(wish, "0") != 0 : SANITIZED != 0;
}

/* Three swipes of rising length, and their words without a limit; returns the peak of that. */
static size_t predict_unlimited(void)
{
    page_watch_start();
    ortp_budget *budget = NULL;
    const ortp_budget_options budget_options = {.struct_size = sizeof budget_options,
                                                .alloc = page_watch_alloc()};
    assert_int_equal(ortp_budget_create(&budget_options, &budget), ORTP_OK);
    ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
    options.budget = budget;
    options.alloc = page_watch_alloc();
    ortp_runtime *runtime = test_runtime_create(&options);
    ortp_predictor *predictor = NULL;
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(open_predictor(runtime, &predictor, &error), error);
    for (size_t i = 0; i < SWIPES; i++) {
        const ortp_predict_options top = {.struct_size = sizeof top, .top = 5};
        assert_ok(ortp_predictor_predict(predictor, &swipes[i]->swipe, &top, &expected[i], &error),
                  error);
        assert_true(expected[i].candidate_count > 0);
        assert_true(i == 0 || expected[i].points > expected[i - 1].points);
    }
    ortp_budget_info info;
    ortp_budget_get_info(budget, &info);
    assert_int_equal(ortp_predictor_destroy(predictor), ORTP_OK);
    test_runtime_destroy(runtime);
    assert_int_equal(ortp_budget_destroy(budget), ORTP_OK);
    return info.peak_bytes;
}

static int choose_swipes(void **state)
{
    (void)state;
    /* The declared size of a session is what the process grew by; that repeats better where large
     * allocations do not stay in the heap. */
    (void)mallopt(M_MMAP_THRESHOLD, 128 << 10);
    (void)mallopt(M_TRIM_THRESHOLD, 128 << 10);
    rows = swipe_rows_read(test_file(SAMPLES), SIZE_MAX);
    const size_t wanted[SWIPES] = {32, 90, 150}; /* of rising buckets */
    for (size_t i = 0; i < SWIPES; i++) {
        size_t best = SIZE_MAX;
        for (size_t k = 0; k < rows.count; k++) {
            const size_t count = rows.rows[k].swipe.count;
            const size_t gap = count > wanted[i] ? count - wanted[i] : wanted[i] - count;
            if (gap < best) {
                best = gap;
                swipes[i] = &rows.rows[k];
            }
        }
    }
    return 0;
}

static int free_rows(void **state)
{
    (void)state;
    swipe_rows_free(&rows);
    return 0;
}

/* The least limit that reaches `wanted`, to GRAIN; `enough` does. */
static size_t threshold(reach wanted, size_t below, size_t enough)
{
    while (enough - below > GRAIN) {
        const size_t middle = below + (enough - below) / 2;
        if (try_limit(middle, false) >= wanted) {
            enough = middle;
        } else {
            below = middle;
        }
    }
    return enough;
}

/* ---- the sweep ---- */

typedef struct stretch {
    size_t from, to, count; /* from included, to not */
} stretch;

static void sweep(void **state)
{
    (void)state;
    const size_t peak = predict_unlimited();
    const size_t enough = peak + peak / 4;
    assert_int_equal(try_limit(enough, false), ALL_SWIPES);
    const size_t open = threshold(NO_SWIPE, 0, enough);
    const size_t first = threshold(SOME_SWIPES, open, enough);
    const size_t all = threshold(ALL_SWIPES, first, enough);
    print_message("peak without a limit %zu; sessions open from about %zu, a first swipe from %zu, "
                  "all %u from %zu\n",
                  peak, open, first, SWIPES, all);

    const bool few = thin();
    const stretch stretches[] = {{0, open, few ? 6 : 30},
                                 {open, first, few ? 14 : 110},
                                 {first, all, few ? 4 : 40},
                                 {all, enough, few ? 4 : 20}};
    size_t total = 0, done = 0, got[REACH_COUNT] = {0};
    for (size_t s = 0; s < 4; s++) {
        total += stretches[s].count;
    }
    for (size_t s = 0; s < 4; s++) {
        const stretch *part = &stretches[s];
        for (size_t i = 0; i < part->count; i++) {
            const size_t limit = part->from + (part->to - part->from) / part->count * i;
            const reach reached = try_limit(limit, true);
            got[reached]++;
            if (++done % 20 == 0 || done == total) {
                print_message("budget %3zu of %zu: %9zu bytes, %s\n", done, total, limit,
                              reach_names[reached]);
            }
        }
    }
    for (size_t i = 0; i < REACH_COUNT; i++) {
        print_message("%-12s %zu\n", reach_names[i], got[i]);
    }
    /* A threshold moves by what the heap kept from the session before; most stays where it was. */
    assert_true(got[NO_PREDICTOR] + got[NO_RUNTIME] + got[NO_BUDGET] >= stretches[0].count / 2);
    assert_true(got[NO_SWIPE] >= (few ? 10 : 100));
    assert_true(got[SOME_SWIPES] > 0);
    assert_true(got[ALL_SWIPES] >= stretches[3].count / 2);
}

int main(void)
{
    if (!test_ort_found()) {
        return TEST_SKIPPED;
    }
    (void)setvbuf(stdout, NULL, _IOLBF, 0); /* progress is seen while it is made */
    const struct CMUnitTest tests[] = {cmocka_unit_test(sweep)};
    return cmocka_run_group_tests(tests, choose_swipes, free_rows);
}
