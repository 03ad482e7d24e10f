/* SPDX-License-Identifier: MIT */
/* The input format, read with jansson. Any worker thread; each with a row of its own. */
#include "swipe_json.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct message {
    char *text;
    size_t capacity;
} message;

/* JSON's type, or -1 where there is no value. */
static int type_of(const json_t *value)
{
    return value == NULL ? -1 : (int)json_typeof(value);
}

static bool is_number(const json_t *value)
{
    return type_of(value) == JSON_INTEGER || type_of(value) == JSON_REAL;
}

static const char *type_name(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
    case JSON_REAL:
        return "a number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";
    default:
        return "null";
    }
}

/* "x" is a string, expected an array of numbers; or that it is missing. */
static bool complain(message m, const char *field, const json_t *value, const char *expected)
{
    if (value == NULL) {
        snprintf(m.text, m.capacity, "\"%s\" is missing, expected %s", field, expected);
    } else {
        snprintf(m.text, m.capacity, "\"%s\" is %s, expected %s", field, type_name(value),
                 expected);
    }
    return false;
}

static bool no_memory(message m)
{
    snprintf(m.text, m.capacity, "no memory for this line");
    return false;
}

/* As far as C strings go: one with a zero character inside would be cut there. */
static bool copy_string(const char *field, const json_t *from, char **to, message m)
{
    const char *text = json_string_value(from);
    if (strlen(text) != json_string_length(from)) {
        snprintf(m.text, m.capacity, "\"%s\": a zero character is not allowed", field);
        return false;
    }
    *to = strdup(text);
    if (*to == NULL) {
        return no_memory(m);
    }
    return true;
}

static bool read_id(swipe_row *row, const json_t *root, message m)
{
    const json_t *value = json_object_get(root, "id");
    char digits[32];
    if (value == NULL || json_typeof(value) == JSON_NULL) {
        return true;
    }
    if (json_typeof(value) == JSON_STRING) {
        if (!copy_string("id", value, &row->id, m)) {
            return false;
        }
        row->id_kind = ID_STRING;
        return true;
    }
    if (json_typeof(value) != JSON_INTEGER) {
        return complain(m, "id", value, "a string or a whole number");
    }
    snprintf(digits, sizeof(digits), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    row->id = strdup(digits);
    if (row->id == NULL) {
        return no_memory(m);
    }
    row->id_kind = ID_NUMBER;
    return true;
}

static bool read_word(swipe_row *row, const json_t *root, message m)
{
    const json_t *value = json_object_get(root, "word");
    if (type_of(value) != JSON_STRING) {
        return complain(m, "word", value, "the word that was swiped, a string");
    }
    if (json_string_length(value) == 0) {
        snprintf(m.text, m.capacity, "\"word\" is empty, expected the word that was swiped");
        return false;
    }
    return copy_string("word", value, &row->word, m);
}

static bool ensure_points(swipe_row *row, size_t count)
{
    if (count <= row->capacity) {
        return true;
    }
    /* One block, three arrays: x owns it. */
    double *block = realloc(row->x, 3 * count * sizeof(double));
    if (block == NULL) {
        return false;
    }
    row->x = block;
    row->y = block + count;
    row->t = block + 2 * count;
    row->capacity = count;
    return true;
}

static bool read_numbers(const json_t *array, const char *field, double *out, message m)
{
    size_t count = json_array_size(array);
    for (size_t i = 0; i < count; i++) {
        const json_t *value = json_array_get(array, i);
        if (!is_number(value)) {
            snprintf(m.text, m.capacity, "\"%s\"[%zu] is %s, expected a number", field, i,
                     type_name(value));
            return false;
        }
        out[i] = json_number_value(value);
    }
    return true;
}

static bool read_points(swipe_row *row, const json_t *root, message m)
{
    static const char *const fields[3] = {"x", "y", "t"};
    const json_t *arrays[3];
    for (size_t i = 0; i < 3; i++) {
        arrays[i] = json_object_get(root, fields[i]);
        if (type_of(arrays[i]) != JSON_ARRAY) {
            return complain(m, fields[i], arrays[i], "an array of numbers");
        }
    }
    size_t count = json_array_size(arrays[0]);
    for (size_t i = 1; i < 3; i++) {
        if (json_array_size(arrays[i]) != count) {
            snprintf(m.text, m.capacity,
                     "\"%s\" has %zu values and \"x\" has %zu, expected the same number", fields[i],
                     json_array_size(arrays[i]), count);
            return false;
        }
    }
    if (count > 0 && !ensure_points(row, count)) {
        return no_memory(m);
    }
    row->count = count;
    return read_numbers(arrays[0], "x", row->x, m) && read_numbers(arrays[1], "y", row->y, m) &&
           read_numbers(arrays[2], "t", row->t, m);
}

static bool read_keyboard(swipe_row *row, const json_t *root, message m)
{
    const json_t *keyboard = json_object_get(root, "keyboard");
    if (type_of(keyboard) != JSON_OBJECT) {
        return complain(m, "keyboard", keyboard, "an object with width and height");
    }
    const json_t *width = json_object_get(keyboard, "width");
    const json_t *height = json_object_get(keyboard, "height");
    if (!is_number(width)) {
        return complain(m, "keyboard.width", width, "the letter area's width in pixels, a number");
    }
    if (!is_number(height)) {
        return complain(m, "keyboard.height", height,
                        "the letter area's height in pixels, a number");
    }
    row->width = json_number_value(width);
    row->height = json_number_value(height);
    return true;
}

static void forget(swipe_row *row)
{
    free(row->id);
    free(row->word);
    row->id = NULL;
    row->word = NULL;
    row->id_kind = ID_UNKNOWN;
    row->count = 0;
}

typedef struct feed {
    const char *text;
    size_t left;
    bool no_memory;
} feed;

/*
 * One byte at a time: jansson 2.14 drops the character that its lexer has no memory for and goes on, and
 * clears errno at the next number. Only a look at errno between any two characters sees it.
 */
static size_t next_byte(void *buffer, size_t room, void *ctx)
{
    (void)room;
    feed *in = ctx;
    in->no_memory = in->no_memory || errno == ENOMEM;
    if (in->left == 0) {
        return 0;
    }
    *(char *)buffer = *in->text++;
    in->left--;
    return 1;
}

bool swipe_row_parse(swipe_row *row, const char *text, size_t length, bool want_word,
                     char *message_text, size_t capacity)
{
    message m = {message_text, capacity};
    forget(row);
    json_error_t error;
    /* Zero characters are let in: a field that is ignored may have them, for others we say so. */
    const size_t flags = JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL;
    feed in = {.text = text, .left = length};
    errno = 0;
    json_t *root = json_load_callback(next_byte, &in, flags, &error);
    if (in.no_memory || errno == ENOMEM) {
        json_decref(root);
        return no_memory(m);
    }
    if (root == NULL) {
        snprintf(m.text, m.capacity, "not JSON: %s (byte %d), expected one object", error.text,
                 error.position);
        return false;
    }
    bool ok = false;
    if (json_typeof(root) != JSON_OBJECT) {
        snprintf(m.text, m.capacity, "the line is %s, expected an object with x, y, t and keyboard",
                 type_name(root));
    } else {
        ok = read_id(row, root, m) && (!want_word || read_word(row, root, m)) &&
             read_points(row, root, m) && read_keyboard(row, root, m);
    }
    json_decref(root);
    return ok;
}

void swipe_row_free(swipe_row *row)
{
    forget(row);
    free(row->x);
    *row = (swipe_row){0};
}
