/* SPDX-License-Identifier: MIT */
/* How a search ends - cancelled, late, failed, refused - and what it costs. */
#include <math.h>
#include <stdio.h>

#include "model_run.h"
#include "world.h"

static void cancels_before_any_run(void **state)
{
    const world *w = *state;
    automaton a = all_may_end();
    const ortp_constraint constraint = tree(&a);
    for (int path = 0; path < 2; path++) {
        ortp_decoder *decoder = open_decoder(w, 4);
        for (size_t runs = 0; runs < 3; runs++) {
            ortp_error error = ORTP_ERROR_INIT;
            ortp_hypothesis results[RESULTS] = {ORTP_HYPOTHESIS_INIT};
            size_t count = 9;
            size_t left = runs;
            ortp_search_params params = ORTP_SEARCH_PARAMS_INIT;
            params.beam_width = 4;
            params.path = path == 0 ? ORTP_PATH_BATCHED : ORTP_PATH_SEQUENTIAL;
            params.stop = stop_after;
            params.stop_ctx = &left;
            assert_int_equal(ortp_decoder_search(decoder, w->memory, w->length, &params,
                                                 &constraint, results, RESULTS, &count, &error),
                             ORTP_E_CANCELLED);
            assert_int_equal(count, 0);
            assert_int_equal(ortp_decoder_last_runs(decoder), runs);
            left = SIZE_MAX;
            assert_ok(ortp_decoder_search(decoder, w->memory, w->length, &params, &constraint,
                                          results, RESULTS, &count, &error),
                      error);
            assert_true(count > 0);
        }
        ortp_decoder_destroy(decoder, NULL);
    }
}

static bool let_time_pass(void *ctx)
{
    fake_clock_advance(ctx, 10);
    return false;
}

static void stops_at_the_deadline(void **state)
{
    world *w = *state;
    automaton a = all_may_end();
    const ortp_constraint constraint = tree(&a);
    ortp_error error = ORTP_ERROR_INIT;
    ortp_hypothesis results[RESULTS] = {ORTP_HYPOTHESIS_INIT};
    size_t count = 0;
    ortp_decoder *decoder = open_decoder(w, 4);
    ortp_search_params params = ORTP_SEARCH_PARAMS_INIT;
    params.beam_width = 4;
    params.stop = let_time_pass;
    params.stop_ctx = &w->clock;
    params.deadline_at_ms = atomic_load(&w->clock.now_ms) + 30;
    assert_int_equal(ortp_decoder_search(decoder, w->memory, w->length, &params, &constraint,
                                         results, RESULTS, &count, &error),
                     ORTP_E_TIMEOUT);
    assert_int_equal(ortp_decoder_last_runs(decoder), 2); /* at 10 and 20 ms, not at 30 */
    params.stop = NULL;
    assert_int_equal(ortp_decoder_search(decoder, w->memory, w->length, &params, &constraint,
                                         results, RESULTS, &count, &error),
                     ORTP_E_TIMEOUT);
    assert_int_equal(ortp_decoder_last_runs(decoder), 0);
    params.deadline_at_ms++;
    assert_ok(ortp_decoder_search(decoder, w->memory, w->length, &params, &constraint, results,
                                  RESULTS, &count, &error),
              error);
    ortp_decoder_destroy(decoder, NULL);
}

