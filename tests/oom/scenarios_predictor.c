/* SPDX-License-Identifier: MIT */
/* From model and lexicon to words: creation, predictions of both paths, warm-up, decoders alone. */
#include "sweep.h"

#include "counting_api.h"
#include "rig.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct world {
    rig rig;
    rig_options options;
    swipe_rows rows;
    ortp_prediction right[2]; /* what the rows give when nothing fails */
} world;

/* What is right does not change from round to round. */
static void learn(world *w)
{
    static rig_options learnt;
    static ortp_prediction right[2];
    if (learnt.model == w->options.model && learnt.predictor.path == w->options.predictor.path &&
        learnt.predictor.strategy == w->options.predictor.strategy) {
        memcpy(w->right, right, sizeof right);
        return;
    }
    rig r;
    rig_open(&r, &w->options);
    for (size_t i = 0; i < 2; i++) {
        w->right[i] = rig_predict(&r, &w->rows.rows[i], 3);
        assert_true(w->right[i].candidate_count > 0);
    }
    rig_close(&r);
    memcpy(right, w->right, sizeof right);
    learnt = w->options;
}

static world *open_world(const char *model, ortp_path path, ortp_strategy strategy)
{
    world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->options.model = model;
    w->options.api = faults_api(test_ort_api());
    w->options.predictor.path = path;
    w->options.predictor.strategy = strategy;
    w->rows = swipe_rows_read(test_file(SAMPLES), 2);
    learn(w);
    return w;
}

static void free_world(world *w)
{
    swipe_rows_free(&w->rows);
    free(w);
}

static ortp_status predict(const world *w, size_t row, ortp_error *error)
{
    ortp_prediction out = ORTP_PREDICTION_INIT;
    ortp_status status =
        ortp_predictor_predict(w->rig.predictor, &w->rows.rows[row].swipe, NULL, &out, error);
    if (status == ORTP_OK) {
        assert_same_words(&out, &w->right[row], 1e-5);
    }
    return status;
}

static ortp_status warm_beside(const world *w, ortp_error *error)
{
    ortp_warmup *warmup = NULL;
    ortp_status status = ortp_predictor_warm_start(w->rig.predictor, NULL, &warmup, error);
    assert_int_equal(status == ORTP_OK, warmup != NULL);
    return status != ORTP_OK ? status : ortp_warmup_join(warmup, NULL, error);
}

/* Miss, hit, another, and once more after everything idle went. */
static ortp_status use(const world *w, ortp_error *error)
{
    static const size_t order[] = {0, 0, 1};
    ortp_status status = ORTP_OK;
    for (size_t i = 0; i < 3 && status == ORTP_OK; i++) {
        status = predict(w, order[i], error);
    }
    if (status == ORTP_OK) {
        assert_int_equal(ortp_predictor_trim(w->rig.predictor, 0, true, NULL), ORTP_OK);
        status = predict(w, 1, error);
    }
    return status;
}

/* ---- from nothing to nothing ---- */

static ortp_status live(void *world_, ortp_error *error)
{
    world *w = world_;
    ortp_status status = rig_try(&w->rig, &w->options, error);
    if (status != ORTP_OK) {
        return status;
    }
    status = use(w, error);
    if (status == ORTP_OK) {
        status = warm_beside(w, error);
    }
    rig_close(&w->rig);
    return status;
}

static void check_nothing(void *world_)
{
    world *w = world_;
    counting_alloc_assert_empty(&w->rig.alloc);
    assert_int_equal(counting_api_live(), 0);
}

static void close_nothing(void *world_)
{
    free_world(world_);
}

static void *open_batched(void)
{
    return open_world(TINY, ORTP_PATH_BATCHED, ORTP_STRATEGY_BEAM);
}

/* ---- use of a predictor that lives on ---- */

static void *opened(world *w)
{
    rig_open(&w->rig, &w->options);
    return w;
}

static void *open_used_batched(void)
{
    return opened(open_world(TINY, ORTP_PATH_BATCHED, ORTP_STRATEGY_BEAM));
}

