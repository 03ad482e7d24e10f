/* SPDX-License-Identifier: MIT */
/* Samples of every case, heap and size, in turns. */
#ifndef ORTPOOL_CLI_BENCH_POOL_ROUNDS_H
#define ORTPOOL_CLI_BENCH_POOL_ROUNDS_H

#include <stdbool.h>
#include <stddef.h>

#include "figures.h"

#define ROUNDS_SAMPLES 2u    /* of each in a round */
#define ROUNDS_SECONDS 0.001 /* about, of a sample */

/*
 * The count that takes about ROUNDS_SECONDS where `count` took `seconds`: a multiple of LOOP_LIVE, at most 64
 * times as many.
 */
size_t rounds_count(size_t count, double seconds);

/*
 * A round that is not counted, then `rounds` of them, of those heaps that are there. A signal ends them after the
 * sample that is taken. false: a call failed or the counts do not agree, said in `message`.
 */
bool rounds_run(heaps *all, const size_t *sizes, size_t size_count, size_t rounds, bool quiet,
                figures *out, char *message, size_t capacity);

#endif