/* Each decoder run and each OrtValue of a first search fails once; then the search works. */
static void each_ort_failure_is_clean(void **state)
{
    const world *w = *state;
    automaton a = all_may_end();
    const ortp_constraint constraint = tree(&a);
    static const counting_call calls[] = {COUNTING_Run, COUNTING_CreateTensorWithDataAsOrtValue};
    for (size_t i = 0; i < 4; i++) {
        ortp_error error = ORTP_ERROR_INIT;
        ortp_hypothesis results[RESULTS] = {ORTP_HYPOTHESIS_INIT};
        ortp_hypothesis again[RESULTS] = {ORTP_HYPOTHESIS_INIT};
        size_t count = 0;
        size_t again_count = 0;
        bool failed = true;
        uint64_t failures = 0;
        for (uint64_t nth = 1; failed; nth++) {
            size_t dropped = 0;
            assert_int_equal(ortp_tensor_pool_trim(w->f.tensors, 0, 0, &dropped), ORTP_OK);
            ortp_decoder *decoder = open_decoder(w, 5);
            ortp_search_params params = ORTP_SEARCH_PARAMS_INIT;
            params.beam_width = 5;
            params.path = i < 2 ? ORTP_PATH_BATCHED : ORTP_PATH_SEQUENTIAL;
            counting_api_fail(calls[i % 2], nth);
            const ortp_status status =
                ortp_decoder_search(decoder, w->memory, w->length, &params, &constraint, results,
                                    RESULTS, &count, &error);
            failed = counting_api_failed();
            counting_api_fail(COUNTING_ANY, 0);
            assert_int_equal(status, failed ? ORTP_E_ORT : ORTP_OK);
            if (failed) {
                failures++;
                assert_int_equal(count, 0);
                assert_non_null(strstr(error.message, "made to fail"));
                assert_ok(ortp_decoder_search(decoder, w->memory, w->length, &params, &constraint,
                                              again, RESULTS, &again_count, &error),
                          error);
                assert_true(again_count > 0);
            }
            ortp_decoder_destroy(decoder, NULL);
        }
        assert_true(failures >= 4);
        assert_same_results(results, count, again, again_count, 1e-6);
    }
}

static void each_allocation_failure_is_clean(void **state)
{
    world *w = *state;
    bool failed = true;
    uint64_t failures = 0;
    for (uint64_t nth = 1; failed; nth++) {
        ortp_error error = ORTP_ERROR_INIT;
        ortp_hypothesis result = ORTP_HYPOTHESIS_INIT;
        size_t count = 0;
        size_t dropped = 0;
        ortp_decoder *decoder = NULL;
        assert_int_equal(ortp_tensor_pool_trim(w->f.tensors, 0, 0, &dropped), ORTP_OK);
        const uint64_t before = atomic_load(&w->counter.failed);
        counting_alloc_fail(&w->counter, nth, false);
        ortp_status status = ortp_decoder_create(
            &(const ortp_decoder_options){.struct_size = sizeof(ortp_decoder_options),
                                          .model = w->f.model,
                                          .tensors = w->f.tensors,
                                          .beam_width_max = 5},
            &decoder, &error);
        if (status == ORTP_OK) {
            status = ortp_decoder_search(decoder, w->memory, w->length, NULL, NULL, &result, 1,
                                         &count, &error);
        }
        failed = atomic_load(&w->counter.failed) != before;
        counting_alloc_fail(&w->counter, 0, false);
        if (failed) {
            failures++;
            assert_int_equal(status, ORTP_E_NOMEM);
        } else {
            assert_int_equal(status, ORTP_OK);
        }
        if (decoder != NULL) {
            assert_ok(ortp_decoder_search(decoder, w->memory, w->length, NULL, NULL, &result, 1,
                                          &count, &error),
                      error);
            assert_int_equal(count, 1);
        }
        ortp_decoder_destroy(decoder, NULL);
    }
    assert_true(failures >= 1);
}

/* Too small a budget for the buffers: refused, and fine again once there is room. */
static void the_budget_refuses_buffers(void **state)
{
    const world *w = *state;
    ortp_error error = ORTP_ERROR_INIT;
    ortp_hypothesis result = ORTP_HYPOTHESIS_INIT;
    size_t count = 0;
    size_t dropped = 0;
    ortp_decoder *decoder = open_decoder(w, 8);
    ortp_budget *budget = ortp_runtime_budget(w->f.runtime);
    assert_int_equal(ortp_tensor_pool_trim(w->f.tensors, 0, 0, &dropped), ORTP_OK);
    assert_int_equal(ortp_pool_trim(ortp_runtime_pool(w->f.runtime), 0, 0, NULL), ORTP_OK);
    ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(budget, &info);
    assert_int_equal(ortp_budget_set_limit(budget, info.charged_bytes, NULL), ORTP_OK);
    assert_int_equal(
        ortp_decoder_search(decoder, w->memory, w->length, NULL, NULL, &result, 1, &count, &error),
        ORTP_E_BUDGET);
    assert_null(ortp__decoder_logits(decoder, NULL));
    assert_int_equal(ortp_budget_set_limit(budget, ORTP_UNLIMITED, NULL), ORTP_OK);
    assert_ok(
        ortp_decoder_search(decoder, w->memory, w->length, NULL, NULL, &result, 1, &count, &error),
        error);
    assert_int_equal(count, 1);
    ortp_decoder_destroy(decoder, NULL);
}

