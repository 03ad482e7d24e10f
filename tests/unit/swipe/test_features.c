/* SPDX-License-Identifier: MIT */
/* Features: the golden cases, and the edges of what is accepted. */
#include "swipe_rows.h"
#include "test_ort.h"

#include <ortpool/swipe_features.h>

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROWS 150

static ortp_swipe_config config = ORTP_SWIPE_CONFIG_INIT;
static float features[ROWS * ORTP_SWIPE_FEATURES + 1];
static int32_t keys[ROWS + 1];

static int load_config(void **state)
{
    (void)state;
    return ortp_swipe_config_load(test_file("models/swipe-en"), &config, NULL) == ORTP_OK ? 0 : -1;
}

static void compare_case(const swipe_row *row)
{
    size_t length = 0;
    assert_int_equal(ortp_swipe_features(&config, &row->swipe, features, keys, &length, NULL),
                     ORTP_OK);
    assert_int_equal(length, json_integer_value(json_object_get(row->json, "length")));
    const json_t *rows = json_object_get(row->json, "features");
    const json_t *nearest = json_object_get(row->json, "nearest_keys");
    for (size_t i = 0; i < length; i++) {
        const json_t *values = json_array_get(rows, i);
        for (size_t k = 0; k < ORTP_SWIPE_FEATURES; k++) {
            const double expected = json_number_value(json_array_get(values, k));
            const double got = (double)features[i * ORTP_SWIPE_FEATURES + k];
            if (!(fabs(got - expected) <= 1e-4 * fmax(1.0, fabs(expected)))) {
                fail_msg("%s: point %zu, feature %zu: %.9g, expected %.9g", row->word, i, k, got,
                         expected);
            }
        }
        assert_int_equal(keys[i], json_integer_value(json_array_get(nearest, i)));
    }
}

static void golden(void **state)
{
    (void)state;
    swipe_rows rows = swipe_rows_read(test_file("tests/data/golden.jsonl"), SIZE_MAX);
    bool resampled = false;
    for (size_t i = 0; i < rows.count; i++) {
        compare_case(&rows.rows[i]);
        resampled = resampled || rows.rows[i].swipe.count == 240;
    }
    assert_int_equal(rows.count, 8);
    assert_true(resampled);
    swipe_rows_free(&rows);
}

static ortp_status compute(const double *x, const double *y, const double *t, size_t count,
                           size_t *length, ortp_error *error)
{
    const ortp_swipe swipe = {.x = x, .y = y, .t = t, .count = count, .width = 100, .height = 30};
    *error = (ortp_error)ORTP_ERROR_INIT;
    return ortp_swipe_features(&config, &swipe, features, keys, length, error);
}

static void assert_row(size_t row, double px, double py, double vx, double vy, double ax, double ay)
{
    const double expected[] = {px, py, vx, vy, ax, ay};
    for (size_t k = 0; k < ORTP_SWIPE_FEATURES; k++) {
        assert_true(fabs((double)features[row * ORTP_SWIPE_FEATURES + k] - expected[k]) < 1e-6);
    }
}

static void one_point(void **state)
{
    (void)state;
    size_t length = 0;
    ortp_error error = ORTP_ERROR_INIT;
    assert_int_equal(compute((double[]){5}, (double[]){5}, (double[]){7}, 1, &length, &error),
                     ORTP_OK);
    assert_int_equal(length, 1);
    assert_row(0, -0.9, -2.0 / 3, 0, 0, 0, 0);
    assert_int_equal(keys[0], 4 + 'q' - 'a');
}

