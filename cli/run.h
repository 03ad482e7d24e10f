/* SPDX-License-Identifier: MIT */
/*
 * What predict and eval share: read lines, predict them on the engine with the threads asked for,
 * hand each result out in input order.
 */
#ifndef ORTPOOL_CLI_RUN_H
#define ORTPOOL_CLI_RUN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "engine.h"
#include "lines.h"
#include "options.h"
#include "output.h"

typedef struct run {
    engine *engine;
    const run_options *options;
    bool want_word; /* a line without "word" fails */
    /* One at a time, in input order, on any thread; false ends the run. */
    bool (*result)(void *ctx, const answer *a);
    /* Before anything is said about the run as a whole; may be NULL. */
    void (*finished)(void *ctx);
    void *ctx;
    run_summary summary;   /* filled */
    atomic_bool impatient; /* no line waits for memory any more: one has in vain */
} run;

/*
 * EXIT_ANSWERED, EXIT_INPUT (a line failed), EXIT_SETUP (said on standard error), or 128 + the
 * signal that ended the input (said as well, with the number of lines answered).
 */
int run_lines(run *r, line_reader *reader);
/* Opens the input; false, said on standard error, when it cannot be. */
bool run_open_input(line_reader *reader, const char *name);

#endif
