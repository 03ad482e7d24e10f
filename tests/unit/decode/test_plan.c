/* SPDX-License-Identifier: MIT */
/* The plan against what the ledger says of a warm predictor, or of a model warmed by hand. */
#include "fixture.h"
#include "machine.h"

#include <stdio.h>
#include <unistd.h>

#include <ortpool/predictor.h>

static void assert_near(const char *what, size_t planned, size_t measured)
{
    const double ratio = (double)planned / (double)measured;
    if (ratio < 0.85 || ratio > 1.15) {
        fail_msg("%s: planned %zu, measured %zu", what, planned, measured);
    }
}

static size_t blocks_bytes(const ortp_runtime *runtime)
{
    ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(ortp_runtime_budget(runtime), &info);
    return info.account_bytes[ORTP_ACCOUNT_BLOCKS];
}

static size_t file_bytes(const char *path)
{
    size_t bytes = 0;
    free(test_read_file(path, &bytes));
    return bytes;
}

/* The graphs' files, and what they use of a file of weights that they share with another graph. */
static void assert_files(const ortp_manifest *m, bool step, const ortp_plan *plan)
{
    const size_t graphs =
        file_bytes(m->encoder_path) + file_bytes(step ? m->step_path : m->decoder_path);
    char weights[1100];
    (void)snprintf(weights, sizeof weights, "%s/weights.bin", m->directory);
    if (access(weights, R_OK) == 0) {
        const size_t shared = file_bytes(weights); /* by both, for the cross products' matrices */
        assert_in_range(plan->declared_bytes, graphs + shared / 4 * 3, graphs + 2 * shared);
    } else {
        assert_int_equal(plan->declared_bytes, graphs);
    }
    assert_int_equal(plan->total_bytes, plan->declared_bytes + plan->tensor_bytes +
                                            plan->cache_bytes + plan->decode_bytes);
}

/* What no plan can say before a run was made: weights that ORT packed, and the blocks of runs. */
static size_t ort_bytes(const ortp_model *model, size_t threads)
{
    const ortp_session *const sessions[] = {ortp_model_encoder(model), ortp_model_decoder(model)};
    size_t weights = 0;
    size_t run = 0;
    for (size_t i = 0; i < 2; i++) {
        ortp_session_info info = ORTP_SESSION_INFO_INIT;
        ortp_session_get_info(sessions[i], &info);
        weights += info.weights_bytes;
        run = info.run_bytes > run ? info.run_bytes : run;
    }
    return weights + threads * run;
}

/* The whole of the blocks, those of the lexicon and of ORT apart. */
static void predictor_case(const char *directory, ortp_path path, size_t threads,
                           size_t cache_entries)
{
    ortp_error error = ORTP_ERROR_INIT;
    ortp_runtime *runtime = test_runtime_create(NULL);
    ortp_predictor_options options = ORTP_PREDICTOR_OPTIONS_INIT;
    options.runtime = runtime;
    options.model_directory = test_file(directory);
    options.path = path;
    options.threads = (uint32_t)threads;
    options.cache_entries = cache_entries;
    options.cache_off = cache_entries == 0;
    ortp_predictor *predictor = NULL;
    assert_ok(ortp_predictor_create(&options, &predictor, &error), error);
    assert_int_equal(ortp_pool_trim(ortp_runtime_pool(runtime), 0, 0, NULL), ORTP_OK);
    const size_t lexicon = blocks_bytes(runtime) - ort_bytes(ortp_predictor_model(predictor), 0);
    assert_ok(ortp_predictor_warm(predictor, NULL, NULL, &error), error);
    const size_t ort = ort_bytes(ortp_predictor_model(predictor), threads);

    const ortp_manifest *m = ortp_model_manifest(ortp_predictor_model(predictor));
    ortp_plan plan = ORTP_PLAN_INIT;
    /* The plan alone does not know whether this ONNX Runtime can run the step. */
    const ortp_path runs =
        path == ORTP_PATH_AUTO ? ortp_model_path(ortp_predictor_model(predictor)) : path;
    assert_ok(ortp_plan_estimate(m, 0, runs, threads, cache_entries, &plan, &error), error);
    char what[100];
    (void)snprintf(what, sizeof what, "%s, path %d, %zu threads, %zu cache entries", directory,
                   (int)path, threads, cache_entries);
    assert_near(what, plan.total_bytes - plan.declared_bytes,
                blocks_bytes(runtime) - lexicon - ort);
    const bool step = ortp_model_path(ortp_predictor_model(predictor)) == ORTP_PATH_INCREMENTAL;
    assert_files(m, step, &plan);
    (void)ortp_predictor_destroy(predictor, NULL);
    test_runtime_destroy(runtime);
}

