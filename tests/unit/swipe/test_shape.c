/* SPDX-License-Identifier: MIT */
/* Shapes: distances that are known by hand. */
#include "test_ort.h"

#include <ortpool/swipe_shape.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define POINTS 6
#define ROW (1.0 / 6.0) /* y of the first row */

static ortp_swipe_config config = ORTP_SWIPE_CONFIG_INIT;
static float features[POINTS * ORTP_SWIPE_FEATURES];

static int load_config(void **state)
{
    (void)state;
    return ortp_swipe_config_load(test_file("models/swipe-en"), &config, NULL) == ORTP_OK ? 0 : -1;
}

/* Writes a path through points of the letter area to `features`. */
static size_t path_of(const double (*corners)[2], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        features[i * ORTP_SWIPE_FEATURES] = (float)(2.0 * corners[i][0] - 1.0);
        features[i * ORTP_SWIPE_FEATURES + 1] = (float)(2.0 * corners[i][1] - 1.0);
    }
    return count;
}

static double distance_to(const double (*corners)[2], size_t count, const char *word)
{
    ortp_swipe_shape shape = ORTP_SWIPE_SHAPE_INIT;
    ortp_swipe_shape_of(&config, features, path_of(corners, count), &shape);
    return ortp_swipe_shape_distance(&config, &shape, word);
}

static void words(void **state)
{
    (void)state;
    /* q and p are nine keys apart, on one row. */
    const double straight[][2] = {{0.05, ROW}, {0.95, ROW}};
    const double rested[][2] = {{0.05, ROW},   {0.05, ROW}, {0.32, ROW},
                                {0.3201, ROW}, {0.95, ROW}, {0.95, ROW}};
    const double lower[][2] = {{0.05, ROW + 1.0 / 3.0}, {0.95, ROW + 1.0 / 3.0}}; /* a row */
    const double back[][2] = {{0.95, ROW}, {0.05, ROW}};
    const double there_and_back[][2] = {{0.05, ROW}, {0.95, ROW}, {0.05, ROW}};
    const double still[][2] = {{0.05, ROW}, {0.05, ROW}};
    assert_true(distance_to(straight, 2, "qp") < 1e-6);
    assert_true(distance_to(straight, 2, "qqpp") < 1e-6); /* a key again is no way */
    assert_true(distance_to(straight, 2, "qwertyuiop") < 1e-6);
    assert_true(distance_to(rested, 6, "qp") < 1e-6); /* nor does time count */
    assert_true(fabs(distance_to(lower, 2, "qp") - 1.0) < 1e-6);
    /* From end to end 9 - 18 i / 47, of either sign: the mean is 9 * 24 / 47. */
    assert_true(fabs(distance_to(back, 2, "qp") - 9.0 * 24.0 / 47.0) < 1e-6);
    assert_true(distance_to(there_and_back, 3, "qpq") < 1e-6);
    assert_true(distance_to(there_and_back, 3, "qp") > 2.0);
    /* A word of one key, and a swipe that stays: the mean of 9 i / 47. */
    assert_true(distance_to(still, 2, "q") < 1e-6);
    assert_true(fabs(distance_to(straight, 2, "q") - 4.5) < 1e-6);
    assert_true(fabs(distance_to(still, 1, "qp") - 4.5) < 1e-6);
    assert_true(distance_to(straight, 2, "") == 0.0);
}

/* Keys that a layout lacks are passed over. */
static void keys_that_are_missing(void **state)
{
    (void)state;
    const double straight[][2] = {{0.05, ROW}, {0.95, ROW}};
    ortp_swipe_config less = config; /* q alone */
    ortp_swipe_shape shape = ORTP_SWIPE_SHAPE_INIT;
    less.layout.keys[0].letter = 'q';
    less.layout.keys[0].x = 0.05;
    less.layout.keys[0].y = ROW;
    less.layout.key_count = 1;
    ortp_swipe_shape_of(&less, features, path_of(straight, 2), &shape);
    assert_true(fabs(ortp_swipe_shape_distance(&less, &shape, "qp") - 4.5) < 1e-6);
    assert_true(ortp_swipe_shape_distance(&less, &shape, "xp") == 0.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words),
        cmocka_unit_test(keys_that_are_missing),
    };
    return cmocka_run_group_tests(tests, load_config, NULL);
}
