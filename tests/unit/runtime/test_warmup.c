/* SPDX-License-Identifier: MIT */
/*
 * The warm-up engine: order, progress, cancel, failure, background and join, twice is once.
 */
#include "counting_alloc.h"
#include "machine.h"
#include "test_ort.h"

#include <ortpool/pool.h>
#include <ortpool/warmup.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* What the steps did, in order. */
typedef struct record {
    ortp_runtime *runtime;
    size_t arguments[16];
    _Atomic size_t count;
    size_t fail_at;      /* argument of the step that fails; 0: none */
    size_t cancel_after; /* steps after which progress says stop; 0: never */
    size_t progress_calls;
    char last_step[32];
    _Atomic bool entered;
    _Atomic bool go;
} record;

static ortp_status note(void *ctx, size_t argument, ortp_error *error)
{
    record *r = ctx;
    if (argument == r->fail_at) {
        if (error) {
            error->status = ORTP_E_ORT;
            error->ort_code = 6;
            (void)snprintf(error->message, sizeof(error->message), "no kernel");
        }
        return ORTP_E_ORT;
    }
    r->arguments[atomic_fetch_add(&r->count, 1)] = argument;
    return ORTP_OK;
}

static ortp_status warm_block(void *ctx, size_t argument, ortp_error *error)
{
    (void)error;
    record *r = ctx;
    const ortp_pool_need need = {.bytes = argument, .count = 1};
    return ortp_pool_warm(ortp_runtime_pool(r->runtime), &need, 1);
}

static ortp_status wait_for_go(void *ctx, size_t argument, ortp_error *error)
{
    (void)argument;
    (void)error;
    record *r = ctx;
    atomic_store(&r->entered, true);
    while (!atomic_load(&r->go)) {
    }
    return ORTP_OK;
}

static bool progress(void *ctx, size_t done, size_t total, const char *step)
{
    record *r = ctx;
    ++r->progress_calls;
    (void)snprintf(r->last_step, sizeof(r->last_step), "%s", step);
    return total == 3 && done == r->progress_calls &&
           (r->cancel_after == 0 || done < r->cancel_after);
}

static void make_steps(ortp_warmup_step steps[3], record *r)
{
    static const char *const names[3] = {"one", "two", "three"};
    for (size_t i = 0; i < 3; ++i) {
        steps[i] = (ortp_warmup_step){.name = names[i], .run = note, .ctx = r, .argument = i + 1};
    }
}

static void runs_in_order(void **state)
{
    (void)state;
    ortp_runtime *runtime = test_runtime_create(NULL);
    record r = {0};
    ortp_warmup_step steps[3];
    make_steps(steps, &r);
    ortp_warmup_options options = ORTP_WARMUP_OPTIONS_INIT;
    options.progress = progress;
    options.progress_ctx = &r;
    ortp_warmup_report report = ORTP_WARMUP_REPORT_INIT;
    ortp_error error = ORTP_ERROR_INIT;
    assert_int_equal(ortp_warmup_run(runtime, steps, 3, &options, &report, &error), ORTP_OK);
    assert_int_equal(r.count, 3);
    for (size_t i = 0; i < 3; ++i) {
        assert_int_equal(r.arguments[i], i + 1);
    }
    assert_int_equal(r.progress_calls, 3);
    assert_string_equal(r.last_step, "three");
    assert_int_equal(report.steps_done, 3);
    assert_int_equal(report.steps_total, 3);
    assert_int_equal(report.status, ORTP_OK);
    assert_false(report.cancelled);
    assert_int_equal(report.failed_step[0], 0);

    /* No steps, no report, no options: nothing to do, nothing wrong. */
    assert_int_equal(ortp_warmup_run(runtime, NULL, 0, NULL, NULL, NULL), ORTP_OK);
    assert_int_equal(ortp_warmup_run(runtime, NULL, 1, NULL, NULL, NULL), ORTP_E_INVAL);
    assert_int_equal(ortp_warmup_run(NULL, steps, 3, NULL, NULL, NULL), ORTP_E_INVAL);
    options.struct_size = 1;
    assert_int_equal(ortp_warmup_run(runtime, steps, 3, &options, NULL, NULL), ORTP_E_VERSION);
    test_runtime_destroy(runtime);
}

static void progress_cancels(void **state)
{
    (void)state;
    ortp_runtime *runtime = test_runtime_create(NULL);
    for (size_t after = 1; after <= 3; ++after) {
        record r = {.cancel_after = after};
        ortp_warmup_step steps[3];
        make_steps(steps, &r);
        ortp_warmup_options options = ORTP_WARMUP_OPTIONS_INIT;
        options.progress = progress;
        options.progress_ctx = &r;
        ortp_warmup_report report = ORTP_WARMUP_REPORT_INIT;
        ortp_error error = ORTP_ERROR_INIT;
        const ortp_status expected = after < 3 ? ORTP_E_CANCELLED : ORTP_OK;
        assert_int_equal(ortp_warmup_run(runtime, steps, 3, &options, &report, &error), expected);
        assert_int_equal(report.steps_done, after);
        assert_int_equal(r.count, after);
        assert_int_equal(report.cancelled, after < 3);
        assert_int_equal(report.status, expected);
        assert_int_equal(error.status, expected);
    }
    test_runtime_destroy(runtime);
}

