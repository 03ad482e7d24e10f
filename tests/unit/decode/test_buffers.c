/* SPDX-License-Identifier: MIT */
/* The decoder's buffers with real ORT, and the plan that says their bytes beforehand. */
#include <stdio.h>

#include "counting_alloc.h"
#include "counting_api.h"
#include "fixture.h"

static void sizes_follow_the_manifest(void **state)
{
    (void)state;
    fixture f;
    ortp_error error = ORTP_ERROR_INIT;
    ortp_decoder_buffers *buffers = NULL;
    ortp_decoder_buffers_info info;
    fixture_open(&f, TINY, NULL);
    assert_ok(ortp_decoder_buffers_create(f.model, f.tensors, 8, 150, &buffers, &error), error);
    ortp_decoder_buffers_get_info(buffers, &info);
    assert_int_equal(info.beams, 8);
    assert_int_equal(info.source, 150);
    assert_int_equal(info.tokens_bytes, 640);
    assert_int_equal(info.memory_bytes, 0);
    assert_int_equal(info.mask_bytes, 0);
    assert_int_equal(info.logits_bytes, 19200);
    assert_int_equal(info.probabilities_bytes, 30 * sizeof(double));
    assert_int_equal(info.growths, 0);
    ortp_decoder_buffers_destroy(buffers);
    fixture_close(&f);

    fixture_open(&f, MASK, NULL);
    assert_ok(ortp_decoder_buffers_create(f.model, f.tensors, 3, 17, &buffers, &error), error);
    ortp_decoder_buffers_get_info(buffers, &info);
    assert_int_equal(info.tokens_bytes, 3 * 20 * 8); /* int64 */
    assert_int_equal(info.memory_bytes, 3 * 17 * 12 * 4);
    assert_int_equal(info.mask_bytes, 3 * 17);
    ortp_decoder_buffers_destroy(buffers);
    fixture_close(&f);
}

static void grows_and_never_shrinks(void **state)
{
    (void)state;
    fixture f;
    ortp_error error = ORTP_ERROR_INIT;
    ortp_decoder_buffers *buffers = NULL;
    ortp_decoder_buffers_info info;
    fixture_open(&f, MASK, NULL);
    assert_ok(ortp_decoder_buffers_create(f.model, f.tensors, 2, 16, &buffers, &error), error);
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
    assert_int_equal(ortp_model_close(f.model), ORTP_E_BUSY);
    ortp_decoder_buffers_destroy(buffers);
    ortp_decoder_buffers_destroy(NULL);
    fixture_close(&f);
}

static size_t in_use(const fixture *f, ortp_label label)
{
    ortp_pool_info info;
    ortp_pool_get_info(ortp_runtime_pool(f->runtime), &info);
    return info.in_use_bytes[label];
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
    ortp_decoder_buffers_info before;
    ortp_decoder_buffers_info after;
    fixture_open(&f, MASK, &options);
    assert_ok(ortp_decoder_buffers_create(f.model, f.tensors, 1, 16, &buffers, &error), error);
    ortp_decoder_buffers_get_info(buffers, &before);

    ortp_budget *budget = ortp_runtime_budget(f.runtime);
    ortp_budget_info account;
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
    ortp_decoder_buffers_destroy(buffers);
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
    assert_int_equal(ortp_decoder_buffers_create(NULL, f.tensors, 1, 1, &buffers, &error),
                     ORTP_E_INVAL);
    assert_int_equal(ortp_decoder_buffers_create(f.model, NULL, 1, 1, &buffers, &error),
                     ORTP_E_INVAL);
    assert_int_equal(ortp_decoder_buffers_create(f.model, f.tensors, 33, 1, &buffers, &error),
                     ORTP_E_INVAL);
    assert_null(buffers);
    fixture_close(&f);
}

/* ---- the plan ---- */

static void assert_near(size_t planned, size_t measured)
{
    const double ratio = (double)planned / (double)measured;
    if (ratio < 0.85 || ratio > 1.15) {
        fail_msg("planned %zu, measured %zu", planned, measured);
    }
}

