/* SPDX-License-Identifier: MIT */
/*
 * Acquiring the same tensor or view again makes no heap allocation at all: malloc itself is
 * counted, so what ONNX Runtime would allocate is in the figure.
 */
#include "malloc_count.h"
#include "test_ort.h"

#include <ortpool/tensor.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void reuse_allocates_nothing(void **state)
{
    (void)state;
    ortp_runtime *runtime = test_runtime_create(NULL);
    ortp_tensor_pool_options options = ORTP_TENSOR_POOL_OPTIONS_INIT;
    options.runtime = runtime;
    ortp_tensor_pool *tensors = NULL;
    assert_int_equal(ortp_tensor_pool_create(&options, &tensors, NULL), ORTP_OK);
    const int64_t shape[3] = {8, 20, 256};
    const int64_t part[3] = {3, 20, 256};
    ortp_status status = ORTP_OK;
    uint64_t counts[2] = {0, 0};
    for (size_t round = 0; round < 1001; ++round) {
        const uint64_t before = malloc_count();
        ortp_tensor *tensor = NULL;
        OrtValue *view = NULL;
        status = ortp_tensor_acquire(tensors, ORTP_TYPE_FLOAT, shape, 3, &tensor, NULL);
        if (status == ORTP_OK) {
            status = ortp_tensor_view(tensor, ORTP_TYPE_FLOAT, part, 3, &view, NULL);
        }
        if (status == ORTP_OK) {
            status = ortp_tensor_release(tensor);
        }
        assert_int_equal(status, ORTP_OK);
        counts[round > 0] += malloc_count() - before;
    }
    (void)printf("heap allocations: first acquire and view %llu, the next 1000 of both %llu\n",
                 (unsigned long long)counts[0], (unsigned long long)counts[1]);
    assert_true(counts[0] > 0); /* the counter counts */
    assert_int_equal(counts[1], 0);
    assert_int_equal(ortp_tensor_pool_destroy(tensors, NULL), ORTP_OK);
    test_runtime_destroy(runtime);
}

int main(void)
{
    if (!test_ort_found()) {
        return TEST_SKIPPED;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(reuse_allocates_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
