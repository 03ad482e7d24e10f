/* SPDX-License-Identifier: MIT */
/* Tensors that ONNX Runtime refuses to make leave a struct that the next one uses. */
#include "counting_alloc.h"
#include "counting_api.h"
#include "test_ort.h"

#include <ortpool/tensor.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void refusals_take_no_more_memory(void **state)
{
    (void)state;
    counting_alloc alloc = {0};
    ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
    options.api = counting_api_use(test_ort_api());
    options.alloc = counting_alloc_use(&alloc);
    ortp_runtime *runtime = test_runtime_create(&options);
    ortp_tensor_pool_options pool = ORTP_TENSOR_POOL_OPTIONS_INIT;
    pool.runtime = runtime;
    ortp_tensor_pool *tensors = NULL;
    assert_int_equal(ortp_tensor_pool_create(&pool, &tensors, NULL), ORTP_OK);

    const int64_t shape[] = {4, 5};
    size_t after_first = 0;
    for (int round = 0; round < 50; round++) {
        counting_api_fail(COUNTING_CreateTensorWithDataAsOrtValue, 1);
        ortp_tensor *tensor = NULL;
        ortp_error error = ORTP_ERROR_INIT;
        assert_int_equal(ortp_tensor_acquire(tensors, ORTP_TYPE_FLOAT, shape, 2, &tensor, &error),
                         ORTP_E_ORT);
        assert_null(tensor);
        after_first = round == 0 ? alloc.live_bytes : after_first;
        assert_int_equal(alloc.live_bytes, after_first);
    }
    const int64_t statuses_and_objects = counting_api_live();
    ortp_tensor *tensor = NULL;
    assert_int_equal(ortp_tensor_acquire(tensors, ORTP_TYPE_FLOAT, shape, 2, &tensor, NULL),
                     ORTP_OK);
    assert_int_equal(alloc.live_bytes, after_first); /* the struct that was left */
    assert_int_equal(counting_api_live(), statuses_and_objects + 1);
    assert_int_equal(ortp_tensor_release(tensor), ORTP_OK);
    assert_int_equal(ortp_tensor_pool_destroy(tensors, NULL), ORTP_OK);
    test_runtime_destroy(runtime);
    assert_int_equal(counting_api_live(), 0);
    counting_alloc_assert_empty(&alloc);
}

int main(void)
{
    if (!test_ort_found()) {
        return TEST_SKIPPED;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(refusals_take_no_more_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
