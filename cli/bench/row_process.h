/* SPDX-License-Identifier: MIT */
/* A row's process, seen from the one that asks: row.h has what is said between them. */
#ifndef ORTPOOL_CLI_BENCH_ROW_PROCESS_H
#define ORTPOOL_CLI_BENCH_ROW_PROCESS_H

#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>

#include "row.h"
#include "spawn_self.h"

typedef struct row_process {
    const char *name;
    spawned child;
    FILE *answers; /* NULL: there is no process */
} row_process;

/* What is about the process, beside the row's own options. */
typedef struct row_about {
    bool count_heap;
    const char *preload;       /* NULL: nothing */
    const char *const *tracer; /* NULL: none */
} row_about;

/* false: said on standard error. */
bool row_process_start(row_process *p, const row_options *options, const row_about *about);
/* line: NULL for the first answer, which comes unasked. NULL: there is none, as said on standard error or since a
 * signal came. */
json_t *row_process_ask(row_process *p, const char *line);
/* At the end of its input it ends; `at_once`: it is made to. false: it failed in the end, said. Of one that has ended it
 * closes what is left. */
bool row_process_end(row_process *p, bool at_once);

/* The arguments behind "bench" as row_process_start() writes them, read back; false: they are not such. */
bool row_options_read(int argc, char **argv, row_options *out);

#endif
