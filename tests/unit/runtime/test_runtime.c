/* SPDX-License-Identifier: MIT */
/*
 * The runtime: who owns env, budget and pool, what destroy refuses, what a status becomes.
 */
#define _POSIX_C_SOURCE 200809L /* clock_gettime */

#include "counting_alloc.h"
#include "counting_api.h"
#include "test_ort.h"

#include <ortpool/tensor.h>

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static void owns_what_it_makes(void **state)
{
    (void)state;
    counting_alloc alloc = {0};
    ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
    options.api = counting_api_use(test_ort_api());
    options.alloc = counting_alloc_use(&alloc);
    options.limit_bytes = (size_t)1 << 20;
    options.pool_kind = ORTP_POOL_STRIPED;
    ortp_runtime *runtime = test_runtime_create(&options);
    assert_ptr_equal(ortp_runtime_api(runtime), options.api);
    assert_non_null(ortp_runtime_env(runtime));
    assert_ptr_equal(ortp_pool_budget(ortp_runtime_pool(runtime)), ortp_runtime_budget(runtime));
    ortp_budget_info budget = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(ortp_runtime_budget(runtime), &budget);
    assert_int_equal(budget.limit_bytes, (size_t)1 << 20);
    assert_true(budget.account_bytes[ORTP_ACCOUNT_METADATA] >= alloc.live_bytes);
    ortp_pool_info pool = ORTP_POOL_INFO_INIT;
    ortp_pool_get_info(ortp_runtime_pool(runtime), &pool);
    assert_int_equal(pool.kind, ORTP_POOL_STRIPED);
    test_runtime_destroy(runtime);
    counting_alloc_assert_empty(&alloc);
    assert_int_equal(counting_api_live(), 0);
    assert_int_equal(counting_api_calls(COUNTING_ReleaseEnv), 1);
    assert_int_equal(counting_api_calls(COUNTING_DisableTelemetryEvents), 1);
}

static void tells_the_version_it_was_told(void **state)
{
    (void)state;
    char version[80] = "1.29.0";
    ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
    ortp_runtime *runtime = test_runtime_create(&options);
    assert_null(ortp_runtime_ort_version(runtime));
    test_runtime_destroy(runtime);

    options.ort_version = version;
    runtime = test_runtime_create(&options);
    memset(version, '9', sizeof(version)); /* a copy was made */
    assert_string_equal(ortp_runtime_ort_version(runtime), "1.29.0");
    test_runtime_destroy(runtime);

    version[63] = '\0';
    runtime = test_runtime_create(&options);
    assert_string_equal(ortp_runtime_ort_version(runtime), version);
    test_runtime_destroy(runtime);

    version[63] = '9';
    version[64] = '\0';
    options.api = test_ort_api();
    ortp_error error = ORTP_ERROR_INIT;
    assert_int_equal(ortp_runtime_create(&options, &runtime, &error), ORTP_E_INVAL);
    assert_null(runtime);
    assert_non_null(strstr(error.message, "64 bytes"));
}

/* An older caller's options end before the version. */
static void takes_options_without_the_version(void **state)
{
    (void)state;
    ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
    options.struct_size = offsetof(ortp_runtime_options, ort_version);
    options.ort_version = "beyond the struct";
    ortp_runtime *runtime = test_runtime_create(&options);
    assert_null(ortp_runtime_ort_version(runtime));
    test_runtime_destroy(runtime);
}

static void borrows_what_it_is_given(void **state)
{
    (void)state;
    const OrtApi *api = test_ort_api();
    OrtEnv *env = NULL;
    assert_null(api->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "host", &env));
    ortp_budget *budget = NULL;
    ortp_budget *other = NULL;
    ortp_pool *pool = NULL;
    assert_int_equal(ortp_budget_create(NULL, &budget, NULL), ORTP_OK);
    assert_int_equal(ortp_budget_create(NULL, &other, NULL), ORTP_OK);
    ortp_pool_options pool_options = ORTP_POOL_OPTIONS_INIT;
    pool_options.budget = budget;
    assert_int_equal(ortp_pool_create(&pool_options, &pool, NULL), ORTP_OK);
    ortp_budget_info before = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(budget, &before);

    ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
    options.api = counting_api_use(api);
    options.env = env;
    options.budget = budget;
    options.pool = pool;
    ortp_runtime *runtime = test_runtime_create(&options);
    assert_ptr_equal(ortp_runtime_env(runtime), env);
    assert_ptr_equal(ortp_runtime_budget(runtime), budget);
    assert_ptr_equal(ortp_runtime_pool(runtime), pool);
    test_runtime_destroy(runtime);
    assert_int_equal(counting_api_calls(COUNTING_CreateEnv), 0);
    assert_int_equal(counting_api_calls(COUNTING_ReleaseEnv), 0);
    assert_int_equal(counting_api_calls(COUNTING_DisableTelemetryEvents),
                     0); /* the host's affair */

    options.budget = NULL; /* the pool's */
    runtime = test_runtime_create(&options);
    assert_ptr_equal(ortp_runtime_budget(runtime), budget);
    test_runtime_destroy(runtime);

    options.budget = other;
    ortp_error error = ORTP_ERROR_INIT;
    assert_int_equal(ortp_runtime_create(&options, &runtime, &error), ORTP_E_INVAL);
    assert_null(runtime);
    assert_non_null(strstr(error.message, "another budget"));

    ortp_budget_info after = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(budget, &after);
    assert_int_equal(after.charged_bytes, before.charged_bytes);
    assert_int_equal(ortp_pool_destroy(pool, NULL), ORTP_OK);
    assert_int_equal(ortp_budget_destroy(budget, NULL), ORTP_OK);
    assert_int_equal(ortp_budget_destroy(other, NULL), ORTP_OK);
    api->ReleaseEnv(env);
}

