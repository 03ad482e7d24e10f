/* SPDX-License-Identifier: MIT */
/* The rows' system calls for memory. */
#ifndef ORTPOOL_CLI_BENCH_TRACE_H
#define ORTPOOL_CLI_BENCH_TRACE_H

#include "collection.h"

/* memory_calls of every row, where strace is there and may trace. false: said, or a signal came. */
bool trace_rows(collection *c);

#endif