static void plan_is_what_a_warm_predictor_has(void **state)
{
    (void)state;
    static const ortp_path paths[] = {ORTP_PATH_BATCHED, ORTP_PATH_SEQUENTIAL, ORTP_PATH_AUTO};
    for (size_t i = 0; i < 3; i++) {
        predictor_case(TINY, paths[i], 1, 4);
        predictor_case(TINY, paths[i], 3, 0);
        predictor_case(STEP, paths[i], 2, 3);
        predictor_case(CTC, paths[i], 1, 4);
        predictor_case(CTC, paths[i], 3, 0);
        if (!test_thin()) {
            predictor_case(SWIPE, paths[i], 3, 4);
            predictor_case(SWIPE, paths[i], 1, 0);
        }
    }
}

/* Masks and replicated memory, which no predictor has here: one thread, no cache. */
static void plan_is_what_a_warm_model_has(void **state)
{
    (void)state;
    fixture f;
    ortp_error error = ORTP_ERROR_INIT;
    fixture_open(&f, MASK, NULL);
    const size_t before = blocks_bytes(f.runtime) - ort_bytes(f.model, 0);
    ortp_decoder *decoder = NULL;
    assert_ok(ortp_decoder_create(
                  &(const ortp_decoder_options){.struct_size = sizeof(ortp_decoder_options),
                                                .model = f.model,
                                                .tensors = f.tensors},
                  &decoder, &error),
              error);
    for (size_t i = 0; i < f.manifest->bucket_count; i++) {
        assert_ok(ortp_model_warm(f.model, i, &error), error);
        assert_ok(ortp_decoder_warm(decoder, i, f.manifest->beam_width, &error), error);
    }
    ortp_plan plan = ORTP_PLAN_INIT;
    assert_ok(ortp_plan_estimate(f.manifest, 0, ORTP_PATH_BATCHED, 1, 0, &plan, &error), error);
    assert_near(MASK, plan.total_bytes - plan.declared_bytes,
                blocks_bytes(f.runtime) - before - ort_bytes(f.model, 1));
    assert_true(plan.decode_bytes >= f.manifest->beam_width * f.manifest->max_points *
                                         (f.manifest->hidden * sizeof(float) + 1));
    assert_files(f.manifest, false, &plan);
    ortp_decoder_destroy(decoder, NULL);
    fixture_close(&f);
}

static void plan_grows_with_what_is_asked_for(void **state)
{
    (void)state;
    ortp_error error = ORTP_ERROR_INIT;
    ortp_manifest *m = NULL;
    ortp_plan one = ORTP_PLAN_INIT;
    ortp_plan more = ORTP_PLAN_INIT;
    assert_ok(ortp_manifest_create(
                  &(const ortp_manifest_options){.struct_size = sizeof(ortp_manifest_options),
                                                 .directory = test_file(SWIPE)},
                  &m, &error),
              error);
    assert_ok(ortp_plan_estimate(m, 8, ORTP_PATH_BATCHED, 1, 0, &one, &error), error);
    /* An encoder output of each bucket, two copies more for each entry and thread. */
    size_t points = 0;
    for (size_t i = 0; i < m->bucket_count; i++) {
        points += m->buckets[i];
    }
    assert_true(one.cache_bytes >= points * m->hidden * sizeof(float));
    assert_ok(ortp_plan_estimate(m, 8, ORTP_PATH_BATCHED, 16, 100, &more, &error), error);
    assert_true(more.cache_bytes >= (100 + 31) * points * m->hidden * sizeof(float));
    assert_ok(ortp_plan_estimate(m, 8, ORTP_PATH_SEQUENTIAL, 1, 0, &more, &error), error);
    assert_true(more.total_bytes <= one.total_bytes);
    ortp_manifest_destroy(m, NULL);
}

/* The buffers of 8 threads, with the numbers of the second score and without. */
static void plan_counts_what_weighs(void **state)
{
    (void)state;
    static const ortp_path paths[] = {ORTP_PATH_BATCHED, ORTP_PATH_SEQUENTIAL,
                                      ORTP_PATH_INCREMENTAL};
    make_model_folder("plan.test", CTC, "beam.ctc_weight", "0");
    ortp_error error = ORTP_ERROR_INIT;
    ortp_manifest *with = NULL;
    ortp_manifest *without = NULL;
    assert_ok(ortp_manifest_create(
                  &(const ortp_manifest_options){.struct_size = sizeof(ortp_manifest_options),
                                                 .directory = test_file(CTC)},
                  &with, &error),
              error);
    assert_ok(ortp_manifest_create(
                  &(const ortp_manifest_options){.struct_size = sizeof(ortp_manifest_options),
                                                 .directory = "plan.test"},
                  &without, &error),
              error);
    for (size_t i = 0; i < 3; i++) {
        ortp_plan more = ORTP_PLAN_INIT;
        ortp_plan less = ORTP_PLAN_INIT;
        assert_ok(ortp_plan_estimate(with, 8, paths[i], 8, 4, &more, &error), error);
        assert_ok(ortp_plan_estimate(without, 8, paths[i], 8, 4, &less, &error), error);
        const size_t numbers = 8 * (30 * 150 + 4 * 8 * 151) * sizeof(double);
        assert_in_range(more.decode_bytes - less.decode_bytes, numbers, numbers / 4 * 5);
        assert_int_equal(more.cache_bytes, less.cache_bytes);
    }
    ortp_manifest_destroy(with, NULL);
    ortp_manifest_destroy(without, NULL);
}