static void several_live_together(void **state)
{
    (void)state;
    ortp_runtime *first = test_runtime_create(NULL);
    ortp_runtime *second = test_runtime_create(NULL);
    assert_ptr_not_equal(ortp_runtime_budget(first), ortp_runtime_budget(second));
    test_runtime_destroy(first);
    ortp_runtime *third = test_runtime_create(NULL);
    test_runtime_destroy(third);
    test_runtime_destroy(second);
}

static void wrong_options_are_refused(void **state)
{
    (void)state;
    ortp_runtime *runtime = (ortp_runtime *)&runtime;
    ortp_error error = ORTP_ERROR_INIT;
    assert_int_equal(ortp_runtime_create(NULL, &runtime, &error), ORTP_E_INVAL);
    assert_null(runtime);
    assert_non_null(strstr(error.message, "api"));
    assert_int_equal(ortp_runtime_create(NULL, NULL, NULL), ORTP_E_INVAL);

    counting_alloc alloc = {0};
    ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
    options.api = test_ort_api();
    options.alloc = counting_alloc_use(&alloc);
    options.alloc.free = NULL;
    assert_int_equal(ortp_runtime_create(&options, &runtime, NULL), ORTP_E_INVAL);

    options.alloc = counting_alloc_use(&alloc);
    options.limit_bytes = 64; /* less than the structs */
    assert_int_equal(ortp_runtime_create(&options, &runtime, &error), ORTP_E_BUDGET);
    assert_null(runtime);
    counting_alloc_assert_empty(&alloc);

    /* A newer caller's struct: fine as long as what we do not know is zero. */
    _Alignas(ortp_runtime_options) unsigned char newer[sizeof(options) + 8] = {0};
    options = (ortp_runtime_options)ORTP_RUNTIME_OPTIONS_INIT;
    options.api = test_ort_api();
    options.struct_size = sizeof(newer);
    memcpy(newer, &options, sizeof(options));
    newer[sizeof(options) + 7] = 1;
    assert_int_equal(
        ortp_runtime_create((const ortp_runtime_options *)(const void *)newer, &runtime, NULL),
        ORTP_E_VERSION);
    newer[sizeof(options) + 7] = 0;
    assert_int_equal(
        ortp_runtime_create((const ortp_runtime_options *)(const void *)newer, &runtime, NULL),
        ORTP_OK);
    test_runtime_destroy(runtime);
    assert_int_equal(ortp_runtime_destroy(NULL, NULL), ORTP_OK);
}

static void every_failure_of_creation_is_clean(void **state)
{
    (void)state;
    counting_alloc alloc = {0};
    ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
    options.api = counting_api_use(test_ort_api());
    options.alloc = counting_alloc_use(&alloc);
    uint64_t failures = 0;
    for (uint64_t n = 1; n < 100; ++n) {
        ortp_runtime *runtime = NULL;
        counting_alloc_fail(&alloc, n, false);
        const uint64_t failed_before = alloc.failed;
        ortp_status status = ortp_runtime_create(&options, &runtime, NULL);
        counting_alloc_fail(&alloc, 0, false);
        if (status == ORTP_OK) {
            test_runtime_destroy(runtime);
        } else {
            assert_int_equal(status, ORTP_E_NOMEM);
            assert_null(runtime);
        }
        counting_alloc_assert_empty(&alloc);
        assert_int_equal(counting_api_live(), 0);
        if (alloc.failed == failed_before) {
            break;
        }
        ++failures;
    }
    assert_true(failures >= 3); /* budget, pool, runtime at least */

    static const counting_call calls[] = {COUNTING_CreateEnv, COUNTING_DisableTelemetryEvents,
                                          COUNTING_CreateCpuMemoryInfo};
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); ++i) {
        ortp_runtime *runtime = NULL;
        ortp_error error = ORTP_ERROR_INIT;
        counting_api_fail(calls[i], 1);
        assert_int_equal(ortp_runtime_create(&options, &runtime, &error), ORTP_E_ORT);
        assert_true(counting_api_failed());
        assert_null(runtime);
        assert_non_null(strstr(error.message, "made to fail"));
        counting_alloc_assert_empty(&alloc);
        assert_int_equal(counting_api_live(), 0);
    }
    test_runtime_destroy(test_runtime_create(&options));
    counting_alloc_assert_empty(&alloc);
}

