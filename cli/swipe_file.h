/* SPDX-License-Identifier: MIT */
/* All swipes of a file, for those who predict them again and again. */
#ifndef ORTPOOL_CLI_SWIPE_FILE_H
#define ORTPOOL_CLI_SWIPE_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include <ortpool/swipe_features.h>

#include "swipe_json.h"

typedef struct swipe_file {
    swipe_row *rows;
    size_t count;
} swipe_file;

/*
 * Reads JSON lines; "-" is standard input. False, with the reason on standard error, where it cannot be read, a
 * line is no swipe, there is none, or a signal came; nothing to free then.
 */
bool swipe_file_read(swipe_file *file, const char *name);
void swipe_file_free(swipe_file *file);

/* The row as the library takes it; borrows its numbers. */
ortp_swipe swipe_of(const swipe_row *row);

#endif
