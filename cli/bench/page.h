/* SPDX-License-Identifier: MIT */
/* What a benchmark measured, as one page that needs nothing but a browser: no network, no other file. */
#ifndef ORTPOOL_CLI_BENCH_PAGE_H
#define ORTPOOL_CLI_BENCH_PAGE_H

#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>

/*
 * Writes the page of the document of `ortpool bench --json`; what the document lacks, the page says is
 * not there. The document's strings may be anybody's: in the page they are text, never markup.
 * False where `out` did not take it all (errno says why) or the document is no array or object.
 */
bool page_write(FILE *out, const json_t *document);

#endif