/* By hand: v = dn / dt, a from the unclamped v, both clamped to 10 and divided by 3. */
static void velocities(void **state)
{
    (void)state;
    const double x[] = {50, 51, 51, 71};
    const double y[] = {15, 15, 15, 12};
    const double t[] = {0, 10, 10, 12}; /* the last two steps are shorter than 4 ms */
    size_t length = 0;
    ortp_error error = ORTP_ERROR_INIT;
    assert_int_equal(compute(x, y, t, 4, &length, &error), ORTP_OK);
    assert_row(0, 0.0, 0.0, 0, 0, 0, 0);
    assert_row(1, 0.02, 0.0, 1.0 / 3, 0, 1.0 / 3, 0);
    assert_row(2, 0.02, 0.0, 0, 0, -1.0 / 3, 0);
    assert_row(3, 0.42, -0.2, 10.0 / 3, -10.0 / 3, 10.0 / 3, -10.0 / 3); /* v = 50, -25 */
    /* and the way back: v is clamped for itself, a = v - 50 is too */
    const double back_x[] = {50, 70, 70.4};
    const double back_t[] = {0, 4, 8};
    assert_int_equal(compute(back_x, y, back_t, 3, &length, &error), ORTP_OK);
    assert_row(2, 0.408, 0.0, 1.0 / 3, 0, -10.0 / 3, 0);
}

static void outside_and_ties(void **state)
{
    (void)state;
    const double x[] = {-500, 5e7, 50};
    const double y[] = {-40, 1e6, 10};
    const double t[] = {0, 1e300, DBL_MAX};
    size_t length = 0;
    ortp_error error = ORTP_ERROR_INIT;
    assert_int_equal(compute(x, y, t, 3, &length, &error), ORTP_OK);
    assert_int_equal(keys[0], 4 + 'q' - 'a');
    assert_int_equal(keys[1], 4 + 'p' - 'a'); /* far right, hardly below */
    for (size_t i = 0; i < 3 * ORTP_SWIPE_FEATURES; i++) {
        assert_true(isfinite(features[i]));
    }
    /* Exactly midway between two keys the first of the alphabet wins: here the second of the row. */
    ortp_swipe_config four = config;
    four.layout = (ortp_layout){.rows = 1, .columns = 4, .key_count = 4};
    for (size_t i = 0; i < 4; i++) {
        four.layout.keys[i].letter = (char)('w' + i);
        four.layout.keys[i].x = 0.875 - 0.25 * (double)i;
        four.layout.keys[i].y = 0.5;
    }
    const double mid_x[] = {25, 50, 75};
    const double mid_y[] = {15, 15, 15};
    const ortp_swipe mid = {
        .x = mid_x, .y = mid_y, .t = mid_y, .count = 3, .width = 100, .height = 30};
    assert_int_equal(ortp_swipe_features(&four, &mid, features, keys, &length, &error), ORTP_OK);
    assert_int_equal(keys[0], 4 + 'y' - 'a');
    assert_int_equal(keys[1], 4 + 'x' - 'a');
    assert_int_equal(keys[2], 4 + 'w' - 'a');
}

/* A straight line at even speed stays one, whatever the number of points; both ends are kept. */
static void resampling(void **state)
{
    (void)state;
    enum { MOST = ORTP_SWIPE_POINTS_MAX };
    double *values = malloc(2 * (size_t)MOST * sizeof *values);
    double *still = calloc(MOST, sizeof *still);
    assert_non_null(values);
    assert_non_null(still);
    const size_t counts[] = {150, 151, 152, 299, 300, 5000, MOST};
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        const size_t n = counts[c];
        for (size_t i = 0; i < n; i++) {
            values[i] = 10.0 + 80.0 * (double)i / (double)(n - 1);
            values[MOST + i] = 1e12 + 1490.0 * (double)i / (double)(n - 1);
        }
        size_t length = 0;
        ortp_error error = ORTP_ERROR_INIT;
        features[ROWS * ORTP_SWIPE_FEATURES] = 123.0f; /* what lies behind is not touched */
        keys[ROWS] = 123;
        assert_int_equal(compute(values, still, values + MOST, n, &length, &error), ORTP_OK);
        assert_int_equal(length, ROWS);
        assert_true(features[ROWS * ORTP_SWIPE_FEATURES] == 123.0f);
        assert_int_equal(keys[ROWS], 123);
        assert_true(fabs((double)features[0] + 0.8) < 1e-6);
        assert_true(fabs((double)features[149 * ORTP_SWIPE_FEATURES] - 0.8) < 1e-6);
        for (size_t i = 1; i < ROWS; i++) {
            const double x = (double)features[i * ORTP_SWIPE_FEATURES];
            assert_true(fabs(x - (-0.8 + 1.6 * (double)i / 149.0)) < 1e-6);
            /* 0.8 widths in 1.49 s; times of 1e12 ms are known to 0.1 ms of the 10 between rows */
            const double v = (double)features[i * ORTP_SWIPE_FEATURES + 2];
            assert_true(fabs(v - 0.8 / 1.49 / 3.0) < 0.01);
        }
    }
    free(values);
    free(still);
}

