/* SPDX-License-Identifier: MIT */
/*
 * Reads the fields of a model's model.json, section by section, for the manifest and for the
 * workloads that keep settings of their own in the same file.
 *
 * The first failure stays: its status and its message, which names file and field. Later reads do
 * nothing and give the least value, NULL or 0, so that a caller looks at `status` once, at the end.
 * Strings belong to the JSON tree and go with it.
 */
#ifndef ORTP_JSON_READER_H
#define ORTP_JSON_READER_H

#include <ortpool/status.h>

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ORTP__MANIFEST_FILE "model.json"

typedef struct ortp__json {
    const char *directory; /* the caller's */
    json_t *root;
    const json_t *section; /* where fields are looked up; NULL: an absent one, without fields */
    const char *prefix;    /* "encoder." */
    ortp_status status;
    ortp_error *error;
} ortp__json;

/*
 * Reads directory/model.json; close it whatever comes back. jansson's memory is malloc's, and gone
 * when the reader is closed. Errors: NOTFOUND, NOMEM, INVAL (not JSON, no object, too long a path).
 */
ortp_status ortp__json_open(ortp__json *reader, const char *directory, ortp_error *error);
void ortp__json_close(ortp__json *reader);

/* "DIRECTORY/model.json: PREFIXFIELD: expected WHAT", INVAL. */
void ortp__json_expected(ortp__json *reader, const char *field, const char *what);

/* Later fields are those of the section `name`, which the file must have; NULL: of the file. */
void ortp__json_enter(ortp__json *reader, const char *name, const char *prefix);

/* Any value; NULL where it is absent. */
const json_t *ortp__json_value(const ortp__json *reader, const char *field);
/* A string that is not empty; NULL on failure or where it is absent and not required. */
const char *ortp__json_string(ortp__json *reader, const char *field, bool required);
/* One of two words, `first` where the field is absent. True for the first. */
bool ortp__json_choice(ortp__json *reader, const char *field, const char *first,
                       const char *second);
/* An integer from `least` to `most`, required; `value` is what stands there, `field` its name. */
int64_t ortp__json_integer(ortp__json *reader, const char *field, const json_t *value,
                           int64_t least, int64_t most);
size_t ortp__json_size(ortp__json *reader, const char *field, int64_t least, int64_t most);

typedef enum ortp__json_range {
    ORTP__JSON_ANY,
    ORTP__JSON_NOT_NEGATIVE,
    ORTP__JSON_POSITIVE,
} ortp__json_range;
/* A finite number; 0 on failure or where it is absent and not required. */
double ortp__json_number(ortp__json *reader, const char *field, ortp__json_range range,
                         bool required);

#endif
