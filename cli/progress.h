/* SPDX-License-Identifier: MIT */
/* A progress line on standard error: on a terminal only, at most ten times a second. */
#ifndef ORTPOOL_CLI_PROGRESS_H
#define ORTPOOL_CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>

typedef struct progress {
    bool on;
    bool shown;
    const char *what; /* "warming up" */
    double start, last;
    double delay; /* seconds before it shows at all: what is quick needs no bar */
} progress;

/* quiet: never shows (machine output). */
void progress_start(progress *p, const char *what, double delay, bool quiet);
/* fraction: 0 to 1, below 0 where the end is not known. note: what follows the bar. */
void progress_update(progress *p, double fraction, const char *note);
/* Wipes the line. Also before anything else is written to the terminal. */
void progress_clear(progress *p);

/* Monotonic seconds. */
double seconds_now(void);

#endif
