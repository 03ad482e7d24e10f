/* SPDX-License-Identifier: MIT */
/*
 * Swipes from JSON Lines, {"id","word","x":[],"y":[],"t":[],"keyboard":{"width","height"}}, for tests.
 */
#ifndef TEST_SWIPE_ROWS_H
#define TEST_SWIPE_ROWS_H

#include <ortpool/swipe_features.h>

#include <jansson.h>

typedef struct swipe_row {
    ortp_swipe swipe;
    const char *word; /* owned by json */
    json_t *json;
    double *values; /* behind swipe.x, y and t */
} swipe_row;

typedef struct swipe_rows {
    swipe_row *rows;
    size_t count;
} swipe_rows;

/* cmocka: at most `most` rows of a file that must be good. */
swipe_rows swipe_rows_read(const char *path, size_t most);
void swipe_rows_free(swipe_rows *rows);

#endif
