/* SPDX-License-Identifier: MIT */
/*
 * A predictor with real ONNX Runtime (the tiny model) under random operations of many threads: words as
 * one thread alone gets them, tensors of one's own with a pattern, warm-ups beside, trims, changing
 * limits, deadlines, and in each round a close while others predict.
 */
#include "pattern.h"
#include "rig.h"
#include "stress.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <threads.h>

#include <cmocka.h>

#define ROWS 10u
#define MIB ((size_t)1 << 20)

typedef struct world {
    ortp_runtime *runtime;
    ortp_predictor *predictor;
    ortp_tensor_pool *tensors; /* the host's own, beside the predictor's */
    counting_alloc alloc;
    swipe_rows rows;
    ortp_prediction right[ROWS];
    _Atomic uint64_t predicted, denied;
    _Atomic uint64_t callbacks_under_lock;
    _Atomic bool closing;
} world;

static bool same(const ortp_prediction *a, const ortp_prediction *b)
{
    bool equal = a->candidate_count == b->candidate_count;
    for (size_t i = 0; equal && i < a->candidate_count; i++) {
        equal = strcmp(a->candidates[i].word, b->candidates[i].word) == 0 &&
                fabs(a->candidates[i].score - b->candidates[i].score) < 1e-4;
    }
    return equal;
}

static bool not_under_lock(void *ctx)
{
    world *all = ctx;
    if (stress_locks_held() != 0) {
        atomic_fetch_add(&all->callbacks_under_lock, 1);
    }
    return false;
}

static bool stop_now(void *ctx)
{
    (void)not_under_lock(ctx);
    return true;
}

/* Longer than a timeout of 1 ms. */
static bool dawdle(void *ctx)
{
    (void)ctx;
    (void)thrd_sleep(&(const struct timespec){.tv_nsec = 3000000}, NULL);
    return false;
}

static bool progress(void *ctx, size_t done, size_t total, const char *name)
{
    (void)done;
    (void)total;
    (void)name;
    (void)not_under_lock(ctx);
    return true;
}

static void predict(worker *w)
{
    world *all = w->world;
    const size_t row = stress_below(&w->random, ROWS);
    ortp_predict_options options = ORTP_PREDICT_OPTIONS_INIT;
    options.stop = not_under_lock;
    options.stop_ctx = all;
    ortp_prediction out = ORTP_PREDICTION_INIT;
    ortp_error error = ORTP_ERROR_INIT;
    const ortp_status status =
        ortp_predictor_predict(all->predictor, &all->rows.rows[row].swipe, &options, &out, &error);
    if (status == ORTP_OK) {
        CHECK(w, same(&out, &all->right[row]));
        atomic_fetch_add(&all->predicted, 1);
    } else if (status == ORTP_E_BUDGET) {
        atomic_fetch_add(&all->denied, 1);
    } else if (status != ORTP_E_CLOSED || !atomic_load(&all->closing)) {
        stress_fail(w, "predict: %s: %s", ortp_status_name(status), error.message);
    }
}

static void give_up(worker *w)
{
    world *all = w->world;
    ortp_predict_options options = ORTP_PREDICT_OPTIONS_INIT;
    const bool late = stress_below(&w->random, 2) == 0;
    if (late) {
        options.timeout_ms = 1;
        options.stop = dawdle;
    } else {
        options.stop = stop_now;
        options.stop_ctx = all;
    }
    ortp_prediction out = ORTP_PREDICTION_INIT;
    const ortp_status status =
        ortp_predictor_predict(all->predictor, &all->rows.rows[0].swipe, &options, &out, NULL);
    CHECK(w, status == (late ? ORTP_E_TIMEOUT : ORTP_E_CANCELLED) || status == ORTP_E_BUDGET ||
                 (status == ORTP_E_CLOSED && atomic_load(&all->closing)));
}

static void use_tensor(worker *w)
{
    world *all = w->world;
    static const ortp_type types[] = {ORTP_TYPE_FLOAT, ORTP_TYPE_INT32, ORTP_TYPE_UINT8};
    const int64_t shape[] = {(int64_t)stress_below(&w->random, 5),
                             1 + (int64_t)stress_below(&w->random, 3000)};
    ortp_tensor *tensor;
    const ortp_status status = ortp_tensor_acquire(all->tensors, types[stress_below(&w->random, 3)],
                                                   shape, 2, &tensor, NULL);
    if (status != ORTP_OK) {
        CHECK(w, status == ORTP_E_BUDGET && tensor == NULL);
        return;
    }
    const uint64_t stamp = stress_random(&w->random);
    void *data = ortp_tensor_data(tensor);
    const size_t bytes = ortp_tensor_bytes(tensor);
    pattern_fill(data, bytes, stamp);
    predict(w);
    CHECK(w, pattern_wrong(data, bytes, stamp) == SIZE_MAX);
    CHECK(w, ortp_tensor_release(tensor) == ORTP_OK);
}