/* A manifest may allow a single row. */
static void one_row(void **state)
{
    (void)state;
    ortp_swipe_config one = config;
    one.max_points = 1;
    const double x[] = {5, 50, 95};
    const double y[] = {5, 5, 5};
    const double t[] = {0, 1, 2};
    const ortp_swipe swipe = {.x = x, .y = y, .t = t, .count = 3, .width = 100, .height = 30};
    size_t length = 0;
    assert_int_equal(ortp_swipe_features(&one, &swipe, features, keys, &length, NULL), ORTP_OK);
    assert_int_equal(length, 1);
    assert_row(0, -0.9, -2.0 / 3, 0, 0, 0, 0);
}

static void refused(ortp_swipe swipe, const char *message)
{
    size_t length = 7;
    ortp_error error = ORTP_ERROR_INIT;
    assert_int_equal(ortp_swipe_features(&config, &swipe, features, keys, &length, &error),
                     ORTP_E_INVAL);
    assert_int_equal(length, 0);
    if (strstr(error.message, message) == NULL) {
        fail_msg("\"%s\", expected \"%s\"", error.message, message);
    }
}

static void refusals(void **state)
{
    (void)state;
    static const double ok[] = {1, 2, 3};
    static const double nan_second[] = {1, NAN, 3};
    static const double infinite_third[] = {1, 2, INFINITY};
    static const double far_first[] = {1.1e8, 2, 3};
    static const double back[] = {1, 3, 2.9};
    const ortp_swipe good = {.x = ok, .y = ok, .t = ok, .count = 3, .width = 100, .height = 30};
    ortp_swipe bad = good;
    bad.count = 0;
    refused(bad, "no points, expected 1 to 100000");
    bad = good;
    bad.count = ORTP_SWIPE_POINTS_MAX + 1;
    refused(bad, "100001 points, expected at most 100000");
    bad = good;
    bad.y = NULL;
    refused(bad, "x, y and t are required");
    bad = good;
    bad.width = 0;
    refused(bad, "width: 0, expected a number above 0");
    bad.width = NAN;
    refused(bad, "width: nan, expected a number above 0");
    bad = good;
    bad.height = -1;
    refused(bad, "height: -1, expected a number above 0");
    bad.height = INFINITY;
    refused(bad, "height: inf, expected a number above 0");
    bad.height = 5e-324;
    refused(bad, "y[0]: more than a million heights outside");
    bad = good;
    bad.x = nan_second;
    refused(bad, "x[1]: expected a finite number");
    bad = good;
    bad.y = infinite_third;
    refused(bad, "y[2]: expected a finite number");
    bad = good;
    bad.t = nan_second;
    refused(bad, "t[1]: expected a finite number");
    bad = good;
    bad.x = far_first;
    refused(bad, "x[0]: more than a million widths outside");
    bad = good;
    bad.t = back;
    refused(bad, "t[2]: 2.9, earlier than the point before it, expected 3 or later");
    size_t length = 0;
    assert_int_equal(ortp_swipe_features(NULL, &good, features, keys, &length, NULL), ORTP_E_INVAL);
    assert_int_equal(ortp_swipe_features(&config, &good, NULL, keys, &length, NULL), ORTP_E_INVAL);
    assert_int_equal(ortp_swipe_features(&config, &good, features, keys, &length, NULL), ORTP_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden),     cmocka_unit_test(one_point),
        cmocka_unit_test(velocities), cmocka_unit_test(outside_and_ties),
        cmocka_unit_test(resampling), cmocka_unit_test(one_row),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, load_config, NULL);
}