static void *open_used_sequential(void)
{
    return opened(open_world(TINY, ORTP_PATH_SEQUENTIAL, ORTP_STRATEGY_BEAM));
}

static void *open_used_greedy(void)
{
    return opened(open_world(TINY, ORTP_PATH_BATCHED, ORTP_STRATEGY_GREEDY));
}

/* Incremental where ONNX Runtime can, of 1.21 on. */
static void *open_used_step(void)
{
    return opened(open_world(STEP_MODEL, ORTP_PATH_AUTO, ORTP_STRATEGY_BEAM));
}

/* The same, weighed by what the encoder itself says, and looking ahead. */
static void *open_used_ctc(void)
{
    return opened(open_world(CTC_MODEL, ORTP_PATH_AUTO, ORTP_STRATEGY_BEAM));
}

/* Wants replicated memory and masks. */
static void *open_used_mask(void)
{
    return opened(open_world("tests/graphs/mask", ORTP_PATH_BATCHED, ORTP_STRATEGY_BEAM));
}

static ortp_status use_attempt(void *world_, ortp_error *error)
{
    return use(world_, error);
}

static ortp_status warm_attempt(void *world_, ortp_error *error)
{
    world *w = world_;
    ortp_status status = ortp_predictor_warm(w->rig.predictor, NULL, NULL, error);
    return status == ORTP_OK ? predict(w, 0, error) : status;
}

static ortp_status warm_beside_attempt(void *world_, ortp_error *error)
{
    world *w = world_;
    ortp_status status = warm_beside(w, error);
    return status == ORTP_OK ? predict(w, 0, error) : status;
}

static void check_used(void *world_)
{
    rig_assert_ledger(&((world *)world_)->rig);
}

static void close_used(void *world_)
{
    world *w = world_;
    rig_close(&w->rig);
    assert_int_equal(counting_api_live(), 0);
    free_world(w);
}

/* ---- at the limit: failures while the predictor makes room for itself ---- */

static void *open_tight(void)
{
    world *w = opened(open_world(TINY, ORTP_PATH_BATCHED, ORTP_STRATEGY_BEAM));
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(ortp_predictor_warm(w->rig.predictor, NULL, NULL, &error), error);
    size_t excess;
    assert_int_equal(ortp_budget_set_limit(ortp_runtime_budget(w->rig.runtime),
                                           rig_budget(&w->rig).charged_bytes + 4096, &excess),
                     ORTP_OK);
    return w;
}

/* ---- a manifest and its plan, without a budget ---- */

static void *open_nothing(void)
{
    world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    return w;
}

static ortp_status plan_attempt(void *world_, ortp_error *error)
{
    world *w = world_;
    const ortp_alloc alloc = counting_alloc_use(&w->rig.alloc);
    ortp_manifest *manifest = NULL;
    ortp_status status = ortp_manifest_create(
        &(const ortp_manifest_options){.struct_size = sizeof(ortp_manifest_options),
                                       .directory = test_file(STEP_MODEL),
                                       .alloc = alloc},
        &manifest, error);
    if (status != ORTP_OK) {
        assert_null(manifest);
        return status;
    }
    ortp_plan plan = ORTP_PLAN_INIT;
    status = ortp_plan_estimate(manifest, 0, ORTP_PATH_AUTO, 1, 4, &plan, error);
    if (status == ORTP_OK) {
        assert_true(plan.total_bytes > 0);
    }
    ortp_manifest_destroy(manifest, NULL);
    return status;
}

static void close_alone(void *world_)
{
    free(world_);
}

static void check_alone(void *world_)
{
    counting_alloc_assert_empty(&((world *)world_)->rig.alloc);
}

/* ---- decoders and their buffers alone ---- */

