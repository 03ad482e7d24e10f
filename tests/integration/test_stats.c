/* SPDX-License-Identifier: MIT */
/*
 * One collection takes all that charges a budget: every kind of object, several of each, of two runtimes; and while
 * others come, work and go.
 */
#include "rig.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>

#include <cmocka.h>

#define ALL_GROUPS                                                                                 \
    (ORTP_STATS_RUNTIME | ORTP_STATS_CACHE | ORTP_STATS_MODEL | ORTP_STATS_PREDICTOR)

static swipe_rows rows;

static int read_rows(void **state)
{
    (void)state;
    rows = swipe_rows_read(test_file(SAMPLES), 4);
    return 0;
}

static int free_rows(void **state)
{
    (void)state;
    swipe_rows_free(&rows);
    return 0;
}

/* The objects of both tests: pools 0 and 1 are the application's, runtime 1 has one of its own. */
typedef struct world {
    counting_alloc alloc;
    ortp_budget *budget;
    ortp_pool *pools[2];
    ortp_runtime *runtimes[2];
    ortp_tensor_pool *tensors[2];
    ortp_cache *cache;
    ortp_model *model;
    ortp_predictor *predictor;
} world;

static void open_pool(const world *w, ortp_pool_kind kind, ortp_pool **out)
{
    ortp_pool_options options = ORTP_POOL_OPTIONS_INIT;
    options.budget = w->budget;
    options.kind = kind;
    assert_int_equal(ortp_pool_create(&options, out, NULL), ORTP_OK);
}

static void open_cache(const world *w, ortp_cache **out)
{
    ortp_cache_options options = ORTP_CACHE_OPTIONS_INIT;
    options.pool = w->pools[1];
    assert_int_equal(ortp_cache_create(&options, out, NULL), ORTP_OK);
}

static void open_tensors(ortp_runtime *runtime, ortp_tensor_pool **out)
{
    ortp_tensor_pool_options options = ORTP_TENSOR_POOL_OPTIONS_INIT;
    options.runtime = runtime;
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(ortp_tensor_pool_create(&options, out, &error), error);
}

static void open_model(const world *w, ortp_model **out)
{
    ortp_model_options options = ORTP_MODEL_OPTIONS_INIT;
    options.intra_threads = 1;
    options.runtime = w->runtimes[0];
    options.tensors = w->tensors[0];
    options.directory = test_file(TINY);
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(ortp_model_create(&options, out, &error), error);
}

static void open_predictor(const world *w, ortp_predictor **out)
{
    ortp_predictor_options options = ORTP_PREDICTOR_OPTIONS_INIT;
    options.runtime = w->runtimes[1];
    options.model_directory = test_file(TINY);
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(ortp_predictor_create(&options, out, &error), error);
}

static void open_world(world *w)
{
    memset(w, 0, sizeof *w);
    ortp_budget_options budget = ORTP_BUDGET_OPTIONS_INIT;
    budget.alloc = counting_alloc_use(&w->alloc);
    assert_int_equal(ortp_budget_create(&budget, &w->budget, NULL), ORTP_OK);
    open_pool(w, ORTP_POOL_THREAD_CACHED, &w->pools[0]);
    open_pool(w, ORTP_POOL_STRIPED, &w->pools[1]);
    for (size_t i = 0; i < 2; i++) {
        ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
        options.budget = w->budget;
        options.pool = i == 0 ? w->pools[0] : NULL;
        w->runtimes[i] = test_runtime_create(&options);
        open_tensors(w->runtimes[i], &w->tensors[i]);
    }
}

static void close_world(world *w)
{
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(ortp_tensor_pool_destroy(w->tensors[i], NULL), ORTP_OK);
        test_runtime_destroy(w->runtimes[i]);
    }
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(ortp_pool_destroy(w->pools[i], NULL), ORTP_OK);
    }
    assert_int_equal(ortp_budget_destroy(w->budget, NULL), ORTP_OK);
    counting_alloc_assert_empty(&w->alloc);
}

