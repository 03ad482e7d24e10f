/* SPDX-License-Identifier: MIT */
/*
 * Text from outside on its way to a terminal or into JSON. Input is UTF-8 or nearly so: bytes that
 * are none become U+FFFD, and what controls a terminal never reaches one.
 */
#ifndef ORTPOOL_CLI_TEXT_H
#define ORTPOOL_CLI_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/*
 * The code point at text[0 .. length) (length at least 1) and its bytes in *used (at least 1);
 * U+FFFD with one byte used where there is none (bad, overlong, surrogate, cut off).
 */
uint32_t text_decode(const char *text, size_t length, size_t *used);
/* Code points of a string. */
size_t text_points(const char *text);
/* Terminal columns of a string as text_put() writes it whole. */
size_t text_columns(const char *text);
/*
 * Writes at most `columns_max` columns (SIZE_MAX: all), a longer text with an ellipsis at its end;
 * control characters as a question mark. Returns the columns written.
 */
size_t text_put(FILE *file, const char *text, size_t columns_max);
/* Writes a JSON string with its quotes. */
void text_put_json(FILE *file, const char *text);
/* Writes `count` spaces. */
void text_pad(FILE *file, size_t count);

#endif
