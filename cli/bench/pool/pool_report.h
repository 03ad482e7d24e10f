/* SPDX-License-Identifier: MIT */
/* The figures as a table, as JSON and as CSV. */
#ifndef ORTPOOL_CLI_BENCH_POOL_REPORT_H
#define ORTPOOL_CLI_BENCH_POOL_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <jansson.h>

#include "figures.h"
#include "heaps.h"

/* What was measured, how, and of whom. */
typedef struct pool_run {
    const figures *figures;
    const heaps *heaps;
    size_t rounds; /* wanted */
    bool interrupted;
} pool_run;

void pool_report_table(FILE *file, const pool_run *run, const json_t *machine);
/* A line for each case, allocator and size. */
void pool_report_csv(FILE *file, const pool_run *run);
/* {"cases", "targets", ...}, the caller's; NULL: no memory. */
json_t *pool_report_json(const pool_run *run);

#define POOL_CELL_BYTES 16
/* "4.9", "163", "123k" nanoseconds; "-" for NAN. */
void pool_report_number(double ns, char text[POOL_CELL_BYTES]);

#endif
