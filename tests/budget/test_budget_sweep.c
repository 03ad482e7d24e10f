/* SPDX-License-Identifier: MIT */
/*
 * A real model under 200 budgets, from none to more than enough: whatever the limit, a predictor is
 * made or refused, a swipe gives the right words or ORTP_E_BUDGET, nothing crashes, no step takes the
 * process above the limit (by a count of pages and control structures that is not ortpool's own), and
 * everything comes back.
 *
 * Thresholds are found first, by bisection:
 *
 *     0 ......... open            ........ enough      a limit from the start
 *     refused     | created, swipes
 *
 *     sessions ............... first ......... all     a limit set when the sessions are there
 *     no swipe                 | some swipes   | all swipes
 *
 * Creation takes more for a moment than it leaves, often more than a swipe needs; so for most budgets
 * the limit is lowered after it, to what is charged and a headroom: between none and the first swipe's
 * need, where ONNX Runtime is refused in the middle of a run.
 * ORTPOOL_TEST_THIN=1, and a build with a sanitizer: fewer budgets, the same places. ORTPOOL_TEST_THIN=2:
 * all of them, of a small model.
 */
#include "machine.h"
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
#define SMALL (test_thin() > 1)
#define GRAIN ((size_t)(SMALL ? 4 : 16) << 10) /* how closely a threshold is found */
#define HEADROOM_MOST ((size_t)16 << 20)
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
static size_t limit_enough;

/* How far one budget got. */
typedef enum reach {
    NO_BUDGET,
    NO_RUNTIME,
    NO_PREDICTOR,
    NO_SWIPE,
    SOME_SWIPES,
    ALL_SWIPES,
    REACH_COUNT
} reach;
static const char *const reach_names[REACH_COUNT] = {"no budget",    "no runtime",  "no predictor",
                                                     "no swipe yet", "some swipes", "all swipes"};

/* ---- one budget ---- */

typedef struct trial {
    size_t limit; /* from the start */
    bool lowered; /* then to what is charged when the predictor is there, and the headroom */
    size_t headroom;
    bool lift; /* in the end, where a swipe was refused */
} trial;