static uint64_t in_use(const ortp_stats *s)
{
    return s->in_use_tensors + s->in_use_decode + s->in_use_cache + s->in_use_run +
           s->in_use_weights + s->in_use_other;
}

/* At a quiet point: the ledger balances, and whoever asks gets the same. */
static ortp_stats collect(const world *w)
{
    ortp_stats s = ORTP_STATS_INIT;
    assert_int_equal(ortp_stats_collect_budget(w->budget, &s), ORTP_OK);
    assert_int_equal(in_use(&s) + s.idle + s.metadata, s.mapped);
    assert_int_equal(s.mapped + s.declared, s.charged);
    for (size_t i = 0; i < 2; i++) {
        ortp_stats other = ORTP_STATS_INIT;
        assert_int_equal(ortp_stats_collect(w->runtimes[i], &other), ORTP_OK);
        other.process_anonymous = s.process_anonymous;
        other.process_file = s.process_file;
        other.process_resident = s.process_resident;
        assert_memory_equal(&other, &s, sizeof s);
    }
    return s;
}

static ortp_tensor *acquire(ortp_tensor_pool *tensors, ortp_label label)
{
    const int64_t shape[] = {20000}; /* as floats more than a slab's block: its mapping is idle, too */
    ortp_tensor *out = NULL;
    assert_int_equal(ortp_tensor_acquire_labelled(tensors, ORTP_TYPE_FLOAT, shape, 1, label, &out,
                                                  NULL),
                     ORTP_OK);
    return out;
}

static uint64_t runs_of(const ortp_model *model)
{
    return ortp_session_runs(ortp_model_encoder(model)) +
           ortp_session_runs(ortp_model_decoder(model));
}

static void predict(ortp_predictor *predictor, size_t row)
{
    ortp_prediction out = ORTP_PREDICTION_INIT;
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(ortp_predictor_predict(predictor, &rows.rows[row].swipe, NULL, &out, &error), error);
}

/* Idle tensors of two tensor pools over two block pools; the order in which all were made is of no importance. */
static void check_tensors(const world *w)
{
    const ortp_stats before = collect(w);
    ortp_tensor *held[2] = {acquire(w->tensors[0], ORTP_LABEL_TENSORS),
                            acquire(w->tensors[1], ORTP_LABEL_DECODE)};
    ortp_stats s = collect(w);
    assert_int_equal(s.tensor_acquires, before.tensor_acquires + 2);
    assert_true(s.in_use_tensors >= before.in_use_tensors + 80000);
    assert_true(s.in_use_decode >= before.in_use_decode + 80000);
    for (size_t i = 0; i < 2; i++) {
        const uint64_t idle = s.idle;
        assert_int_equal(ortp_tensor_release(held[i]), ORTP_OK);
        s = collect(w);
        assert_true(s.idle >= idle + 80000);
    }
    assert_int_equal(s.in_use_tensors, before.in_use_tensors);
    assert_int_equal(s.in_use_decode, before.in_use_decode);
}

