/* SPDX-License-Identifier: MIT */
/*
 * What the bench found, as one JSON object: table, CSV, page and comparison are functions of it. docs/bench.md has its
 * fields.
 */
#ifndef ORTPOOL_CLI_BENCH_DOCUMENT_H
#define ORTPOOL_CLI_BENCH_DOCUMENT_H

#include "collection.h"

#define DOCUMENT_FORMAT 1 /* of "bench" in it */

/* bench_json()'s. "typing" and "pool" are null in it, for the caller to set before targets_add(). */
json_t *document_make(const collection *c);
/* From a file that --json or --save wrote; NULL: it is none, said. */
json_t *document_load(const char *path);
/* The row of that name in a document; NULL: none. */
const json_t *document_row(const json_t *document, const char *name);
/* The name of the row that the others are compared with: the incremental one, or the best of ortpool's that is there. */
const char *document_headline(const json_t *document);
/* Adds "targets": what was wanted, what was reached, whether it holds. */
void targets_add(json_t *document);

#endif
