/* SPDX-License-Identifier: MIT */
/*
 * Recorded swipes, where the project's data lies beside the checkout (or in ORTPOOL_SHARED): all paths
 * give the same words, also on several threads, after trims and after evictions, and the words are right as
 * often as they should be. Skips without the data. ORTPOOL_VALIDATION_ROWS: how many, "3533" for all.
 */
#include "tally.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define ROWS_DEFAULT 300
#define THREADS_MOST 4
#define CONVERTED "validation_rows.jsonl"

static bool exists(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file != NULL) {
        (void)fclose(file);
    }
    return file != NULL;
}

/* Converts the first rows into the test's folder; false: no data, or nothing to convert it with. */
static bool convert(size_t count)
{
    const char *named = getenv("ORTPOOL_SHARED");
    const char *folder = named != NULL && named[0] != '\0' ? named : SHARED_FOLDER;
    char data[4096];
    char command[16384];
    (void)snprintf(data, sizeof data, "%s/data/hws_val.jsonl.gz", folder);
    if (!exists(data)) {
        (void)fprintf(stderr, "skipped: no %s\n", data);
        return false;
    }
    (void)snprintf(command, sizeof command, "'%s' '%s' --limit %zu '%s' %s", PYTHON, CONVERTER,
                   count, data, CONVERTED);
    if (system(command) != 0) {
        (void)fprintf(stderr, "skipped: %s failed\n", command);
        return false;
    }
    return true;
}

/* What the batched path says of each row, which the others are held against. */
static ortp_prediction *expected;
static swipe_rows rows;

static void *room_for(size_t count, size_t bytes)
{
    void *room = calloc(count, bytes);
    assert_non_null(room);
    return room;
}

/* Part of the rows of one thread, with trims and evictions between them where `harried`. */
typedef struct worker {
    rig *rig;
    size_t first, step;
    bool harried;
    size_t different, hits;
    tally tally;
} worker;

static void *work(void *ctx)
{
    worker *w = ctx;
    for (size_t i = w->first; i < rows.count; i += w->step) {
        if (w->harried && i % 7 == w->first % 7) {
            (void)ortp_predictor_trim(w->rig->predictor, 0, i % 2 == 0, NULL);
        }
        ortp_prediction got = ORTP_PREDICTION_INIT;
        for (size_t again = 0; again < (w->harried ? 2 : 1);
             again++) { /* the second from the cache */
            got = rig_predict(w->rig, &rows.rows[i], 3);
            w->hits += got.cache_hit ? 1 : 0;
            if (!same_but_ties(&expected[i], &got, 1e-3)) {
                print_error("row %zu, %s: the paths disagree\n", i, rows.rows[i].word);
                w->different++;
            }
        }
        tally_add(&w->tally, &rows.rows[i], &got);
    }
    return NULL;
}

static void agree(ortp_path path, const char *name, size_t threads, bool harried)
{
    rig r;
    const rig_options options = {
        .model = SWIPE_EN,
        .predictor = {.path = path, .threads = (uint32_t)threads, .cache_off = !harried}};
    rig_open(&r, &options);
    worker workers[THREADS_MOST];
    pthread_t ids[THREADS_MOST];
    for (size_t i = 0; i < threads; i++) {
        workers[i] = (worker){.rig = &r, .first = i, .step = threads, .harried = harried};
        assert_int_equal(pthread_create(&ids[i], NULL, work, &workers[i]), 0);
    }
    size_t different = 0;
    size_t hits = 0;
    for (size_t i = 0; i < threads; i++) {
        assert_int_equal(pthread_join(ids[i], NULL), 0);
        different += workers[i].different;
        hits += workers[i].hits;
        tally_print(&workers[i].tally, name);
    }
    assert_int_equal(different, 0);
    assert_true(harried ? hits > rows.count / 4 : hits == 0);
    rig_close(&r);
}

static void batched_is_as_good_as_it_should_be(void **state)
{
    (void)state;
    rig r;
    const rig_options options = {.model = SWIPE_EN,
                                 .predictor = {.path = ORTP_PATH_BATCHED, .cache_off = true}};
    rig_open(&r, &options);
    tally sum = {0};
    for (size_t i = 0; i < rows.count; i++) {
        expected[i] = rig_predict(&r, &rows.rows[i], 3);
        tally_add(&sum, &rows.rows[i], &expected[i]);
    }
    tally_print(&sum, "batched");
    /* 86 % of all 3,533 rows; the first ones are of a few users, who differ among themselves. */
    assert_true(sum.top1 * 100 >= 80 * rows.count);
    rig_close(&r);
}

static void sequential_agrees(void **state)
{
    (void)state;
    if (rows.count > ROWS_DEFAULT) {
        skip(); /* it takes an hour for all of them */
    }
    agree(ORTP_PATH_SEQUENTIAL, "sequential", 1, false);
}

/* ONNX Runtime before 1.21 has no kernel for the step. */
static void skip_without_step(void)
{
    if (test_ort_library()->api_version < 21) {
        skip();
    }
}

static void incremental_agrees(void **state)
{
    (void)state;
    skip_without_step();
    for (size_t threads = 1; threads <= THREADS_MOST; threads *= 2) {
        agree(ORTP_PATH_INCREMENTAL, "incremental", threads, false);
    }
}

static void incremental_agrees_after_trims_and_evictions(void **state)
{
    (void)state;
    skip_without_step();
    for (size_t threads = 1; threads <= THREADS_MOST; threads *= 2) {
        agree(ORTP_PATH_INCREMENTAL, "incremental, trimmed", threads, true);
    }
}

int main(void)
{
    const char *wanted = getenv("ORTPOOL_VALIDATION_ROWS");
    const size_t count = wanted != NULL ? (size_t)atol(wanted) : ROWS_DEFAULT;
    if (!test_ort_found() || !convert(count)) {
        return TEST_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batched_is_as_good_as_it_should_be),
        cmocka_unit_test(sequential_agrees),
        cmocka_unit_test(incremental_agrees),
        cmocka_unit_test(incremental_agrees_after_trims_and_evictions),
    };
    rows = swipe_rows_read(CONVERTED, SIZE_MAX);
    expected = room_for(rows.count, sizeof *expected);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(expected);
    swipe_rows_free(&rows);
    return failed;
}
