/* SPDX-License-Identifier: MIT */
/*
 * The loops that are timed: one piece of text, compiled once for each way of calling, so that no heap pays for
 * what another one needs. false: a call failed; what was acquired is given back all the same.
 */
#ifndef ORTPOOL_CLI_BENCH_POOL_LOOPS_H
#define ORTPOOL_CLI_BENCH_POOL_LOOPS_H

#include <stdbool.h>
#include <stddef.h>

#include "heaps.h"
#include "ring.h"

#define LOOP_LIVE 16u

/* `count` times a block acquired and released; its contents are not touched. */
bool loop_pair(const heap_calls *calls, size_t bytes, size_t count);
/* The same in stacks of LOOP_LIVE blocks, the first line of each written. count: a multiple of it. */
bool loop_live(const heap_calls *calls, size_t bytes, size_t count);
/* The two ends of a hand-over of `count` blocks. Where an acquire fails, NULL is handed over. */
bool loop_produce(const heap_calls *calls, size_t bytes, size_t count, ring *to);
bool loop_consume(const heap_calls *calls, size_t count, ring *from);

/* A block acquired, all of it written, and released. */
bool loop_probe(const heap_calls *calls, size_t bytes);

#endif
