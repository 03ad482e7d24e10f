/* SPDX-License-Identifier: MIT */
/*
 * Reads what the swipe workload needs from model.json: keyboard layout, feature scaling, the lexicon's
 * name. The model's own part of the file is read by ortp_manifest_load().
 *
 * The keys are kept in the order of the alphabet, whatever the rows say: of two keys equally near, the
 * first one wins, and that must not depend on how a manifest lists them.
 */
#include "internal.h"

#include <ortpool/swipe_features.h>

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define MANIFEST_FILE "model.json"
#define LETTERS 26
#define POINTS_MAX 65536
#define TOKENS_MAX 1048576
#define COLUMNS_MAX 64
#define ROWS_MAX 16

/* What is being read: the first failure stays, later reads do nothing. */
typedef struct reader {
    const char *directory;
    const char *prefix; /* "layout." */
    ortp_status status;
    ortp_error *error;
} reader;

static void expected(reader *r, const char *field, const char *what)
{
    if (r->status == ORTP_OK) {
        r->status = ortp__fail(r->error, ORTP_E_INVAL, "%s/" MANIFEST_FILE ": %s%s: expected %s",
                               r->directory, r->prefix, field, what);
    }
}

/* NULL, an empty section, when it is not there: every field of it is then missing. */
static const json_t *section(reader *r, const json_t *root, const char *name, const char *prefix)
{
    const json_t *value = json_object_get(root, name);
    r->prefix = "";
    if (!json_is_object(value)) {
        expected(r, name, "an object");
        return NULL;
    }
    r->prefix = prefix;
    return value;
}

static size_t size_field(reader *r, const json_t *object, const char *field, int least, int most)
{
    const json_t *value = json_object_get(object, field);
    const json_int_t number = json_is_integer(value) ? json_integer_value(value) : -1;
    if (number < least || number > most) {
        char what[64];
        (void)snprintf(what, sizeof what, "an integer from %d to %d", least, most);
        expected(r, field, what);
        return (size_t)least;
    }
    return (size_t)number;
}

/* A finite number of at least 0, or above 0 where `positive`. */
static double number_field(reader *r, const json_t *object, const char *field, bool positive)
{
    const json_t *value = json_object_get(object, field);
    const double number = json_is_number(value) ? json_number_value(value) : -1.0;
    if (!isfinite(number) || number < 0.0 || (positive && number == 0.0)) {
        expected(r, field, positive ? "a number above 0" : "a number of at least 0");
        return 1.0;
    }
    return number;
}

static const char *string_field(reader *r, const json_t *object, const char *field)
{
    const json_t *value = json_object_get(object, field);
    if (!json_is_string(value) || json_string_length(value) == 0) {
        expected(r, field, "a string that is not empty");
        return "";
    }
    return json_string_value(value);
}

/* Where each letter lies; count[letter] is 0 where the layout does not have it. */
typedef struct key_table {
    double x[LETTERS], y[LETTERS];
    bool present[LETTERS];
} key_table;

static void read_row(reader *r, const ortp_layout *layout, size_t row, const json_t *letters,
                     const json_t *offset, key_table *table)
{
    char field[32];
    (void)snprintf(field, sizeof field, "rows[%zu]", row);
    if (!json_is_string(letters) || json_string_length(letters) == 0) {
        expected(r, field, "a string of letters");
        return;
    }
    const double shift = json_is_number(offset) ? json_number_value(offset) : -1.0;
    const double width = (double)json_string_length(letters) + shift;
    if (shift < 0.0 || !(width <= (double)layout->columns)) {
        (void)snprintf(field, sizeof field, "offsets[%zu]", row);
        expected(r, field, "a number of at least 0 that keeps the row within the columns");
        return;
    }
    const char *text = json_string_value(letters);
    for (size_t column = 0; column < json_string_length(letters); column++) {
        const int letter = text[column] - 'a';
        if (letter < 0 || letter >= LETTERS) {
            expected(r, field, "letters a to z only");
            return;
        }
        if (table->present[letter]) {
            expected(r, field, "each letter at most once in the layout");
            return;
        }
        table->present[letter] = true;
        table->x[letter] = ((double)column + 0.5 + shift) / (double)layout->columns;
        table->y[letter] = ((double)row + 0.5) / (double)layout->rows;
    }
}

