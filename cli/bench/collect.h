/* SPDX-License-Identifier: MIT */
/* Measures the rows: which processes are started, and what each is asked, in which order. */
#ifndef ORTPOOL_CLI_BENCH_COLLECT_H
#define ORTPOOL_CLI_BENCH_COLLECT_H

#include "collection.h"

/* false: ended by what was said on standard error, or by a signal, before the first round was whole; after one, what was
 * measured until then is there (cut_short). collection_free() after either. */
bool collect(const collect_options *options, collection *out);

#endif
