/* SPDX-License-Identifier: MIT */
/* A document for people and for spreadsheets. */
#ifndef ORTPOOL_CLI_BENCH_TABLE_H
#define ORTPOOL_CLI_BENCH_TABLE_H

#include <stdio.h>

#include <jansson.h>

/* Text of at most 100 columns. */
void table_write(FILE *out, const json_t *document);
/* A line for each row, names of the columns first; empty where nothing was measured. Source of the form: RFC 4180. */
void csv_write(FILE *out, const json_t *document);

#endif