static void warm(worker *w)
{
    world *all = w->world;
    ortp_warmup_options options = ORTP_WARMUP_OPTIONS_INIT;
    options.progress = progress;
    options.progress_ctx = all;
    ortp_warmup *warmup;
    ortp_status status = ortp_predictor_warm_start(all->predictor, &options, &warmup, NULL);
    if (status == ORTP_OK) {
        predict(w);
        if (stress_below(&w->random, 2) == 0) {
            ortp_warmup_cancel(warmup);
        }
        status = ortp_warmup_join(warmup, NULL, NULL);
    }
    CHECK(w, status == ORTP_OK || status == ORTP_E_CANCELLED || status == ORTP_E_BUDGET ||
                 (status == ORTP_E_CLOSED && atomic_load(&all->closing)));
}

/* Near what is charged now, so that reclaiming and denials come; or none. */
static void change_limit(worker *w)
{
    world *all = w->world;
    ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(ortp_runtime_budget(all->runtime), &info);
    const size_t least = info.charged_bytes > MIB / 2 ? info.charged_bytes - MIB / 2 : 0;
    const size_t limit =
        stress_below(&w->random, 3) == 0 ? ORTP_UNLIMITED : least + stress_below(&w->random, MIB);
    size_t excess;
    const ortp_status status =
        ortp_budget_set_limit(ortp_runtime_budget(all->runtime), limit, &excess);
    CHECK(w, status == ORTP_OK || status == ORTP_E_BUSY);
}

static void trim(worker *w)
{
    world *all = w->world;
    size_t freed;
    if (stress_below(&w->random, 2) == 0) {
        CHECK(w, ortp_tensor_pool_trim(all->tensors, 0, 0, &freed) == ORTP_OK);
    } else {
        CHECK(w, ortp_predictor_trim(all->predictor, stress_below(&w->random, MIB),
                                     stress_below(&w->random, 2) == 0, &freed) == ORTP_OK);
    }
}

static void look(worker *w)
{
    world *all = w->world;
    ortp_stats stats = ORTP_STATS_INIT;
    CHECK(w, ortp_stats_collect(all->runtime, &stats) == ORTP_OK);
    CHECK(w, stats.groups == (ORTP_STATS_RUNTIME | ORTP_STATS_CACHE | ORTP_STATS_MODEL |
                              ORTP_STATS_PREDICTOR));
    ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(ortp_runtime_budget(all->runtime), &info);
    CHECK(w, info.refund_errors == 0 && info.mapped_bytes <= info.charged_bytes);
    if (stress_below(&w->random, 4) == 0) {
        (void)ortp_cache_clear(ortp_predictor_cache(all->predictor));
    }
}

/* The last worker closes near the end of its round, while the others predict. */
static void close_now(worker *w)
{
    world *all = w->world;
    atomic_store(&all->closing, true);
    const ortp_status status = ortp_predictor_close(all->predictor, stress_below(&w->random, 3));
    CHECK(w, status == ORTP_OK || status == ORTP_E_TIMEOUT);
}

static void step(worker *w)
{
    if (w->index + 1 == w->options->workers && w->operation + 2 == w->options->operations) {
        close_now(w);
        return;
    }
    const size_t drawn = stress_below(&w->random, 100);
    if (drawn < 60) {
        predict(w);
    } else if (drawn < 80) {
        use_tensor(w);
    } else if (drawn < 85) {
        give_up(w);
    } else if (drawn < 90) {
        look(w);
    } else if (drawn < 94) {
        trim(w);
    } else if (drawn < 98) {
        change_limit(w);
    } else {
        warm(w);
    }
}

static bool open_predictor(world *all)
{
    ortp_predictor_options options = ORTP_PREDICTOR_OPTIONS_INIT;
    options.runtime = all->runtime;
    options.model_directory = test_file(TINY);
    options.threads = 3; /* fewer than there are workers: states are made and dropped */
    ortp_error error = ORTP_ERROR_INIT;
    if (ortp_predictor_create(&options, &all->predictor, &error) != ORTP_OK) {
        (void)fprintf(stderr, "%s\n", error.message);
        return false;
    }
    return true;
}

