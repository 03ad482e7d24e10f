/* SPDX-License-Identifier: MIT */
/* One line of input: a swipe as JSON. */
#ifndef ORTPOOL_CLI_SWIPE_JSON_H
#define ORTPOOL_CLI_SWIPE_JSON_H

#include <stdbool.h>
#include <stddef.h>

typedef enum id_kind {
    ID_UNKNOWN = 0, /* none given, or the line could not be read that far */
    ID_STRING = 1,
    ID_NUMBER = 2,
} id_kind;

/* Start from a zero struct; the memory is kept for the next line. */
typedef struct swipe_row {
    id_kind id_kind;
    char *id;   /* text of the string or digits of the number; NULL where unknown */
    char *word; /* NULL where there is none */
    double *x, *y, *t;
    size_t count;
    size_t capacity;
    double width, height;
} swipe_row;

/*
 * Reads {"id":"7","x":[..],"y":[..],"t":[..],"keyboard":{"width":W,"height":H}}; other fields are
 * left alone, except "word" with want_word. False, with what is wrong in `message` (the field, what
 * it is and what was expected), where the line is no such thing; id is set as far as it was
 * understood. Whether the numbers make a swipe is the library's to say.
 */
bool swipe_row_parse(swipe_row *row, const char *text, size_t length, bool want_word, char *message,
                     size_t capacity);
void swipe_row_free(swipe_row *row);

#endif
