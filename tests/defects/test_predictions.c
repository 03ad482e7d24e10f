/* SPDX-License-Identifier: MIT */
/*
 * The real defects of the application that ortpool was planned for, each with the test that would
 * turn red if ortpool had it. What another test shows already is not repeated.
 *
 *   encoder output and run result leaked      swipes_leave_nothing; the heap of the whole process:
 *   per swipe                                 seed/seed_leak.c
 *   greedy search leaks the last result       eos_leaves_nothing; what is found then:
 *   on EOS                                    unit/decode/test_search.c:
 *                                             ends_at_first_middle_and_last
 *   predictions race with clean-up            integration/test_concurrent.c:
 *                                             close_during_predictions, trim_in_the_middle;
 *                                             integration/test_sharing.c: cleared_during_a_search;
 *                                             stress/stress_predict.c
 *   trajectory buffers shared by calls        nothing_is_shared; at random, with a data race to be
 *                                             found: integration/test_concurrent.c:
 *                                             equal_to_one_thread
 *   copies of beams, arrays per beam and      beam_steps_allocate_nothing; tensors and blocks:
 *   step                                      integration/test_steady.c, all tests
 *   #136 more points than the graph takes     test_inputs.c: long_swipes_are_resampled; unequal x,
 *                                             y, t: cli/bad_swipes.py, "y is shorter" and on
 *   #18 words lost in a chain of swipes       every_swipe_of_a_chain_has_its_word
 *   #75, #6 layouts other than QWERTY         test_inputs.c: keys_are_where_the_layout_says
 *   #184, #179 a million words                test_inputs.c: a_million_words
 */
#include "gate.h"
#include "machine.h"
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#ifdef DEFECTS_COUNT_MALLOC
#include "malloc_count.h"
#endif

static swipe_rows rows;

static int read_rows(void **state)
{
    (void)state;
    rows = swipe_rows_read(test_file(SAMPLES), SIZE_MAX);
    return 0;
}

static int free_rows(void **state)
{
    (void)state;
    swipe_rows_free(&rows);
    return 0;
}

/* ---- the encoder's output and the run's result, never closed: up to 256 KB a swipe ---- */

typedef struct level {
    int64_t ort_objects;
    size_t blocks, mapped, charged, control_blocks, control_bytes;
} level;

static level measure(const rig *r)
{
    return (level){
        .ort_objects = counting_api_live(),
        .blocks = rig_pool(r).in_use_blocks,
        .mapped = rig_budget(r).mapped_bytes,
        .charged = rig_budget(r).charged_bytes,
        .control_blocks = r->alloc.live_blocks,
        .control_bytes = r->alloc.live_bytes,
    };
}

static void assert_flat(const level *before, const level *now)
{
    assert_int_equal(now->ort_objects, before->ort_objects);
    assert_int_equal(now->blocks, before->blocks);
    assert_int_equal(now->mapped, before->mapped);
    assert_int_equal(now->charged, before->charged);
    assert_int_equal(now->control_blocks, before->control_blocks);
    assert_int_equal(now->control_bytes, before->control_bytes);
}

static bool stop_at_last(void *ctx)
{
    size_t *left = ctx;
    return --*left == 0;
}

/* Two in four end with words, one is stopped before one of its first four runs, one is refused. */
static void predict_somehow(const rig *r, size_t i)
{
    ortp_swipe swipe = rows.rows[i * 7 % rows.count].swipe;
    ortp_predict_options options = ORTP_PREDICT_OPTIONS_INIT;
    ortp_status expected = ORTP_OK;
    size_t polls = 1 + i / 4 % 4;
    if (i % 4 == 1) {
        options.stop = stop_at_last;
        options.stop_ctx = &polls;
        expected = ORTP_E_CANCELLED;
    } else if (i % 4 == 3) {
        swipe.height = -1.0;
        expected = ORTP_E_INVAL;
    }
    ortp_prediction out = ORTP_PREDICTION_INIT;
    assert_int_equal(ortp_predictor_predict(r->predictor, &swipe, &options, &out, NULL), expected);
}

static void swipes_leave_nothing(void **state)
{
    (void)state;
    const ortp_path paths[] = {ORTP_PATH_BATCHED, ORTP_PATH_SEQUENTIAL};
    const size_t last = test_thin() ? 100 : 1000;
    for (size_t path = 0; path < 2; path++) {
        counting_api_reset();
        const rig_options options = {.api = counting_api_use(test_ort_api()),
                                     .predictor = {.path = paths[path], .cache_off = true}};
        rig r;
        rig_open(&r, &options);
        for (size_t i = 0; i < rows.count; i++) { /* takes what it needs */
            (void)rig_predict(&r, &rows.rows[i], 0);
        }
        const level before = measure(&r);
        for (size_t i = 1; i <= last; i++) {
            predict_somehow(&r, i);
            if (i % (last / 4) == 0) {
                const level now = measure(&r);
                assert_flat(&before, &now);
            }
        }
        rig_close(&r);
        assert_int_equal(counting_api_live(), 0);
    }
}