static size_t declared_of(const ortp_budget *budget)
{
    ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
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
    ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
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
    ortp_prediction out = ORTP_PREDICTION_INIT;
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
    options.model_directory = test_file(SMALL ? TINY : SWIPE_EN);
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

static reach predict_all(ortp_budget *budget, ortp_predictor *predictor, size_t limit)
{
    page_watch_limit(limit, declared_of(budget)); /* which nothing changes from here on */
    size_t right = 0;
    for (size_t i = 0; i < SWIPES; i++) {
        right += predict(predictor, i) ? 1 : 0;
        assert_agree(budget, limit);
    }
    return right == 0 ? NO_SWIPE : right < SWIPES ? SOME_SWIPES : ALL_SWIPES;
}

/* Lowers the limit to what the sessions hold and the headroom; returns it. */
static size_t lower(ortp_budget *budget, size_t headroom)
{
    (void)ortp_budget_reclaim(budget, ORTP_RECLAIM_CACHE, ORTP_UNLIMITED);
    ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(budget, &info);
    const size_t limit = info.charged_bytes + headroom;
    assert_int_equal(ortp_budget_set_limit(budget, limit, NULL), ORTP_OK);
    page_watch_start();
    return limit;
}

static reach use_predictor(ortp_budget *budget, ortp_predictor *predictor, const trial *t)
{
    const size_t limit = t->lowered ? lower(budget, t->headroom) : t->limit;
    const reach got = predict_all(budget, predictor, limit);
    if (t->lift && got < ALL_SWIPES) {
        lift(budget, predictor);
    }
    return got;
}

static reach use_runtime(ortp_budget *budget, ortp_runtime *runtime, const trial *t)
{
    ortp_predictor *predictor = NULL;
    ortp_error error = ORTP_ERROR_INIT;
    const ortp_status status = open_predictor(runtime, &predictor, &error);
    if (status != ORTP_OK) {
        assert_null(predictor);
        assert_budget(status, &error, "a predictor");
        assert_int_equal(declared_of(budget), 0);
        assert_agree(budget, t->limit);
        return NO_PREDICTOR;
    }
    assert_agree(budget, t->limit);
    const reach got = use_predictor(budget, predictor, t);
    assert_int_equal(ortp_predictor_destroy(predictor, NULL), ORTP_OK);
    assert_int_equal(declared_of(budget), 0);
    return got;
}

static reach use_budget(ortp_budget *budget, const trial *t)
{
    ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
    options.api = test_ort_api();
    options.budget = budget;
    options.alloc = page_watch_alloc();
    ortp_runtime *runtime = NULL;
    ortp_error error = ORTP_ERROR_INIT;
    page_watch_limit(t->limit + RUNTIME_STRUCT_BYTES, 0);
    const ortp_status status = ortp_runtime_create(&options, &runtime, &error);
    assert_watched("with a runtime");
    if (status != ORTP_OK) {
        assert_null(runtime);
        assert_budget(status, &error, "a runtime");
        return NO_RUNTIME;
    }
    page_watch_start();
    page_watch_limit(t->limit, 0);
    const reach got = use_runtime(budget, runtime, t);
    test_runtime_destroy(runtime);
    return got;
}

/* Everything from the budget's creation to its end. */
static reach try(const trial *t)
{
    ortp_budget_options options = ORTP_BUDGET_OPTIONS_INIT;
    options.limit_bytes = t->limit; /* 0 stands for none: that one is set below */
    options.alloc = page_watch_alloc();
    page_watch_start();
    page_watch_limit(t->limit > 0 ? t->limit : SIZE_MAX, 0);
    ortp_budget *budget = NULL;
    const ortp_status status = ortp_budget_create(&options, &budget, NULL);
    reach got = NO_BUDGET;
    if (status == ORTP_OK) {
        const size_t own = page_watch_get().control_bytes;
        if (t->limit == 0) {
            assert_int_equal(ortp_budget_set_limit(budget, 0, NULL), ORTP_E_BUSY);
        }
        got = use_budget(budget, t);
        ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
        ortp_budget_get_info(budget, &info);
        assert_int_equal(info.charged_bytes, own);
        assert_int_equal(info.account_bytes[ORTP_ACCOUNT_METADATA], own);
        assert_int_equal(page_watch_get().control_bytes, own);
        assert_int_equal(ortp_budget_destroy(budget, NULL), ORTP_OK);
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

/* Three swipes of rising length, and their words without a limit; returns the peak of that. */
static size_t predict_unlimited(void)
{
    page_watch_start();
    ortp_budget *budget = NULL;
    const ortp_budget_options budget_options = {.struct_size = sizeof budget_options,
                                                .alloc = page_watch_alloc()};
    assert_int_equal(ortp_budget_create(&budget_options, &budget, NULL), ORTP_OK);
    ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
    options.budget = budget;
    options.alloc = page_watch_alloc();
    ortp_runtime *runtime = test_runtime_create(&options);
    ortp_predictor *predictor = NULL;
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(open_predictor(runtime, &predictor, &error), error);
    for (size_t i = 0; i < SWIPES; i++) {
        const ortp_predict_options top = {.struct_size = sizeof top, .top = 5};
        expected[i] = (ortp_prediction)ORTP_PREDICTION_INIT;
        assert_ok(ortp_predictor_predict(predictor, &swipes[i]->swipe, &top, &expected[i], &error),
                  error);
        assert_true(expected[i].candidate_count > 0);
        assert_true(i == 0 || expected[i].points > expected[i - 1].points);
    }
    ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(budget, &info);
    assert_int_equal(ortp_predictor_destroy(predictor, NULL), ORTP_OK);
    test_runtime_destroy(runtime);
    assert_int_equal(ortp_budget_destroy(budget, NULL), ORTP_OK);
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

/* The least limit, or with `lowered` the least headroom, that reaches `wanted`, to GRAIN. */
static size_t threshold(reach wanted, bool lowered, size_t below, size_t enough)
{
    const size_t most = enough;
    while (enough - below > GRAIN) {
        const size_t middle = below + (enough - below) / 2;
        const trial t = {
            .limit = lowered ? limit_enough : middle, .lowered = lowered, .headroom = middle};
        if (try(&t) >= wanted) {
            enough = middle;
        } else {
            below = middle;
        }
    }
    assert_true(enough < most);
    return enough;
}

/* ---- the sweep ---- */

typedef struct stretch {
    const char *what;
    bool lowered;
    size_t from, to, count; /* from included, to not */
} stretch;

static void sweep_stretch(const stretch *part, size_t *done, size_t total, size_t *got)
{
    for (size_t i = 0; i < part->count; i++) {
        const size_t bytes = part->from + (part->to - part->from) / part->count * i;
        const trial t = {.limit = part->lowered ? limit_enough : bytes,
                         .lowered = part->lowered,
                         .headroom = bytes,
                         .lift = true};
        const reach reached = try(&t);
        got[reached]++;
        if (++*done % 20 == 0 || *done == total) {
            print_message("budget %3zu of %zu: %s%9zu bytes, %s\n", *done, total, part->what, bytes,
                          reach_names[reached]);
        }
    }
}

static void sweep(void **state)
{
    (void)state;
    const size_t peak = predict_unlimited();
    limit_enough = peak + peak / 4;
    assert_int_equal(try(&(trial){.limit = limit_enough}), ALL_SWIPES);
    const size_t open = threshold(NO_SWIPE, false, 0, limit_enough);
    const size_t first = threshold(SOME_SWIPES, true, 0, HEADROOM_MOST);
    const size_t all = threshold(ALL_SWIPES, true, first - GRAIN, HEADROOM_MOST);
    print_message(
        "peak without a limit %zu; sessions open from about %zu; beside them a first swipe "
        "needs %zu, all %u %zu\n",
        peak, open, first, SWIPES, all);

    const bool few = test_thin() == 1 || SANITIZED;
    const stretch stretches[] = {{"", false, 0, open, few ? 6 : 30},
                                 {"sessions +", true, 0, first, few ? 14 : 110},
                                 {"sessions +", true, first, all, few ? 4 : 40},
                                 {"", false, open, limit_enough, few ? 4 : 20}};
    size_t total = 0, done = 0, got[REACH_COUNT] = {0};
    for (size_t s = 0; s < 4; s++) {
        total += stretches[s].count;
    }
    for (size_t s = 0; s < 4; s++) {
        sweep_stretch(&stretches[s], &done, total, got);
    }
    for (size_t i = 0; i < REACH_COUNT; i++) {
        print_message("%-12s %zu\n", reach_names[i], got[i]);
    }
    /* A session's declared bytes, and so `open`, are measured and vary a little. */
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
