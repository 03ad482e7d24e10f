/* SPDX-License-Identifier: MIT */
/* Which models, swipes and rows are measured: from what was named, and from what is there. */
#ifndef ORTPOOL_CLI_BENCH_CHOICE_H
#define ORTPOOL_CLI_BENCH_CHOICE_H

#include <limits.h>
#include <stdbool.h>

#include "collection.h"

typedef struct choice {
    collect_options collect; /* filled: swipes, folders, mimalloc, rows; the rest is the caller's */
    const char *model, *usual, *int8, *rows, *named_swipes; /* as named; NULL: not */
    char folders[ROW_MODELS][PATH_MAX + 16];
    char swipes[2 * PATH_MAX];
} choice;

/* false: said. Rows that cannot be measured are left out, and that is said unless collect.quiet and none was named. */
bool choice_make(choice *c);

#endif