static size_t bad_next(void *ctx, uint32_t state, int32_t *tokens, uint32_t *states,
                       size_t capacity, bool *may_end)
{
    const int32_t *token = ctx;
    (void)state;
    *may_end = true;
    tokens[0] = *token;
    states[0] = 0;
    return *token == 4 ? capacity + 1 : 1;
}

static void refuses_a_bad_constraint(void **state)
{
    const world *w = *state;
    static const int32_t bad[] = {-1, 0, 2, 3, 30, INT32_MAX, 4};
    ortp_decoder *decoder = open_decoder(w, 8);
    ortp_hypothesis result = ORTP_HYPOTHESIS_INIT;
    size_t count = 0;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ortp_error error = ORTP_ERROR_INIT;
        int32_t token = bad[i];
        const ortp_constraint constraint = {.struct_size = sizeof constraint, .ctx = &token, .next = bad_next};
        assert_int_equal(ortp_decoder_search(decoder, w->memory, w->length, NULL, &constraint,
                                             &result, 1, &count, &error),
                         ORTP_E_INVAL);
        assert_non_null(strstr(error.message, "the constraint gave"));
        assert_int_equal(count, 0);
    }
    ortp_constraint none = ORTP_CONSTRAINT_INIT;
    assert_int_equal(
        ortp_decoder_search(decoder, w->memory, w->length, NULL, &none, &result, 1, &count, NULL),
        ORTP_E_INVAL);
    none = tree(&(automaton){0});
    none.struct_size = 0;
    assert_int_equal(
        ortp_decoder_search(decoder, w->memory, w->length, NULL, &none, &result, 1, &count, NULL),
        ORTP_E_VERSION);
    ortp_decoder_destroy(decoder, NULL);
}

static void refuse_params(const world *w, ortp_decoder *decoder, const ortp_search_params *params,
                          const char *text)
{
    ortp_error error = ORTP_ERROR_INIT;
    ortp_hypothesis result = ORTP_HYPOTHESIS_INIT;
    size_t count = 1;
    assert_int_equal(ortp_decoder_search(decoder, w->memory, w->length, params, NULL, &result, 1,
                                         &count, &error),
                     ORTP_E_INVAL);
    assert_int_equal(count, 0);
    assert_non_null(strstr(error.message, text));
}

static void refuses_bad_params(void **state)
{
    const world *w = *state;
    ortp_decoder *decoder = open_decoder(w, 8);
    ortp_search_params p = ORTP_SEARCH_PARAMS_INIT;
    p.beam_width = 9;
    refuse_params(w, decoder, &p, "beam_width");
    p = (ortp_search_params)ORTP_SEARCH_PARAMS_INIT;
    p.max_steps = 20;
    refuse_params(w, decoder, &p, "max_steps");
    p = (ortp_search_params)ORTP_SEARCH_PARAMS_INIT;
    p.strategy = (ortp_strategy)2;
    refuse_params(w, decoder, &p, "strategy");
    p = (ortp_search_params)ORTP_SEARCH_PARAMS_INIT;
    p.path = (ortp_path)7;
    refuse_params(w, decoder, &p, "path");
    double *const numbers[] = {&p.length_reward, &p.length_alpha, &p.prune_gap, &p.stop_margin,
                               &p.prune_token};
    for (size_t i = 0; i < 5; i++) {
        static const char *const names[] = {"length_reward", "length_alpha", "prune_gap",
                                            "stop_margin", "prune_token"};
        p = (ortp_search_params)ORTP_SEARCH_PARAMS_INIT;
        *numbers[i] = NAN;
        refuse_params(w, decoder, &p, names[i]);
        *numbers[i] = i < 2 ? INFINITY : -1.0;
        refuse_params(w, decoder, &p, names[i]);
    }
    p = (ortp_search_params)ORTP_SEARCH_PARAMS_INIT;
    p.prune_token = 1.0;
    refuse_params(w, decoder, &p, "prune_token");
    ortp_decoder_destroy(decoder, NULL);
}

