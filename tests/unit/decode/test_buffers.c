/* SPDX-License-Identifier: MIT */
/* The decoder's buffers with real ORT. */
#include <stdio.h>

#include "counting_alloc.h"
#include "counting_api.h"
#include "decode_internal.h"
#include "fixture.h"

static void sizes_follow_the_manifest(void **state)
{
    (void)state;
    fixture f;
    ortp_error error = ORTP_ERROR_INIT;
    ortp_decoder_buffers *buffers = NULL;
    ortp_decoder_buffers_info info = ORTP_DECODER_BUFFERS_INFO_INIT;
    fixture_open(&f, TINY, NULL);
    assert_ok(ortp_decoder_buffers_create(
                  &(const ortp_decoder_buffers_options){.struct_size =
                                                            sizeof(ortp_decoder_buffers_options),
                                                        .model = f.model,
                                                        .tensors = f.tensors,
                                                        .beams = 8,
                                                        .source = 150},
                  &buffers, &error),
              error);
    ortp_decoder_buffers_get_info(buffers, &info);
    assert_int_equal(info.beams, 8);
    assert_int_equal(info.source, 150);
    assert_int_equal(info.tokens_bytes, 640);
    assert_int_equal(info.memory_bytes, 0);
    assert_int_equal(info.mask_bytes, 0);
    assert_int_equal(info.logits_bytes, 19200);
    assert_int_equal(info.probabilities_bytes, 30 * sizeof(double));
    assert_int_equal(info.growths, 0);
    ortp_decoder_buffers_destroy(buffers, NULL);
    fixture_close(&f);

    fixture_open(&f, MASK, NULL);
    assert_ok(ortp_decoder_buffers_create(
                  &(const ortp_decoder_buffers_options){.struct_size =
                                                            sizeof(ortp_decoder_buffers_options),
                                                        .model = f.model,
                                                        .tensors = f.tensors,
                                                        .beams = 3,
                                                        .source = 17},
                  &buffers, &error),
              error);
    ortp_decoder_buffers_get_info(buffers, &info);
    assert_int_equal(info.tokens_bytes, 3 * 20 * 8); /* int64 */
    assert_int_equal(info.memory_bytes, 3 * 17 * 12 * 4);
    assert_int_equal(info.mask_bytes, 3 * 17);
    ortp_decoder_buffers_destroy(buffers, NULL);
    fixture_close(&f);
}

static void grows_and_never_shrinks(void **state)
{
    (void)state;
    fixture f;
    ortp_error error = ORTP_ERROR_INIT;
    ortp_decoder_buffers *buffers = NULL;
    ortp_decoder_buffers_info info = ORTP_DECODER_BUFFERS_INFO_INIT;
    fixture_open(&f, MASK, NULL);
    assert_ok(ortp_decoder_buffers_create(
                  &(const ortp_decoder_buffers_options){.struct_size =
                                                            sizeof(ortp_decoder_buffers_options),
                                                        .model = f.model,
                                                        .tensors = f.tensors,
                                                        .beams = 2,
                                                        .source = 16},
                  &buffers, &error),
              error);
    static const struct {
        size_t beams, source, want_beams, want_source, growths;
    } steps[] = {
        {1, 1, 2, 16, 0},  {2, 16, 2, 16, 0}, {4, 16, 4, 16, 1}, {1, 32, 4, 32, 2},
        {3, 20, 4, 32, 2}, {8, 64, 8, 64, 3}, {1, 1, 8, 64, 3},  {32, 1, 32, 64, 4},
    };
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        assert_ok(
            ortp_decoder_buffers_ensure_capacity(buffers, steps[i].beams, steps[i].source, &error),
            error);
        ortp_decoder_buffers_get_info(buffers, &info);
        assert_int_equal(info.beams, steps[i].want_beams);
        assert_int_equal(info.source, steps[i].want_source);
        assert_int_equal(info.growths, steps[i].growths);
        assert_int_equal(info.tokens_bytes, info.beams * 20 * 8);
        assert_int_equal(info.memory_bytes, info.beams * info.source * 12 * 4);
        assert_int_equal(info.mask_bytes, info.beams * info.source);
        assert_int_equal(info.logits_bytes, info.beams * 20 * 30 * 4);
    }
    assert_int_equal(ortp_decoder_buffers_ensure_capacity(buffers, 0, 1, &error), ORTP_E_INVAL);
    assert_int_equal(ortp_decoder_buffers_ensure_capacity(buffers, 33, 1, &error), ORTP_E_INVAL);
    assert_int_equal(ortp_decoder_buffers_ensure_capacity(buffers, 1, 0, &error), ORTP_E_INVAL);
    assert_int_equal(ortp_decoder_buffers_ensure_capacity(NULL, 1, 1, &error), ORTP_E_INVAL);
    assert_int_equal(ortp_model_destroy(f.model, NULL), ORTP_E_BUSY);
    ortp_decoder_buffers_destroy(buffers, NULL);
    ortp_decoder_buffers_destroy(NULL, NULL);
    fixture_close(&f);
}

