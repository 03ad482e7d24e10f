/* SPDX-License-Identifier: MIT */
/* See swipe_rows.h. */
#include "swipe_rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define LINE_MAX_BYTES ((size_t)1 << 20)

static double *copy_numbers(const json_t *array, double *at)
{
    size_t i = 0;
    const json_t *value = NULL;
    json_array_foreach(array, i, value)
    {
        at[i] = json_number_value(value);
    }
    return at + json_array_size(array);
}

static void parse_row(const char *line, swipe_row *row)
{
    json_error_t problem;
    row->json = json_loads(line, 0, &problem);
    assert_non_null(row->json);
    const json_t *x = json_object_get(row->json, "x");
    const json_t *y = json_object_get(row->json, "y");
    const json_t *t = json_object_get(row->json, "t");
    const json_t *keyboard = json_object_get(row->json, "keyboard");
    const size_t count = json_array_size(x);
    assert_true(count > 0);
    assert_int_equal(json_array_size(y), count);
    assert_int_equal(json_array_size(t), count);
    row->values = malloc(3 * count * sizeof(double));
    assert_non_null(row->values);
    double *const ys = copy_numbers(x, row->values);
    double *const ts = copy_numbers(y, ys);
    (void)copy_numbers(t, ts);
    row->swipe = (ortp_swipe){
        .x = row->values,
        .y = ys,
        .t = ts,
        .count = count,
        .width = json_number_value(json_object_get(keyboard, "width")),
        .height = json_number_value(json_object_get(keyboard, "height")),
    };
    row->word = json_string_value(json_object_get(row->json, "word"));
    assert_non_null(row->word);
}

swipe_rows swipe_rows_read(const char *path, size_t most)
{
    swipe_rows out = {0};
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fail_msg("%s: cannot be opened", path);
        return out; /* not reached */
    }
    char *line = malloc(LINE_MAX_BYTES);
    assert_non_null(line);
    while (out.count < most && fgets(line, (int)LINE_MAX_BYTES, file) != NULL) {
        swipe_row *more = realloc(out.rows, (out.count + 1) * sizeof *more);
        assert_non_null(more);
        out.rows = more;
        out.rows[out.count] = (swipe_row){0};
        parse_row(line, &out.rows[out.count++]);
    }
    free(line);
    (void)fclose(file);
    assert_true(out.count > 0);
    return out;
}

void swipe_rows_free(swipe_rows *rows)
{
    for (size_t i = 0; i < rows->count; i++) {
        json_decref(rows->rows[i].json);
        free(rows->rows[i].values);
    }
    free(rows->rows);
    *rows = (swipe_rows){0};
}