static void destroy_refuses_while_in_use(void **state)
{
    (void)state;
    ortp_runtime *runtime = test_runtime_create(NULL);
    ortp_error error = ORTP_ERROR_INIT;
    ortp_block *block = NULL;
    assert_int_equal(ortp_pool_acquire(ortp_runtime_pool(runtime), 100, ORTP_LABEL_OTHER, &block),
                     ORTP_OK);
    assert_int_equal(ortp_runtime_destroy(runtime, &error), ORTP_E_BUSY);
    assert_int_equal(ortp_block_release(block), ORTP_OK);
    assert_int_equal(ortp_pool_acquire(ortp_runtime_pool(runtime), 100, ORTP_LABEL_OTHER, &block),
                     ORTP_OK); /* usable as before */
    assert_int_equal(ortp_block_release(block), ORTP_OK);

    /* The host's charge on the runtime's own budget: the pool is gone then, the rest waits. */
    ortp_budget *budget = ortp_runtime_budget(runtime);
    assert_int_equal(ortp_budget_charge(budget, ORTP_ACCOUNT_DECLARED, 10, ORTP_RECLAIM_NONE),
                     ORTP_OK);
    assert_int_equal(ortp_runtime_destroy(runtime, &error), ORTP_E_BUSY);
    ortp_tensor_pool_options options = ORTP_TENSOR_POOL_OPTIONS_INIT;
    options.runtime = runtime;
    ortp_tensor_pool *tensors = NULL;
    assert_int_equal(ortp_tensor_pool_create(&options, &tensors, NULL), ORTP_E_CLOSED);
    assert_int_equal(ortp_budget_refund(budget, ORTP_ACCOUNT_DECLARED, 10), ORTP_OK);
    test_runtime_destroy(runtime);
}

static void statuses_of_ort_are_taken(void **state)
{
    (void)state;
    const OrtApi *api = test_ort_api();
    ortp_runtime *runtime = test_runtime_create(NULL);
    ortp_error error = ORTP_ERROR_INIT;
    assert_int_equal(ortp_runtime_take_status(runtime, NULL, "fine", &error), ORTP_OK);
    assert_int_equal(error.status, ORTP_OK);
    OrtStatus *status = api->CreateStatus(ORT_RUNTIME_EXCEPTION, "Failed to allocate memory");
    assert_int_equal(ortp_runtime_take_status(runtime, status, "the run", &error), ORTP_E_ORT);
    assert_int_equal(error.status, ORTP_E_ORT);
    assert_int_equal(error.ort_code, ORT_RUNTIME_EXCEPTION);
    assert_string_equal(error.message, "the run: Failed to allocate memory");

    char longer[2000];
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = 0;
    status = api->CreateStatus(ORT_FAIL, longer);
    assert_int_equal(ortp_runtime_take_status(runtime, status, NULL, &error), ORTP_E_ORT);
    assert_int_equal(strlen(error.message), sizeof(error.message) - 1);
    status = api->CreateStatus(ORT_FAIL, "nobody asks");
    assert_int_equal(ortp_runtime_take_status(runtime, status, "x", NULL), ORTP_E_ORT);
    test_runtime_destroy(runtime);
}

static uint64_t given_now_ms(void *ctx)
{
    return *(const uint64_t *)ctx;
}

static uint64_t system_now_ms(void)
{
    struct timespec now;
    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

static void tells_the_time_of_its_clock(void **state)
{
    (void)state;
    uint64_t now_ms = 7;
    ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
    options.clock = (ortp_clock){.now_ms = given_now_ms, .ctx = &now_ms};
    ortp_runtime *runtime = test_runtime_create(&options);
    assert_int_equal(ortp_runtime_now_ms(runtime), 7);
    now_ms = UINT64_MAX;
    assert_true(ortp_runtime_now_ms(runtime) == UINT64_MAX);
    test_runtime_destroy(runtime);

    options.clock = (ortp_clock){0};
    runtime = test_runtime_create(&options);
    const uint64_t before_ms = system_now_ms();
    const uint64_t told_ms = ortp_runtime_now_ms(runtime);
    const uint64_t after_ms = system_now_ms();
    assert_true(before_ms <= told_ms && told_ms <= after_ms);
    test_runtime_destroy(runtime);
}

int main(void)
{
    if (!test_ort_found()) {
        return TEST_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(owns_what_it_makes),
        cmocka_unit_test(tells_the_version_it_was_told),
        cmocka_unit_test(tells_the_time_of_its_clock),
        cmocka_unit_test(takes_options_without_the_version),
        cmocka_unit_test(borrows_what_it_is_given),
        cmocka_unit_test(several_live_together),
        cmocka_unit_test(wrong_options_are_refused),
        cmocka_unit_test(every_failure_of_creation_is_clean),
        cmocka_unit_test(destroy_refuses_while_in_use),
        cmocka_unit_test(statuses_of_ort_are_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
