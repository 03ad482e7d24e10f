/* SPDX-License-Identifier: MIT */
/*
 * Recorded swipes, where the project's data lies beside the checkout (or in ORTPOOL_SHARED): both paths
 * give the same words, and the words are right as often as they should be. Skips without the data.
 */
#include "tally.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define ROWS 500
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
static bool convert(void)
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
    (void)snprintf(command, sizeof command, "'%s' '%s' --limit %d '%s' %s", PYTHON, CONVERTER, ROWS,
                   data, CONVERTED);
    if (system(command) != 0) {
        (void)fprintf(stderr, "skipped: %s failed\n", command);
        return false;
    }
    return true;
}

static void paths_agree(void **state)
{
    (void)state;
    rig batched;
    rig sequential;
    const rig_options b = {.model = SWIPE_EN, .predictor = {.path = ORTP_PATH_BATCHED}};
    const rig_options s = {.model = SWIPE_EN, .predictor = {.path = ORTP_PATH_SEQUENTIAL}};
    rig_open(&batched, &b);
    rig_open(&sequential, &s);
    swipe_rows rows = swipe_rows_read(CONVERTED, SIZE_MAX);
    assert_int_equal(rows.count, ROWS);
    tally tallies[2] = {{0}, {0}};
    size_t different = 0;
    for (size_t i = 0; i < rows.count; i++) {
        const ortp_prediction one = rig_predict(&batched, &rows.rows[i], 3);
        const ortp_prediction two = rig_predict(&sequential, &rows.rows[i], 3);
        if (!same_but_ties(&one, &two, 1e-3)) {
            print_error("row %zu, %s: the paths disagree\n", i, rows.rows[i].word);
            different++;
        }
        tally_add(&tallies[0], &rows.rows[i], &one);
        tally_add(&tallies[1], &rows.rows[i], &two);
    }
    tally_print(&tallies[0], "batched");
    tally_print(&tallies[1], "sequential");
    assert_int_equal(different, 0);
    /* 86 % of all 3,533 rows; these are of a few users, who differ among themselves. */
    assert_true(tallies[0].top1 * 100 >= 78 * rows.count);
    swipe_rows_free(&rows);
    rig_close(&batched);
    rig_close(&sequential);
}

int main(void)
{
    if (!test_ort_found() || !convert()) {
        return TEST_SKIPPED;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(paths_agree)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
