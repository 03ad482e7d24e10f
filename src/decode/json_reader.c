/* SPDX-License-Identifier: MIT */
/* See json_reader.h. */
#include "json_reader.h"

#include "internal.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define PATH_BYTES 4096u /* what Linux takes for a path, its end included */

void ortp__json_expected(ortp__json *r, const char *field, const char *what)
{
    if (r->status == ORTP_OK) {
        r->status =
            ortp__fail(r->error, ORTP_E_INVAL, "%s/" ORTP__MANIFEST_FILE ": %s%s: expected %s",
                       r->directory, r->prefix, field, what);
    }
}

typedef struct feed {
    FILE *file;
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
    const int byte = fgetc(in->file);
    if (byte == EOF) {
        return 0; /* the end; a read that failed was looked for before */
    }
    *(char *)buffer = (char)byte;
    return 1;
}

/* The file as a JSON tree. */
static ortp_status parse(ortp__json *r, const char *path)
{
    char reason[ORTP__ERRNO_BYTES];
    FILE *file = NULL;
    const ortp_status opened = ortp__file_open_named(path, &file, r->error);
    if (opened != ORTP_OK) {
        return opened;
    }
    /* A failed read would be taken for the end; the first one shows a directory. */
    const int first = fgetc(file);
    if (first == EOF && ferror(file) != 0) {
        const int number = errno;
        (void)fclose(file);
        return ortp__fail(r->error, ORTP_E_INVAL, "%s: cannot be read: %s", path,
                          ortp__errno_text(number, reason));
    }
    (void)ungetc(first, file);
    errno = 0;
    feed in = {.file = file};
    json_error_t problem;
    r->root = json_load_callback(next_byte, &in, JSON_REJECT_DUPLICATES, &problem);
    const bool no_memory =
        in.no_memory || errno == ENOMEM || (r->root == NULL && problem.text[0] == '\0');
    (void)fclose(file);
    if (no_memory) {
        json_decref(r->root);
        r->root = NULL;
        return ortp__fail(r->error, ORTP_E_NOMEM, "%s: no memory to read it", path);
    }
    if (r->root == NULL) {
        return ortp__fail(r->error, ORTP_E_INVAL, "%s: line %d: %s", path, problem.line,
                          problem.text);
    }
    return ORTP_OK;
}

ortp_status ortp__json_open(ortp__json *r, const char *directory, ortp_error *error)
{
    *r = (ortp__json){.directory = directory, .prefix = "", .status = ORTP_OK, .error = error};
    char path[PATH_BYTES];
    const int length = snprintf(path, sizeof path, "%s/" ORTP__MANIFEST_FILE, directory);
    if (length < 0 || (size_t)length >= sizeof path) {
        r->status = ortp__fail(error, ORTP_E_INVAL,
                               "the path of " ORTP__MANIFEST_FILE " is longer than %zu bytes: %s",
                               sizeof path - 1, directory);
        return r->status;
    }
    r->status = parse(r, path);
    if (r->status == ORTP_OK && !json_is_object(r->root)) {
        ortp__json_expected(r, "the file", "a JSON object");
    }
    r->section = r->root;
    return r->status;
}

void ortp__json_close(ortp__json *r)
{
    json_decref(r->root); /* NULL is fine */
    r->root = NULL;
    r->section = NULL;
}

void ortp__json_enter(ortp__json *r, const char *name, const char *prefix)
{
    r->section = r->root;
    r->prefix = "";
    if (name == NULL) {
        return;
    }
    const json_t *section = json_object_get(r->root, name);
    if (!json_is_object(section)) {
        ortp__json_expected(r, name, "an object");
        r->section = NULL;
        return;
    }
    r->section = section;
    r->prefix = prefix;
}

const json_t *ortp__json_value(const ortp__json *r, const char *field)
{
    return json_object_get(r->section, field);
}

const char *ortp__json_string(ortp__json *r, const char *field, bool required)
{
    const json_t *value = ortp__json_value(r, field);
    if (r->status != ORTP_OK || (value == NULL && !required)) {
        return NULL;
    }
    if (!json_is_string(value) || json_string_length(value) == 0) {
        ortp__json_expected(r, field, "a string that is not empty");
        return NULL;
    }
    return json_string_value(value);
}

bool ortp__json_choice(ortp__json *r, const char *field, const char *first, const char *second)
{
    const char *value = ortp__json_string(r, field, false);
    if (value == NULL || strcmp(value, first) == 0) {
        return true;
    }
    if (strcmp(value, second) != 0) {
        char what[64];
        (void)snprintf(what, sizeof what, "\"%s\" or \"%s\"", first, second);
        ortp__json_expected(r, field, what);
    }
    return false;
}

int64_t ortp__json_integer(ortp__json *r, const char *field, const json_t *value, int64_t least,
                           int64_t most)
{
    if (r->status != ORTP_OK) {
        return least;
    }
    const int64_t number = json_is_integer(value) ? (int64_t)json_integer_value(value) : least - 1;
    if (number < least || number > most) {
        char what[80];
        (void)snprintf(what, sizeof what, "an integer from %lld to %lld", (long long)least,
                       (long long)most);
        ortp__json_expected(r, field, what);
        return least;
    }
    return number;
}

size_t ortp__json_size(ortp__json *r, const char *field, int64_t least, int64_t most)
{
    return (size_t)ortp__json_integer(r, field, ortp__json_value(r, field), least, most);
}

double ortp__json_number(ortp__json *r, const char *field, ortp__json_range range, bool required)
{
    static const char *const texts[] = {"a number", "a number of at least 0", "a number above 0"};
    const json_t *value = ortp__json_value(r, field);
    if (r->status != ORTP_OK || (value == NULL && !required)) {
        return 0.0;
    }
    const double number = json_number_value(value);
    const bool fits = json_is_number(value) && isfinite(number) &&
                      (range == ORTP__JSON_ANY || number > 0.0 ||
                       (range == ORTP__JSON_NOT_NEGATIVE && number == 0.0));
    if (!fits) {
        ortp__json_expected(r, field, texts[range]);
        return 0.0;
    }
    return number;
}
