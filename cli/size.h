/* SPDX-License-Identifier: MIT */
/* Sizes and counts as people write them on a command line. */
#ifndef ORTPOOL_CLI_SIZE_H
#define ORTPOOL_CLI_SIZE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * "512K", "64M", "1G", "2T" (powers of 1024, either case), "512KiB", "64MiB" and so on as size_format() has them, or
 * plain bytes; nothing before, between or after.
 * False, and *bytes unchanged, for anything else, for 0 and for what does not fit size_t.
 */
bool size_parse(const char *text, size_t *bytes);

/* A decimal number from `low` to `high`, digits alone; false and *value unchanged for anything
 * else. */
bool count_parse(const char *text, size_t low, size_t high, size_t *value);

/* "742 B", "9.5 KiB", "58.3 MiB", "1.2 GiB"; always ends with 0. */
void size_format(size_t bytes, char *text, size_t capacity);

#endif