/* An encoder's own reading lies behind each of its outputs that is kept or in work. */
static void plan_counts_the_second_score(void **state)
{
    (void)state;
    static const ortp_path paths[] = {ORTP_PATH_BATCHED, ORTP_PATH_INCREMENTAL};
    ortp_error error = ORTP_ERROR_INIT;
    ortp_manifest *m = NULL;
    assert_ok(ortp_manifest_create(
                  &(const ortp_manifest_options){.struct_size = sizeof(ortp_manifest_options),
                                                 .directory = test_file(CTC)},
                  &m, &error),
              error);
    size_t points = 0;
    for (size_t i = 0; i < m->bucket_count; i++) {
        points += m->buckets[i];
    }
    for (size_t i = 0; i < 2; i++) {
        const size_t read =
            i == 0 ? m->hidden : m->step.cross_count * m->step.kv_heads * m->step.kv_size;
        ortp_plan plan = ORTP_PLAN_INIT;
        assert_ok(ortp_plan_estimate(m, 0, paths[i], 8, 100, &plan, &error), error);
        const size_t outputs = points * (read + m->vocabulary) * sizeof(float);
        const size_t keys = points * (m->features * sizeof(float) + sizeof(int32_t));
        assert_in_range(plan.cache_bytes, (100 + 15) * (outputs + keys),
                        (100 + 15) * (outputs + keys) / 4 * 5);
    }
    ortp_manifest_destroy(m, NULL);
}

static void plan_refuses_what_cannot_be(void **state)
{
    (void)state;
    ortp_error error = ORTP_ERROR_INIT;
    ortp_manifest *m = NULL;
    ortp_plan plan = ORTP_PLAN_INIT;
    make_model_folder("plan.test", TINY, "graphs.decoder", "\"gone.onnx\"");
    assert_ok(ortp_manifest_create(
                  &(const ortp_manifest_options){.struct_size = sizeof(ortp_manifest_options),
                                                 .directory = "plan.test"},
                  &m, &error),
              error);
    assert_int_equal(ortp_plan_estimate(m, 0, ORTP_PATH_BATCHED, 1, 4, &plan, &error),
                     ORTP_E_NOTFOUND);
    assert_non_null(strstr(error.message, "plan.test/gone.onnx"));
    assert_int_equal(ortp_plan_estimate(m, 0, ORTP_PATH_BATCHED, 0, 4, &plan, &error),
                     ORTP_E_INVAL);
    assert_int_equal(ortp_plan_estimate(m, 33, ORTP_PATH_BATCHED, 1, 4, &plan, &error),
                     ORTP_E_INVAL);
    assert_int_equal(ortp_plan_estimate(NULL, 0, ORTP_PATH_BATCHED, 1, 4, &plan, &error),
                     ORTP_E_INVAL);
    ortp_manifest_destroy(m, NULL);

    assert_ok(ortp_manifest_create(
                  &(const ortp_manifest_options){.struct_size = sizeof(ortp_manifest_options),
                                                 .directory = test_file(TINY)},
                  &m, &error),
              error);
    static const size_t many[] = {SIZE_MAX, SIZE_MAX / 2 + 2, SIZE_MAX / 4, SIZE_MAX / 4000};
    for (size_t i = 0; i < sizeof many / sizeof *many; i++) {
        assert_int_equal(ortp_plan_estimate(m, 0, ORTP_PATH_BATCHED, many[i], 0, &plan, &error),
                         ORTP_E_INVAL);
        assert_non_null(strstr(error.message, "more than can be addressed"));
        assert_int_equal(plan.total_bytes, 0);
        assert_int_equal(ortp_plan_estimate(m, 0, ORTP_PATH_BATCHED, 1, many[i], &plan, &error),
                         ORTP_E_INVAL);
    }
    ortp_manifest_destroy(m, NULL);
}

int main(void)
{
    if (!test_ort_found()) {
        return TEST_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plan_is_what_a_warm_predictor_has),
        cmocka_unit_test(plan_is_what_a_warm_model_has),
        cmocka_unit_test(plan_grows_with_what_is_asked_for),
        cmocka_unit_test(plan_counts_the_second_score),
        cmocka_unit_test(plan_counts_what_weighs),
        cmocka_unit_test(plan_refuses_what_cannot_be),
    };
    return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