/* `threads` encoder outputs and decoders at once, against what the ledger then says. */
static void plan_of(const char *directory, ortp_path path, size_t threads)
{
    fixture f;
    ortp_error error = ORTP_ERROR_INIT;
    ortp_plan plan;
    fixture_open(&f, directory, NULL);
    const size_t width = f.manifest->beam_width;
    assert_ok(ortp_plan_estimate(f.manifest, width, path, threads, 0, &plan, &error), error);
    ortp_decoder *decoders[3] = {0};
    ortp_tensor *memories[3] = {0};
    float *features = calloc(f.manifest->max_points * f.manifest->features, sizeof *features);
    int32_t *keys = calloc(f.manifest->max_points, sizeof *keys);
    assert_non_null(features);
    assert_non_null(keys);
    const ortp_encoder_input input = {features, keys, f.manifest->max_points};
    for (size_t i = 0; i < threads; i++) {
        assert_ok(ortp_model_encode(f.model, &input, &memories[i], &error), error);
        assert_ok(ortp_decoder_create(f.model, f.tensors, width, &decoders[i], &error), error);
        ortp_hypothesis result;
        size_t count = 0;
        ortp_search_params params = ORTP_SEARCH_PARAMS_INIT;
        params.path = path;
        params.max_steps = 2;
        assert_ok(ortp_decoder_search(decoders[i], memories[i], input.length, &params, NULL,
                                      &result, 1, &count, &error),
                  error);
    }
    /* The encoder's inputs go back after each run, so one set is there however many ran here. */
    assert_near(plan.tensor_bytes / threads, in_use(&f, ORTP_LABEL_TENSORS));
    assert_near(plan.cache_bytes, in_use(&f, ORTP_LABEL_CACHE));
    assert_near(plan.decode_bytes, in_use(&f, ORTP_LABEL_DECODE));
    size_t files = 0;
    for (int i = 0; i < 2; i++) {
        size_t bytes = 0;
        free(test_read_file(i == 0 ? f.manifest->encoder_path : f.manifest->decoder_path, &bytes));
        files += bytes;
    }
    assert_int_equal(plan.declared_bytes, files);
    assert_int_equal(plan.total_bytes, plan.declared_bytes + plan.tensor_bytes + plan.cache_bytes +
                                           plan.decode_bytes);
    ortp_plan more;
    assert_ok(ortp_plan_estimate(f.manifest, width, path, threads, 4, &more, &error), error);
    assert_true(more.cache_bytes >=
                plan.cache_bytes + 4 * f.manifest->max_points * f.manifest->hidden * 4);
    for (size_t i = 0; i < threads; i++) {
        ortp_decoder_destroy(decoders[i]);
        assert_int_equal(ortp_tensor_release(memories[i]), ORTP_OK);
    }
    free(features);
    free(keys);
    fixture_close(&f);
}

static void plan_is_what_the_ledger_says(void **state)
{
    (void)state;
    static const char *const models[] = {SWIPE, TINY, MASK};
    for (size_t i = 0; i < 3; i++) {
        for (size_t threads = 1; threads <= 3; threads += 2) {
            plan_of(models[i], ORTP_PATH_BATCHED, threads);
            plan_of(models[i], ORTP_PATH_SEQUENTIAL, threads);
        }
    }
}

static void plan_names_what_is_missing(void **state)
{
    (void)state;
    ortp_error error = ORTP_ERROR_INIT;
    ortp_manifest *m = NULL;
    ortp_plan plan;
    make_model_folder("plan.test", TINY, "graphs.decoder", "\"gone.onnx\"");
    assert_ok(ortp_manifest_load("plan.test", NULL, NULL, &m, &error), error);
    assert_int_equal(ortp_plan_estimate(m, 0, ORTP_PATH_BATCHED, 1, 4, &plan, &error),
                     ORTP_E_NOTFOUND);
    assert_non_null(strstr(error.message, "plan.test/gone.onnx"));
    assert_int_equal(ortp_plan_estimate(m, 0, ORTP_PATH_BATCHED, 0, 4, &plan, &error),
                     ORTP_E_INVAL);
    assert_int_equal(ortp_plan_estimate(m, 33, ORTP_PATH_BATCHED, 1, 4, &plan, &error),
                     ORTP_E_INVAL);
    assert_int_equal(ortp_plan_estimate(NULL, 0, ORTP_PATH_BATCHED, 1, 4, &plan, &error),
                     ORTP_E_INVAL);
    ortp_manifest_destroy(m);
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
        cmocka_unit_test(plan_is_what_the_ledger_says),
        cmocka_unit_test(plan_names_what_is_missing),
    };
    return cmocka_run_group_tests_name("decoder buffers", tests, NULL, NULL);
}