static void a_failed_growth_changes_nothing(void **state)
{
    (void)state;
    counting_alloc counter = {0};
    ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
    options.api = counting_api_use(test_ort_api());
    options.alloc = counting_alloc_use(&counter);
    fixture f;
    ortp_error error = ORTP_ERROR_INIT;
    ortp_decoder_buffers *buffers = NULL;
    ortp_decoder_buffers_info before = ORTP_DECODER_BUFFERS_INFO_INIT;
    ortp_decoder_buffers_info after = ORTP_DECODER_BUFFERS_INFO_INIT;
    fixture_open(&f, MASK, &options);
    assert_ok(ortp_decoder_buffers_create(
                  &(const ortp_decoder_buffers_options){.struct_size =
                                                            sizeof(ortp_decoder_buffers_options),
                                                        .model = f.model,
                                                        .tensors = f.tensors,
                                                        .beams = 1,
                                                        .source = 16},
                  &buffers, &error),
              error);
    ortp_decoder_buffers_get_info(buffers, &before);

    ortp_budget *budget = ortp_runtime_budget(f.runtime);
    ortp_budget_info account = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(budget, &account);
    assert_int_equal(ortp_budget_set_limit(budget, account.charged_bytes + 4096, NULL), ORTP_OK);
    assert_int_equal(ortp_decoder_buffers_ensure_capacity(buffers, 32, 4096, &error),
                     ORTP_E_BUDGET);
    assert_int_equal(ortp_budget_set_limit(budget, ORTP_UNLIMITED, NULL), ORTP_OK);
    ortp_decoder_buffers_get_info(buffers, &after);
    assert_memory_equal(&before, &after, sizeof before);

    bool failed = true;
    uint64_t failures = 0;
    for (uint64_t nth = 1; failed; nth++) { /* each OrtValue in turn */
        counting_api_fail(COUNTING_CreateTensorWithDataAsOrtValue, nth);
        const ortp_status status = ortp_decoder_buffers_ensure_capacity(buffers, 8, 64, &error);
        failed = counting_api_failed();
        assert_int_equal(status, failed ? ORTP_E_ORT : ORTP_OK);
        failures += failed;
        if (failed) {
            ortp_decoder_buffers_get_info(buffers, &after);
            assert_memory_equal(&before, &after, sizeof before);
        }
        size_t dropped = 0;
        assert_int_equal(ortp_tensor_pool_trim(f.tensors, 0, 0, &dropped), ORTP_OK);
    }
    assert_true(failures >= 1);
    counting_api_fail(COUNTING_ANY, 0);
    ortp_decoder_buffers_destroy(buffers, NULL);
    fixture_close(&f);
    assert_int_equal(counting_api_live(), 0);
    counting_alloc_assert_empty(&counter);
}

