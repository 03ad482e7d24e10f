/* SPDX-License-Identifier: MIT */
/* What a document holds beside the rows, measured by processes of their own. */
#ifndef ORTPOOL_CLI_BENCH_PARTS_H
#define ORTPOOL_CLI_BENCH_PARTS_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "collection.h"

/* Sets "typing" (a session of `typing` swipes; 0: none) and "pool". false: said, or a signal came. */
bool parts_add(json_t *document, const collect_options *options, size_t typing, bool pool);

/* The process of a typing session: its document on standard output. The process's exit code. */
int typing_serve(const char *folder, const char *swipes, size_t count, size_t beam, bool quiet);

#endif