static void a_failing_step_ends_it(void **state)
{
    (void)state;
    ortp_runtime *runtime = test_runtime_create(NULL);
    record r = {.fail_at = 2};
    ortp_warmup_step steps[3];
    make_steps(steps, &r);
    ortp_warmup_report report = ORTP_WARMUP_REPORT_INIT;
    ortp_error error = ORTP_ERROR_INIT;
    assert_int_equal(ortp_warmup_run(runtime, steps, 3, NULL, &report, &error), ORTP_E_ORT);
    assert_int_equal(report.steps_done, 1);
    assert_int_equal(r.count, 1);
    assert_int_equal(report.status, ORTP_E_ORT);
    assert_false(report.cancelled);
    assert_string_equal(report.failed_step, "two");
    assert_string_equal(error.message, "warm-up: two: no kernel");
    assert_int_equal(error.ort_code, 6);

    char name[200];
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = 0;
    steps[1].name = name; /* cut off, not overrun */
    steps[2] = (ortp_warmup_step){.name = NULL, .run = NULL};
    assert_int_equal(ortp_warmup_run(runtime, steps, 3, NULL, &report, NULL), ORTP_E_ORT);
    assert_int_equal(strlen(report.failed_step), sizeof(report.failed_step) - 1);
    assert_int_equal(ortp_warmup_run(runtime, &steps[2], 1, NULL, &report, &error), ORTP_E_INVAL);
    test_runtime_destroy(runtime);
}

static void maps_once(void **state)
{
    (void)state;
    ortp_runtime *runtime = test_runtime_create(NULL);
    record r = {.runtime = runtime};
    const ortp_warmup_step steps[2] = {
        {.name = "large", .run = warm_block, .ctx = &r, .argument = (size_t)4 << 20},
        {.name = "small", .run = warm_block, .ctx = &r, .argument = 5000},
    };
    ortp_warmup_report report = ORTP_WARMUP_REPORT_INIT;
    assert_int_equal(ortp_warmup_run(runtime, steps, 2, NULL, &report, NULL), ORTP_OK);
    assert_true(report.mapped_bytes >= ((size_t)4 << 20) + 5000);
    assert_true(!test_advice_heeded() || report.resident_bytes >= (size_t)4 << 20);
    assert_int_equal(ortp_warmup_run(runtime, steps, 2, NULL, &report, NULL), ORTP_OK);
    assert_int_equal(report.mapped_bytes, 0);
    assert_int_equal(report.steps_done, 2);
    test_runtime_destroy(runtime);
}

static void runs_in_the_background(void **state)
{
    (void)state;
    counting_alloc alloc = {0};
    ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
    options.alloc = counting_alloc_use(&alloc);
    ortp_runtime *runtime = test_runtime_create(&options);
    record r = {0};
    ortp_warmup_step steps[3];
    make_steps(steps, &r);
    ortp_warmup *warmup = NULL;
    ortp_warmup_report report = ORTP_WARMUP_REPORT_INIT;
    ortp_error error = ORTP_ERROR_INIT;
    assert_int_equal(ortp_warmup_start(runtime, steps, 3, NULL, &warmup, &error), ORTP_OK);
    assert_int_equal(ortp_warmup_join(warmup, &report, &error), ORTP_OK);
    assert_int_equal(report.steps_done, 3);
    assert_int_equal(r.count, 3);

    r = (record){.fail_at = 3};
    assert_int_equal(ortp_warmup_start(runtime, steps, 3, NULL, &warmup, &error), ORTP_OK);
    assert_int_equal(ortp_warmup_join(warmup, NULL, &error), ORTP_E_ORT);
    assert_string_equal(error.message, "warm-up: three: no kernel");

    assert_int_equal(ortp_warmup_start(runtime, NULL, 3, NULL, &warmup, &error), ORTP_E_INVAL);
    assert_null(warmup);
    assert_int_equal(ortp_warmup_start(runtime, steps, 3, NULL, NULL, &error), ORTP_E_INVAL);
    counting_alloc_fail(&alloc, 1, false);
    assert_int_equal(ortp_warmup_start(runtime, steps, 3, NULL, &warmup, &error), ORTP_E_NOMEM);
    assert_null(warmup);
    assert_int_equal(ortp_warmup_join(NULL, NULL, NULL), ORTP_OK);
    ortp_warmup_cancel(NULL);
    test_runtime_destroy(runtime);
    counting_alloc_assert_empty(&alloc);
}

static void is_cancelled_in_the_background(void **state)
{
    (void)state;
    ortp_runtime *runtime = test_runtime_create(NULL);
    record r = {0};
    ortp_warmup_step steps[3];
    make_steps(steps, &r);
    steps[1].run = wait_for_go;
    ortp_warmup *warmup = NULL;
    ortp_error error = ORTP_ERROR_INIT;
    assert_int_equal(ortp_warmup_start(runtime, steps, 3, NULL, &warmup, &error), ORTP_OK);
    while (!atomic_load(&r.entered)) {
    }
    assert_int_equal(ortp_runtime_destroy(runtime, &error), ORTP_E_BUSY);
    assert_non_null(strstr(error.message, "1 warm-ups"));
    ortp_warmup_cancel(warmup);
    atomic_store(&r.go, true);
    ortp_warmup_report report = ORTP_WARMUP_REPORT_INIT;
    assert_int_equal(ortp_warmup_join(warmup, &report, &error), ORTP_E_CANCELLED);
    assert_true(report.cancelled);
    assert_int_equal(report.steps_done, 2);
    assert_int_equal(r.count, 1);
    assert_non_null(strstr(error.message, "2 of 3"));
    test_runtime_destroy(runtime);
}

int main(void)
{
    if (!test_ort_found()) {
        return TEST_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_in_order),          cmocka_unit_test(progress_cancels),
        cmocka_unit_test(a_failing_step_ends_it), cmocka_unit_test(maps_once),
        cmocka_unit_test(runs_in_the_background), cmocka_unit_test(is_cancelled_in_the_background),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
