/* SPDX-License-Identifier: MIT */
/* Reads the bundled swipes: JSON Lines, one swipe a line, as the command takes them. */
#include "seed.h"

#include <jansson.h>

#include <stdlib.h>
#include <string.h>

#define SAMPLES_MAX 256

static bool read_numbers(const json_t *array, size_t count, double *out)
{
    if (!json_is_array(array) || json_array_size(array) != count) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(array, i);
        if (!json_is_number(item)) {
            return false;
        }
        out[i] = json_number_value(item);
    }
    return true;
}

static bool read_swipe(const json_t *row, seed_sample *out)
{
    const json_t *keyboard = json_object_get(row, "keyboard");
    const char *word = json_string_value(json_object_get(row, "word"));
    size_t count = json_array_size(json_object_get(row, "x"));
    double *numbers = calloc(3 * count + 1, sizeof(*numbers));
    if (!numbers || !word || strlen(word) >= sizeof(out->word) || count == 0 ||
        !read_numbers(json_object_get(row, "x"), count, numbers) ||
        !read_numbers(json_object_get(row, "y"), count, numbers + count) ||
        !read_numbers(json_object_get(row, "t"), count, numbers + 2 * count)) {
        free(numbers);
        return false;
    }
    memcpy(out->word, word, strlen(word) + 1);
    out->swipe = (ortp_swipe){
        .x = numbers,
        .y = numbers + count,
        .t = numbers + 2 * count,
        .count = count,
        .width = json_number_value(json_object_get(keyboard, "width")),
        .height = json_number_value(json_object_get(keyboard, "height")),
    };
    out->numbers = numbers;
    return true;
}

bool seed_samples_load(seed_samples *out)
{
    *out = (seed_samples){calloc(SAMPLES_MAX, sizeof(*out->items)), 0};
    FILE *file = fopen(SEED_SAMPLES, "r");
    bool ok = file && out->items;
    while (ok && out->count < SAMPLES_MAX) {
        json_error_t error;
        json_t *row = json_loadf(file, JSON_DISABLE_EOF_CHECK, &error);
        if (!row) {
            ok = feof(file) != 0; /* nothing but white space was left */
            break;
        }
        ok = read_swipe(row, &out->items[out->count]);
        out->count += ok;
        json_decref(row);
    }
    if (file) {
        fclose(file);
    }
    if (!ok || out->count < 10) {
        printf("  the sample swipes cannot be read: %zu were\n", out->count);
        seed_samples_free(out);
        return false;
    }
    return true;
}

void seed_samples_free(seed_samples *samples)
{
    for (size_t i = 0; i < samples->count; i++) {
        free(samples->items[i].numbers);
    }
    free(samples->items);
    *samples = (seed_samples){NULL, 0};
}
