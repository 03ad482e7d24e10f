/* SPDX-License-Identifier: MIT */
/* Runs a model again and again from one place of memory, and says what that took. */
#ifndef ORTPOOL_CLI_MODEL_MEASURE_H
#define ORTPOOL_CLI_MODEL_MEASURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "feed.h"
#include "subject.h"

#define MEASURE_THREADS_MAX 64u

typedef struct measure_options {
    subject_options subject;
    feed_wishes feed;
    size_t repeat;            /* timed runs */
    size_t threads;           /* that make them, at once */
    const char *save_outputs; /* NULL: nowhere */
    bool quiet;               /* no progress */
} measure_options;

/*
 * One JSON object: {"allocator", "error"} or the figures; see report.c for their names. Progress on standard
 * error. Ctrl-C ends the timed runs; what was measured is told all the same ("interrupted": true). NULL without
 * memory.
 */
json_t *measure(const ort_library *library, const measure_options *options);

#endif
