/* SPDX-License-Identifier: MIT */
/* Manifests that the predictor refuses, one of them only because it changes while it is read. */
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define FOLDER "creation_model"

/* The tiny model's manifest with one piece of text in place of another; free() it. */
static char *manifest_with(const char *from, const char *to)
{
    size_t bytes = 0;
    char *text = test_read_file(test_file(TINY "/model.json"), &bytes);
    char *made = calloc(bytes + strlen(to) + 1, 1);
    assert_non_null(made);
    size_t before = bytes;
    for (size_t i = 0; i + strlen(from) <= bytes && before == bytes; i++) {
        before = memcmp(text + i, from, strlen(from)) == 0 ? i : bytes;
    }
    assert_true(before < bytes);
    memcpy(made, text, before);
    memcpy(made + before, to, strlen(to));
    memcpy(made + before + strlen(to), text + before + strlen(from), bytes - before - strlen(from));
    free(text);
    return made;
}

static void put(const char *name, const void *data, size_t bytes)
{
    char path[128];
    (void)snprintf(path, sizeof path, FOLDER "/%s", name);
    test_write_file(path, data, bytes);
}

static int copy_model(void **state)
{
    (void)state;
    (void)mkdir(FOLDER, 0755);
    const char *names[] = {"encoder.onnx", "decoder.onnx", "lexicon.tsv"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, TINY "/%s", names[i]);
        size_t bytes = 0;
        void *data = test_read_file(test_file(path), &bytes);
        put(names[i], data, bytes);
        free(data);
    }
    return 0;
}

/* An allocator that replaces the manifest at its nth call: between any two steps of creation. */
typedef struct replacing {
    counting_alloc counting;
    ortp_alloc inner;
    uint64_t at;
    const char *manifest;
} replacing;

static void *replacing_alloc(void *ctx, size_t bytes)
{
    replacing *r = ctx;
    if (atomic_load(&r->counting.calls) + 1 == r->at) {
        put("model.json", r->manifest, strlen(r->manifest));
    }
    return r->inner.alloc(r->inner.ctx, bytes);
}

static void replacing_free(void *ctx, void *ptr, size_t bytes)
{
    const replacing *r = ctx;
    r->inner.free(r->inner.ctx, ptr, bytes);
}

/* A predictor over FOLDER; *predictor NULL where it was refused. */
static ortp_runtime *open_folder(replacing *r, ortp_predictor **predictor, ortp_error *error)
{
    r->inner = counting_alloc_use(&r->counting);
    ortp_runtime_options runtime = ORTP_RUNTIME_OPTIONS_INIT;
    runtime.alloc = (ortp_alloc){.alloc = replacing_alloc, .free = replacing_free, .ctx = r};
    ortp_runtime *made = test_runtime_create(&runtime);
    ortp_predictor_options options = ORTP_PREDICTOR_OPTIONS_INIT;
    options.runtime = made;
    options.model_directory = FOLDER;
    const ortp_status status = ortp_predictor_create(&options, predictor, error);
    assert_int_equal(status == ORTP_OK, *predictor != NULL);
    return made;
}

static void close_folder(replacing *r, ortp_runtime *runtime, ortp_predictor *predictor)
{
    assert_int_equal(ortp_predictor_destroy(predictor, NULL), ORTP_OK);
    test_runtime_destroy(runtime);
    counting_alloc_assert_empty(&r->counting);
}

/* The longest swipe there is: rows up to max_points are written, and padded to the last bucket. */
static ortp_status predict_longest(ortp_predictor *predictor)
{
    double x[150];
    double t[150];
    for (size_t i = 0; i < 150; i++) {
        x[i] = (double)i / 150.0;
        t[i] = (double)i * 10.0;
    }
    const ortp_swipe swipe = {.x = x, .y = x, .t = t, .count = 150, .width = 1.0, .height = 1.0};
    ortp_prediction out = ORTP_PREDICTION_INIT;
    return ortp_predictor_predict(predictor, &swipe, NULL, &out, NULL);
}

/* `first` at the start, `then` from the nth allocation on; every creation predicts or is refused. */
static void replaced(const char *first, const char *then)
{
    size_t refused = 0;
    size_t created = 0;
    bool reached = true;
    for (uint64_t nth = 1; nth < 500 && reached; nth++) {
        put("model.json", first, strlen(first));
        replacing r = {.at = nth, .manifest = then};
        ortp_predictor *predictor = NULL;
        ortp_error error = ORTP_ERROR_INIT;
        ortp_runtime *runtime = open_folder(&r, &predictor, &error);
        reached = atomic_load(&r.counting.calls) >= nth;
        if (predictor != NULL) {
            assert_int_equal(predict_longest(predictor), ORTP_OK);
            created++;
        } else {
            assert_int_equal(error.status, ORTP_E_INVAL);
            assert_string_equal(error.message,
                                FOLDER "/model.json: changed while it was being loaded");
            refused++;
        }
        close_folder(&r, runtime, predictor);
    }
    assert_false(reached);
    assert_true(refused > 0);
    assert_true(created > 1);
}

static void manifest_replaced(void **state)
{
    (void)state;
    char *whole = manifest_with("\"name\": \"tiny\"", "\"name\": \"tiny\"");
    char *points = manifest_with("\"max_points\": 150", "\"max_points\": 64");
    put("model.json", points, strlen(points));
    char *at = strstr(points, "[32, 64, 96, 150]");
    assert_non_null(at);
    memcpy(at, "[32, 64]         ", 17);
    replaced(points, whole);
    replaced(whole, points);
    free(points);
    free(whole);
}

static void refused_with(const char *from, const char *to, const char *message)
{
    char *manifest = manifest_with(from, to);
    put("model.json", manifest, strlen(manifest));
    free(manifest);
    replacing r = {.at = 0};
    ortp_predictor *predictor = NULL;
    ortp_error error = ORTP_ERROR_INIT;
    ortp_runtime *runtime = open_folder(&r, &predictor, &error);
    assert_null(predictor);
    assert_int_equal(error.status, ORTP_E_INVAL);
    assert_string_equal(error.message, message);
    close_folder(&r, runtime, predictor);
}

/* 26 letters from first_letter on: none of them may be a token with another meaning. */
static void letters_that_are_taken(void **state)
{
    (void)state;
    refused_with("\"first_letter\": 4", "\"first_letter\": 3",
                 FOLDER "/model.json: tokens.first_letter: 3, expected 26 tokens from it on "
                        "without tokens.eos, 3");
    refused_with("\"eos\": 3", "\"eos\": 29",
                 FOLDER "/model.json: tokens.first_letter: 4, expected 26 tokens from it on "
                        "without tokens.eos, 29");
    refused_with("\"pad\": 0", "\"pad\": 4",
                 FOLDER "/model.json: tokens.first_letter: 4, expected 26 tokens from it on "
                        "without tokens.pad, 4");
    refused_with("\"first_letter\": 4", "\"first_letter\": 5",
                 FOLDER "/model.json: tokens.first_letter: expected an integer from 0 to 4");
}

int main(void)
{
    if (!test_ort_found()) {
        return TEST_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(manifest_replaced),
        cmocka_unit_test(letters_that_are_taken),
    };
    return cmocka_run_group_tests(tests, copy_model, NULL);
}