static void refuses_bad_memory(void **state)
{
    const world *w = *state;
    static const struct {
        ortp_type type;
        size_t rank;
        int64_t shape[3];
    } bad[] = {
        {ORTP_TYPE_INT32, 3, {1, 32, 16}}, {ORTP_TYPE_FLOAT, 2, {32, 16, 0}},
        {ORTP_TYPE_FLOAT, 3, {2, 32, 16}}, {ORTP_TYPE_FLOAT, 3, {1, 32, 15}},
        {ORTP_TYPE_FLOAT, 3, {1, 0, 16}},  {ORTP_TYPE_FLOAT, 3, {1, 151, 16}},
    };
    ortp_error error = ORTP_ERROR_INIT;
    ortp_hypothesis result = ORTP_HYPOTHESIS_INIT;
    size_t count = 0;
    ortp_decoder *decoder = open_decoder(w, 8);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ortp_tensor *memory = NULL;
        assert_ok(ortp_tensor_acquire(w->f.tensors, bad[i].type, bad[i].shape, bad[i].rank, &memory,
                                      &error),
                  error);
        assert_int_equal(
            ortp_decoder_search(decoder, memory, 1, NULL, NULL, &result, 1, &count, &error),
            ORTP_E_INVAL);
        assert_int_equal(ortp_tensor_release(memory), ORTP_OK);
    }
    assert_int_equal(
        ortp_decoder_search(decoder, w->memory, 0, NULL, NULL, &result, 1, &count, &error),
        ORTP_E_INVAL);
    assert_int_equal(
        ortp_decoder_search(decoder, w->memory, 33, NULL, NULL, &result, 1, &count, &error),
        ORTP_E_INVAL);
    assert_int_equal(ortp_decoder_search(decoder, NULL, 1, NULL, NULL, &result, 1, &count, &error),
                     ORTP_E_INVAL);
    assert_int_equal(
        ortp_decoder_search(decoder, w->memory, 1, NULL, NULL, NULL, 1, &count, &error),
        ORTP_E_INVAL);
    assert_int_equal(ortp_decoder_warm(decoder, 4, 1, &error), ORTP_E_INVAL);
    assert_int_equal(ortp_decoder_warm(decoder, 0, 0, &error), ORTP_E_INVAL);
    assert_int_equal(ortp_decoder_warm(decoder, 0, 9, &error), ORTP_E_INVAL);
    assert_int_equal(ortp_model_destroy(w->f.model, NULL), ORTP_E_BUSY);
    ortp_decoder_destroy(decoder, NULL);
    ortp_decoder_destroy(NULL, NULL);
    assert_int_equal(ortp_decoder_create(
                         &(const ortp_decoder_options){.struct_size = sizeof(ortp_decoder_options),
                                                       .model = w->f.model,
                                                       .tensors = w->f.tensors,
                                                       .beam_width_max = 33},
                         &decoder, &error),
                     ORTP_E_INVAL);
    assert_null(decoder);
}

/* ---- what it costs ---- */

/* After warm-up a search asks ORT for its runs alone and allocates nothing. */
static void a_warm_search_allocates_nothing(void **state)
{
    (void)state;
    static const char *const models[] = {TINY, MASK};
    for (size_t i = 0; i < 4; i++) {
        counting_alloc counter = {0};
        ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
        options.api = test_ort_api();
        options.alloc = counting_alloc_use(&counter);
        fixture f;
        char file[100];
        ortp_error error = ORTP_ERROR_INIT;
        fixture_open(&f, models[i / 2], &options);
        (void)snprintf(file, sizeof file, "%s/expected.json", models[i / 2]);
        json_t *expected = load_json(file);
        ortp_search_params params = ORTP_SEARCH_PARAMS_INIT;
        params.path = i % 2 == 0 ? ORTP_PATH_BATCHED : ORTP_PATH_SEQUENTIAL;
        ortp_decoder *decoder = NULL;
        assert_ok(ortp_decoder_create(
                      &(const ortp_decoder_options){.struct_size = sizeof(ortp_decoder_options),
                                                    .model = f.model,
                                                    .tensors = f.tensors,
                                                    .beam_width_max = 8},
                      &decoder, &error),
                  error);
        for (size_t bucket = 0; bucket < f.manifest->bucket_count; bucket++) {
            assert_ok(ortp_model_warm(f.model, bucket, &error), error);
            assert_ok(ortp_decoder_warm(decoder, bucket, i % 2 == 0 ? 8 : 1, &error), error);
        }
        ortp_tensor_pool_info before = ORTP_TENSOR_POOL_INFO_INIT;
        ortp_tensor_pool_info after = ORTP_TENSOR_POOL_INFO_INIT;
        ortp_tensor_pool_get_info(f.tensors, &before);
        const uint64_t allocs = atomic_load(&counter.calls);
        ortp_tensor *memory = encode(&f, expected);
        ortp_hypothesis results[RESULTS] = {ORTP_HYPOTHESIS_INIT};
        size_t count = 0;
        const size_t length = (size_t)json_integer_value(json_object_get(expected, "length"));
        assert_ok(ortp_decoder_search(decoder, memory, length, &params, NULL, results, RESULTS,
                                      &count, &error),
                  error);
        assert_true(count > 0);
        ortp_tensor_pool_get_info(f.tensors, &after);
        assert_int_equal(after.creates, before.creates);
        assert_int_equal(atomic_load(&counter.calls), allocs);
        assert_int_equal(ortp_tensor_release(memory), ORTP_OK);
        ortp_decoder_destroy(decoder, NULL);
        json_decref(expected);
        fixture_close(&f);
        counting_alloc_assert_empty(&counter);
    }
}

