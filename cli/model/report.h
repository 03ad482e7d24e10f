/* SPDX-License-Identifier: MIT */
/* The figures of one to three allocators side by side, and what they mean in a sentence. */
#ifndef ORTPOOL_CLI_MODEL_REPORT_H
#define ORTPOOL_CLI_MODEL_REPORT_H

#include <stddef.h>
#include <stdio.h>

#include <jansson.h>

/* rows: objects as measure() makes them, without errors. */
void report_table(FILE *file, const char *model, const json_t *const *rows, size_t count);

#endif