static ortp_status try_buffers(const world *w, ortp_tensor_pool *tensors, ortp_error *error)
{
    ortp_decoder_buffers *buffers = NULL;
    ortp_model *model = ortp_predictor_model(w->rig.predictor);
    ortp_status status = ortp_decoder_buffers_create(
        &(const ortp_decoder_buffers_options){.struct_size = sizeof(ortp_decoder_buffers_options),
                                              .model = model,
                                              .tensors = tensors,
                                              .beams = 2,
                                              .source = 32},
        &buffers, error);
    if (status != ORTP_OK) {
        assert_null(buffers);
        return status;
    }
    ortp_decoder_buffers_info before = ORTP_DECODER_BUFFERS_INFO_INIT,
                              after = ORTP_DECODER_BUFFERS_INFO_INIT;
    ortp_decoder_buffers_get_info(buffers, &before);
    status = ortp_decoder_buffers_ensure_capacity(buffers, 8, 150, error);
    ortp_decoder_buffers_get_info(buffers, &after);
    if (status == ORTP_OK) {
        assert_true(after.beams >= 8 && after.source >= 150);
    } else {
        assert_memory_equal(&before, &after, sizeof before); /* the old ones, unchanged */
    }
    ortp_decoder_buffers_destroy(buffers, NULL);
    return status;
}

static ortp_status decode_attempt(void *world_, ortp_error *error)
{
    world *w = world_;
    ortp_tensor_pool_options options = ORTP_TENSOR_POOL_OPTIONS_INIT;
    options.runtime = w->rig.runtime;
    ortp_tensor_pool *tensors = NULL;
    ortp_status status = ortp_tensor_pool_create(&options, &tensors, error);
    if (status != ORTP_OK) {
        assert_null(tensors);
        return status;
    }
    status = try_buffers(w, tensors, error);
    ortp_decoder *decoder = NULL;
    if (status == ORTP_OK) {
        status = ortp_decoder_create(
            &(const ortp_decoder_options){.struct_size = sizeof(ortp_decoder_options),
                                          .model = ortp_predictor_model(w->rig.predictor),
                                          .tensors = tensors,
                                          .beam_width_max = 4},
            &decoder, error);
        assert_int_equal(status == ORTP_OK, decoder != NULL);
    }
    if (status == ORTP_OK) {
        status = ortp_decoder_warm(decoder, 0, 4, error);
    }
    if (status == ORTP_OK) {
        status = ortp_decoder_warm(decoder, 1, 1, error);
    }
    ortp_decoder_destroy(decoder, NULL);
    assert_int_equal(ortp_tensor_pool_destroy(tensors, NULL), ORTP_OK);
    return status;
}

const scenario scenarios_predictor[] = {
    {"predictor: a life", open_batched, live, check_nothing, close_nothing, true},
    {"predictor: use, batched", open_used_batched, use_attempt, check_used, close_used, true},
    {"predictor: use, sequential", open_used_sequential, use_attempt, check_used, close_used, true},
    {"predictor: use, greedy", open_used_greedy, use_attempt, check_used, close_used, true},
    {"predictor: use, replicated memory and masks", open_used_mask, use_attempt, check_used,
     close_used, true},
    {"predictor: use, incremental", open_used_step, use_attempt, check_used, close_used, true},
    {"predictor: use, a second score", open_used_ctc, use_attempt, check_used, close_used, true},
    {"predictor: warm-up, incremental", open_used_step, warm_attempt, check_used, close_used, true},
    {"predictor: warm-up", open_used_batched, warm_attempt, check_used, close_used, true},
    {"predictor: warm-up beside", open_used_batched, warm_beside_attempt, check_used, close_used,
     true},
    {"predictor: at the limit", open_tight, use_attempt, check_used, close_used, true},
    {"decode: manifest and plan", open_nothing, plan_attempt, check_alone, close_alone, true},
    {"decode: buffers and decoder, incremental", open_used_step, decode_attempt, check_used,
     close_used, true},
    {"decode: buffers and decoder, a second score", open_used_ctc, decode_attempt, check_used,
     close_used, true},
    {"decode: buffers and decoder", open_used_mask, decode_attempt, check_used, close_used, true},
};
const size_t scenarios_predictor_count = sizeof scenarios_predictor / sizeof scenarios_predictor[0];