static bool balanced(const world *all)
{
    ortp_budget_info account = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(ortp_runtime_budget(all->runtime), &account);
    ortp_pool_info info = ORTP_POOL_INFO_INIT;
    ortp_pool_get_info(ortp_runtime_pool(all->runtime), &info);
    size_t blocks = info.idle_bytes;
    for (size_t i = 0; i < ORTP_LABEL_COUNT; i++) {
        blocks += info.in_use_bytes[i];
    }
    return account.account_bytes[ORTP_ACCOUNT_BLOCKS] == blocks && account.refund_errors == 0 &&
           account.charged_bytes ==
               account.mapped_bytes + account.account_bytes[ORTP_ACCOUNT_DECLARED];
}

/* The predictor goes, and with it all that it held; the next round has a new one. */
static void quiet(worker *w)
{
    world *all = w->world;
    CHECK(w, balanced(all));
    CHECK(w, ortp_predictor_destroy(all->predictor, NULL) == ORTP_OK);
    all->predictor = NULL;
    CHECK(w, ortp_tensor_pool_trim(all->tensors, 0, 0, NULL) == ORTP_OK);
    ortp_pool_info info = ORTP_POOL_INFO_INIT;
    ortp_pool_get_info(ortp_runtime_pool(all->runtime), &info);
    ortp_tensor_pool_info tensors = ORTP_TENSOR_POOL_INFO_INIT;
    ortp_tensor_pool_get_info(all->tensors, &tensors);
    CHECK(w, info.in_use_blocks == 0 && tensors.out == 0 && tensors.idle == 0 && balanced(all));
    CHECK(w, all->callbacks_under_lock == 0);
    CHECK(w, all->predicted > 0);
    size_t excess;
    CHECK(w, ortp_budget_set_limit(ortp_runtime_budget(all->runtime), ORTP_UNLIMITED, &excess) ==
                 ORTP_OK);
    CHECK(w, open_predictor(all));
    atomic_store(&all->closing, false);
}

static bool open_world(world *all)
{
    ortp_runtime_options runtime = ORTP_RUNTIME_OPTIONS_INIT;
    runtime.api = test_ort_api();
    runtime.alloc = counting_alloc_use(&all->alloc);
    if (ortp_runtime_create(&runtime, &all->runtime, NULL) != ORTP_OK || !open_predictor(all)) {
        return false;
    }
    ortp_tensor_pool_options tensors = ORTP_TENSOR_POOL_OPTIONS_INIT;
    tensors.runtime = all->runtime;
    if (ortp_tensor_pool_create(&tensors, &all->tensors, NULL) != ORTP_OK ||
        ortp_predictor_warm(all->predictor, NULL, NULL, NULL) != ORTP_OK) {
        return false;
    }
    for (size_t i = 0; i < ROWS; i++) {
        all->right[i] = (ortp_prediction)ORTP_PREDICTION_INIT;
        if (ortp_predictor_predict(all->predictor, &all->rows.rows[i].swipe, NULL, &all->right[i],
                                   NULL) != ORTP_OK) {
            return false;
        }
    }
    return true;
}

static bool close_world(world *all)
{
    return ortp_predictor_destroy(all->predictor, NULL) == ORTP_OK &&
           ortp_tensor_pool_destroy(all->tensors, NULL) == ORTP_OK &&
           ortp_runtime_destroy(all->runtime, NULL) == ORTP_OK && all->alloc.live_blocks == 0 &&
           all->alloc.errors == 0;
}

static int result_of_run;
static stress options;

static void run(void **state)
{
    (void)state;
    static world all;
    void *own[WORKERS_MAX] = {NULL};
    all.rows = swipe_rows_read(test_file(SAMPLES), ROWS);
    assert_true(open_world(&all));
    const stress_program program = {.name = "stress_predict", .step = step, .quiet = quiet};
    result_of_run = stress_run(&program, &options, &all, own);
    assert_int_equal(result_of_run, 0);
    (void)printf("%llu predictions right, %llu denied by the budget\n",
                 (unsigned long long)all.predicted, (unsigned long long)all.denied);
    assert_true(close_world(&all));
    swipe_rows_free(&all.rows);
}

int main(int argc, char **argv)
{
    if (!stress_options(argc, argv, 150, &options)) {
        return 2;
    }
    if (!test_ort_found()) {
        return TEST_SKIPPED;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(run)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