static void refuses_bad_arguments(void **state)
{
    (void)state;
    fixture f;
    ortp_error error = ORTP_ERROR_INIT;
    ortp_decoder_buffers *buffers = NULL;
    fixture_open(&f, TINY, NULL);
    assert_int_equal(ortp_decoder_buffers_create(
                         &(const ortp_decoder_buffers_options){
                             .struct_size = sizeof(ortp_decoder_buffers_options),
                             .tensors = f.tensors,
                             .beams = 1,
                             .source = 1},
                         &buffers, &error),
                     ORTP_E_INVAL);
    assert_int_equal(ortp_decoder_buffers_create(
                         &(const ortp_decoder_buffers_options){
                             .struct_size = sizeof(ortp_decoder_buffers_options),
                             .model = f.model,
                             .beams = 1,
                             .source = 1},
                         &buffers, &error),
                     ORTP_E_INVAL);
    assert_int_equal(ortp_decoder_buffers_create(
                         &(const ortp_decoder_buffers_options){
                             .struct_size = sizeof(ortp_decoder_buffers_options),
                             .model = f.model,
                             .tensors = f.tensors,
                             .beams = 33,
                             .source = 1},
                         &buffers, &error),
                     ORTP_E_INVAL);
    assert_null(buffers);
    fixture_close(&f);
}

/* That of the second score comes when it is asked for, and grows with the others. */
static void the_second_scores_buffer_comes_last(void **state)
{
    (void)state;
    fixture f;
    ortp_error error = ORTP_ERROR_INIT;
    ortp_decoder_buffers *buffers = NULL;
    ortp_decoder_buffers_info info = ORTP_DECODER_BUFFERS_INFO_INIT;
    fixture_open_on(&f, CTC, ORTP_PATH_BATCHED);
    assert_ok(ortp_decoder_buffers_create(
                  &(const ortp_decoder_buffers_options){.struct_size =
                                                            sizeof(ortp_decoder_buffers_options),
                                                        .model = f.model,
                                                        .tensors = f.tensors,
                                                        .beams = 2,
                                                        .source = 16},
                  &buffers, &error),
              error);
    static const struct {
        size_t weighed, source, want;
    } steps[] = {{0, 16, 0}, {3, 16, 3}, {1, 16, 3}, {8, 16, 8}, {8, 150, 8}};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        assert_ok(ortp__buffers_weigh(buffers, steps[i].weighed, &error), error);
        assert_ok(ortp_decoder_buffers_ensure_capacity(buffers, 1, steps[i].source, &error), error);
        ortp_decoder_buffers_get_info(buffers, &info);
        const size_t rows = 4 * steps[i].want * (steps[i].source + 1);
        assert_int_equal(info.ctc_bytes,
                         steps[i].want > 0 ? (30 * steps[i].source + rows) * sizeof(double) : 0);
        assert_int_equal(info.beams, 2);
    }
    ortp_decoder_buffers_destroy(buffers, NULL);
    fixture_close(&f);
}

/* What cannot be addressed is refused by the pool, not wrapped to something small. */
static void huge_buffers_do_not_wrap(void **state)
{
    (void)state;
    const ortp__buffer_shape huge = {ORTP_TYPE_FLOAT, 3, {INT64_MAX, 4, 4}};
    assert_true(ortp__buffer_bytes(&huge) == SIZE_MAX);
    const ortp__buffer_shape wraps = {ORTP_TYPE_DOUBLE, 2, {(int64_t)1 << 31, (int64_t)1 << 30}};
    assert_true(ortp__buffer_bytes(&wraps) == SIZE_MAX);
    const ortp__buffer_shape fits = {ORTP_TYPE_DOUBLE, 2, {3, 5}};
    assert_int_equal(ortp__buffer_bytes(&fits), 120);
}

int main(void)
{
    if (!test_ort_found()) {
        return TEST_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_follow_the_manifest),
        cmocka_unit_test(grows_and_never_shrinks),
        cmocka_unit_test(a_failed_growth_changes_nothing),
        cmocka_unit_test(refuses_bad_arguments),
        cmocka_unit_test(the_second_scores_buffer_comes_last),
        cmocka_unit_test(huge_buffers_do_not_wrap),
    };
    return cmocka_run_group_tests_name("decoder buffers", tests, NULL, NULL);
}