static void three_thousand_searches_leave_nothing(void **state)
{
    world *w = *state;
    ortp_error error = ORTP_ERROR_INIT;
    automaton a = all_may_end();
    const ortp_constraint constraint = tree(&a);
    ortp_decoder *decoder = open_decoder(w, 8);
    ortp_hypothesis results[RESULTS] = {ORTP_HYPOTHESIS_INIT};
    size_t count = 0;
    size_t left = 0;
    ortp_budget_info before = ORTP_BUDGET_INFO_INIT;
    ortp_budget_info after = ORTP_BUDGET_INFO_INIT;
    uint64_t allocs = 0;
    uint64_t creates = 0;
    int64_t live = 0;
    for (size_t i = 0; i < 3000; i++) {
        ortp_search_params params = ORTP_SEARCH_PARAMS_INIT;
        params.path = i % 3 == 0 ? ORTP_PATH_SEQUENTIAL : ORTP_PATH_BATCHED;
        params.beam_width = 1 + i % 8;
        params.strategy = i % 5 == 0 ? ORTP_STRATEGY_GREEDY : ORTP_STRATEGY_BEAM;
        left = i % 7;
        params.stop = i % 4 == 0 ? stop_after : NULL;
        params.stop_ctx = &left;
        const ortp_status status = ortp_decoder_search(
            decoder, w->memory, w->length, &params, &constraint, results, RESULTS, &count, &error);
        assert_true(status == ORTP_OK || status == ORTP_E_CANCELLED);
        if (i == 99) {
            ortp_budget_get_info(ortp_runtime_budget(w->f.runtime), &before);
            allocs = atomic_load(&w->counter.calls);
            creates = counting_api_calls(COUNTING_CreateTensorWithDataAsOrtValue);
            live = counting_api_live();
        }
    }
    ortp_budget_get_info(ortp_runtime_budget(w->f.runtime), &after);
    assert_int_equal(after.charged_bytes, before.charged_bytes);
    assert_int_equal(atomic_load(&w->counter.calls), allocs);
    assert_int_equal(counting_api_calls(COUNTING_CreateTensorWithDataAsOrtValue), creates);
    assert_int_equal(counting_api_live(), live);
    ortp_decoder_destroy(decoder, NULL);
}

int main(void)
{
    if (!test_ort_found()) {
        return TEST_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cancels_before_any_run),
        cmocka_unit_test(stops_at_the_deadline),
        cmocka_unit_test(each_ort_failure_is_clean),
        cmocka_unit_test(each_allocation_failure_is_clean),
        cmocka_unit_test(the_budget_refuses_buffers),
        cmocka_unit_test(refuses_a_bad_constraint),
        cmocka_unit_test(refuses_bad_params),
        cmocka_unit_test(refuses_bad_memory),
        cmocka_unit_test(a_warm_search_allocates_nothing),
        cmocka_unit_test(three_thousand_searches_leave_nothing),
    };
    return cmocka_run_group_tests_name("search ends", tests, set_up, tear_down);
}