/* ---- the last result of a greedy search, lost with its EOS ---- */

/* Two letters may follow up to *ctx of them, then the end and nothing else. */
static size_t two_letters(void *ctx, uint32_t depth, int32_t *tokens, uint32_t *depths,
                          size_t capacity, bool *may_end)
{
    const size_t length = *(const size_t *)ctx;
    *may_end = depth == length;
    const size_t count = depth < length ? 2 : 0;
    assert_true(count <= capacity);
    for (size_t i = 0; i < count; i++) {
        tokens[i] = (int32_t)(4 + i);
        depths[i] = depth + 1;
    }
    return count;
}

/* Searches that end after `length` letters; from the second on nothing is taken and kept. */
static void search_to(const rig *r, ortp_decoder *decoder, ortp_tensor *memory,
                      const ortp_search_params *params, size_t length)
{
    const ortp_constraint constraint = {.struct_size = sizeof constraint, .ctx = &length, .next = two_letters};
    level before = {0};
    for (size_t round = 0; round < 5; round++) {
        ortp_hypothesis results[8] = {ORTP_HYPOTHESIS_INIT};
        size_t count = 0;
        ortp_error error = ORTP_ERROR_INIT;
        assert_ok(ortp_decoder_search(decoder, memory, 2, params, &constraint, results, 8, &count,
                                      &error),
                  error);
        assert_true(params->strategy == ORTP_STRATEGY_GREEDY ? count == 1 : count > 0);
        assert_int_equal(results[0].length, length);
        const level now = measure(r);
        before = round == 0 ? now : before;
        assert_flat(&before, &now);
    }
}

/* EOS in the first step, in the middle, and in the last of the model's 19. */
static void eos_leaves_nothing(void **state)
{
    (void)state;
    counting_api_reset();
    const rig_options options = {.api = counting_api_use(test_ort_api())};
    rig r;
    rig_open(&r, &options);
    ortp_model *model = ortp_predictor_model(r.predictor);
    ortp_error error = ORTP_ERROR_INIT;
    ortp_tensor_pool_options pool = ORTP_TENSOR_POOL_OPTIONS_INIT;
    pool.runtime = r.runtime;
    ortp_tensor_pool *tensors = NULL;
    assert_ok(ortp_tensor_pool_create(&pool, &tensors, &error), error);
    ortp_decoder *decoder = NULL;
    assert_ok(ortp_decoder_create(
                  &(const ortp_decoder_options){.struct_size = sizeof(ortp_decoder_options),
                                                .model = model,
                                                .tensors = tensors,
                                                .beam_width_max = 8},
                  &decoder, &error),
              error);
    const float features[2 * ORTP_SWIPE_FEATURES] = {0};
    const int32_t keys[2] = {4, 5};
    const ortp_encoder_input input = {.features = features, .keys = keys, .length = 2};
    ortp_tensor *memory = NULL;
    assert_ok(ortp_model_encode(model, &input, &memory, &error), error);
    for (size_t i = 0; i < 4; i++) {
        ortp_search_params params = ORTP_SEARCH_PARAMS_INIT;
        params.beam_width = 8;
        params.strategy = i < 2 ? ORTP_STRATEGY_GREEDY : ORTP_STRATEGY_BEAM;
        params.path = i % 2 == 0 ? ORTP_PATH_BATCHED : ORTP_PATH_SEQUENTIAL;
        search_to(&r, decoder, memory, &params, 0);
        search_to(&r, decoder, memory, &params, 9);
        search_to(&r, decoder, memory, &params, 18);
    }
    assert_int_equal(ortp_tensor_release(memory), ORTP_OK);
    ortp_decoder_destroy(decoder, NULL);
    assert_int_equal(ortp_tensor_pool_destroy(tensors, NULL), ORTP_OK);
    rig_close(&r);
    assert_int_equal(counting_api_live(), 0);
}

/* ---- one trajectory buffer for all calls ---- */

/*
 * Two predictions of one predictor, both held at the same place, and a third from beginning to end
 * meanwhile: whatever they shared would hold the other's values by now.
 */
static void nothing_is_shared(void **state)
{
    (void)state;
    rig r;
    const rig_options options = {.predictor = {.cache_off = true}};
    rig_open(&r, &options);
    ortp_prediction alone[3];
    for (size_t i = 0; i < 3; i++) {
        alone[i] = rig_predict(&r, &rows.rows[i], 5);
    }
    assert_false(same_but_ties(&alone[0], &alone[1], 1e-3));
    assert_false(same_but_ties(&alone[0], &alone[2], 1e-3));
    assert_false(same_but_ties(&alone[1], &alone[2], 1e-3));
    for (size_t at = BEFORE_ENCODER; at <= BEFORE_DECODER + 2; at++) {
        for (size_t first = 0; first < 2; first++) { /* to go on */
            guest guests[2];
            for (size_t i = 0; i < 2; i++) {
                guest_enter(&guests[i], r.predictor, &rows.rows[i].swipe, at);
            }
            const ortp_prediction between = rig_predict(&r, &rows.rows[2], 5);
            guest_leave(&guests[first]);
            guest_leave(&guests[1 - first]);
            assert_same_words(&between, &alone[2], 0.0);
            for (size_t i = 0; i < 2; i++) {
                assert_int_equal(guests[i].status, ORTP_OK);
                assert_same_words(&guests[i].out, &alone[i], 0.0);
            }
        }
    }
    rig_close(&r);
}