static void every_kind_of_object(void **state)
{
    (void)state;
    world w;
    open_world(&w);
    assert_int_equal(collect(&w).groups, ORTP_STATS_RUNTIME);
    check_tensors(&w);

    open_cache(&w, &w.cache);
    assert_int_equal(collect(&w).groups, ORTP_STATS_RUNTIME | ORTP_STATS_CACHE);
    const ortp_cache_key key = {.parts = {"a"}, .part_bytes = {1}, .part_count = 1};
    const ortp_cache_value value = {.block_count = 0};
    ortp_lease *lease;
    assert_int_equal(ortp_cache_put(w.cache, &key, &value, &lease), ORTP_OK);
    ortp_lease_release(lease);
    assert_int_equal(ortp_cache_get(w.cache, &key, &lease), ORTP_OK);
    ortp_lease_release(lease);
    assert_int_equal(collect(&w).cache_hits, 1);

    open_model(&w, &w.model);
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(ortp_model_warm(w.model, 0, &error), error);
    ortp_stats s = collect(&w);
    assert_int_equal(s.groups, ORTP_STATS_RUNTIME | ORTP_STATS_CACHE | ORTP_STATS_MODEL);
    assert_int_equal(s.encoder_runs, 1);
    assert_int_equal(s.decoder_runs, 0);
    assert_int_equal(s.runs, 1);
    assert_true(s.declared > 0);

    open_predictor(&w, &w.predictor);
    predict(w.predictor, 0);
    predict(w.predictor, 0);
    predict(w.predictor, 1);
    s = collect(&w);
    assert_int_equal(s.groups, ALL_GROUPS);
    assert_int_equal(s.predictions, 3);
    assert_int_equal(s.failures, 0);
    assert_int_equal(s.cache_hits, 2); /* of two caches */
    assert_int_equal(s.encoder_runs, 3); /* of two models */
    const uint64_t runs = 1 + runs_of(ortp_predictor_model(w.predictor));
    assert_int_equal(s.runs, runs);
    assert_int_equal(s.encoder_runs + s.decoder_runs, runs);
    check_tensors(&w);

    /* What is gone takes its rows with it; its runs and ORT's allocations were. */
    const uint64_t allocations = s.ort_allocations;
    assert_int_equal(ortp_predictor_destroy(w.predictor, NULL), ORTP_OK);
    s = collect(&w);
    assert_int_equal(s.groups, ALL_GROUPS & ~(unsigned)ORTP_STATS_PREDICTOR);
    assert_int_equal(s.predictions, 0);
    assert_int_equal(s.encoder_runs, 1);
    assert_int_equal(s.runs, runs);
    assert_int_equal(s.ort_allocations, allocations);
    assert_int_equal(ortp_model_destroy(w.model, NULL), ORTP_OK);
    assert_int_equal(ortp_cache_destroy(w.cache, NULL), ORTP_OK);
    s = collect(&w);
    assert_int_equal(s.groups, ORTP_STATS_RUNTIME);
    assert_int_equal(s.runs, runs);
    assert_int_equal(s.declared, 0);
    check_tensors(&w);
    close_world(&w);
}

/* A predictor that cannot go yet has its rows; a model that could not be made has left none. */
static void refusals_and_failures(void **state)
{
    (void)state;
    world w;
    open_world(&w);
    ortp_model_options bad = ORTP_MODEL_OPTIONS_INIT;
    bad.runtime = w.runtimes[0];
    bad.tensors = w.tensors[0];
    bad.directory = "no such folder";
    assert_int_not_equal(ortp_model_create(&bad, &w.model, NULL), ORTP_OK);
    assert_int_equal(collect(&w).groups, ORTP_STATS_RUNTIME);

    open_predictor(&w, &w.predictor);
    predict(w.predictor, 0);
    ortp_decoder_options options = ORTP_DECODER_OPTIONS_INIT;
    options.model = ortp_predictor_model(w.predictor);
    options.tensors = w.tensors[1];
    ortp_decoder *decoder = NULL;
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(ortp_decoder_create(&options, &decoder, &error), error);
    assert_int_equal(ortp_predictor_destroy(w.predictor, NULL), ORTP_E_BUSY);
    assert_int_equal(collect(&w).groups, ALL_GROUPS);
    assert_int_equal(collect(&w).predictions, 1);
    assert_int_equal(ortp_decoder_destroy(decoder, NULL), ORTP_OK);
    assert_int_equal(ortp_predictor_destroy(w.predictor, NULL), ORTP_OK);
    close_world(&w);
}

#define ROUNDS 60
#define COLLECTORS 2

typedef struct job {
    world *w;
    atomic_bool *done;
    size_t collections;
    const char *failure;
} job;

