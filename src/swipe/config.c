/* SPDX-License-Identifier: MIT */
/*
 * Reads what the swipe workload needs from model.json: keyboard layout, feature scaling, the
 * lexicon's name. The model's own part of the file is read by ortp_manifest_create().
 *
 * The keys are kept in the order of the alphabet, whatever the rows say: of two keys equally near,
 * the first one wins, and that must not depend on how a manifest lists them.
 */
#include "internal.h"
#include "json_reader.h"

#include <ortpool/swipe_features.h>

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define LETTERS 26
#define POINTS_MAX 65536
#define TOKENS_MAX 1048576
#define COLUMNS_MAX 64
#define ROWS_MAX 16

/* Where each letter lies; count[letter] is 0 where the layout does not have it. */
typedef struct key_table {
    double x[LETTERS], y[LETTERS];
    bool present[LETTERS];
} key_table;

static void read_row(ortp__json *r, const ortp_layout *layout, size_t row, const json_t *letters,
                     const json_t *offset, key_table *table)
{
    char field[32];
    (void)snprintf(field, sizeof field, "rows[%zu]", row);
    if (!json_is_string(letters) || json_string_length(letters) == 0) {
        ortp__json_expected(r, field, "a string of letters");
        return;
    }
    const double shift = json_is_number(offset) ? json_number_value(offset) : -1.0;
    const double width = (double)json_string_length(letters) + shift;
    if (shift < 0.0 || !(width <= (double)layout->columns)) {
        (void)snprintf(field, sizeof field, "offsets[%zu]", row);
        ortp__json_expected(r, field,
                            "a number of at least 0 that keeps the row within the columns");
        return;
    }
    const char *text = json_string_value(letters);
    for (size_t column = 0; column < json_string_length(letters); column++) {
        const int letter = text[column] - 'a';
        if (letter < 0 || letter >= LETTERS) {
            ortp__json_expected(r, field, "letters a to z only");
            return;
        }
        if (table->present[letter]) {
            ortp__json_expected(r, field, "each letter at most once in the layout");
            return;
        }
        table->present[letter] = true;
        table->x[letter] = ((double)column + 0.5 + shift) / (double)layout->columns;
        table->y[letter] = ((double)row + 0.5) / (double)layout->rows;
    }
}

static void read_layout(ortp__json *r, ortp_layout *layout)
{
    ortp__json_enter(r, "layout", "layout.");
    const json_t *rows = ortp__json_value(r, "rows");
    const json_t *offsets = ortp__json_value(r, "offsets");
    layout->columns = ortp__json_size(r, "columns", 1, COLUMNS_MAX);
    layout->rows = json_array_size(rows);
    if (layout->rows == 0 || layout->rows > ROWS_MAX) {
        ortp__json_expected(r, "rows", "an array of 1 to 16 strings");
    }
    if (!json_is_array(offsets) || json_array_size(offsets) != layout->rows) {
        ortp__json_expected(r, "offsets", "an array of one number per row");
    }
    key_table table = {0};
    for (size_t row = 0; row < layout->rows && r->status == ORTP_OK; row++) {
        read_row(r, layout, row, json_array_get(rows, row), json_array_get(offsets, row), &table);
    }
    for (int letter = 0; letter < LETTERS; letter++) {
        if (table.present[letter]) {
            const size_t i = layout->key_count++;
            layout->keys[i].letter = (char)('a' + letter);
            layout->keys[i].x = table.x[letter];
            layout->keys[i].y = table.y[letter];
        }
    }
}