static void read_layout(reader *r, const json_t *root, ortp_layout *layout)
{
    const json_t *object = section(r, root, "layout", "layout.");
    const json_t *rows = json_object_get(object, "rows");
    const json_t *offsets = json_object_get(object, "offsets");
    layout->columns = size_field(r, object, "columns", 1, COLUMNS_MAX);
    layout->rows = json_array_size(rows);
    if (layout->rows == 0 || layout->rows > ROWS_MAX) {
        expected(r, "rows", "an array of 1 to 16 strings");
    }
    if (!json_is_array(offsets) || json_array_size(offsets) != layout->rows) {
        expected(r, "offsets", "an array of one number per row");
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

static void read_scaling(reader *r, const json_t *root, ortp_swipe_config *config)
{
    const json_t *object = section(r, root, "scaling", "scaling.");
    if (strcmp(string_field(r, object, "position"), "2x-1") != 0) {
        expected(r, "position", "\"2x-1\"");
    }
    config->min_dt_s = number_field(r, object, "min_dt_s", true);
    config->velocity_clamp = number_field(r, object, "velocity_clamp", true);
    config->acceleration_clamp = number_field(r, object, "acceleration_clamp", true);
    config->divide_by = number_field(r, object, "divide_by", true);
}

static void read_lexicon_path(reader *r, const json_t *root, ortp_swipe_config *config)
{
    r->prefix = "";
    const char *name = string_field(r, root, "lexicon");
    const int length = snprintf(config->lexicon_path, sizeof config->lexicon_path, "%s/%s",
                                r->directory, name);
    if (length < 0 || (size_t)length >= sizeof config->lexicon_path) {
        expected(r, "lexicon", "a path that with its directory is below 1,024 bytes");
    }
}

static void read_all(reader *r, const json_t *root, ortp_swipe_config *config)
{
    if (!json_is_object(root)) {
        expected(r, "the file", "a JSON object");
        return;
    }
    config->max_points = size_field(r, root, "max_points", 1, POINTS_MAX);
    (void)size_field(r, root, "features", ORTP_SWIPE_FEATURES, ORTP_SWIPE_FEATURES);
    const size_t vocabulary = size_field(r, root, "vocabulary", LETTERS, TOKENS_MAX);
    const json_t *tokens = section(r, root, "tokens", "tokens.");
    config->first_letter = (int32_t)size_field(r, tokens, "first_letter", 0,
                                               (int)vocabulary - LETTERS);
    const json_t *beam = section(r, root, "beam", "beam.");
    config->frequency_weight = number_field(r, beam, "frequency_weight", false);
    read_scaling(r, root, config);
    read_layout(r, root, &config->layout);
    read_lexicon_path(r, root, config);
}

static ortp_status parse(const char *directory, json_t **out, ortp_error *error)
{
    char path[sizeof ((ortp_swipe_config *)0)->lexicon_path];
    const int length = snprintf(path, sizeof path, "%s/" MANIFEST_FILE, directory);
    if (length < 0 || (size_t)length >= sizeof path) {
        return ortp__fail(error, ORTP_E_INVAL, "%.64s...: the path of a model is too long",
                          directory);
    }
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return ortp__fail(error, errno == ENOMEM ? ORTP_E_NOMEM : ORTP_E_NOTFOUND,
                          "%s: cannot be opened", path);
    }
    json_error_t problem;
    *out = json_loadf(file, JSON_REJECT_DUPLICATES, &problem);
    (void)fclose(file);
    if (*out == NULL) {
        const bool memory = json_error_code(&problem) == json_error_out_of_memory;
        return ortp__fail(error, memory ? ORTP_E_NOMEM : ORTP_E_INVAL, "%s: line %d: %s", path,
                          problem.line, problem.text);
    }
    return ORTP_OK;
}

ortp_status ortp_swipe_config_load(const char *directory, ortp_swipe_config *out, ortp_error *error)
{
    if (directory == NULL || directory[0] == '\0' || out == NULL) {
        return ortp__fail(error, ORTP_E_INVAL,
                          "ortp_swipe_config_load: directory and out are required");
    }
    json_t *root = NULL;
    ortp_status status = parse(directory, &root, error);
    if (status != ORTP_OK) {
        return status;
    }
    memset(out, 0, sizeof *out);
    reader r = {.directory = directory, .prefix = "", .status = ORTP_OK, .error = error};
    read_all(&r, root, out);
    json_decref(root);
    return r.status;
}