/* ---- beams copied, queues boxed, arrays made at every step ---- */

#ifdef DEFECTS_COUNT_MALLOC

static uint64_t inside_runs; /* allocations of ONNX Runtime's own */

static OrtStatus *ORT_API_CALL run_aside(OrtSession *session, const OrtRunOptions *options,
                                         const char *const *input_names,
                                         const OrtValue *const *inputs, size_t input_count,
                                         const char *const *output_names, size_t output_count,
                                         OrtValue **outputs) NO_EXCEPTION
{
    const uint64_t before = malloc_count();
    OrtStatus *status = test_ort_api()->Run(session, options, input_names, inputs, input_count,
                                            output_names, output_count, outputs);
    inside_runs += malloc_count() - before;
    return status;
}

/* The heap is counted, not what the library reports: all of this thread's but inside the runs. */
static void beam_steps_allocate_nothing(void **state)
{
    (void)state;
    static OrtApi api;
    for (size_t i = 0; i < 4; i++) {
        api = *counting_api_use(test_ort_api());
        api.Run = run_aside;
        const rig_options options = {
            .api = &api,
            .predictor = {.path = i < 2 ? ORTP_PATH_BATCHED : ORTP_PATH_SEQUENTIAL,
                          .strategy = i % 2 == 0 ? ORTP_STRATEGY_BEAM : ORTP_STRATEGY_GREEDY,
                          .cache_off = true}};
        rig r;
        rig_open(&r, &options);
        ortp_error error = ORTP_ERROR_INIT;
        assert_ok(ortp_predictor_warm(r.predictor, NULL, NULL, &error), error);
        size_t runs = 0;
        inside_runs = 0;
        const uint64_t before = malloc_count();
        for (size_t k = 0; k < rows.count; k++) {
            runs += rig_predict(&r, &rows.rows[k], 5).decoder_runs;
        }
        const uint64_t all = malloc_count() - before;
        assert_true(runs > 2 * rows.count);
        assert_true(inside_runs > runs); /* the counter counts */
        assert_int_equal(all, inside_runs);
        rig_close(&r);
    }
}

#endif

/* ---- words lost where one swipe follows the other ---- */

/* By a predictor that was made for this swipe and sees no other. */
static ortp_prediction predict_alone(const swipe_row *row)
{
    rig r;
    rig_open(&r, NULL);
    const ortp_prediction out = rig_predict(&r, row, 5);
    rig_close(&r);
    return out;
}

/* One after the other without a pause, then each begun while the one before it is under way. */
static void every_swipe_of_a_chain_has_its_word(void **state)
{
    (void)state;
    enum { CHAIN = 20 };
    ortp_prediction alone[CHAIN];
    for (size_t i = 0; i < CHAIN; i++) {
        alone[i] = predict_alone(&rows.rows[i]);
        assert_true(alone[i].candidate_count > 0);
    }
    rig r;
    rig_open(&r, NULL);
    for (size_t i = 0; i < 3 * CHAIN; i++) { /* from the second round on none is new */
        const ortp_prediction out = rig_predict(&r, &rows.rows[i % CHAIN], 5);
        assert_same_words(&out, &alone[i % CHAIN], 0.0);
    }
    (void)ortp_cache_clear(ortp_predictor_cache(r.predictor)); /* a hit is not held */
    guest guests[CHAIN];
    for (size_t i = 0; i < CHAIN; i++) {
        guest_enter(&guests[i], r.predictor, &rows.rows[i].swipe, BEFORE_ENCODER);
        if (i > 0) {
            guest_leave(&guests[i - 1]);
        }
    }
    guest_leave(&guests[CHAIN - 1]);
    for (size_t i = 0; i < CHAIN; i++) {
        assert_int_equal(guests[i].status, ORTP_OK);
        assert_same_words(&guests[i].out, &alone[i], 0.0);
    }
    const ortp_stats stats = rig_stats(&r);
    assert_int_equal(stats.predictions, 4 * CHAIN);
    assert_int_equal(stats.failures, 0);
    rig_close(&r);
}

int main(void)
{
    if (!test_ort_found()) {
        return TEST_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(swipes_leave_nothing),
        cmocka_unit_test(eos_leaves_nothing),
        cmocka_unit_test(nothing_is_shared),
#ifdef DEFECTS_COUNT_MALLOC
        cmocka_unit_test(beam_steps_allocate_nothing),
#endif
        cmocka_unit_test(every_swipe_of_a_chain_has_its_word),
    };
    return cmocka_run_group_tests(tests, read_rows, free_rows);
}