static void read_scaling(ortp__json *r, ortp_swipe_config *config)
{
    ortp__json_enter(r, "scaling", "scaling.");
    const char *position = ortp__json_string(r, "position", true);
    if (position != NULL && strcmp(position, "2x-1") != 0) {
        ortp__json_expected(r, "position", "\"2x-1\"");
    }
    config->min_dt_s = ortp__json_number(r, "min_dt_s", ORTP__JSON_POSITIVE, true);
    config->velocity_clamp = ortp__json_number(r, "velocity_clamp", ORTP__JSON_POSITIVE, true);
    config->acceleration_clamp =
        ortp__json_number(r, "acceleration_clamp", ORTP__JSON_POSITIVE, true);
    config->divide_by = ortp__json_number(r, "divide_by", ORTP__JSON_POSITIVE, true);
    const double most = fmax(config->velocity_clamp, config->acceleration_clamp);
    if (r->status == ORTP_OK && !(most / config->divide_by <= (double)FLT_MAX)) {
        ortp__json_expected(r, "divide_by", "a number that leaves features finite as floats");
    }
}

static void read_lexicon_path(ortp__json *r, ortp_swipe_config *config)
{
    ortp__json_enter(r, NULL, NULL);
    const char *name = ortp__json_string(r, "lexicon", true);
    if (name == NULL) {
        return;
    }
    const int length =
        snprintf(config->lexicon_path, sizeof config->lexicon_path, "%s/%s", r->directory, name);
    if (length < 0 || (size_t)length >= sizeof config->lexicon_path) {
        ortp__json_expected(r, "lexicon", "a path that with its directory is below 1,024 bytes");
    }
}

static void read_all(ortp__json *r, ortp_swipe_config *config)
{
    config->max_points = ortp__json_size(r, "max_points", 1, POINTS_MAX);
    (void)ortp__json_size(r, "features", ORTP_SWIPE_FEATURES, ORTP_SWIPE_FEATURES);
    const size_t vocabulary = ortp__json_size(r, "vocabulary", LETTERS, TOKENS_MAX);
    ortp__json_enter(r, "tokens", "tokens.");
    config->first_letter =
        (int32_t)ortp__json_size(r, "first_letter", 0, (int64_t)vocabulary - LETTERS);
    ortp__json_enter(r, "beam", "beam.");
    config->frequency_weight =
        ortp__json_number(r, "frequency_weight", ORTP__JSON_NOT_NEGATIVE, true);
    config->free_score = ortp__json_number(r, "free_score", ORTP__JSON_ANY, false);
    if (config->free_score > 0.0) {
        ortp__json_expected(r, "free_score", "a number of at most 0");
    }
    config->count_limit = ortp__json_number(r, "count_limit", ORTP__JSON_NOT_NEGATIVE, false);
    config->shape_weight = ortp__json_number(r, "shape_weight", ORTP__JSON_NOT_NEGATIVE, false);
    const double temperature = ortp__json_number(r, "temperature", ORTP__JSON_NOT_NEGATIVE, false);
    config->temperature = temperature > 0.0 ? temperature : 1.0;
    config->look_ahead = ortp__json_number(r, "look_ahead", ORTP__JSON_NOT_NEGATIVE, false);
    read_scaling(r, config);
    read_layout(r, &config->layout);
    read_lexicon_path(r, config);
}

ortp_status ortp_swipe_config_load(const char *directory, ortp_swipe_config *out, ortp_error *error)
{
    if (directory == NULL || directory[0] == '\0' || out == NULL) {
        return ortp__fail(error, ORTP_E_INVAL,
                          "ortp_swipe_config_load: directory and out are required");
    }
    ortp_status status = ortp__out_check(out);
    if (status != ORTP_OK) {
        return ortp__fail(error, status, "ortp_swipe_config_load: out without struct_size");
    }
    ortp_swipe_config config = ORTP_SWIPE_CONFIG_INIT;
    if (strlen(directory) + sizeof "/" ORTP__MANIFEST_FILE > sizeof config.lexicon_path) {
        return ortp__fail(error, ORTP_E_INVAL, "%.64s...: the path of a model is too long",
                          directory);
    }
    ortp__json r;
    status = ortp__json_open(&r, directory, error);
    if (status == ORTP_OK) {
        read_all(&r, &config);
        status = r.status;
    }
    ortp__json_close(&r);
    return status == ORTP_OK ? ortp__out_fill(out, &config, sizeof config) : status;
}
