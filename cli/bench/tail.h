/* SPDX-License-Identifier: MIT */
/* The far end of the distribution. */
#ifndef ORTPOOL_CLI_BENCH_TAIL_H
#define ORTPOOL_CLI_BENCH_TAIL_H

#include "collection.h"

/* tail_us and the noise floor, by the living processes. false: said, or a signal came. */
bool tail_rows(collection *c);

#endif
