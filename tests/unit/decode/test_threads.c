/* SPDX-License-Identifier: MIT */
/* Several threads on one model, each with a decoder: the results of one thread. */
#include <pthread.h>
#include <stdio.h>

#include "fixture.h"

#define THREADS 4u
#define ROUNDS 12u
#define RESULTS 16u

typedef struct worker {
    pthread_t thread;
    const fixture *f;
    ortp_tensor *shared; /* an encoder output that all read */
    size_t shared_length;
    size_t turn;
    ortp_status status;
    ortp_error error;
    ortp_hypothesis results[RESULTS];
    size_t count;
} worker;

static ortp_status search_once(worker *w, ortp_decoder *decoder, ortp_tensor *memory, size_t length,
                               ortp_path path)
{
    ortp_search_params params = ORTP_SEARCH_PARAMS_INIT;
    params.path = path;
    return ortp_decoder_search(decoder, memory, length, &params, NULL, w->results, RESULTS,
                               &w->count, &w->error);
}

/* Own encoder runs between searches of the shared memory; the last search is the compared one. */
static void *work(void *arg)
{
    worker *w = arg;
    ortp_decoder *decoder = NULL;
    w->status = ortp_decoder_create(
        &(const ortp_decoder_options){.struct_size = sizeof(ortp_decoder_options),
                                      .model = w->f->model,
                                      .tensors = w->f->tensors},
        &decoder, &w->error);
    float features[64 * 6] = {0};
    int32_t keys[64] = {0};
    for (size_t i = 0; i < ROUNDS && w->status == ORTP_OK; i++) {
        const bool step = ortp_model_path(w->f->model) == ORTP_PATH_INCREMENTAL;
        const ortp_path path = step                     ? ORTP_PATH_INCREMENTAL
                               : (i + w->turn) % 2 == 0 ? ORTP_PATH_BATCHED
                                                        : ORTP_PATH_SEQUENTIAL;
        const size_t length = 1 + (i * 13 + w->turn * 7) % 64;
        const ortp_encoder_input input = {features, keys, length};
        ortp_tensor *memory = NULL;
        w->status = ortp_model_encode(w->f->model, &input, &memory, &w->error);
        if (w->status == ORTP_OK) {
            w->status = search_once(w, decoder, memory, length, path);
        }
        (void)ortp_tensor_release(memory);
        if (w->status == ORTP_OK) {
            w->status = search_once(w, decoder, w->shared, w->shared_length, path);
        }
    }
    ortp_decoder_destroy(decoder, NULL);
    return NULL;
}

static void threads_equal_one_thread(void **state)
{
    (void)state;
    static const char *const models[] = {TINY, MASK, STEP};
    for (size_t model = 0; model < 3; model++) {
        char file[100];
        fixture f;
        fixture_open_on(&f, models[model], ORTP_PATH_AUTO);
        (void)snprintf(file, sizeof file, "%s/expected.json", model < 2 ? models[model] : TINY);
        json_t *expected = load_json(file);
        ortp_tensor *memory = encode(&f, expected);
        const size_t length = (size_t)json_integer_value(json_object_get(expected, "length"));
        json_decref(expected);
        worker *workers = calloc(THREADS + 1, sizeof *workers);
        assert_non_null(workers);
        for (size_t i = 0; i <= THREADS; i++) {
            workers[i] = (worker){.f = &f,
                                  .shared = memory,
                                  .shared_length = length,
                                  .turn = i,
                                  .error = ORTP_ERROR_INIT,
                                  .results = {ORTP_HYPOTHESIS_INIT}};
        }
        (void)work(&workers[THREADS]);
        for (size_t i = 0; i < THREADS; i++) {
            assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
        }
        for (size_t i = 0; i < THREADS; i++) {
            assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
        }
        for (size_t i = 0; i <= THREADS; i++) {
            assert_ok(workers[i].status, workers[i].error);
            assert_true(workers[i].count > 0);
            assert_same_results(workers[i].results, workers[i].count, workers[THREADS].results,
                                workers[THREADS].count, 1e-4);
        }
        free(workers);
        assert_int_equal(ortp_tensor_release(memory), ORTP_OK);
        fixture_close(&f);
    }
}

int main(void)
{
    if (!test_ort_found()) {
        return TEST_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_equal_one_thread),
    };
    return cmocka_run_group_tests_name("decode threads", tests, NULL, NULL);
}