static void *collect_on(void *ctx)
{
    job *j = ctx;
    while (!atomic_load(j->done)) {
        ortp_stats s = ORTP_STATS_INIT;
        const ortp_status status = j->collections % 2 == 0
                                       ? ortp_stats_collect_budget(j->w->budget, &s)
                                       : ortp_stats_collect(j->w->runtimes[0], &s);
        if (status != ORTP_OK) {
            j->failure = "refused";
        } else if ((s.groups & ORTP_STATS_RUNTIME) == 0) {
            j->failure = "a runtime was left out";
        } else if (s.predictions < 1 || s.charged > s.charged_peak || s.mapped > s.charged) {
            j->failure = "figures that cannot be";
        }
        j->collections++;
    }
    return NULL;
}

static void *predict_on(void *ctx)
{
    job *j = ctx;
    while (!atomic_load(j->done)) {
        ortp_prediction out = ORTP_PREDICTION_INIT;
        if (ortp_predictor_predict(j->w->predictor, &rows.rows[j->collections++ % rows.count].swipe,
                                   NULL, &out, NULL) != ORTP_OK) {
            j->failure = "a prediction failed";
        }
    }
    return NULL;
}

static void collecting_while_others_come_and_go(void **state)
{
    (void)state;
    world w;
    open_world(&w);
    open_predictor(&w, &w.predictor); /* predicts all the time */
    predict(w.predictor, 0);
    atomic_bool done = false;
    job jobs[COLLECTORS + 1];
    pthread_t threads[COLLECTORS + 1];
    for (size_t i = 0; i <= COLLECTORS; i++) {
        jobs[i] = (job){.w = &w, .done = &done};
        assert_int_equal(pthread_create(&threads[i], NULL, i < COLLECTORS ? collect_on : predict_on,
                                        &jobs[i]),
                         0);
    }
    for (size_t round = 0; round < ROUNDS; round++) {
        ortp_pool *pool;
        open_pool(&w, round % 2 == 0 ? ORTP_POOL_THREAD_CACHED : ORTP_POOL_STRIPED, &pool);
        ortp_block *block;
        assert_int_equal(ortp_pool_acquire(pool, 1000 * (round + 1), ORTP_LABEL_RUN, &block),
                         ORTP_OK);
        assert_int_equal(ortp_block_release(block), ORTP_OK);
        open_cache(&w, &w.cache);
        ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
        options.budget = w.budget;
        ortp_runtime *runtime = test_runtime_create(&options);
        ortp_tensor_pool *tensors;
        open_tensors(runtime, &tensors);
        ortp_tensor *tensor = acquire(tensors, ORTP_LABEL_TENSORS);
        assert_int_equal(ortp_tensor_release(tensor), ORTP_OK);
        if (round % 4 == 0) {
            open_model(&w, &w.model);
            ortp_predictor *predictor;
            open_predictor(&w, &predictor);
            predict(predictor, round % rows.count);
            assert_int_equal(ortp_predictor_destroy(predictor, NULL), ORTP_OK);
            assert_int_equal(ortp_model_destroy(w.model, NULL), ORTP_OK);
        }
        assert_int_equal(ortp_pool_destroy(pool, NULL), ORTP_OK);
        assert_int_equal(ortp_tensor_pool_destroy(tensors, NULL), ORTP_OK);
        test_runtime_destroy(runtime);
        assert_int_equal(ortp_cache_destroy(w.cache, NULL), ORTP_OK);
    }
    atomic_store(&done, true);
    for (size_t i = 0; i <= COLLECTORS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        if (jobs[i].failure != NULL) {
            fail_msg("%s", jobs[i].failure);
        }
        assert_true(jobs[i].collections > 0);
    }
    const ortp_stats s = collect(&w);
    assert_int_equal(s.predictions, 1 + jobs[COLLECTORS].collections);
    assert_int_equal(ortp_predictor_destroy(w.predictor, NULL), ORTP_OK);
    close_world(&w);
}

int main(void)
{
    if (!test_ort_found()) {
        return TEST_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_object),
        cmocka_unit_test(refusals_and_failures),
        cmocka_unit_test(collecting_while_others_come_and_go),
    };
    return cmocka_run_group_tests(tests, read_rows, free_rows);
}
